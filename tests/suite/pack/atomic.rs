//! `aiozfs pack`: the archive appears complete or not at all.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::common::packs::folder;
use crate::common::run::{self, aiozfs, run, tool};
use crate::common::tree;
use rustix::process::{Pid, Signal};

const BEFORE: &str = "what was there before";

/// A file that is a hole: reading it takes longer than the signal needs, and it takes no disk space.
fn with_hole(folder: &Path, name: &str, size: u64) {
    let hole = File::create(folder.join(name)).expect("a file");
    hole.set_len(size).expect("a hole");
}

/// A packing over what was there before, which has begun to write.
fn begun(folder: &Path, zip: &Path) -> Child {
    let child = aiozfs()
        .arg("pack")
        .arg(folder)
        .arg(zip)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary");
    let dir = zip.parent().expect("a directory");
    let has_begun = || count(dir) > 1;
    let begins = run::wait_until(Duration::from_secs(10), has_begun);
    assert!(begins, "it begins");
    child
}

fn count(dir: &Path) -> usize {
    fs::read_dir(dir).expect("a directory").count()
}

fn assert_as_before(zip: &Path) {
    assert_eq!(fs::read_to_string(zip).expect("a file"), BEFORE);
    assert_eq!(count(zip.parent().expect("a directory")), 1);
}

#[test]
fn a_signal_leaves_nothing() {
    let (folder, out) = (folder(), tree::temp());
    let zip = out.path().join("a.zip");
    fs::write(&zip, BEFORE).expect("a file");
    with_hole(folder.path(), "one", 64 << 30);
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut child = begun(folder.path(), &zip);
        rustix::process::kill_process(Pid::from_child(&child), signal).expect("a process of ours");
        let status = run::wait(&mut child, Duration::from_secs(5)).expect("it ends");
        assert_eq!(status.code(), Some(1));
        let mut said = String::new();
        let mut stderr = child.stderr.take().expect("piped");
        stderr.read_to_string(&mut said).expect("text");
        assert_eq!(said, "aiozfs: interrupted; nothing was written\n");
        assert_as_before(&zip);
    }
}

/// A file that grows while it waits for its turn behind a hole's checksum.
#[test]
fn a_file_that_changes_is_an_error() {
    let (folder, out) = (folder(), tree::temp());
    let zip = out.path().join("a.zip");
    fs::write(&zip, BEFORE).expect("a file");
    with_hole(folder.path(), "one", 256 << 20);
    let child = begun(folder.path(), &zip);
    tree::write(folder.path(), "字幕.vtt", b"WEBVTT\n\nmore");
    let done = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(
        said.contains("字幕.vtt changed while it was packed"),
        "{said}"
    );
    assert_as_before(&zip);
}

/// A file that has other bytes when it is read for the second time, with the length and the time
/// that it had: its checksum stands in the header that has gone out.
#[test]
fn a_file_that_changes_between_two_readings_is_an_error() {
    let folder = tree::temp();
    let name = folder.path().join("film.mp4");
    with_hole(folder.path(), "film.mp4", 96 << 20);
    let file = File::options().write(true).open(&name).expect("a file");
    let then = file.metadata().and_then(|meta| meta.modified());
    let mut child = aiozfs()
        .arg("pack")
        .arg(folder.path())
        .arg("-")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary");
    let mut pipe = child.stdout.take().expect("piped");
    // The header is out, so the first reading is over; and the second has to wait for the pipe,
    // with no more in memory than a quarter of the file.
    pipe.read_exact(&mut [0; 4]).expect("the archive begins");
    file.write_all_at(b"other", 90 << 20).expect("written");
    file.set_modified(then.expect("a time")).expect("a time");
    std::io::copy(&mut pipe, &mut std::io::sink()).expect("what comes");
    let done = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1));
    let expected = format!(
        "aiozfs: {} changed while it was packed; pack again when nothing writes to it\n",
        name.display()
    );
    assert_eq!(said, expected);
}

/// A disk of one megabyte, in a mount namespace of its own.
#[test]
fn a_full_disk_leaves_nothing() {
    let (folder, out) = (folder(), tree::temp());
    let script = "mount -t tmpfs -o size=1m small \"$2\" && cd \"$2\" && echo 'what was there before' > a.zip && { \"$0\" pack \"$1\" a.zip; echo \"$?\"; ls -A; cat a.zip; }";
    let mut command = tool("unshare");
    let namespaces: &[&str] = if rustix::process::geteuid().is_root() {
        &["--mount"]
    } else {
        &["--user", "--map-root-user", "--mount"]
    };
    command
        .args(namespaces)
        .args(["sh", "-c", script, run::AIOZFS]);
    let done = run(command.arg(folder.path()).arg(out.path())).ok("unshare");
    assert_eq!(done.stdout, format!("1\na.zip\n{BEFORE}\n"));
    assert_eq!(
        done.stderr,
        "aiozfs: the archive cannot be written: No space left on device (os error 28)\n"
    );
    // And where nothing can be taken away again.
    let script = "exec \"$0\" pack \"$1\" - > /dev/full";
    let mut full = Command::new("sh");
    let done = run(full.args(["-c", script, run::AIOZFS]).arg(folder.path()));
    assert_eq!(done.code(), Some(1));
    assert!(done.stderr.contains("No space left"), "{}", done.stderr);
}
