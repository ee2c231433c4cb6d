//! Mounts without extended attributes, as libraries are by default.
//!
//! GNU `ls -l` asked for two attributes of each file. In a library of 200 archives, these requests took eight seconds.
//! Programs that copy attributes ask for a dozen.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;

use super::archive_server::{ArchiveServer, archive, control};
use crate::common::mount::{Mount, xattr};
use crate::common::zips::{Item, Zip};
use crate::common::{run, tree};

const FILES: usize = 500;

fn many_files() -> Vec<u8> {
    Zip::of((0..FILES).map(|n| Item::new(format!("{n}"), "x"))).finish()
}

/// How many times the process that serves a mount has read, which is at least once for each request of the kernel.
fn requests(mount: &Mount) -> usize {
    let io = fs::read_to_string(format!("/proc/{}/io", mount.pid())).expect("its statistics");
    let line = io.lines().find_map(|line| line.strip_prefix("syscr: "));
    line.expect("a count").parse().expect("a number")
}

fn run_on(path: &Path, program: &[&str]) {
    let mut tool = run::tool(program[0]);
    run::run(tool.args(&program[1..]).arg(path)).ok(program[0]);
}

#[test]
fn long_listing_of_a_library_asks_for_no_attributes() {
    let dir = tree::temp();
    let file = dir.path().join("a.zip");
    fs::write(&file, many_files()).expect("an archive");
    let add = format!("--add=a={}", file.display());
    let counted = |args: &[&str], program: &[&str]| {
        let mount = Mount::library(args);
        let before = requests(&mount);
        run_on(mount.path(), program);
        let requests = requests(&mount) - before;
        mount.end();
        requests
    };
    let (listing, copying) = (["ls", "-lR"], ["getfattr", "-R", "-d"]);
    let (without, with) = ([&*add], [&*add, "--xattrs=yes"]);
    assert!(counted(&without, &listing) < FILES / 4);
    assert!(counted(&with, &listing) < FILES / 4);
    assert!(counted(&with, &copying) > FILES);
}

#[test]
fn commands_ask_a_library_without_attributes() {
    let server = ArchiveServer::new(archive("x"));
    let dir = tree::temp();
    let list = dir.path().join("films.tsv");
    super::archive_server::write_list(&list, &[("a", server.url("/any/a"))]);
    let mount = Mount::library(&[&format!("--library={}", list.display())]);
    fs::read(mount.join("a/a.txt")).expect("a file");
    assert_eq!(xattr(mount.path(), "status"), Err(Errno::OPNOTSUPP));
    let getfattr = run::run(run::tool("getfattr").arg("-d").arg(mount.join("a/a.txt")));
    assert!(!getfattr.stdout.contains("aiozfs"), "{}", getfattr.stdout);
    let ask = |args: &[&str]| {
        let mut command = run::aiozfs();
        run::run(command.args(args).arg(mount.path())).ok(args[0])
    };
    let status = ask(&["status"]).stdout;
    assert!(status.contains("1 archive,"), "{status}");
    let status: serde_json::Value =
        serde_json::from_str(&ask(&["status", "--json"]).stdout).expect("JSON");
    assert_eq!(status["library"].as_array().expect("archives").len(), 1);
    assert!(control(&mount, "trace").contains("\"next\":"));
    assert!(ask(&["reload"]).stdout.starts_with("1 archive,"));
    let mounts = run::run(run::aiozfs().arg("mounts")).ok("mounts").stdout;
    let line = mounts
        .lines()
        .find(|line| line.contains(mount.path().to_str().expect("UTF-8")));
    let pid = mount.pid().to_string();
    assert!(line.is_some_and(|line| line.contains(&pid)), "{mounts}");
    // Mounting the same once more is no error.
    let mut again = run::aiozfs();
    again
        .arg("mount")
        .arg(format!("--library={}", list.display()));
    let again = run::run(again.arg(mount.path())).ok("mount");
    assert!(again.stderr.contains("already mounted"), "{}", again.stderr);
    ask(&["umount"]);
    assert!(run::wait_until(Duration::from_secs(5), || !mount.is_mounted()));
}

