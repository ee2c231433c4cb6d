//! Lists that are read again.

use std::fs;
use std::io::{Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use rustix::process::Signal;

use super::archive_server::{Answer, ArchiveServer, archive, write_list};
use crate::common::mount::Mount;
use crate::common::{run, tree};

fn reload(mount: &Mount) -> run::Finished {
    run::run(run::aiozfs().arg("reload").arg(mount.path()))
}

#[test]
fn reload_adds_removes_and_replaces_and_open_files_go_on() {
    let server = ArchiveServer::new(archive("any"));
    server.set("/old", Answer::Blob(archive(&"old".repeat(100_000))));
    server.set("/new", Answer::Blob(archive("new")));
    let dir = tree::temp();
    let list = dir.path().join("films.tsv");
    write_list(
        &list,
        &[
            ("kept", server.url("/any/kept")),
            ("replaced", server.url("/old")),
            ("gone", server.url("/old")),
        ],
    );
    let library = format!("--library={}", list.display());
    let mount = Mount::library(&[&library]);
    let kept = fs::metadata(mount.join("kept/a.txt"))
        .expect("a file")
        .ino();
    let mut files = ["replaced", "gone"].map(|name| {
        let mut file = fs::File::open(mount.join(name).join("a.txt")).expect("a file");
        let mut start = [0; 3];
        file.read_exact(&mut start).expect("bytes");
        assert_eq!(&start, b"old");
        file
    });
    assert!(
        fs::metadata(mount.join("added")).is_err(),
        "the kernel knows that it is not there"
    );
    assert_eq!(fs::read_dir(mount.path()).expect("the root").count(), 3);

    write_list(
        &list,
        &[
            ("kept", server.url("/any/kept")),
            ("replaced", server.url("/new")),
            ("added", server.url("/any/added")),
        ],
    );
    let done = reload(&mount).ok("reload");
    assert_eq!(done.stdout, "3 archives, 2 of them new; 2 removed\n");
    // The kernel is told in the background.
    let read = |name: &str| fs::read_to_string(mount.join(name).join("a.txt"));
    assert!(run::wait_until(Duration::from_secs(5), || {
        read("replaced").ok().as_deref() == Some("new")
            && read("added").is_ok()
            && read("gone").is_err()
    }));
    assert_eq!(fs::read_dir(mount.path()).expect("the root").count(), 3);
    assert_eq!(
        fs::metadata(mount.join("kept/a.txt"))
            .expect("a file")
            .ino(),
        kept
    );
    for file in &mut files {
        file.rewind().expect("a file");
        let mut text = String::new();
        file.read_to_string(&mut text).expect("the old file");
        assert_eq!(text, "old".repeat(100_000));
    }
    drop(files);

    // A wrong list changes nothing.
    fs::write(&list, "kept\thttp://h/a\nnonsense").expect("a list");
    let done = reload(&mount);
    assert_eq!(done.code(), Some(1));
    assert!(done.stderr.contains("line 2"), "{}", done.stderr);
    assert_eq!(fs::read_dir(mount.path()).expect("the root").count(), 3);
    assert!(read("added").is_ok());
}

/// SIGHUP reloads a mount that has no terminal, as in a service.
#[test]
fn sighup_reloads() {
    let server = ArchiveServer::new(archive("any"));
    let dir = tree::temp();
    let list = dir.path().join("films.tsv");
    write_list(&list, &[("a", server.url("/any/a"))]);
    let point = crate::common::mount::MountPoint::new();
    let mut command = run::aiozfs();
    command
        .args(["mount", "--library"])
        .arg(&list)
        .arg(point.path());
    run::run(&mut command).ok("mount");
    write_list(
        &list,
        &[("a", server.url("/any/a")), ("b", server.url("/any/b"))],
    );
    let pid = crate::common::mount::serving(point.path()).expect("a process");
    rustix::process::kill_process(pid, Signal::HUP).expect("a process of ours");
    let is_there = || fs::read(point.path().join("b/a.txt")).is_ok();
    assert!(run::wait_until(Duration::from_secs(10), is_there));
    run::run(run::aiozfs().arg("umount").arg(point.path())).ok("umount");
}

#[test]
fn mount_of_one_archive_has_nothing_to_reload() {
    let dir = tree::temp();
    fs::write(dir.path().join("a.zip"), archive("a")).expect("a file");
    let mount = Mount::new(dir.path().join("a.zip"));
    let done = reload(&mount);
    assert!(done.stderr.contains("single archive"), "{}", done.stderr);
}

/// Programs read and list while the list changes, and see only whole lists.
#[test]
fn reload_under_load() {
    let server = ArchiveServer::new(archive("any"));
    let dir = tree::temp();
    let list = dir.path().join("films.tsv");
    let all: Vec<(String, String)> = (0..300)
        .map(|n| (format!("film {n:03}"), server.url(&format!("/any/{n}"))))
        .collect();
    let write = |skip: usize| {
        let kept = all.iter().enumerate().filter(|(at, _)| at % 3 != skip);
        let kept: Vec<(&str, String)> = kept.map(|(_, (n, s))| (n.as_str(), s.clone())).collect();
        write_list(&list, &kept);
    };
    write(2);
    let library = format!("--library={}", list.display());
    let mount = Mount::library(&[&library]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (done, mount) = (&done, &mount);
            scope.spawn(move || {
                while !done.load(Relaxed) {
                    // Each list has 200 of 300 names.
                    let count = fs::read_dir(mount.path()).expect("the root").count();
                    assert_eq!(count, 200);
                    // These are in all lists.
                    let name = format!("film {:03}", worker * 3);
                    let text = fs::read_to_string(mount.join(name).join("a.txt"));
                    assert_eq!(text.expect("a file"), "any");
                }
            });
        }
        for turn in 0..12 {
            write(1 + turn % 2);
            reload(&mount).ok("reload");
        }
        done.store(true, Relaxed);
    });
    mount.assert_no_complaint();
}
