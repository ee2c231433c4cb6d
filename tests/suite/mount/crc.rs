//! Files compared with their CRC-32 through the kernel: one wrong byte of a server or a disk is an
//! error for every program that reads the file to its end. It leaves no trace once the server is mended.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Stdio;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::common::fault::{Behaviour, FaultNode};
use crate::common::mount::{Mount, xattr};
use crate::common::tree::TempDir;
use crate::common::{archives, run, tree};
use rustix::process::Signal;

const LARGE: usize = 6_000_011;
const SMALL: usize = 90_001;

/// Longer than a file that is still wrong is remembered as such.
const MENDED: Duration = Duration::from_secs(5);

/// An archive with a large and a small file. Neither comes with the index.
struct Packed {
    archive: Vec<u8>,
    large: Vec<u8>,
    small: Vec<u8>,
    dir: TempDir,
}

impl Packed {
    fn new() -> Self {
        let (source, dir) = (tree::temp(), tree::temp());
        let (large, small) = (tree::bytes(1, LARGE), tree::bytes(2, SMALL));
        tree::write(source.path(), "a/large.bin", &large);
        tree::write(source.path(), "a/small.bin", &small);
        tree::write(source.path(), "z/last.bin", &tree::bytes(3, 1 << 20));
        let path = dir.path().join("archive.zip");
        archives::zipfile(source.path(), &path);
        Self {
            archive: fs::read(path).expect("the archive"),
            large,
            small,
            dir,
        }
    }

    /// Where in the archive a byte of the large file lies.
    fn place(&self, at: usize) -> u64 {
        let mut windows = self.archive.windows(64);
        let start = windows.position(|window| window == &self.large[..64]);
        start.expect("the large file") as u64 + at as u64
    }
}

/// What `cat` makes of a file: whether it ended well, and what it wrote.
type Outcome = (Result<(), String>, Vec<u8>);

fn cat(path: &Path) -> Outcome {
    let out = tempfile::NamedTempFile::new().expect("a file");
    let mut command = run::tool("cat");
    command.arg(path);
    command.stdout(out.reopen().expect("a file"));
    command.stderr(Stdio::piped());
    let child = command.spawn().expect("cat");
    let ended = child.wait_with_output().expect("cat");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    let result = ended.status.success().then_some(()).ok_or(said);
    (result, fs::read(out.path()).expect("what it wrote"))
}

fn assert_right(path: &Path, content: &[u8]) {
    let (result, got) = cat(path);
    assert_eq!(result, Ok(()));
    assert_eq!(tree::differs(content, &got), None);
}

/// Until `cat` succeeds; it must not give a byte before, and only right ones then.
fn assert_right_soon(path: &Path, content: &[u8]) {
    let right = run::wait_until(MENDED, || match cat(path) {
        (Ok(()), got) => {
            assert_eq!(tree::differs(content, &got), None);
            true
        }
        (Err(_), got) => {
            assert_eq!(got.len(), 0, "bytes of a file that is known to be wrong");
            thread::sleep(Duration::from_millis(100));
            false
        }
    });
    assert!(right, "{} cannot be read again", path.display());
}

fn assert_io_error(result: &Result<(), String>) {
    let said = result.as_ref().expect_err("a byte of it was wrong");
    assert!(said.contains("Input/output error"), "{said}");
}

/// A `cat` of a file that was found wrong, and of a server that is silent now. The first ones may
/// fail at once: nobody waits for right bytes while other readers are still being told, nor soon
/// after the file was fetched again and was still wrong.
fn one_that_waits(path: &Path) -> JoinHandle<Outcome> {
    let mut waiting = None;
    run::wait_until(MENDED, || {
        let path = path.to_owned();
        let cat = thread::spawn(move || cat(&path));
        thread::sleep(Duration::from_millis(500));
        if cat.is_finished() {
            assert_io_error(&cat.join().expect("cat").0);
            return false;
        }
        waiting = Some(cat);
        true
    });
    waiting.expect("nobody waits for right bytes")
}

