//! A plain nginx: a folder on an ordinary web server, and the origin of a CDN.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::listening::Listening;
use super::{run, tree};

/// A web server that never outlives its test.
pub struct Nginx {
    _server: Listening,
    _state: TempDir,
    /// `http://` and its address.
    pub base: String,
}

impl Nginx {
    /// Serves a folder.
    pub fn of(folder: &Path) -> Self {
        Self::with(folder, "")
    }

    /// Serves a folder, with more directives for its location.
    pub fn with(folder: &Path, directives: &str) -> Self {
        let state = tree::temp();
        let (root, at) = (folder.display(), state.path().display());
        let bodies = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let bodies = bodies
            .map(|name| format!("{name}_temp_path {at};"))
            .concat();
        let server = Listening::start(|address| {
            // One process, which runs as we do, so that it may read our mounts.
            let config = format!(
                "master_process off; daemon off; pid {at}/pid; error_log {at}/log;
                 events {{}}
                 http {{ access_log off; {bodies}
                   server {{ listen {address}; location / {{ root \"{root}\"; {directives} }} }} }}"
            );
            let file = state.path().join("nginx.conf");
            fs::write(&file, config).expect("a file");
            let mut command = run::tool("nginx");
            command.arg("-p").arg(state.path()).arg("-c").arg(&file);
            command.arg("-e").arg(state.path().join("log"));
            command
        });
        let base = server.base.clone();
        Self {
            _server: server,
            _state: state,
            base,
        }
    }
}
