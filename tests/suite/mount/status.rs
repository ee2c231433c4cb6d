//! `aiozfs status`: the figures agree with what happened.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::fault::{Behaviour, FaultNode};
use crate::common::mount::Mount;
use crate::common::run::{self, run};
use crate::common::{archives, tree};
use rustix::process::Signal;
use serde_json::Value;

/// The size of `film.bin`, which a node serves together with `small.bin`.
const FILM: usize = 3_000_000;

fn served() -> (FaultNode, Vec<u8>) {
    let (source, out) = (tree::temp(), tree::temp());
    let film = tree::bytes(1, FILM);
    tree::write(source.path(), "film.bin", &film);
    tree::write(source.path(), "small.bin", &tree::bytes(2, 400_000));
    let archive = out.path().join("a.zip");
    archives::zipfile(source.path(), &archive);
    (
        FaultNode::start(fs::read(archive).expect("the archive")),
        film,
    )
}

fn status(mount: &Mount, args: &[&str]) -> run::Finished {
    run(run::aiozfs().arg("status").args(args).arg(mount.path()))
}

fn json(mount: &Mount) -> Value {
    let told = status(mount, &["--json"]).ok("status").stdout;
    assert_eq!(told.lines().count(), 1);
    serde_json::from_str(&told).expect("JSON")
}

#[test]
fn status_counts_bytes_read_and_fetched() {
    let (node, film) = served();
    let mount = Mount::with(node.url(), &["--memory", "64M"]);
    let before = json(&mount);
    assert_eq!(before["url"], node.url());
    assert_eq!(before["entries"], 2);
    assert_eq!(before["pid"], mount.pid());
    assert_eq!(before["memory_limit"], 64 << 20);
    assert_eq!(
        (&before["bytes_read"], &before["errors"]),
        (&0.into(), &0.into())
    );
    assert!(before["streams"].as_array().expect("a list").is_empty());

    // Half of it, in line: that is a stream.
    let file = File::open(mount.join("film.bin")).expect("it opens");
    let mut buffer = vec![0; 100_000];
    for at in (0..FILM / 2).step_by(100_000) {
        file.read_exact_at(&mut buffer, at as u64).expect("bytes");
        assert_eq!(tree::differs(&film[at..at + 100_000], &buffer), None);
    }
    let after = json(&mount);
    let number = |name: &str| after[name].as_u64().expect("a number");
    assert!(number("bytes_read") >= FILM as u64 / 2, "{after}");
    assert!(number("bytes_read") <= FILM as u64 + 400_000, "{after}");
    assert!(
        number("bytes_from_memory") <= number("bytes_read"),
        "{after}"
    );
    // What was sent may still be on its way.
    assert!(number("bytes_fetched") <= node.sent(), "{after}");
    assert!(number("bytes_fetched") * 2 >= node.sent(), "{after}");
    assert!(number("requests") <= node.requests() + 1, "{after}");
    let stream = &after["streams"][0];
    assert_eq!(stream["file"], "film.bin", "{after}");
    assert!(
        stream["at"].as_u64() >= Some(FILM as u64 / 2 - 100_000),
        "{after}"
    );
    let (median, p99) = (&after["median_latency_ms"], &after["p99_latency_ms"]);
    assert!(
        median.as_f64() > Some(0.0) && p99.as_f64() >= median.as_f64(),
        "{after}"
    );

    let shown = status(&mount, &[]).ok("status").stdout;
    assert!(
        shown.starts_with(&format!("archive   {}\n", node.url())),
        "{shown}"
    );
    assert!(shown.contains("\nstreams   film.bin: at "), "{shown}");
    assert!(shown.contains(" of 64.00 MiB\n"), "{shown}");
}

#[test]
fn status_counts_failed_reads() {
    let (node, _) = served();
    let mount = Mount::with(node.url(), &["--timeout", "1s"]);
    node.behave(Behaviour::Status(404, None));
    fs::read(mount.join("film.bin")).expect_err("it is not there");
    assert!(json(&mount)["errors"].as_u64() >= Some(1));
}

#[test]
fn status_watch_ends_with_the_mount() {
    let (node, film) = served();
    let mount = Mount::new(node.url());
    let watch = |args: &[&str]| {
        let mut command = run::aiozfs();
        command.arg("status").args(args).arg(mount.path());
        command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary under test")
    };
    let mut lines = watch(&["--json", "--watch=100ms"]);
    let mut texts = watch(&["--watch=100ms"]);
    let mut told = BufReader::new(lines.stdout.take().expect("piped")).lines();
    let mut next = || -> Value {
        let line = told.next().expect("a line").expect("text");
        serde_json::from_str(&line).expect("JSON")
    };
    let (first, second) = (next(), next());
    assert!(first["uptime_s"].as_f64() < second["uptime_s"].as_f64());
    let read = fs::read(mount.join("film.bin")).expect("bytes");
    assert_eq!(tree::differs(&film, &read), None);
    let seen = (0..50).any(|_| next()["bytes_read"].as_u64() >= Some(FILM as u64));
    assert!(seen);
    run(run::aiozfs().arg("umount").arg(mount.path())).ok("umount");
    let limit = Duration::from_secs(10);
    for child in [&mut lines, &mut texts] {
        let ended = run::wait(child, limit).expect("it ends");
        assert_eq!(ended.code(), Some(0));
    }
    let texts = std::io::read_to_string(texts.stdout.take().expect("piped")).expect("text");
    assert!(
        texts.contains("\n\narchive   "),
        "no terminal, one below the other: {texts}"
    );
    assert!(texts.contains("/s"), "rates: {texts}");
    assert!(!texts.contains('\x1b'));
}

#[test]
fn status_of_another_directory_is_an_error() {
    let empty = tree::temp();
    let nothing = empty.path().display().to_string();
    for (place, why) in [
        (&*nothing, "nothing is mounted on"),
        ("/proc", "type proc, not of aiozfs"),
        ("/no/such/place", "No such file"),
    ] {
        let done = run(run::aiozfs().args(["status", place]));
        assert_eq!((done.code(), &*done.stdout), (Some(1), ""));
        assert!(done.stderr.contains(why), "{}", done.stderr);
        assert!(done.stderr.contains(place), "{}", done.stderr);
    }
}

/// A stopped process never answers, so the question must have a time limit.
#[test]
fn status_of_a_stopped_mount_fails_in_time() {
    let (node, _) = served();
    let mount = Mount::new(node.url());
    mount.signal(Signal::STOP);
    let asked = Instant::now();
    let done = status(&mount, &[]);
    let took = asked.elapsed();
    mount.signal(Signal::CONT);
    assert_eq!(done.code(), Some(1));
    assert!(done.stderr.contains("has not answered"), "{}", done.stderr);
    assert!(took < Duration::from_secs(8), "{took:?}");
    thread::sleep(Duration::from_millis(10));
    assert_eq!(json(&mount)["entries"], 2, "it goes on");
}
