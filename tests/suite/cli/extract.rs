//! `aiozfs extract` against the folder that was packed.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::common::fault::{Behaviour, FaultNode};
use crate::common::run::{self, Finished, run};
use crate::common::zips::{Item, Zip};
use crate::common::{archives, tree};

fn extract(archive: &Path, into: &Path, args: &[&str]) -> Finished {
    let mut command = run::aiozfs();
    command.arg("extract").arg(archive).arg("-C").arg(into);
    run(command.args(args))
}

#[test]
fn a_folder_comes_back_with_times_modes_and_links() {
    let source = tree::sample();
    let out = tree::temp();
    let archive = out.path().join("a.zip");
    archives::info_zip(source.path(), &archive);
    let into = out.path().join("into");
    extract(&archive, &into, &[]).ok("extract");
    tree::assert_same("extracted", source.path(), &into);
    for name in tree::names(source.path()) {
        let (had, has) = (source.path().join(&name), into.join(&name));
        let (had, has) = (fs::symlink_metadata(had), fs::symlink_metadata(has));
        let (had, has) = (had.expect("the original"), has.expect("the copy"));
        if !had.is_symlink() {
            assert_eq!(had.mtime(), has.mtime(), "{name:?}");
        }
        if had.is_file() {
            assert_eq!(had.mode() & 0o755, has.mode() & 0o755, "{name:?}");
        }
    }
    let again = extract(&archive, &into, &["--json"]).ok("extract");
    assert!(again.stdout.contains("\"files\":0,"), "{}", again.stdout);
}

#[test]
fn patterns_select_and_one_that_selects_nothing_is_an_error() {
    let out = tree::temp();
    let archive = out.path().join("a.zip");
    let names = ["a/1.ts", "a/2.ts", "a/b/3.ts", "c.txt"];
    let items = names.map(|name| Item::new(name, name));
    fs::write(&archive, Zip::of(items).finish()).expect("an archive");
    let into = out.path().join("into");
    extract(&archive, &into, &["a/*.ts", "c.txt"]).ok("extract");
    let names = tree::names(&into);
    assert_eq!(names, ["a", "a/1.ts", "a/2.ts", "c.txt"].map(Path::new));
    let failed = extract(&archive, &into, &["*.mp4"]);
    assert_eq!(failed.code(), Some(1));
    assert!(
        failed.stderr.contains("the archive has no '*.mp4'"),
        "{}",
        failed.stderr
    );
}

#[test]
fn nothing_is_written_outside_of_the_directory() {
    let out = tree::temp();
    let archive = out.path().join("a.zip");
    let link = |name: &str, target: &str| {
        Item::new(name, target).with(|item| {
            item.made_by = 3 << 8 | 20;
            item.external = 0o120_777 << 16;
        })
    };
    let items = [
        link("out", "../../etc"),
        link("absolute", "/etc"),
        Item::new("in/file", "new"),
        Item::new("fine", "fine"),
    ];
    fs::write(&archive, Zip::of(items).finish()).expect("an archive");
    // A link that was there before leads out.
    let (into, outside) = (out.path().join("into"), out.path().join("outside"));
    fs::create_dir(&into).expect("a directory");
    fs::create_dir(&outside).expect("a directory");
    symlink("../outside", into.join("in")).expect("a link");
    let done = extract(&archive, &into, &["--overwrite"]);
    assert_eq!(done.code(), Some(1), "{}", done.stderr);
    for reason in ["leads out of the archive", "is absolute", "is in the way"] {
        assert!(done.stderr.contains(reason), "{reason}: {}", done.stderr);
    }
    assert!(tree::names(&outside).is_empty());
    assert!(fs::symlink_metadata(into.join("out")).is_err());
    assert_eq!(fs::read(into.join("fine")).expect("a file"), b"fine");
}

