//! A node of the real binary, `aiozfs serve`, which never outlives its test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use super::tree::TempDir;
use rustix::process::{Pid, Signal};

use super::{run, tree};

/// Counting a CID takes a moment; this is for a machine with other things to do.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process that serves one file, or a folder of them.
pub struct Node {
    process: Child,
    /// What it has printed to standard error, apart from where it listens.
    complaints: Arc<Mutex<String>>,
    _cache: TempDir,
    /// `http://` and its address.
    pub base: String,
    /// Of the file, or of the first one.
    pub cid: String,
}

impl Node {
    pub fn of(file: &Path) -> Self {
        Self::on("127.0.0.1:0", file)
    }

    /// Serves a folder with this many files. Returns once all are served; `cid` is that
    /// of one of them.
    pub fn of_folder(folder: &Path, files: usize) -> Self {
        Self::start(run::aiozfs(), "127.0.0.1:0", folder, files)
    }

    /// On this address.
    pub fn on(listen: &str, file: &Path) -> Self {
        Self::start(run::aiozfs(), listen, file, 1)
    }

    /// In a network namespace of this name.
    pub fn within(namespace: &str, listen: &str, file: &Path) -> Self {
        let mut command = run::tool("ip");
        command
            .args(["netns", "exec", namespace])
            .arg(run::AIOZFS)
            .env("XDG_CONFIG_HOME", "/no/such/directory");
        Self::start(command, listen, file, 1)
    }

    fn start(mut command: Command, listen: &str, served: &Path, files: usize) -> Self {
        let cache = tree::temp();
        command
            .args(["serve", "--listen", listen, "--cache-dir"])
            .arg(cache.path())
            .arg(served)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command.spawn().expect("the binary under test");
        let complaints = Arc::default();
        let errors = process.stderr.take().expect("piped");
        thread::spawn({
            let complaints = Arc::clone(&complaints);
            move || keep(errors, &complaints)
        });
        let pipe = process.stdout.take().expect("piped");
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        // Of each file: CID, size, name and URL.
        let said: Result<Vec<_>, _> = (0..files)
            .map(|_| receiver.recv_timeout(PATIENCE))
            .collect();
        let mut node = Self {
            process,
            complaints,
            _cache: cache,
            base: String::new(),
            cid: String::new(),
        };
        let said = said.expect("the node says what it serves");
        let fields: Vec<_> = said[0].split_whitespace().collect();
        let url = fields.last().expect("a URL");
        let (base, _) = url.split_once("/ipfs/").expect("a URL by CID");
        node.base = base.to_owned();
        node.cid = fields[0].to_owned();
        node
    }

    /// How to mount from here.
    pub fn options(&self) -> [&str; 2] {
        ["--gateway", &self.base]
    }

    /// What it has printed to standard error so far, apart from where it listens.
    pub fn complaints(&self) -> String {
        self.complaints
            .lock()
            .expect("nobody panics with it")
            .clone()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.process);
        rustix::process::kill_process(pid, signal).expect("a process of ours");
    }
}

/// Keeps each line of complaint, until the end.
fn keep(errors: ChildStderr, kept: &Mutex<String>) {
    let lines = BufReader::new(errors).lines().map_while(Result::ok);
    for line in lines.filter(|line| !line.contains(": listening on ")) {
        let mut kept = kept.lock().expect("nobody panics with it");
        kept.push_str(&line);
        kept.push('\n');
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
