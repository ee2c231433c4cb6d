//! Servers that lie, hang and die, and requests that panic: never a wrong byte, never a read
//! without an end, and the mount goes on. (The whole table of faults is in `gateways.rs`.)

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::fault::{Behaviour, FaultNode};
use crate::common::mount::{Mount, MountPoint, xattr};
use crate::common::node::Node;
use crate::common::tree::TempDir;
use crate::common::{archives, run, tree};
use rustix::io::Errno;
use rustix::process::Signal;

/// The deadline of a read in these tests.
const DEADLINE: Duration = Duration::from_secs(2);

/// A read that fails may take its deadline and some scheduling, not twice its deadline.
const LONGEST: Duration = Duration::from_millis(3500);

/// Longer than a range that failed is remembered as such.
const FORGOTTEN: Duration = Duration::from_secs(5);

const SIZE: usize = 24 << 20;

/// An archive with `large.bin` of [`SIZE`] bytes, and `first.bin` and `last.bin` around it.
struct Packed {
    archive: Vec<u8>,
    large: Vec<u8>,
    dir: TempDir,
}

fn packed() -> Packed {
    let (source, dir) = (tree::temp(), tree::temp());
    let large = tree::bytes(1, SIZE);
    for (name, content) in [
        ("first.bin", &large[..5000]),
        ("large.bin", &large[..]),
        ("last.bin", &large[7..700_000]),
    ] {
        tree::write(source.path(), name, content);
    }
    let path = dir.path().join("archive.zip");
    archives::zipfile(source.path(), &path);
    let archive = fs::read(path).expect("the archive");
    Packed {
        archive,
        large,
        dir,
    }
}

fn code(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw_os_error)
}

/// Reads from `offset` on until an error; returns it, how far the bytes came, and how long the
/// read that failed took. All bytes before are compared.
fn read_until_error(path: &Path, content: &[u8], offset: u64) -> (io::Error, u64, Duration) {
    let file = File::open(path).expect("it opens");
    let mut buffer = vec![0; 128 * 1024];
    let mut at = offset;
    loop {
        let asked = Instant::now();
        match file.read_at(&mut buffer, at) {
            Ok(0) => panic!("no error up to the end of the file"),
            Ok(got) => {
                let want = &content[at as usize..][..got];
                assert_eq!(tree::differs(want, &buffer[..got]), None, "from {at} on");
                at += got as u64;
            }
            Err(error) => return (error, at, asked.elapsed()),
        }
    }
}

/// Reads a range as soon as it can be had again, and compares it.
fn assert_readable_again(path: &Path, content: &[u8], at: u64, len: usize) {
    let file = File::open(path).expect("it opens");
    let mut got = vec![0; len];
    let readable = run::wait_until(FORGOTTEN, || {
        let read = file.read_exact_at(&mut got, at);
        read.is_ok() || {
            thread::sleep(Duration::from_millis(100));
            false
        }
    });
    assert!(readable, "bytes from {at} on cannot be read again");
    assert_eq!(tree::differs(&content[at as usize..][..len], &got), None);
}

#[test]
fn a_dead_node_is_an_error_in_time_and_may_return() {
    let packed = packed();
    let node = FaultNode::start(packed.archive.clone());
    let mount = Mount::with(node.url(), &["--timeout", "2s"]);
    let path = mount.join("large.bin");
    let mut head = vec![0; 1 << 20];
    let file = File::open(&path).expect("it opens");
    file.read_exact_at(&mut head, 0).expect("while it lives");
    assert_eq!(tree::differs(&packed.large[..1 << 20], &head), None);

    node.die();
    let ((error, at, took), _) = {
        let (path, large) = (path.clone(), packed.large.clone());
        run::within(
            Duration::from_secs(20),
            "a read of a dead node",
            move || read_until_error(&path, &large, 1 << 20),
        )
    };
    assert_eq!(code(&error), Some(Errno::IO), "{error}");
    assert!(took < LONGEST, "it took {took:?}");
    let said = mount.log_lines("large.bin");
    assert!(
        said.iter().any(|line| line.contains("cannot reach")),
        "{said:?}"
    );
    // What is there stays there, what is known stays known.
    file.read_exact_at(&mut head, 0).expect("from memory");
    assert_eq!(tree::names(mount.path()).len(), 3);

    let mut listener = None;
    run::wait_until(Duration::from_secs(5), || {
        listener = TcpListener::bind(node.addr).ok();
        listener.is_some()
    });
    let listener = listener.expect("the same port again");
    let _again = FaultNode::start_on(listener, packed.archive.clone());
    assert_readable_again(&path, &packed.large, at, 1 << 20);
    // All of it takes as long to be had again: what the kernel read ahead may have failed after
    // the read that was told of it, and is remembered from then on.
    assert_readable_again(&path, &packed.large, 0, packed.large.len());
}

