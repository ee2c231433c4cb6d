//! A plain nginx: a folder on an ordinary web server, and the origin of a CDN. Or the shipped site-wide cache.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::{run, tree};

/// The configuration of a site-wide cache that aiozfs comes with.
const CACHE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/mount-scripts/fleet/nginx.conf"
);

/// A web server that never outlives its test.
pub struct Nginx {
    process: Child,
    state: TempDir,
    /// `http://` and its address.
    pub base: String,
    pub addr: SocketAddr,
}

impl Nginx {
    /// Serves a folder.
    pub fn of(folder: &Path) -> Self {
        let root = folder.display();
        Self::serving(|address, _| {
            format!("server {{ listen {address}; location / {{ root \"{root}\"; }} }}")
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
            changes.iter().fold(shipped.clone(), |text, (from, to)| {
                assert_eq!(text.matches(from).count(), 1, "{from}");
                text.replace(from, to)
            })
        })
    }

    /// `servers` gives what stands in the http context, for an address and a directory for state.
    fn serving(servers: impl Fn(&str, &str) -> String) -> Self {
        let state = tree::temp();
        // Between the choice of a port and its use somebody else may have taken it.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
            let address = port.expect("a port").to_string();
            let at = state.path().to_str().expect("a plain path");
            let mut process = start(state.path(), &servers(&address, at));
            let is_up = || TcpStream::connect(&address).is_ok();
            let began = run::wait_until(Duration::from_secs(10), || {
                is_up() || process.try_wait().expect("a child of ours").is_some()
            });
            assert!(began, "nginx neither listens nor ends");
            if process.try_wait().expect("a child of ours").is_none() {
                return Self {
                    process,
                    state,
                    base: format!("http://{address}"),
                    addr: address.parse().expect("an address"),
                };
            }
        }
        let log = fs::read_to_string(state.path().join("log")).unwrap_or_default();
        panic!("nginx does not start: {log}");
    }

    /// Its log of errors.
    pub fn log(&self) -> String {
        fs::read_to_string(self.state.path().join("log")).unwrap_or_default()
    }
}

fn start(state: &Path, servers: &str) -> Child {
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
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("nginx")
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
