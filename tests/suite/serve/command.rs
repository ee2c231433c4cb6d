//! `aiozfs serve` and `aiozfs cid`: the real binary.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::common::http::request;
use crate::common::restless::RestlessMount;
use crate::common::tree;
use crate::common::zips::{Item, Zip};
use aiozfs::content::parse_cid;
use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(20);

fn aiozfs() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aiozfs"));
    command.env_remove("AIOZFS_CACHE_DIR");
    command
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len as u32)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(len)
        .collect()
}

/// A file that was last written a minute ago: a fresh one is not cached.
fn write_old(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("a file");
    let file = fs::File::options().write(true).open(path);
    let old = SystemTime::now() - Duration::from_secs(60);
    let set = file.and_then(|file| file.set_modified(old));
    set.expect("the modification time");
}

/// The lines of a pipe, as they come.
fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

struct Serve {
    child: Child,
    out: Receiver<String>,
    err: Receiver<String>,
    addr: SocketAddr,
}

impl Serve {
    fn start(cache: &Path, files: &[&Path]) -> Self {
        Self::with(cache, &[], files)
    }

    fn with(cache: &Path, options: &[&str], files: &[&Path]) -> Self {
        let mut child = aiozfs()
            .args(["serve", "-v", "--listen", "127.0.0.1:0", "--cache-dir"])
            .arg(cache)
            .args(options)
            .args(files)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary");
        let out = lines(child.stdout.take().expect("piped"));
        let err = lines(child.stderr.take().expect("piped"));
        let said = err.recv_timeout(PATIENCE).expect("where it listens");
        let (_, rest) = said.split_once("http://").expect("a URL");
        let addr = rest.split('/').next().and_then(|addr| addr.parse().ok());
        Self {
            child,
            out,
            err,
            addr: addr.expect("an address"),
        }
    }

    /// The next line: CID, size, name, URL.
    fn line(&self) -> [String; 4] {
        let line = self.out.recv_timeout(PATIENCE).expect("a line");
        let fields: Vec<String> = line.split('\t').map(str::to_owned).collect();
        fields.try_into().expect("four fields")
    }

    fn get(&self, path: &str) -> (u16, Vec<u8>) {
        let reply = request(self.addr, "GET", path, &[]);
        (reply.status, reply.body)
    }

    fn end(mut self, signal: Signal) -> (ExitStatus, Vec<String>) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("a signal");
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return (status, self.err.iter().collect());
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not end");
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // Whatever the test came to, nothing goes on running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn path_of(url: &str) -> String {
    let rest = url.strip_prefix("http://").expect("a URL");
    rest[rest.find('/').expect("a path")..].to_owned()
}

#[test]
fn serve_prints_a_url_and_restarts_from_its_cache() {
    let dir = tree::temp();
    let (cache, served) = (dir.path().join("cache"), dir.path().join("served"));
    fs::create_dir_all(served.join("sub")).expect("a directory");
    let content = bytes(1_048_577);
    write_old(&served.join("sub/my film.zip"), &content);
    let mut cached = Vec::new();
    for signal in [Signal::INT, Signal::TERM, Signal::TERM] {
        if cached.len() == 2 {
            // The third start finds a damaged cache.
            for file in files_below(&cache) {
                fs::write(file, "damage").expect("damaged");
            }
        }
        let serve = Serve::start(&cache, &[&served]);
        let [cid, size, name, url] = serve.line();
        // tests/data/cids.tsv has this CID.
        assert_eq!(
            cid,
            "bafybeid4bqng6ufcqux564pimynoqrzstzicfphdq7ia3anxbeme4fsmry"
        );
        assert_eq!((&size[..], &name[..]), ("1048577", "sub/my film.zip"));
        assert_eq!(
            url,
            format!("http://{}/ipfs/{cid}/sub/my%20film.zip", serve.addr)
        );
        assert!(serve.get(&path_of(&url)) == (200, content.clone()));
        let (status, err) = serve.end(signal);
        assert_eq!(status.code(), Some(0));
        cached.push(err.iter().any(|line| line.contains("from the cache")));
        let warned = err.iter().any(|line| line.contains("damaged"));
        assert_eq!(warned, cached.len() == 3, "{err:?}");
    }
    assert_eq!(cached, [false, true, false]);
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_below(&path))
        } else {
            found.push(path)
        }
    }
    found
}