#[test]
fn an_existing_file_that_differs_stays_unless_asked() {
    let out = tree::temp();
    let archive = out.path().join("a.zip");
    fs::write(&archive, Zip::of([Item::new("f", "new")]).finish()).expect("an archive");
    let file = out.path().join("f");
    fs::write(&file, "mine").expect("a file");
    let refused = extract(&archive, out.path(), &[]);
    assert_eq!(refused.code(), Some(1));
    assert!(
        refused.stderr.contains("--overwrite replaces it"),
        "{}",
        refused.stderr
    );
    assert_eq!(fs::read(&file).expect("a file"), b"mine");
    extract(&archive, out.path(), &["--overwrite"]).ok("extract");
    assert_eq!(fs::read(&file).expect("a file"), b"new");
}

/// A file that somebody makes while it is being extracted under its other name was replaced: rename(2) replaces.
#[test]
fn a_file_that_was_made_meanwhile_stays() {
    let out = tree::temp();
    let node = FaultNode::start(Zip::of([Item::new("film", tree::bytes(3, 8 << 20))]).finish());
    let film = out.path().join("film");
    let mut command = run::aiozfs();
    command.args(["extract", &node.url(), "-C"]).arg(out.path());
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().expect("aiozfs");
    // The part is there as soon as it is known that the file is not.
    let is_begun = || {
        fs::read_dir(out.path())
            .expect("a directory")
            .next()
            .is_some()
    };
    assert!(
        run::wait_until(Duration::from_secs(10), is_begun),
        "no part"
    );
    fs::write(&film, "mine").expect("a file");
    let done = child.wait_with_output().expect("a child");
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("--overwrite replaces it"), "{said}");
    assert_eq!(fs::read(&film).expect("a file"), b"mine");
    assert_eq!(tree::names(out.path()), [Path::new("film")]);
}

/// While files are being extracted, another process puts a link in the place of their directory.
#[test]
fn a_link_that_is_planted_meanwhile_leads_nothing_out() {
    // More than are extracted at once; large ones, and small ones that are written in batches.
    for (count, size) in [(96, 256 << 10), (1536, 16 << 10)] {
        let out = tree::temp();
        let (into, outside) = (out.path().join("into"), out.path().join("outside"));
        fs::create_dir(&outside).expect("a directory");
        let items = (0..count).map(|n| Item::new(format!("d/{n}"), tree::bytes(n, size)));
        let node = FaultNode::start(Zip::of(items).finish());
        let mut command = run::aiozfs();
        command.args(["extract", &node.url(), "-C"]).arg(&into);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let child = command.spawn().expect("aiozfs");
        let made = || into.join("d").exists();
        assert!(
            run::wait_until(Duration::from_secs(10), made),
            "no directory"
        );
        // Otherwise all could be extracted before the link is there.
        node.behave(Behaviour::Silent);
        fs::rename(into.join("d"), into.join("moved")).expect("a directory");
        symlink(&outside, into.join("d")).expect("a link");
        node.behave(Behaviour::Good);
        let done = child.wait_with_output().expect("a child");
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert!(said.contains("d is in the way"), "{said}");
        assert!(tree::names(&outside).is_empty());
    }
}

/// A run that is killed leaves a part under another name. The next run goes on behind it, and does not believe it.
#[test]
fn a_part_of_an_earlier_run_is_used_and_wrong_bytes_in_it_are_noticed() {
    let out = tree::temp();
    let content = tree::bytes(7, 24 << 20);
    let node = FaultNode::start(Zip::of([Item::new("film", &content)]).finish());
    let part = format!(".2-{:08x}.aiozfs-part", crc32fast::hash(&content));
    let half = content.len() / 2;
    for is_wrong in [false, true] {
        let mut bytes = content[..half].to_vec();
        bytes[1 << 20] ^= u8::from(is_wrong);
        tree::write(out.path(), &part, &bytes);
        let before = node.sent();
        extract(Path::new(&node.url()), out.path(), &[]).ok("extract");
        assert!(fs::read(out.path().join("film")).expect("the file") == content);
        assert_eq!(tree::names(out.path()), [Path::new("film")]);
        let sent = node.sent() - before;
        let is_used = sent < (half + half / 2) as u64;
        assert_eq!(is_used, !is_wrong, "{sent} bytes were fetched");
        fs::remove_file(out.path().join("film")).expect("the file");
    }
}

