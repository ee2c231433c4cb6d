//! A plain nginx: a folder on an ordinary web server, and the origin of a CDN. Or the shipped site-wide cache.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::tree::TempDir;

use super::listening::{Listening, changed};
use super::{run, tree};

/// The configuration of a site-wide cache that aiozfs comes with.
const CACHE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/mount-scripts/fleet/nginx.conf"
);

/// A web server that never outlives its test.
pub struct Nginx {
    _server: Listening,
    state: TempDir,
    /// `http://` and its address.
    pub base: String,
    /// Its address.
    pub addr: SocketAddr,
}

impl Nginx {
    /// Serves a folder.
    pub fn of(folder: &Path) -> Self {
        Self::with(folder, "")
    }

    /// Serves a folder, with more directives for its location.
    pub fn with(folder: &Path, directives: &str) -> Self {
        let root = folder.display();
        Self::serving(|address, _| {
            format!("server {{ listen {address}; location / {{ root \"{root}\"; {directives} }} }}")
        })
    }

    /// The shipped cache in front of a gateway and a web server, which may be the same.
    pub fn cache(gateway: SocketAddr, files: SocketAddr) -> Self {
        let shipped = fs::read_to_string(CACHE).expect("the shipped configuration");
        Self::serving(|address, state| {
            let changes = [
                ("/var/cache/nginx/aiozfs", format!("{state}/cache")),
                ("127.0.0.1:8081", gateway.to_string()),
                ("127.0.0.1:8082", files.to_string()),
                ("listen 8080", format!("listen {address}")),
            ];
            changed(&shipped, &changes)
        })
    }

    /// `servers` gives what stands in the http context, for an address and a directory for state.
    fn serving(servers: impl Fn(&str, &str) -> String) -> Self {
        let state = tree::temp();
        let server = Listening::start(|address| {
            let at = state.path().to_str().expect("a plain path");
            start(state.path(), &servers(address, at))
        });
        let base = server.base.clone();
        let addr = base["http://".len()..].parse().expect("an address");
        Self {
            _server: server,
            state,
            addr,
            base,
        }
    }

    /// Its log of errors.
    pub fn log(&self) -> String {
        fs::read_to_string(self.state.path().join("log")).unwrap_or_default()
    }
}

fn start(state: &Path, servers: &str) -> Command {
    let at = state.display();
    let bodies = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let bodies = bodies
        .map(|name| format!("{name}_temp_path {at};"))
        .concat();
    // One process, which runs as we do, so that it may read our mounts.
    let config = format!(
        "master_process off; daemon off; pid {at}/pid; error_log {at}/log;
         events {{}}
         http {{ access_log off; {bodies}
           {servers} }}"
    );
    let file = state.join("nginx.conf");
    fs::write(&file, config).expect("a file");
    let mut command = run::tool("nginx");
    command.arg("-p").arg(state).arg("-c").arg(&file);
    command.arg("-e").arg(state.join("log"));
    command
}