/// The lines of the log that tell of a wrong CRC.
fn told(mount: &Mount) -> Vec<String> {
    mount.log_lines("instead of")
}

#[test]
fn a_wrong_byte_fails_until_the_only_server_is_mended() {
    let packed = Packed::new();
    let node = FaultNode::start(packed.archive.clone());
    let mount = Mount::new(node.url());
    let path = mount.join("a/large.bin");
    node.behave(Behaviour::Flip(packed.place(3_333_333)));

    let (result, got) = cat(&path);
    assert_io_error(&result);
    assert!(got.len() < LARGE, "the last bytes came without an error");
    for _ in 0..2 {
        let (result, got) = cat(&path);
        assert_io_error(&result);
        assert_eq!(got.len(), 0, "nothing more of it, right or wrong");
        thread::sleep(Duration::from_millis(1100));
    }
    let told = told(&mount);
    assert_eq!(told.len(), 1, "{told:?}");
    let range = xattr(&path, "range").expect("where it is");
    let (start, size) = range.split_once(',').expect("a range");
    let (start, size): (u64, u64) = (start.parse().expect("n"), size.parse().expect("n"));
    let extent = format!("{}-{} of the archive", start, start + size - 1);
    let origin = node.addr.to_string();
    for part in ["a/large.bin", &extent, &origin] {
        assert!(told[0].contains(part), "{part}: {told:?}");
    }

    node.behave(Behaviour::Good);
    assert_right_soon(&path, &packed.large);
    assert_right(&path, &packed.large);
    assert_right(&mount.join("a/small.bin"), &packed.small);
}

/// The kernel reads ahead and keeps to itself what comes of it; when the reader gets there it asks
/// once more. With right bytes from the other server by then, `cat` would end well, having written
/// the wrong byte of the first.
#[test]
fn a_wrong_byte_is_an_error_even_if_another_server_is_right() {
    let packed = Packed::new();
    let nodes = [(); 2].map(|()| FaultNode::start(packed.archive.clone()));
    let (one, two) = (nodes[0].base(), nodes[1].base());
    let mount = Mount::with("id:any", &["--gateway", &one, "--gateway", &two]);
    let path = mount.join("a/large.bin");
    nodes[0].behave(Behaviour::Flip(packed.place(100)));
    let before = File::open(&path).expect("it opens");

    let (result, _) = cat(&path);
    assert_io_error(&result);
    assert_right_soon(&path, &packed.large);
    let told = told(&mount);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(&nodes[0].addr.to_string()), "{told:?}");
    assert!(!told[0].contains(&nodes[1].addr.to_string()), "{told:?}");
    // A file that stays open is readable again, too.
    let mut got = vec![0; LARGE];
    let readable = run::wait_until(MENDED, || before.read_exact_at(&mut got, 0).is_ok());
    assert!(readable);
    assert_eq!(tree::differs(&packed.large, &got), None);
}

#[test]
fn a_small_file_is_right_at_once_if_another_server_is() {
    let packed = Packed::new();
    let nodes = [(); 2].map(|()| FaultNode::start(packed.archive.clone()));
    let (one, two) = (nodes[0].base(), nodes[1].base());
    let mount = Mount::with("id:any", &["--gateway", &one, "--gateway", &two]);
    let mut windows = packed.archive.windows(64);
    let start = windows.position(|window| window == &packed.small[..64]);
    let place = start.expect("the small file") as u64 + 50_000;
    nodes[0].behave(Behaviour::Flip(place));
    let path = mount.join("a/small.bin");
    let (result, got) = cat(&path);
    // How the kernel cuts the file into reads is its own affair: if into several, one fails.
    if result.is_ok() {
        assert_eq!(tree::differs(&packed.small, &got), None);
    }
    assert_right_soon(&path, &packed.small);
    assert_eq!(told(&mount).len(), 1);
}

