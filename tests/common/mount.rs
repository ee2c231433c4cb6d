//! A mount of the real binary, which never outlives its test.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::mount::UnmountFlags;
use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use super::{needs, run, tree};

/// A mount is usable in a tenth of a second; this is for a machine with other things to do.
const USABLE_WITHIN: Duration = Duration::from_secs(20);

/// An archive, mounted by `aiozfs mount --foreground -v`.
pub struct Mount {
    point: MountPoint,
    process: Child,
    log: Arc<Mutex<String>>,
    _cache: tree::TempDir,
}

impl Mount {
    pub fn new(source: impl AsRef<OsStr>) -> Self {
        Self::with(source, &[])
    }

    pub fn with(source: impl AsRef<OsStr>, args: &[&str]) -> Self {
        Self::with_env(source, args, &[])
    }

    /// A library, which the arguments say.
    pub fn library(args: &[&str]) -> Self {
        Self::of(None, args, &[])
    }

    pub fn with_env(source: impl AsRef<OsStr>, args: &[&str], env: &[(&str, &str)]) -> Self {
        Self::of(Some(source.as_ref()), args, env)
    }

    fn of(source: Option<&OsStr>, args: &[&str], env: &[(&str, &str)]) -> Self {
        needs::fuse();
        let point = MountPoint::new();
        let mut command = run::aiozfs();
        // A cache of its own, unless the arguments name one.
        let cache = tree::temp();
        command
            .env("AIOZFS_CACHE_DIR", cache.path())
            .env_remove(run::CACHE_SIZE)
            .args(["mount", "--foreground", "-v"])
            .args(args)
            .args(source)
            .arg(point.path())
            .envs(env.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = command.spawn().expect("the binary under test");
        let log = Arc::new(Mutex::new(String::new()));
        let lines = BufReader::new(process.stderr.take().expect("piped")).lines();
        let written = log.clone();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut log = written.lock().expect("log");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut mount = Self {
            point,
            process,
            log,
            _cache: cache,
        };
        // It says so once it also listens to signals.
        let usable = run::wait_until(USABLE_WITHIN, || {
            mount.has_ended().is_some() || mount.log().contains("is mounted on")
        });
        assert!(usable && mount.has_ended().is_none(), "it did not mount");
        mount
    }

    /// The process that serves it.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The most memory that it has taken so far, in bytes, as a release build would: a debug build's code is larger.
    pub fn peak_memory(&self) -> u64 {
        /// The parts of a release build's file that are in memory, in bytes.
        const RELEASED: u64 = 12_000_000;
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
            kilobytes.expect("a size").parse::<u64>().expect("a number") * 1024
        };
        bytes("VmHWM:") - bytes("RssFile:") + RELEASED
    }

    /// The root of the mount.
    pub fn path(&self) -> &Path {
        self.point.path()
    }

    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// All that the process has said so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("log").clone()
    }

    /// The lines of the log with `part` in them, once there is one, or after a moment.
    pub fn log_lines(&self, part: &str) -> Vec<String> {
        run::wait_until(Duration::from_secs(2), || self.log().contains(part));
        let log = self.log();
        let lines = log.lines().filter(|line| line.contains(part));
        lines.map(str::to_owned).collect()
    }

    /// Fails the test if the process has complained so far.
    pub fn assert_no_complaint(&self) {
        let log = self.log();
        let said = |word: &str| {
            log.lines()
                .any(|l| l.starts_with(&format!("aiozfs: {word}:")))
        };
        assert!(!said("error") && !said("warning"), "{log}");
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.process);
        rustix::process::kill_process(pid, signal).expect("a process of ours");
    }

    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().expect("a process of ours")
    }

    /// Waits for the end of the process.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        run::wait(&mut self.process, limit)
    }

    pub fn is_mounted(&self) -> bool {
        self.point.is_mounted()
    }

    /// Its line in /proc/mounts.
    pub fn proc_mounts(&self) -> String {
        let table = fs::read_to_string("/proc/mounts").expect("/proc/mounts");
        let path = self.path().to_str().expect("a plain path");
        let line = table.lines().find(|l| l.split(' ').nth(1) == Some(path));
        line.expect("it is mounted").to_owned()
    }

    /// Ends it as a service manager would.
    pub fn end(mut self) {
        self.signal(Signal::TERM);
        let ended = self.wait(Duration::from_secs(10));
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    }

    /// The mountpoint alone: ends the process as if it had crashed.
    pub fn crash(mut self) -> MountPoint {
        self.process.kill().expect("a process of ours");
        self.process.wait().expect("a child");
        std::mem::replace(&mut self.point, MountPoint::new())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- the mount's log:\n{}---", self.log());
        }
        // Ends reads that still wait in the mount. SIGKILL works on a stopped process, too.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A directory to mount on, empty and of its own. What is mounted on it is taken away in the end.
pub struct MountPoint(Option<TempDir>);

impl MountPoint {
    pub fn new() -> Self {
        Self::named("aiozfs-test-")
    }

    /// One whose name begins so.
    pub fn named(prefix: &str) -> Self {
        let dir = tempfile::Builder::new().prefix(prefix).tempdir();
        Self(Some(dir.expect("a directory")))
    }

    pub fn path(&self) -> &Path {
        self.0.as_ref().expect("there until dropped").path()
    }

    pub fn is_mounted(&self) -> bool {
        is_mounted(self.path())
    }
}

impl Drop for MountPoint {
    fn drop(&mut self) {
        let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
        while is_mounted(self.path()) {
            if let Some(pid) = serving(self.path()) {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
            if rustix::mount::unmount(self.path(), flags).is_err() {
                let mut fusermount = run::tool("fusermount3");
                fusermount.arg("-uz").arg(self.path());
                if !run::run(&mut fusermount).status.success() {
                    break;
                }
            }
        }
        let dir = self.0.take().expect("there until dropped");
        if is_mounted(dir.path()) {
            // The directory still shows the archive, so it must not be removed.
            eprintln!("{} could not be unmounted", dir.keep().display())
        } else {
            drop(dir)
        }
    }
}

/// Whether something is mounted on exactly this directory.
pub fn is_mounted(path: &Path) -> bool {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    let path = path.to_str().expect("a plain path").replace(' ', "\\040");
    table.lines().any(|l| l.split(' ').nth(4) == Some(&*path))
}

/// The process that serves a mount, found by its arguments: a mount may be dead or hang.
pub fn serving(mountpoint: &Path) -> Option<Pid> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let serves = |args: &[u8]| {
        let mut args = args.split(|b| *b == 0);
        args.next().is_some_and(|exe| exe.ends_with(b"/aiozfs"))
            && args.any(|arg| arg == mountpoint.as_os_str().as_encoded_bytes())
    };
    let mut ids = processes.filter_map(|process| {
        let id = process.file_name().to_str()?.parse().ok()?;
        let args = fs::read(process.path().join("cmdline")).ok()?;
        serves(&args).then_some(id)
    });
    ids.next().and_then(Pid::from_raw)
}

/// An extended attribute of the mount's.
pub fn xattr(path: &Path, name: &str) -> rustix::io::Result<String> {
    let mut value = vec![0; 64 * 1024];
    let name = format!("user.aiozfs.{name}");
    let len = rustix::fs::lgetxattr(path, name, &mut value[..])?;
    value.truncate(len);
    Ok(String::from_utf8(value).expect("attributes are text"))
}