#[test]
fn a_node_that_hangs_is_an_error_in_time() {
    let packed = packed();
    thread::scope(|scope| {
        for behaviour in [Behaviour::Silent, Behaviour::SilentBody] {
            let packed = &packed;
            scope.spawn(move || {
                let node = FaultNode::start(packed.archive.clone());
                let mount = Mount::with(node.url(), &["--timeout", "2s"]);
                node.behave(behaviour.clone());
                let (path, large) = (mount.join("large.bin"), packed.large.clone());
                let ((error, at, took), _) = {
                    let path = path.clone();
                    run::within(
                        Duration::from_secs(20),
                        "a read of a hanging node",
                        move || read_until_error(&path, &large, 10 << 20),
                    )
                };
                assert_eq!(code(&error), Some(Errno::IO), "{behaviour:?}: {error}");
                assert!(took < LONGEST, "{behaviour:?}: it took {took:?}");
                assert!(took > DEADLINE / 2, "{behaviour:?}: {took:?} is not a wait");
                // An mmap or a second reader of the same bytes does not wait all over.
                let (again, took) = {
                    let file = File::open(&path).expect("it opens");
                    run::within(Duration::from_secs(20), "the same read again", move || {
                        file.read_at(&mut [0; 100], at)
                    })
                };
                again.expect_err("it still hangs");
                assert!(took < LONGEST, "{behaviour:?}: again, it took {took:?}");
                node.behave(Behaviour::Good);
                assert_readable_again(&path, &packed.large, at, 100_000);
            });
        }
    });
}

/// A read that failed was two or three lines in the log: one for each request of the kernel's
/// read-ahead, and one for the page that it asked for again.
#[test]
fn a_failed_read_is_one_line_in_the_log_with_its_cause() {
    let packed = packed();
    // The deadline of the read, or the client's own wait for bytes, which is as long: one of them ends first.
    let late: &[&str] = &["did not come within 2 s", "sent nothing for 2.0 s"];
    thread::scope(|scope| {
        for (behaviour, causes) in [
            (Behaviour::Status(503, None), &["HTTP status 503"][..]),
            (Behaviour::Status(404, None), &["not found"]),
            (Behaviour::Silent, late),
            (Behaviour::SilentBody, late),
            (Behaviour::Cut(100), &["cut the answer"]),
            (Behaviour::Reset, &["cannot reach"]),
            (Behaviour::Shifted, &["local header"]),
        ] {
            let packed = &packed;
            scope.spawn(move || {
                let node = FaultNode::start(packed.archive.clone());
                let (point, dir) = (MountPoint::new(), tree::temp());
                let log = dir.path().join("log");
                let mut mount = run::aiozfs();
                mount.args(["mount", "--timeout", "2s", "--cache-size", "0"]);
                mount.arg("--log-file").arg(&log);
                run::run(mount.arg(node.url()).arg(point.path())).ok("mount");
                node.behave(behaviour.clone());
                let path = point.path().join("large.bin");
                let read = move || fs::read(path).expect_err("it fails");
                run::within(Duration::from_secs(20), "a read that fails", read);
                // Requests of read-ahead may end after the read that was waited for.
                thread::sleep(DEADLINE);
                let log = fs::read_to_string(&log).expect("a log");
                let lines: Vec<_> = log.lines().collect();
                assert_eq!(lines.len(), 1, "{behaviour:?}: {log}");
                assert!(
                    lines[0].contains(" warning: large.bin: "),
                    "{behaviour:?}: {log}"
                );
                let says_why = causes.iter().any(|cause| lines[0].contains(cause));
                assert!(says_why, "{behaviour:?}: {log}");
            });
        }
    });
}

/// Never a mix of two versions, and one line that says so, not one for every read.
#[test]
fn changed_content_of_a_url_is_stale_and_logged_once() {
    let packed = packed();
    let node = FaultNode::start(packed.archive.clone());
    let mount = Mount::with(node.url(), &["--timeout", "1s"]);
    let file = File::open(mount.join("large.bin")).expect("it opens");
    let mut buffer = vec![0; 4096];
    file.read_exact_at(&mut buffer, 0).expect("as it was");
    for behaviour in [Behaviour::Changed, Behaviour::Longer] {
        node.behave(behaviour.clone());
        for at in [12 << 20, 15 << 20, 18 << 20] {
            let error = file.read_at(&mut buffer, at).expect_err("another version");
            assert_eq!(code(&error), Some(Errno::STALE), "{behaviour:?}: {error}");
        }
    }
    // What is in memory is of the version that was mounted.
    file.read_exact_at(&mut buffer, 0).expect("from memory");
    assert_eq!(tree::differs(&packed.large[..4096], &buffer), None);
    let said = mount.log_lines("changed since");
    assert_eq!(said.len(), 1, "{said:?}");
}

/// Bytes from a little further on, under right headers, can be told from the right ones only by a
/// CID; but in an entry that is read for the first time its local header tells.
#[test]
fn shifted_answers_do_not_pass_for_an_entry() {
    let packed = packed();
    let node = FaultNode::start(packed.archive.clone());
    let mount = Mount::with(node.url(), &["--timeout", "1s"]);
    node.behave(Behaviour::Shifted);
    let error = fs::read(mount.join("large.bin")).expect_err("its header is not there");
    assert_eq!(code(&error), Some(Errno::IO));
    let said = mount.log_lines("large.bin");
    assert!(
        said.iter().any(|line| line.contains("local header")),
        "{said:?}"
    );
}