#[test]
fn killed_at_any_moment_a_file_is_whole_or_not_there() {
    let out = tree::temp();
    let content = tree::bytes(8, 32 << 20);
    let node = FaultNode::start(Zip::of([Item::new("film", &content)]).finish());
    let film = out.path().join("film");
    for pause in (0..8).map(|n| Duration::from_millis(15 * n)) {
        let mut command = run::aiozfs();
        command.args(["extract", &node.url(), "-C"]).arg(out.path());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("aiozfs");
        thread::sleep(pause);
        child.kill().expect("a child");
        child.wait().expect("a child");
        if let Ok(bytes) = fs::read(&film) {
            assert!(bytes == content, "after {pause:?}");
        }
    }
    extract(Path::new(&node.url()), out.path(), &[]).ok("extract");
    assert!(fs::read(&film).expect("the file") == content);
    assert_eq!(tree::names(out.path()), [Path::new("film")]);
}

/// Small files are written in batches. Each is whole or not there, and the next run finishes the others.
#[test]
fn killed_at_any_moment_small_files_are_whole_or_not_there() {
    let out = tree::temp();
    let content = |n: u64| tree::bytes(n, 100 + n as usize % 800);
    let items = (0..3000).map(|n| Item::new(format!("d{}/{n}", n / 500), content(n)));
    let archive = out.path().join("a.zip");
    fs::write(&archive, Zip::of(items).finish()).expect("an archive");
    let into = out.path().join("into");
    let whole = || {
        let names = (0..3000).map(|n| (n, into.join(format!("d{}/{n}", n / 500))));
        let found = names.filter_map(|(n, path)| Some((n, fs::read(path).ok()?)));
        let right = found.inspect(|(n, bytes)| assert!(*bytes == content(*n), "file {n}"));
        right.count()
    };
    for pause in (0..8).map(|n| Duration::from_millis(20 + 10 * n)) {
        let mut command = run::aiozfs();
        command.arg("extract").arg(&archive).arg("-C").arg(&into);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("aiozfs");
        thread::sleep(pause);
        child.kill().expect("a child");
        child.wait().expect("a child");
        whole();
    }
    // A part of another archive, as far as anybody can tell.
    let part = format!(".2-{:08x}.aiozfs-part", crc32fast::hash(&content(0)));
    tree::write(&into.join("d0"), &part, &[7; 5000]);
    let _ = fs::remove_file(into.join("d0/0"));
    extract(&archive, &into, &[]).ok("extract");
    assert_eq!(whole(), 3000);
    let left = tree::names(&into);
    let parts = left.iter().filter(|name| name.extension().is_some());
    assert_eq!(parts.collect::<Vec<_>>(), Vec::<&std::path::PathBuf>::new());
}

/// Each tiny file was a request, and 5,000 of them took 16 s over a round trip of 50 ms.
#[test]
fn tiny_files_are_fetched_many_with_one_request() {
    let out = tree::temp();
    let items = (0..3000).map(|n| Item::new(format!("d/{n:04}"), tree::bytes(n, 500)));
    let node = FaultNode::start(Zip::of(items).finish());
    let before = node.requests();
    extract(Path::new(&node.url()), out.path(), &[]).ok("extract");
    let requests = node.requests() - before;
    assert!(requests < 300, "{requests} requests");
}

/// Right headers and one wrong bit: the archive's checksum tells.
#[test]
fn wrong_bytes_are_an_error_and_leave_no_file() {
    for size in [20_000, 1 << 20] {
        let out = tree::temp();
        let content = tree::bytes(9, size);
        let node = FaultNode::start(Zip::of([Item::new("film", &content)]).finish());
        node.behave(Behaviour::Flip(5000));
        let done = extract(Path::new(&node.url()), out.path(), &["--json"]);
        assert_eq!(done.code(), Some(1), "{}", done.stderr);
        assert!(done.stdout.contains("\"path\":\"film\""), "{}", done.stdout);
        assert!(!out.path().join("film").exists());
    }
}
