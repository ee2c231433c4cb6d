//! `aiozfs trace`: reads and requests, as they happen.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::fault::{Behaviour, FaultNode};
use crate::common::mount::{Mount, MountPoint, xattr};
use crate::common::run::{self, run};
use crate::common::{archives, tree};

const LIMIT: Duration = Duration::from_secs(10);

fn served() -> FaultNode {
    let (source, out) = (tree::temp(), tree::temp());
    tree::write(source.path(), "film.bin", &tree::bytes(1, 3_000_000));
    tree::write(source.path(), "other.bin", &tree::bytes(2, 2_000_000));
    let archive = out.path().join("a.zip");
    archives::zipfile(source.path(), &archive);
    FaultNode::start(fs::read(archive).expect("the archive"))
}

/// A trace of a mount, once it watches.
fn watch(mount: &Mount, args: &[&str]) -> (Child, Receiver<String>) {
    let mut command = run::aiozfs();
    command.arg("trace").args(args).arg(mount.path());
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the binary under test");
    let mut said = BufReader::new(child.stderr.take().expect("piped"));
    let mut first = String::new();
    said.read_line(&mut first).expect("a line");
    assert!(first.contains("watching"), "{first}");
    let (sender, lines) = channel();
    let out = BufReader::new(child.stdout.take().expect("piped"));
    thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    (child, lines)
}

/// The events until one matches.
fn until(lines: &Receiver<String>, matches: impl Fn(&Value) -> bool) -> Vec<Value> {
    let end = Instant::now() + LIMIT;
    let mut seen = Vec::new();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let line = lines.recv_timeout(left);
        let line = line.unwrap_or_else(|_| panic!("it is not among {seen:#?}"));
        seen.push(serde_json::from_str(&line).expect("JSON"));
        if seen.last().is_some_and(&matches) {
            return seen;
        }
    }
}

#[test]
fn trace_shows_reads_and_requests_with_their_origin() {
    let node = served();
    let mount = Mount::with(node.url(), &["--timeout", "2s"]);
    let (mut child, lines) = watch(&mount, &["--json"]);
    let file = File::open(mount.join("film.bin")).expect("it opens");
    file.read_exact_at(&mut [0; 4096], 1_000_000)
        .expect("bytes");
    let seen = until(&lines, |event| event["kind"] == "read");
    let read = seen.last().expect("a read");
    assert_eq!(read["file"], "film.bin");
    assert_eq!(read["from"], "network");
    assert!(read.get("archive").is_none(), "there is only one: {read}");
    let (offset, length) = (read["offset"].as_u64(), read["length"].as_u64());
    assert!(offset <= Some(1_000_000), "{read}");
    assert!(
        offset.zip(length).map(|(o, l)| o + l) >= Some(1_004_096),
        "{read}"
    );
    assert!(
        read["ms"].as_f64() > Some(0.0) && read.get("error").is_none(),
        "{read}"
    );
    assert!(
        read["time"]
            .as_str()
            .is_some_and(|time| time.ends_with('Z'))
    );
    // A request may end after the read that it is for.
    let is_request = |event: &Value| event["kind"] == "demand";
    let request = seen.iter().find(|event| is_request(event)).cloned();
    let request = request.unwrap_or_else(|| until(&lines, is_request).pop().expect("a request"));
    assert_eq!(request["from"], node.addr.to_string(), "{request}");
    assert_eq!(request["file"], "film.bin");

    node.behave(Behaviour::Status(404, None));
    let other = File::open(mount.join("other.bin")).expect("it opens");
    other
        .read_at(&mut [0; 100], 1_900_000)
        .expect_err("it is gone");
    let failed = until(&lines, |event| {
        event["kind"] == "read" && event["file"] == "other.bin"
    });
    let error = failed.last().and_then(|event| event["error"].as_str());
    assert!(
        error.is_some_and(|error| error.contains("not found")),
        "{failed:#?}"
    );

    run(run::aiozfs().arg("umount").arg(mount.path())).ok("umount");
    let ended = run::wait(&mut child, LIMIT).expect("it ends with the mount");
    assert_eq!(ended.code(), Some(0));
}

