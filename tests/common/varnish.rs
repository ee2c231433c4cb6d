//! Varnish with the configuration that aiozfs comes with.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use super::{run, tree};

const SHIPPED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/mount-scripts/fleet/varnish.vcl"
);

/// A cache that never outlives its test.
pub struct Varnish {
    process: Child,
    _state: TempDir,
    /// `http://` and its address.
    pub base: String,
}

impl Varnish {
    /// The shipped cache in front of a gateway.
    pub fn cache(gateway: SocketAddr) -> Self {
        let shipped = fs::read_to_string(SHIPPED).expect("the shipped configuration");
        let changes = [
            ("127.0.0.1\"", format!("{}\"", gateway.ip())),
            ("\"8081\"", format!("\"{}\"", gateway.port())),
        ];
        let vcl = changes.iter().fold(shipped, |text, (from, to)| {
            assert_eq!(text.matches(from).count(), 1, "{from}");
            text.replace(from, to)
        });
        let state = tree::temp();
        let file = state.path().join("aiozfs.vcl");
        fs::write(&file, vcl).expect("a file");
        // Between the choice of a port and its use somebody else may have taken it.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
            let address = port.expect("a port").to_string();
            let mut command = run::tool("varnishd");
            command.args(["-F", "-j", "none", "-s", "malloc,64m", "-a", &address]);
            command.arg("-f").arg(&file);
            command.arg("-n").arg(state.path().join("work"));
            let mut process = command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("varnishd");
            // It compiles its configuration first.
            let began = run::wait_until(Duration::from_secs(60), || {
                TcpStream::connect(&address).is_ok()
                    || process.try_wait().expect("a child of ours").is_some()
            });
            assert!(began, "varnishd neither listens nor ends");
            if process.try_wait().expect("a child of ours").is_none() {
                return Self {
                    process,
                    _state: state,
                    base: format!("http://{address}"),
                };
            }
        }
        panic!("varnishd does not start");
    }
}

impl Drop for Varnish {
    fn drop(&mut self) {
        // It has a child of its own, which it ends.
        let _ = rustix::process::kill_process(Pid::from_child(&self.process), Signal::TERM);
        if run::wait(&mut self.process, Duration::from_secs(10)).is_none() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}