#[test]
fn a_file_that_changes_under_its_mount_is_stale() {
    let packed = packed();
    let path = packed.dir.path().join("archive.zip");
    let mount = Mount::with(&path, &["--timeout", "1s"]);
    let mut other = packed.archive.clone();
    other.iter_mut().for_each(|byte| *byte = !*byte);
    let file = File::options()
        .write(true)
        .open(&path)
        .expect("the archive");
    file.write_all_at(&other, 0).expect("written over");
    let error = fs::read(mount.join("last.bin")).expect_err("it is another file");
    assert_eq!(code(&error), Some(Errno::STALE), "{error}");
}

/// The story: a panic that ends a FUSE thread leaves a mount with one
/// thread less. When the last one has ended, every access hangs.
#[test]
fn a_panic_in_one_request_is_its_own() {
    let packed = packed();
    for place in ["thread", "task"] {
        let node = FaultNode::start(packed.archive.clone());
        let asked = format!("{place}:large.bin");
        let env = [("AIOZFS_TEST_PANIC", &*asked)];
        let mount = Mount::with_env(node.url(), &["--timeout", "2s"], &env);
        let (path, names) = (mount.join("large.bin"), mount.path().to_owned());
        // More often than there are threads.
        let (errors, took) = run::within(Duration::from_secs(10), "reads that panic", move || {
            let files = (0..10).map(|_| File::open(&path).expect("it opens"));
            let reads = files.map(|file| file.read_at(&mut [0; 100], 5 << 20));
            reads
                .map(|read| code(&read.expect_err(place)))
                .collect::<Vec<_>>()
        });
        assert_eq!(errors, [Some(Errno::IO); 10], "{place}");
        assert!(
            took < Duration::from_secs(2),
            "{place}: at once, not at the deadline: {took:?}"
        );
        let (first, _) = run::within(Duration::from_secs(10), "the next read", move || {
            assert_eq!(tree::names(&names).len(), 3);
            fs::read(names.join("first.bin")).expect("others are not concerned")
        });
        assert_eq!(tree::differs(&packed.large[..5000], &first), None);
        let said = mount.log_lines("panicked");
        assert!(
            said.iter().any(|l| l.contains("read panicked")),
            "{place}: {said:?}"
        );
        assert!(
            said.iter().any(|l| l.contains("asked for by")),
            "{place}: {}",
            mount.log()
        );
    }
}

#[test]
fn failures_are_counted() {
    let packed = packed();
    let node = FaultNode::start(packed.archive.clone());
    let mount = Mount::with(node.url(), &["--timeout", "1s"]);
    node.die();
    fs::read(mount.join("large.bin")).expect_err("nobody serves it");
    let status = xattr(mount.path(), "status").expect("an attribute");
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    assert!(status["errors"].as_u64() > Some(0), "{status}");
}

/// A process that is stopped keeps its connections and accepts new ones, by the kernel, and
/// answers nothing.
#[test]
fn a_stopped_node_is_an_error_in_time_and_may_continue() {
    let packed = packed();
    let node = Node::of(&packed.dir.path().join("archive.zip"));
    let args = [&node.options()[..], &["--timeout", "2s"]].concat();
    let mount = Mount::with(&node.cid, &args);
    let path = mount.join("large.bin");
    let mut head = vec![0; 4096];
    let file = File::open(&path).expect("it opens");
    file.read_exact_at(&mut head, 0).expect("while it runs");
    node.signal(Signal::STOP);
    let (error, took) = {
        let file = File::open(&path).expect("it opens");
        run::within(
            Duration::from_secs(20),
            "a read of a stopped node",
            move || {
                file.read_at(&mut [0; 4096], 15 << 20)
                    .expect_err("it is stopped")
            },
        )
    };
    assert_eq!(code(&error), Some(Errno::IO), "{error}");
    assert!(took < LONGEST, "it took {took:?}");
    node.signal(Signal::CONT);
    assert_readable_again(&path, &packed.large, 15 << 20, 1 << 20);
}

/// By a CID as well: what was said of the connection to a server holds for any of them.
#[test]
fn a_killed_node_may_return() {
    let packed = packed();
    let archive = packed.dir.path().join("archive.zip");
    let node = Node::of(&archive);
    let args = [&node.options()[..], &["--timeout", "2s"]].concat();
    let mount = Mount::with(&node.cid, &args);
    let path = mount.join("large.bin");
    assert_readable_again(&path, &packed.large, 0, 1 << 20);
    let addr = node.base.trim_start_matches("http://").to_owned();
    drop(node);
    let ((error, at, took), _) = {
        let (path, large) = (path.clone(), packed.large.clone());
        run::within(
            Duration::from_secs(20),
            "a read of a killed node",
            move || read_until_error(&path, &large, 0),
        )
    };
    assert_eq!(code(&error), Some(Errno::IO), "{error}");
    assert!(took < LONGEST, "it took {took:?}");
    let _again = Node::on(&addr, &archive);
    assert_readable_again(&path, &packed.large, at, 1 << 20);
}
