//! `aiozfs demo`, as a user runs it. Needs /dev/fuse, and the package fuse3 unless run as root.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

fn aiozfs() -> Command {
    Command::new(env!("CARGO_BIN_EXE_aiozfs"))
}

#[test]
fn demo_reads_everything_back() {
    let output = aiozfs().args(["demo", "--check"]).output().expect("runs");
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("14 files"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn demo_runs_until_stopped_and_leaves_nothing() {
    let mut demo = aiozfs()
        .arg("demo")
        .stdout(Stdio::piped())
        .spawn()
        .expect("runs");
    let lines = BufReader::new(demo.stdout.take().expect("piped")).lines();
    let mut mountpoint = None;
    for line in lines {
        let line = line.expect("text");
        if let Some(path) = line.strip_prefix("  /") {
            mountpoint = Some(format!("/{path}"));
        }
        if line.starts_with("Ctrl-C") {
            break;
        }
    }
    let mountpoint = mountpoint.expect("it says where it mounts");
    let master = Path::new(&mountpoint).join("master_playlist.m3u8");
    let text = std::fs::read_to_string(master).expect("a playlist");
    assert!(text.starts_with("#EXTM3U"), "{text}");
    let pid = Pid::from_raw(demo.id().cast_signed()).expect("a process");
    kill_process(pid, Signal::TERM).expect("it is there");
    let status = demo.wait().expect("it ends");
    assert!(status.success(), "{status}");
    assert!(!Path::new(&mountpoint).exists(), "{mountpoint} is left");
}

#[test]
fn a_missing_mountpoint_is_reported() {
    let output = aiozfs()
        .args(["demo", "/no/such/directory"])
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("does not exist"), "{said}");
}
