//! A plain nginx: a folder on an ordinary web server, and the origin of a CDN.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::{run, tree};

/// A web server that never outlives its test.
pub struct Nginx {
    process: Child,
    _state: TempDir,
    /// `http://` and its address.
    pub base: String,
}

impl Nginx {
    /// Serves a folder.
    pub fn of(folder: &Path) -> Self {
        let state = tree::temp();
        // Between the choice of a port and its use somebody else may have taken it.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
            let address = port.expect("a port").to_string();
            let mut process = start(folder, state.path(), &address);
            let is_up = || TcpStream::connect(&address).is_ok();
            let began = run::wait_until(Duration::from_secs(10), || {
                is_up() || process.try_wait().expect("a child of ours").is_some()
            });
            assert!(began, "nginx neither listens nor ends");
            if process.try_wait().expect("a child of ours").is_none() {
                return Self {
                    process,
                    _state: state,
                    base: format!("http://{address}"),
                };
            }
        }
        let log = fs::read_to_string(state.path().join("log")).unwrap_or_default();
        panic!("nginx does not start: {log}");
    }
}

fn start(folder: &Path, state: &Path, address: &str) -> Child {
    let (root, at) = (folder.display(), state.display());
    let bodies = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let bodies = bodies
        .map(|name| format!("{name}_temp_path {at};"))
        .concat();
    // One process, which runs as we do, so that it may read our mounts.
    let config = format!(
        "master_process off; daemon off; pid {at}/pid; error_log {at}/log;
         events {{}}
         http {{ access_log off; {bodies}
           server {{ listen {address}; location / {{ root \"{root}\"; }} }} }}"
    );
    let file = state.join("nginx.conf");
    fs::write(&file, config).expect("a file");
    let mut command = run::tool("nginx");
    command.arg("-p").arg(state).arg("-c").arg(&file);
    command.arg("-e").arg(state.join("log"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("nginx")
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
