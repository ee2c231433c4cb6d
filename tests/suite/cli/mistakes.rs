//! What users get wrong: the message names the thing and the remedy, and nothing is left behind.

use std::fs;
use std::process::Stdio;

use crate::common::coded::PASSWORD;
use crate::common::run::{self, Finished, run, wait};
use crate::common::tree::{self, TempDir};
use crate::common::zips::{Item, Zip};
use crate::common::{aes, run::tool};
use std::time::Duration;

/// A directory with `a.zip`, which has two files.
fn archive() -> (TempDir, String) {
    let out = tree::temp();
    let path = out.path().join("a.zip");
    let zip = Zip::of([Item::new("one", "content"), Item::new("two", "more")]);
    fs::write(&path, zip.finish()).expect("an archive");
    let path = path.to_str().expect("a plain path").to_owned();
    (out, path)
}

fn said(args: &[&str]) -> Finished {
    run(run::aiozfs().args(args))
}

/// `aiozfs extract ... 2>&1 | head -1` ended in an abort, with "failed printing to stderr" for nobody to read.
#[test]
fn standard_error_that_nobody_reads_does_not_end_a_command() {
    let (out, archive) = archive();
    let into = out.path().join("into");
    fs::create_dir(&into).expect("a directory");
    for name in ["one", "two"] {
        fs::write(into.join(name), "another file").expect("a file");
    }
    let into = into.to_str().expect("a plain path");
    for (code, args) in [
        (1, &["extract", &archive, "-C", into][..]),
        (1, &["umount", into]),
        (2, &["ls", "no.zip"]),
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = run::aiozfs();
        command.args(args).stdout(Stdio::null()).stderr(writer);
        let mut child = command.spawn().expect("aiozfs");
        let status = wait(&mut child, Duration::from_secs(20)).expect("its end");
        assert_eq!(status.code(), Some(code), "{args:?}: {status}");
    }
}

/// Opening it waited for a program that writes, for ever.
#[test]
fn a_fifo_is_no_archive() {
    let out = tree::temp();
    let fifo = out.path().join("a.zip");
    run(tool("mkfifo").arg(&fifo)).ok("mkfifo");
    let done = said(&["ls", fifo.to_str().expect("a plain path")]);
    assert_eq!(done.code(), Some(1));
    assert!(
        done.stderr.contains("is not a regular file"),
        "{}",
        done.stderr
    );
}

#[test]
fn messages_name_what_was_given_and_what_is_allowed() {
    let (out, archive) = archive();
    let there = out.path().to_str().expect("a plain path");
    let cid = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
    let table: &[(i32, &[&str], &[&str])] = &[
        (
            2,
            &["ls", "http://127.0.0.1:99999/x.zip"],
            &["'http://127.0.0.1:99999/x.zip'"],
        ),
        (
            2,
            &["ls", "http://me:secret@h:99999/x.zip"],
            &["is not a URL"],
        ),
        (
            2,
            &["ls", "http://127.0.0.1:99999/x?secret=1"],
            &["'http://127.0.0.1:99999/x'"],
        ),
        (
            2,
            &["ls", "--gateway", "near", cid],
            &["'near'", "[gateway.NAME]"],
        ),
        (
            2,
            &["ls", "--gateway", "http://me:secret@h:99999", cid],
            &["--gateway", "is not a URL"],
        ),
        (2, &["tree", "-L", "0", &archive], &["'0'", "1 or more"]),
        (2, &["du", "-d", "few", &archive], &["'few'", "0 or more"]),
        (
            2,
            &["ls", "--memory", "1M", &archive],
            &["'1M'", "at least 16M"],
        ),
        (
            2,
            &["mount", "-o", "memory=1M", &archive, there],
            &["memory=1M", "at least 16M"],
        ),
        (
            2,
            &["serve", "--listen", "foo", &archive],
            &["'foo'", "HOST:PORT"],
        ),
        (
            2,
            &["mount", "-o", "verify=all", &archive, there],
            &["verify=all", "trustless, crc or none"],
        ),
        (
            2,
            &["ls", "no.zip"],
            &[
                "'no.zip' is neither a file here nor a CID",
                "check its name",
            ],
        ),
        (
            1,
            &["extract", &archive, "-C", &archive],
            &[&archive, "not a directory"],
        ),
    ];
    for (code, args, words) in table {
        let done = said(args);
        assert_eq!(done.code(), Some(*code), "{args:?}: {}", done.stderr);
        for word in *words {
            assert!(done.stderr.contains(word), "{args:?}: {}", done.stderr);
        }
        assert!(!done.stderr.contains("secret"), "{}", done.stderr);
    }
}

#[test]
fn extract_with_a_wrong_path_makes_no_directory() {
    let (out, archive) = archive();
    let into = out.path().join("into");
    let done = said(&[
        "extract",
        &archive,
        "none",
        "-C",
        into.to_str().expect("a plain path"),
    ]);
    assert_eq!(done.code(), Some(1));
    assert!(!into.exists());
}

#[test]
fn an_archive_that_is_cut_off_is_told_from_another_file() {
    let (_out, archive) = archive();
    let bytes = fs::read(&archive).expect("the archive");
    fs::write(&archive, &bytes[..60]).expect("a part");
    let done = said(&["ls", &archive]);
    assert_eq!(done.code(), Some(1));
    assert!(
        done.stderr.contains("begins as one, but its 60 bytes"),
        "{}",
        done.stderr
    );
}

/// `aiozfs verify` said "all good" of an archive none of whose files it could decrypt.
#[test]
fn verify_is_not_content_with_files_that_it_cannot_read() {
    let out = tree::temp();
    let path = out.path().join("a.zip");
    let zip = Zip::of([
        aes::sealed(Item::new("one", "content")),
        Item::new("two", "more"),
    ]);
    fs::write(&path, zip.finish()).expect("an archive");
    let path = path.to_str().expect("a plain path");
    let done = said(&["verify", path]);
    assert_eq!(done.code(), Some(1));
    let text = &done.stdout;
    assert!(
        text.contains("of 2 entries, 1 were compared") && !text.contains("all good"),
        "{text}"
    );
    let mut with_password = run::aiozfs();
    with_password.env("AIOZFS_PASSWORD", PASSWORD);
    let done = run(with_password.args(["verify", path])).ok("verify");
    assert!(done.stdout.ends_with("all good\n"), "{}", done.stdout);
}
