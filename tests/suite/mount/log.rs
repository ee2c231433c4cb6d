//! The log of a mount: where it goes, what is in it, and how much.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::helper::run_apart;
use crate::common::fault::{Behaviour, FaultNode};
use crate::common::mount::Mount;
use crate::common::run::{self, run};
use crate::common::{archives, tree};

/// Messages of a service had no priority, and none of them said which mount it was.
#[test]
fn journal_gets_priorities_and_fields() {
    let (dir, done) = run_apart(
        r#"
        mount -t tmpfs none /run
        mkdir -p /run/systemd/journal
        python3 -c '
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("/run/systemd/journal/socket")
open("ready", "w")
with open("entries", "w") as out:
    while True:
        out.write(s.recv(65536).decode() + "\n")
        out.flush()
' &
        journal=$!
        until [ -e ready ]; do sleep 0.02; done
        serve() {
            JOURNAL_STREAM=$1 "$AIOZFS" mount -fv ./a.zip m 2> stream &
            until [ -e m/a.txt ]; do sleep 0.02; done
            "$AIOZFS" umount m
            wait $!
        }
        : > stream
        stream=$(stat -c %d:%i stream)
        serve "$stream"
        [ ! -s stream ]
        # In the background, without a log file.
        "$AIOZFS" mount -v ./a.zip m
        "$AIOZFS" umount m
        cp entries all
        # Redirected since: not the journal.
        serve 0:1
        mv stream plain
        # A journal whose socket is out of reach.
        kill $journal
        rm /run/systemd/journal/socket
        : > stream
        serve "$(stat -c %d:%i stream)"
        "#,
    );
    done.ok("aiozfs mount");
    let text = |name: &str| fs::read_to_string(dir.path().join(name)).expect("a file");
    let entries = text("all");
    let mut mounted = entries.split("\n\n");
    let mounted =
        mounted.find(|entry| entry.contains("MESSAGE=") && entry.contains("is mounted on"));
    let mounted: Vec<&str> = mounted
        .unwrap_or_else(|| panic!("{entries}"))
        .lines()
        .collect();
    let point = format!("AIOZFS_MOUNTPOINT={}/m", dir.path().display());
    for field in [
        "PRIORITY=6",
        "SYSLOG_IDENTIFIER=aiozfs",
        "AIOZFS_MODULE=aiozfs::cli::job",
        &point,
    ] {
        assert!(mounted.contains(&field), "{field}: {mounted:?}");
    }
    assert!(
        mounted
            .iter()
            .any(|field| field.starts_with("AIOZFS_SOURCE=") && field.ends_with("a.zip"))
    );
    assert!(
        text("plain").starts_with("aiozfs: info: "),
        "{}",
        text("plain")
    );
    assert!(text("stream").starts_with("<6>"), "{}", text("stream"));
    assert!(fs::metadata(dir.path().join("stream")).is_ok_and(|meta| meta.size() > 0));
}

/// A program that walks over a mount whose server is gone filled the disk with one line a file.
#[test]
fn messages_of_one_kind_are_bounded_and_counted() {
    let (source, out) = (tree::temp(), tree::temp());
    for number in 0..30 {
        tree::write(
            source.path(),
            &format!("{number}.bin"),
            &tree::bytes(number, 200_000),
        );
    }
    let archive = out.path().join("a.zip");
    archives::zipfile(source.path(), &archive);
    let node = FaultNode::start(fs::read(archive).expect("the archive"));
    let mut mount = Mount::with(node.url(), &["--timeout", "1s"]);
    node.behave(Behaviour::Status(404, None));
    for number in 0..28 {
        fs::read(mount.join(format!("{number}.bin"))).expect_err("it is gone");
    }
    run(run::aiozfs().arg("umount").arg(mount.path())).ok("umount");
    mount
        .wait(std::time::Duration::from_secs(10))
        .expect("it ends");
    let lines = mount.log_lines("not found");
    assert_eq!(lines.len(), 21, "20 and their sum: {lines:#?}");
    assert!(lines[20].ends_with("… 7 more of these"), "{}", lines[20]);
}

#[test]
fn rust_log_chooses_modules() {
    let (source, out) = (tree::temp(), tree::temp());
    tree::write(source.path(), "a.bin", &tree::bytes(1, 300_000));
    let archive = out.path().join("a.zip");
    archives::zipfile(source.path(), &archive);
    let filter = [("RUST_LOG", "info,aiozfs::reader=trace")];
    let mount = Mount::with_env(&archive, &[], &filter);
    fs::read(mount.join("a.bin")).expect("bytes");
    assert!(!mount.log_lines("trace: requesting bytes").is_empty());
    let done = run(run::aiozfs()
        .env("RUST_LOG", "aiozfs=loud")
        .args(["ls", "-l"])
        .arg(&archive));
    let done = done.ok("ls");
    assert!(
        done.stderr.contains("aiozfs=loud") && done.stdout.contains("a.bin"),
        "{done:?}"
    );
}