#[test]
fn control_files_are_not_listed_and_are_read_as_they_were_when_opened() {
    let server = ArchiveServer::new(archive("x"));
    let mount = Mount::library(&[&format!("--add=a={}", server.url("/any/a"))]);
    assert_eq!(control(&mount, "pid"), mount.pid().to_string());
    let mut file = fs::File::open(mount.join(".aiozfs.status")).expect("a file");
    fs::read(mount.join("a/a.txt")).expect("a file");
    let text = io::read_to_string(&mut file).expect("the status");
    assert!(text.contains("\"archives_open\":0"), "{text}");
    let listed: Vec<_> = fs::read_dir(mount.path()).expect("the root").collect();
    assert_eq!(listed.len(), 1);
    for absent in [".aiozfs.nonsense", ".aiozfs.source.00", "a/.aiozfs.pid"] {
        let error = fs::read(mount.join(absent)).expect_err(absent);
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "{absent}");
    }
    // More names than are remembered.
    for n in 0..200 {
        control(&mount, &format!("archives.{n}"));
    }
    assert_eq!(control(&mount, "pid"), mount.pid().to_string());
    mount.assert_no_complaint();
}

/// `aiozfs umount` ends the process whose id the mount tells. An archive must not tell another one.
#[test]
fn an_entry_cannot_pass_for_a_control_file() {
    let items = [
        Item::new(".aiozfs.pid", "1"),
        Item::new("sub/.aiozfs.pid", "an entry"),
    ];
    let dir = tree::temp();
    let file = dir.path().join("a.zip");
    fs::write(&file, Zip::of(items).finish()).expect("an archive");
    let with = Mount::new(&file);
    let read = |mount: &Mount, name: &str| fs::read_to_string(mount.join(name)).expect(name);
    assert_eq!(read(&with, ".aiozfs.pid"), "1");
    let mut without = Mount::with(&file, &["-o", "xattrs=no"]);
    // A listing told the kernel that the entry has this name, for ever.
    let names = |path: &Path| {
        let names = fs::read_dir(path).expect("a directory");
        let mut names: Vec<_> = names.map(|n| n.expect("a name").file_name()).collect();
        names.sort();
        names
    };
    run_on(without.path(), &["ls", "-lR"]);
    assert_eq!(names(without.path()), ["sub"]);
    assert_eq!(names(&without.join("sub")), [".aiozfs.pid"]);
    assert_eq!(names(with.path()), [".aiozfs.pid", "sub"]);
    assert_eq!(read(&without, ".aiozfs.pid"), without.pid().to_string());
    assert_eq!(read(&without, "sub/.aiozfs.pid"), "an entry");
    run::run(run::aiozfs().arg("umount").arg(without.path())).ok("umount");
    assert!(without.wait(Duration::from_secs(5)).is_some());
}

/// Each open control file keeps its value, so a program that opened ever more of them could fill the memory.
#[test]
fn number_of_open_control_files_is_bounded() {
    const MOST: usize = 256;
    let server = ArchiveServer::new(archive("x"));
    let mount = Mount::library(&[&format!("--add=a={}", server.url("/any/a"))]);
    let open = || fs::File::open(mount.join(".aiozfs.pid"));
    let mut files: Vec<_> = (0..MOST).map(|_| open().expect("a file")).collect();
    let error = open().expect_err("too many");
    assert_eq!(error.raw_os_error(), Some(Errno::MFILE.raw_os_error()));
    fs::read(mount.join("a/a.txt")).expect("a file of an archive");
    files.clear();
    // The kernel tells of closed files in the background.
    assert!(run::wait_until(Duration::from_secs(5), || open().is_ok()));
    mount.assert_no_complaint();
}

#[test]
fn other_users_cannot_reload_through_a_control_file() {
    let server = ArchiveServer::new(archive("x"));
    let add = format!("--add=a={}", server.url("/any/a"));
    let mount = Mount::library(&["--allow-other", &add]);
    let read = |name: &str| {
        let mut command = run::tool("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "cat"]);
        run::run(command.arg(mount.join(name)))
    };
    read(".aiozfs.status").ok("the status is for all");
    let refused = read(".aiozfs.reload");
    assert!(
        refused.stderr.contains("Permission denied"),
        "{}",
        refused.stderr
    );
}