/// A library refused a trace: each archive had one of its own, and there was none for the mount.
#[test]
fn trace_of_a_library_shows_all_archives_by_name() {
    let (one, two, gone) = (served(), served(), served());
    gone.behave(Behaviour::Status(404, None));
    let add = |name: &str, node: &FaultNode| format!("--add={name}={}", node.url());
    let mount = Mount::library(&[
        &add("films/one", &one),
        &add("films/two", &two),
        &add("gone", &gone),
    ]);
    let first = fs::read(mount.join("films/one/film.bin")).expect("bytes");
    let (mut child, lines) = watch(&mount, &["--json"]);
    // One was open before the trace began, and the others are opened while it is watched.
    let other = File::open(mount.join("films/one/other.bin")).expect("it opens");
    other.read_exact_at(&mut [0; 4096], 0).expect("bytes");
    let second = fs::read(mount.join("films/two/film.bin")).expect("bytes");
    assert!(first == second);
    fs::metadata(mount.join("gone/film.bin")).expect_err("it is not there");
    let mut seen = until(&lines, |event| event["archive"] == "gone");
    let failed = seen.pop().expect("an attempt");
    assert_eq!(failed["kind"], "open", "{failed}");
    let error = failed["error"].as_str();
    assert!(
        error.is_some_and(|error| error.contains("not found")),
        "{failed}"
    );

    let of = |archive: &str, kind: &str, file: Option<&str>| {
        let found = seen.iter().find(|event| {
            event["archive"] == archive && event["kind"] == kind && event["file"].as_str() == file
        });
        found.unwrap_or_else(|| panic!("{archive} {kind} {file:?} is not among {seen:#?}"))
    };
    of("films/one", "read", Some("other.bin"));
    of("films/two", "read", Some("film.bin"));
    let request = of("films/two", "demand", Some("film.bin"));
    assert_eq!(request["from"], two.addr.to_string(), "{request}");
    let opened = of("films/two", "open", None);
    assert_eq!(opened["from"], "network", "{opened}");
    assert!(opened["ms"].as_f64() > Some(0.0), "{opened}");
    let size = opened["length"].as_u64();
    assert!(size > Some(5_000_000), "the archive's size: {opened}");
    let opened_before = |event: &&Value| event["archive"] == "films/one" && event["kind"] == "open";
    assert_eq!(seen.iter().filter(opened_before).count(), 0);
    child.kill().expect("a process of ours");
    child.wait().expect("it ends");

    let (mut child, lines) = watch(&mount, &["--only", "read"]);
    fs::read(mount.join("films/two/other.bin")).expect("bytes");
    let line = lines.recv_timeout(LIMIT).expect("a line");
    assert!(line.ends_with(" films/two/other.bin"), "{line}");
    child.kill().expect("a process of ours");
    child.wait().expect("it ends");
}

#[test]
fn trace_shows_only_the_kinds_that_are_wanted() {
    let node = served();
    let mount = Mount::new(node.url());
    let (mut child, lines) = watch(&mount, &["--only", "read"]);
    fs::read(mount.join("film.bin")).expect("bytes");
    let line = lines.recv_timeout(LIMIT).expect("a line");
    assert!(
        line.contains(" read ") && line.ends_with(" film.bin"),
        "{line}"
    );
    thread::sleep(Duration::from_millis(300));
    assert!(lines.try_iter().all(|line| line.contains(" read ")));
    child.kill().expect("a process of ours");
    child.wait().expect("it ends");
}

/// With allow_other, others may read the files, but not watch what is read.
#[test]
fn other_users_cannot_watch() {
    let node = served();
    let point = MountPoint::new();
    fs::set_permissions(point.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    let mut mount = run::aiozfs();
    mount.args(["mount", "--allow-other"]).arg(node.url());
    let mounted = run(mount.arg(point.path()));
    if !rustix::process::geteuid().is_root() {
        // The system's administrator decides, and there is no other user to be.
        let is_told = mounted.stderr.contains("user_allow_other");
        assert!(mounted.status.success() || is_told, "{}", mounted.stderr);
        return;
    }
    mounted.ok("aiozfs mount");
    assert!(xattr(point.path(), "trace").is_ok_and(|value| value.contains("\"next\":")));
    for name in ["trace", "trace.0"] {
        let mut other = run::tool("setpriv");
        other.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        other.args(["getfattr", "-n", &format!("user.aiozfs.{name}")]);
        let refused = run(other.arg(point.path()));
        assert!(refused.stderr.contains("No such attribute"), "{refused:?}");
    }
    run(run::aiozfs().arg("umount").arg(point.path())).ok("umount");
}
