//! `--connections` and `--memory` hold for a real mount.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;

use crate::common::fault::{Behaviour, FaultNode};
use crate::common::mount::Mount;
use crate::common::{archives, tree};

const MB: u64 = 1 << 20;

/// Reads `len` bytes from `from` on, a mebibyte at a time.
fn read_through(path: &Path, from: u64, len: u64) {
    let file = File::open(path).expect("it opens");
    let mut buffer = vec![0; MB as usize];
    for at in (from..from + len).step_by(MB as usize) {
        file.read_exact_at(&mut buffer, at).expect("bytes");
    }
}

/// Several readers, each in a place of its own.
fn read_side_by_side(path: &Path, readers: u64, apart: u64, len: u64) {
    thread::scope(|scope| {
        for reader in 0..readers {
            scope.spawn(move || read_through(path, reader * apart, len));
        }
    });
}

/// A line of what the kernel says of a process, in bytes.
fn status(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kilobytes.expect("a size").parse::<u64>().expect("a number") * 1024
}

/// So many bytes of a release build are in memory while it reads, with those of its libraries.
const RELEASED: u64 = 10_000_000;

/// Buffers freed by one thread were not used by another: with 16 MiB allowed, twelve readers drove
/// the process to 104 MB. File content may take `--memory`, and everything else 64 MB, whatever is
/// read. The program's own pages are not counted beyond those of a release build: a test build is
/// several times larger.
#[test]
fn memory_has_a_bound_however_many_read() {
    let out = tree::temp();
    let archive = out.path().join("huge.zip");
    archives::beyond_4_gib(&archive);
    for memory in [64, 128, 512] {
        let mount = Mount::with(
            &archive,
            &["--memory", &format!("{memory}M"), "--verify=none"],
        );
        let huge = mount.join("huge.bin");
        read_through(&huge, 0, 64 * MB);
        read_side_by_side(&huge, 12, 300 * MB, 32 * MB);
        let content = status(mount.pid(), "VmHWM:") - status(mount.pid(), "RssFile:");
        let peak = content + RELEASED;
        let bound = memory * MB + 64_000_000;
        assert!(peak <= bound, "--memory {memory}M: {peak} of {bound} bytes");
    }
}

/// The most requests that a server sees at once while several read.
fn most_requests_at_once(archive: &[u8], args: &[&str]) -> usize {
    let node = FaultNode::start(archive.to_vec());
    node.behave(Behaviour::AtMost(64)); // it takes its time, and refuses nothing here
    let mount = Mount::with(node.url(), args);
    read_side_by_side(&mount.join("big.bin"), 4, 24 * MB, 24 * MB);
    mount.assert_no_complaint();
    node.most_at_once()
}

#[test]
fn a_server_sees_no_more_requests_at_once_than_allowed() {
    let (source, out) = (tree::temp(), tree::temp());
    fs::write(source.path().join("big.bin"), vec![5; 96 << 20]).expect("a file");
    let archive = out.path().join("big.zip");
    archives::info_zip(source.path(), &archive);
    let archive = fs::read(&archive).expect("the archive");
    // The node may still be busy with an answer whose bytes have all arrived.
    for (args, most) in [(["--connections", "2"], 3), (["-o", "connections=1"], 2)] {
        let seen = most_requests_at_once(&archive, &args);
        assert!(seen <= most, "{args:?}: {seen} at once");
    }
    let by_default = most_requests_at_once(&archive, &[]);
    assert!(by_default > 3, "{by_default} at once by default");
}
