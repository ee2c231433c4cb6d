//! NFS-Ganesha, which exports a mount as the shipped configuration has it, and the clients of libnfs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::listening::{Listening, changed};
use super::run::{self, Finished};
use super::tree::{self, TempDir};

/// The configuration that aiozfs comes with.
const SHIPPED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/mount-scripts/nfs/ganesha.conf"
);

/// How long a client of libnfs may take.
const LONGEST: Duration = Duration::from_secs(20);

/// An NFS server that never outlives its test. It needs root, for open_by_handle_at(2).
pub struct Ganesha {
    server: Listening,
    state: TempDir,
}

impl Ganesha {
    /// Exports a directory as `/video`.
    pub fn of(directory: &Path) -> Self {
        let shipped = fs::read_to_string(SHIPPED).expect("the shipped configuration");
        let state = tree::temp();
        let at = state.path().display();
        let server = Listening::start(|address| {
            let (_, port) = address.split_once(':').expect("an address with a port");
            let changes = [
                ("Bind_addr = 0.0.0.0", "Bind_addr = 127.0.0.1".to_owned()),
                ("NFS_Port = 2049", format!("NFS_Port = {port}")),
                (
                    "Path = /mnt/video",
                    format!("Path = {}", directory.display()),
                ),
                (
                    "Graceless = true;",
                    format!("Graceless = true; RecoveryRoot = {at};"),
                ),
            ];
            let text = changed(&shipped, &changes);
            let config = state.path().join("ganesha.conf");
            fs::write(&config, text).expect("the configuration");
            let mut command = run::tool("ganesha.nfsd");
            command.arg("-F").arg("-f").arg(config);
            command.arg("-p").arg(state.path().join("pid"));
            command.arg("-L").arg(Self::log_file(&state));
            command
        });
        Self { server, state }
    }

    /// The URL of a path in the export, as libnfs wants it.
    pub fn url(&self, path: &str) -> String {
        let address = &self.server.base["http://".len()..];
        let (host, port) = address.split_once(':').expect("an address with a port");
        format!("nfs://{host}/video{path}?version=4&nfsport={port}")
    }

    /// The lines of `nfs-ls -R`.
    pub fn list(&self) -> Finished {
        let mut ls = run::tool("nfs-ls");
        run::run_for(ls.arg("-R").arg(self.url("")), LONGEST)
    }

    /// Copies a file of the export with `nfs-cp`.
    pub fn copy(&self, path: &str, to: &Path) -> Finished {
        let mut cp = run::tool("nfs-cp");
        run::run_for(cp.arg(self.url(path)).arg(to), LONGEST)
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(Self::log_file(&self.state)).unwrap_or_default()
    }

    fn log_file(state: &TempDir) -> PathBuf {
        state.path().join("log")
    }
}
