//! Archives of one library share connections and memory.

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use super::archive_server::ArchiveServer;
use crate::common::mount::Mount;
use crate::common::run;
use crate::common::zips::{Item, Zip};

/// An archive of one large file and one small one.
fn film(len: usize) -> Vec<u8> {
    Zip::of([
        Item::new("film.bin", vec![7; len]),
        Item::new("a.txt", "small"),
    ])
    .finish()
}

/// Three players keep all connections busy with read-ahead. A program that looks into another archive must not
/// wait until their requests are through.
#[test]
fn read_that_waits_is_not_behind_read_ahead_of_other_archives() {
    const CONNECTIONS: usize = 4;
    let server = ArchiveServer::slow(film(24 << 20), Duration::from_millis(30));
    // In directories of their own, so that nothing looks like a walk.
    let adds: Vec<String> = (0..8)
        .map(|n| format!("--add=d{n}/f={}", server.url(&format!("/any/{n}"))))
        .collect();
    let connections = format!("--connections={CONNECTIONS}");
    let mut args: Vec<&str> = adds.iter().map(String::as_str).collect();
    args.extend([&*connections, "--memory=64M", "--cache-size=0"]);
    let mount = Mount::library(&args);
    let ended = AtomicBool::new(false);
    let mut behind = Vec::new();
    thread::scope(|scope| {
        for n in 0..3 {
            let (mount, ended) = (&mount, &ended);
            scope.spawn(move || {
                let mut film = File::open(mount.join(format!("d{n}/f/film.bin"))).expect("a film");
                let mut piece = vec![0; 128 << 10];
                while !ended.load(Relaxed) {
                    if film.read(&mut piece).expect("bytes") == 0 {
                        film.rewind().expect("a file");
                        rustix::fs::fadvise(&film, 0, None, rustix::fs::Advice::DontNeed)
                            .expect("advice");
                    }
                }
            });
        }
        run::wait_until(Duration::from_secs(10), || server.requests() > 20);
        for n in 3..8 {
            let before = server.requests();
            let _ = fs::read(mount.join(format!("d{n}/f/a.txt")));
            let mine = format!("/any/{n}");
            let asked = server.targets().split_off(before);
            behind.push(asked.iter().position(|target| *target == mine));
        }
        ended.store(true, Relaxed);
    });
    // Those that were sent already, and those that were about to be.
    let mut behind: Vec<usize> = behind
        .into_iter()
        .map(|n| n.expect("it was asked for"))
        .collect();
    behind.sort_unstable();
    assert!(behind[2] <= CONNECTIONS + 2, "{behind:?}");
    mount.assert_no_complaint();
}

#[test]
fn readers_in_many_archives_share_one_bound() {
    const LEN: usize = 24 << 20;
    let server = ArchiveServer::new(film(LEN));
    let adds: Vec<String> = (0..8)
        .map(|n| format!("--add=f{n}={}", server.url(&format!("/any/{n}"))))
        .collect();
    let mut args: Vec<&str> = adds.iter().map(String::as_str).collect();
    args.extend(["--memory=24M", "--cache-size=0"]);
    let mount = Mount::library(&args);
    run::each((0..8).collect(), 8, |n: usize| {
        let film = fs::read(mount.join(format!("f{n}/film.bin"))).expect("a film");
        assert!(film.len() == LEN && film.iter().all(|byte| *byte == 7));
    });
    let peak = mount.peak_memory();
    assert!(peak <= (24 + 64) << 20, "{} MB", peak >> 20);
    mount.assert_no_complaint();
}
