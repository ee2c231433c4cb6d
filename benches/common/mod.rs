//! What benches share: a mount of the binary, which does not outlive them.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// A mount with a cache directory of its own.
pub struct Mount {
    dir: tempfile::TempDir,
    process: Child,
}

impl Mount {
    /// Mounts, and waits until it is there. `cache`: its cache directory.
    pub fn new(source: &str, options: &[&str], cache: &Path) -> Self {
        let dir = tempfile::tempdir().expect("a mountpoint");
        let process = Command::new(env!("CARGO_BIN_EXE_aiozfs"))
            .args(["mount", "--foreground"])
            .args(options)
            .arg(source)
            .arg(dir.path())
            .env("AIOZFS_CACHE_DIR", cache)
            .stdin(Stdio::null())
            .spawn()
            .expect("aiozfs");
        let mut mount = Self { dir, process };
        let since = Instant::now();
        let table = || fs::read_to_string("/proc/mounts").expect("/proc");
        while !table().contains(&format!(" {} ", mount.dir.path().display())) {
            let ended = mount.process.try_wait().expect("a child");
            assert!(
                ended.is_none() && since.elapsed() < Duration::from_secs(60),
                "no mount"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        mount
    }

    /// Its root.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Resident memory now and at its peak, in MB.
    pub fn memory(&self) -> (f64, f64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.expect("/proc");
        let of = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            let number = line.and_then(|line| line.split_whitespace().nth(1));
            number.expect(name).parse::<f64>().expect(name) / 1e3
        };
        (of("VmRSS:"), of("VmHWM:"))
    }

    /// Seconds of processor time that it has used.
    #[allow(dead_code)] // Not by every bench.
    pub fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()));
        let stat = stat.expect("/proc");
        // Behind the name in brackets (proc(5)): user and system time are fields 14 and 15.
        let fields = stat.rsplit(')').next().expect("fields").split(' ');
        let ticks = fields.skip(12).take(2).map(|t| t.parse::<f64>());
        ticks.map(|t| t.expect("a number")).sum::<f64>() / 100.0
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let pid = Pid::from_child(&self.process);
        let _ = rustix::process::kill_process(pid, Signal::TERM);
        let _ = self.process.wait();
    }
}