#[test]
fn a_wrong_byte_on_a_disk_is_an_error() {
    let packed = Packed::new();
    let mut archive = packed.archive.clone();
    archive[packed.place(LARGE - 1) as usize] ^= 1;
    let path = packed.dir.path().join("bad.zip");
    fs::write(&path, archive).expect("a file");
    let mount = Mount::new(&path);
    let (result, got) = cat(&mount.join("a/large.bin"));
    assert_io_error(&result);
    assert!(got.len() < LARGE);
    let told = told(&mount);
    assert_eq!(told.len(), 1, "{told:?}");
    let last = format!("-{} of the archive", packed.place(LARGE - 1));
    for part in ["a/large.bin", &last, "bad.zip"] {
        assert!(told[0].contains(part), "{part}: {told:?}");
    }
    assert_right(&mount.join("a/small.bin"), &packed.small);
    // Parts of a file that nobody has read to its end are not compared.
    drop(mount);
    let mount = Mount::new(&path);
    let file = File::open(mount.join("a/large.bin")).expect("it opens");
    let mut got = vec![0; 100_000];
    file.read_exact_at(&mut got, 1_000_000).expect("a part");
    assert_eq!(
        tree::differs(&packed.large[1_000_000..1_100_000], &got),
        None
    );
    mount.assert_no_complaint();
}

#[test]
fn without_verification_the_server_is_believed() {
    let packed = Packed::new();
    let node = FaultNode::start(packed.archive.clone());
    let mount = Mount::with(node.url(), &["--verify", "none"]);
    node.behave(Behaviour::Flip(packed.place(3_333_333)));
    let (result, got) = cat(&mount.join("a/large.bin"));
    assert_eq!(result, Ok(()));
    assert!(tree::differs(&packed.large, &got).is_some());
    mount.assert_no_complaint();
}

/// Many readers of many files at once, in and out of order: right bytes are not found wrong.
#[test]
fn right_bytes_pass_however_they_are_read() {
    let packed = Packed::new();
    let node = FaultNode::start(packed.archive.clone());
    let mount = Mount::with(node.url(), &["--memory", "16M"]);
    let path = mount.join("a/large.bin");
    thread::scope(|scope| {
        for seed in 0..4u64 {
            let (packed, path, mount) = (&packed, &path, &mount);
            scope.spawn(move || match seed {
                0 => assert_right(path, &packed.large),
                1 => assert_right(&mount.join("a/small.bin"), &packed.small),
                2 => tree::assert_random_reads(path, &packed.large, 300),
                _ => {
                    // From the end to the beginning.
                    let file = File::open(path).expect("it opens");
                    for at in (0..LARGE).step_by(70_000).collect::<Vec<_>>().iter().rev() {
                        let end = LARGE.min(at + 70_000);
                        let mut got = vec![0; end - at];
                        file.read_exact_at(&mut got, *at as u64).expect("a read");
                        assert_eq!(tree::differs(&packed.large[*at..end], &got), None);
                    }
                }
            });
        }
    });
    mount.assert_no_complaint();
}

/// The server hangs while a wrong file is fetched again. The reads that wait for it, and the process that
/// asked the kernel to drop its pages, must still come to an end.
#[test]
fn a_wrong_file_does_not_delay_the_unmount() {
    let packed = Packed::new();
    for signal in [Signal::TERM, Signal::KILL] {
        let node = FaultNode::start(packed.archive.clone());
        let mut mount = Mount::new(node.url());
        let path = mount.join("a/large.bin");
        node.behave(Behaviour::Flip(packed.place(1)));
        assert_io_error(&cat(&path).0);
        node.behave(Behaviour::Silent);
        let waiting = one_that_waits(&path);
        mount.signal(signal);
        assert!(mount.wait(Duration::from_secs(3)).is_some(), "{signal:?}");
        let (result, got) = waiting.join().expect("cat");
        assert!(result.is_err() && got.is_empty());
    }
}
