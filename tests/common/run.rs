//! Commands, run to their end or to a limit.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::needs;

/// The binary under test.
pub const AIOZFS: &str = env!("CARGO_BIN_EXE_aiozfs");

/// A command of a test that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(60);

/// Takes the place of `--cache-size`; for [`aiozfs`] it turns the cache off.
pub const CACHE_SIZE: &str = "AIOZFS_CACHE_SIZE";

/// What a command did.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Finished {
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Fails the test unless the command succeeded.
    pub fn ok(self, what: &str) -> Self {
        assert!(
            self.status.success(),
            "{what}: {}\n{}\n{}",
            self.status,
            self.stdout,
            self.stderr
        );
        self
    }
}

/// `aiozfs` with nothing of this process's environment that would change what it does.
pub fn aiozfs() -> Command {
    unbiased(AIOZFS)
}

/// Copies the binary under test, in a process of its own: a program is busy while a process has it open for writing, as a
/// child would that another test starts at that moment.
pub fn copy_program(to: &Path) {
    run(tool("cp").arg(AIOZFS).arg(to)).ok("cp");
}

/// A program that runs `aiozfs`, with the same environment.
pub fn unbiased(program: &str) -> Command {
    let mut command = Command::new(program);
    for name in [
        "AIOZFS_GATEWAYS",
        "AIOZFS_CACHE_DIR",
        "AIOZFS_TOKEN",
        "AIOZFS_PASSWORD",
        "RUST_LOG",
        // The tests may run in a service themselves.
        "NOTIFY_SOCKET",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        // Nothing is cached but where a test says so.
        "XDG_CACHE_HOME",
        "HOME",
    ] {
        command.env_remove(name);
    }
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name);
        command.env_remove(name.to_ascii_uppercase());
    }
    for (name, _) in std::env::vars_os() {
        let clouds = ["AWS_", "AZURE_", "GOOGLE_", "GCE_", "STORAGE_"];
        if clouds
            .iter()
            .any(|cloud| name.to_string_lossy().starts_with(cloud))
        {
            command.env_remove(&name);
        }
    }
    for name in ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"] {
        command.env(name, "/no/such/file");
    }
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("XDG_CONFIG_HOME", "/no/such/directory");
    command.env("NETRC", "/no/such/file");
    // Without HOME, the cache would be in the home directory of the user who runs the tests.
    command.env(CACHE_SIZE, "0");
    command.stdin(Stdio::null());
    command
}

/// A tool of the system, which the test then needs.
pub fn tool(name: &str) -> Command {
    needs::tool(name);
    let mut command = Command::new(name);
    command.env("PATH", needs::path()).stdin(Stdio::null());
    command
}

/// A Python program with its arguments.
pub fn python<S: AsRef<OsStr>>(program: &str, args: &[S]) -> Finished {
    let mut command = tool("python3");
    command.arg("-c").arg(program).args(args);
    run(&mut command).ok("python3")
}

/// Runs a command to its end. One that hangs is ended, and fails the test.
pub fn run(command: &mut Command) -> Finished {
    run_for(command, LONGEST)
}

/// The same, with a limit of its own.
pub fn run_for(command: &mut Command, limit: Duration) -> Finished {
    let start = Instant::now();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let status = wait(&mut child, limit).unwrap_or_else(|| {
        let _ = child.kill();
        let _ = child.wait();
        panic!("{command:?} hangs");
    });
    let took = start.elapsed();
    Finished {
        status,
        stdout: text(stdout),
        stderr: text(stderr),
        took,
    }
}

/// Waits for the end of a child, up to a limit.
pub fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child of ours") {
            return Some(status);
        }
        if start.elapsed() > limit {
            return None;
        }
        thread::sleep(Duration::from_millis(3));
    }
}

/// Waits until something holds; false if it does not by then.
pub fn wait_until(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !holds() {
        if start.elapsed() > limit {
            return false;
        }
        thread::sleep(Duration::from_millis(3));
    }
    true
}

/// Runs `work` in a thread and fails the test if it does not end in time. Says how long it took.
pub fn within<T: Send + 'static>(
    limit: Duration,
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> (T, Duration) {
    let (sender, receiver) = mpsc::channel();
    let start = Instant::now();
    thread::spawn(move || drop(sender.send(work())));
    match receiver.recv_timeout(limit) {
        Ok(value) => (value, start.elapsed()),
        Err(_) => panic!("{what}: not done within {limit:?}"),
    }
}

/// Does `work` with each item, `at_a_time` in parallel. If one panics, the test fails.
pub fn each<T: Send>(items: Vec<T>, at_a_time: usize, work: impl Fn(T) + Sync) {
    let left = Mutex::new(items.into_iter());
    let next = || {
        left.lock()
            .expect("never poisoned: nobody works within")
            .next()
    };
    thread::scope(|scope| {
        for _ in 0..at_a_time {
            scope.spawn(|| {
                while let Some(item) = next() {
                    work(item);
                }
            });
        }
    });
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        let _ = sender.send(bytes);
    });
    receiver
}

/// What was said on a pipe. A process that went on in the background may keep it open: that
/// would be a fault of its own, and is told as such.
fn text(pipe: mpsc::Receiver<Vec<u8>>) -> String {
    let bytes = pipe.recv_timeout(Duration::from_secs(5));
    let bytes = bytes.expect("the command has ended, but something holds its output open");
    String::from_utf8_lossy(&bytes).into_owned()
}