/// The URL that a node prints has the file's name behind the CID, and was "the CID is that of a file, and there is
/// nothing below it".
#[test]
fn the_url_that_serve_prints_opens_the_archive() {
    let dir = tree::temp();
    let served = dir.path().join("served");
    fs::create_dir_all(served.join("sub")).expect("directories");
    // Of one block, and of several.
    for (name, len) in [("a.zip", 10), ("sub/my film.zip", 3_000_000)] {
        let zip = Zip::of([Item::new("file", bytes(len))]).finish();
        fs::write(served.join(name), zip).expect("an archive");
    }
    let serve = Serve::start(&dir.path().join("cache"), &[&served]);
    for _ in 0..2 {
        let [.., url] = serve.line();
        let (code, out, err) = run(crate::common::run::aiozfs().args(["ls", &url]));
        assert_eq!((code, &out[..]), (Some(0), "file\n"), "{url}: {err}");
        let below = url.replace(".zip", ".m3u8");
        let (code, _, err) = run(crate::common::run::aiozfs().args(["ls", &below]));
        assert!(code == Some(1) && err.contains("nothing below it"), "{err}");
    }
}

#[test]
fn a_changed_file_is_served_under_its_new_cid_only() {
    let dir = tree::temp();
    let file = dir.path().join("film.zip");
    fs::write(&file, b"one").expect("a file");
    let serve = Serve::start(&dir.path().join("cache"), &[&file]);
    let [old, ..] = serve.line();
    let old = format!("/ipfs/{old}");
    assert_eq!(serve.get(&old), (200, b"one".to_vec()));
    fs::write(&file, b"two").expect("written");
    assert_eq!(serve.get(&old).0, 404);
    let [new, _, _, url] = serve.line();
    assert_ne!(old, format!("/ipfs/{new}"));
    assert_eq!(serve.get(&path_of(&url)), (200, b"two".to_vec()));
    assert_eq!(serve.get(&old).0, 404);
    // Replaced by renaming, as editors do, and asked for by nobody.
    let other = dir.path().join("other");
    fs::write(&other, b"six").expect("a file");
    fs::rename(&other, &file).expect("replaced");
    let [_, _, _, url] = serve.line();
    assert_eq!(serve.get(&path_of(&url)), (200, b"six".to_vec()));
    assert_eq!(serve.get(&format!("/ipfs/{new}")).0, 404);
    fs::remove_file(&file).expect("removed");
    assert_eq!(serve.get(&path_of(&url)).0, 404);
    assert_eq!(serve.get("/index.json").1, b"[]");
}

#[test]
fn a_file_added_later_is_served() {
    let dir = tree::temp();
    let served = dir.path().join("served");
    fs::create_dir(&served).expect("a directory");
    fs::write(served.join("a"), b"a").expect("a file");
    // A cache that cannot be written is no reason not to serve.
    let cache = dir.path().join("cache");
    fs::write(&cache, b"a file").expect("in the way");
    let serve = Serve::start(&cache, &[&served]);
    assert_eq!(serve.line()[2], "a");
    fs::write(served.join("b"), b"b").expect("a file");
    assert_eq!(serve.line()[2], "b");
}

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the binary");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn an_unusable_file_is_reported_in_one_line() {
    let dir = tree::temp();
    let file = dir.path().join("film.zip");
    let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = other.local_addr().expect("an address").to_string();
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).expect("a directory");
    fs::write(&file, b"x").expect("a file");
    let missing = dir.path().join("no.zip");
    for (listen, what, says) in [
        (taken.as_str(), &file, "--listen"),
        ("127.0.0.1:0", &missing, "there is no file"),
        ("127.0.0.1:0", &empty, "nothing to serve"),
        ("127.0.0.1:0", &PathBuf::from("/dev/null"), "neither"),
    ] {
        let (code, out, err) = run(aiozfs().args(["serve", "--listen", listen]).arg(what));
        assert_eq!((code, &out[..]), (Some(1), ""), "{err}");
        assert_eq!(err.lines().count(), 1, "{err}");
        assert!(err.starts_with("aiozfs: ") && err.contains(says), "{err}");
    }
    drop(other);
    assert_eq!(run(aiozfs().arg("serve")).0, Some(2));
}

