//! Standard output that takes nothing: a full disk is a failure, a closed pipe is not.

use std::fs::{self, OpenOptions};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::mount::Mount;
use crate::common::run::{self, run, wait};
use crate::common::tree;
use crate::common::zips::{Item, Zip};

/// `aiozfs --help > /dev/full` succeeded, and so did `aiozfs pack`, whose output is the CID.
#[test]
fn a_full_disk_is_a_failure_of_every_command_that_prints() {
    let dir = tree::temp();
    let archive = dir.path().join("a.zip");
    fs::write(&archive, Zip::of([Item::new("f", "x")]).finish()).expect("an archive");
    let mount = Mount::new(&archive);
    let at = mount.path().to_str().expect("a plain path").to_owned();
    fs::create_dir_all(dir.path().join("cache/v1")).expect("a cache");
    fs::create_dir(dir.path().join("folder")).expect("a folder");
    for args in [
        &["--help"][..],
        &["--version"],
        &["help", "mount"],
        &["ls", "--help"],
        &["ls", "a.zip"],
        &["tree", "a.zip"],
        &["du", "a.zip"],
        &["info", "a.zip"],
        &["cat", "a.zip", "f"],
        &["verify", "a.zip"],
        &["verify", "--json", "a.zip"],
        &["extract", "a.zip", "-C", "to"],
        &["index", "a.zip", "-o", "index"],
        &["cid", "a.zip"],
        &["pack", "folder", "b.zip"],
        &["pack", "--json", "folder", "b.zip"],
        &["pack", "--dry-run", "folder", "b.zip"],
        &["cache", "--cache-dir", "cache"],
        &["mounts"],
        &["status", &at],
        &["completions", "bash"],
        &["gateways", "--gateway", "http://127.0.0.1:9"],
    ] {
        let aiozfs = || {
            let mut command = run::aiozfs();
            command.args(args).current_dir(dir.path());
            command
        };
        let full = OpenOptions::new().write(true).open("/dev/full");
        let (code, said) = ended(aiozfs().stdout(full.expect("/dev/full")));
        assert_eq!(code, Some(1), "{args:?}: {said}");
        let last = said.lines().last().unwrap_or_default();
        assert!(
            last.starts_with("aiozfs: cannot write to standard output: No space left"),
            "{args:?}: {said}"
        );
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let (code, said) = ended(aiozfs().stdout(writer));
        let expected = i32::from(args[0] == "gateways");
        assert_eq!(code, Some(expected), "{args:?}: {said}");
        assert!(!said.contains("cannot write"), "{args:?}: {said}");
    }
}

/// The exit code, and what it says on standard error.
fn ended(command: &mut Command) -> (Option<i32>, String) {
    let mut child = command.stderr(Stdio::piped()).spawn().expect("aiozfs");
    let status = wait(&mut child, Duration::from_secs(20)).expect("its end");
    let said = std::io::read_to_string(child.stderr.take().expect("its errors"));
    (status.code(), said.expect("text"))
}

#[test]
fn no_archive_is_written_to_a_terminal() {
    let dir = tree::temp();
    fs::write(dir.path().join("f"), "x").expect("a file");
    let line = format!("{} pack . -; echo =$?", run::AIOZFS);
    let mut script = run::tool("script");
    script.args(["-qec", &line, "/dev/null"]);
    let done = run(script.current_dir(dir.path())).ok("script");
    assert!(done.stdout.contains("=2"), "{}", done.stdout);
    assert!(
        done.stdout.contains("a terminal cannot show an archive") && !done.stdout.contains("PK"),
        "{}",
        done.stdout
    );
}