#[test]
fn cid_prints_the_cid_and_nothing_else() {
    let dir = tree::temp();
    let file = dir.path().join("film.zip");
    fs::write(&file, bytes(1_048_577)).expect("a file");
    let expected = "bafybeid4bqng6ufcqux564pimynoqrzstzicfphdq7ia3anxbeme4fsmry\n";
    let printed = run(aiozfs().arg("cid").arg(&file));
    assert_eq!(printed, (Some(0), expected.into(), String::new()));
    let mut child = aiozfs()
        .args(["cid", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(&bytes(1_048_577)).expect("written");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.stdout, expected.as_bytes());
    for (path, says) in [
        (dir.path(), "directory"),
        (Path::new("/no/such"), "no file"),
    ] {
        let (code, out, err) = run(aiozfs().arg("cid").arg(path));
        assert_eq!((code, &out[..]), (Some(1), ""));
        assert!(err.contains(says) && err.lines().count() == 1, "{err}");
    }
}

/// A CID by each profile, by the one command and the other; the values are in tests/data/cids.tsv.
#[test]
fn profiles() {
    let dir = tree::temp();
    let table = include_str!("../../data/cids.tsv");
    for (name, size) in [
        ("unixfs-v1-2025", 1_048_577),
        ("unixfs-v0-2015", 786_437),
        ("kubo-1mib-174", 3_145_733),
    ] {
        let file = dir.path().join(size.to_string());
        write_old(&file, &bytes(size));
        let line = format!("{name}\tpattern\t{size}\t");
        let expected = table.lines().find_map(|golden| golden.strip_prefix(&line));
        let expected = expected.expect("a golden CID");
        let printed = run(aiozfs().args(["cid", "--profile", name]).arg(&file));
        assert_eq!(printed, (Some(0), format!("{expected}\n"), String::new()));
        // The second start has it from the cache.
        for is_cached in [false, true] {
            let cache = dir.path().join("cache");
            let serve = Serve::with(&cache, &["--profile", name], &[&file]);
            let [cid, _, _, url] = serve.line();
            assert_eq!(cid, expected);
            let root = serve.get(&format!("{}?format=raw", path_of(&url)));
            let cid = parse_cid(&cid).expect("a CID");
            assert_eq!((root.0, cid.verify(&root.1)), (200, Ok(())));
            let (_, err) = serve.end(Signal::TERM);
            let says = err.iter().any(|line| line.contains("from the cache"));
            assert_eq!(says, is_cached, "{name}: {err:?}");
        }
    }
    let (code, _, err) = run(aiozfs().args(["cid", "--profile", "x"]).arg(dir.path()));
    assert!(code == Some(2) && err.contains("unixfs-v0-2015"), "{err}");
}

/// A file on a file system that gives another inode number at each look "is being written to", said
/// the node for ever, and never served it.
#[test]
fn a_file_whose_inode_number_changes_is_served_until_its_bytes_change() {
    let dir = tree::temp();
    let folder = dir.path().join("folder");
    fs::create_dir(&folder).expect("a directory");
    let file = folder.join("film.zip");
    write_old(&file, &bytes(300_000));
    let restless = RestlessMount::of(&folder);
    let serve = Serve::start(&dir.path().join("cache"), &[restless.path()]);
    let [cid, _, _, url] = serve.line();
    // Longer than the node lets pass between two looks of its own.
    for _ in 0..13 {
        assert!(serve.get(&path_of(&url)) == (200, bytes(300_000)));
        thread::sleep(Duration::from_millis(500));
    }
    write_old(&file, b"other bytes");
    let [other, _, _, url] = serve.line();
    assert_ne!(cid, other);
    assert_eq!(serve.get(&path_of(&url)), (200, b"other bytes".to_vec()));
}

/// What does not change a file's bytes does not withdraw it.
#[test]
fn a_file_with_another_mode_or_one_more_name_stays_served() {
    let dir = tree::temp();
    let file = dir.path().join("film.zip");
    fs::write(&file, b"film").expect("a file");
    let serve = Serve::start(&dir.path().join("cache"), &[&file]);
    let [_, _, _, url] = serve.line();
    fs::hard_link(&file, dir.path().join("backup")).expect("a link");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
    assert_eq!(serve.get(&path_of(&url)), (200, b"film".to_vec()));
}
