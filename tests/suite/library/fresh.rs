//! Archives in the cache whose servers need not be asked (RFC 9111, section 4.2).

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::archive_server::{Answer, ArchiveServer, archive, write_list};
use crate::common::mount::Mount;
use crate::common::zips::{Item, Zip};
use crate::common::{run, tree};

/// A library of archives of a server, and a cache that outlives its mounts.
struct Films {
    dir: crate::common::tree::TempDir,
    count: usize,
}

impl Films {
    fn new(server: &ArchiveServer, count: usize) -> Self {
        let dir = tree::temp();
        let names: Vec<String> = (0..count).map(|n| format!("f{n:03}")).collect();
        let entries = names
            .iter()
            .map(|name| (name.as_str(), server.url(&format!("/any/{name}"))));
        write_list(&dir.path().join("films.tsv"), &entries.collect::<Vec<_>>());
        Self { dir, count }
    }

    fn mount(&self) -> Mount {
        let path = self.dir.path().display();
        Mount::library(&[
            &format!("--library={path}/films.tsv"),
            &format!("--cache-dir={path}/cache"),
        ])
    }

    fn read_all(&self, root: &Path) {
        for n in 0..self.count {
            let text = fs::read_to_string(root.join(format!("f{n:03}/sub/b.txt")));
            assert_eq!(text.expect("a file"), "b of any");
        }
    }

    /// The requests of a mount that lists and reads everything.
    fn requests(&self, server: &ArchiveServer) -> usize {
        server.clear();
        let mount = self.mount();
        run::run(run::tool("ls").arg("-lR").arg(mount.path())).ok("ls -lR");
        self.read_all(mount.path());
        mount.assert_no_complaint();
        mount.end();
        server.requests()
    }
}

#[test]
fn fresh_archives_from_the_cache_cost_no_request() {
    let server = ArchiveServer::new(archive("any"));
    server.say("cache-control", "max-age=600");
    let films = Films::new(&server, 200);
    let mount = films.mount();
    run::run(run::tool("ls").arg("-lR").arg(mount.path())).ok("ls -lR");
    // One for each, and a second one for those that were opened before the server's suffix ranges were known.
    let cold = server.requests();
    assert!((200..260).contains(&cold), "{cold}");
    films.read_all(mount.path());
    mount.end();
    assert_eq!(films.requests(&server), 0);
}

#[test]
fn servers_are_asked_unless_they_allow_otherwise() {
    let server = ArchiveServer::new(archive("any"));
    let long_ago = "Wed, 01 Jan 2020 00:00:00 GMT";
    for (name, value, is_fresh) in [
        ("cache-control", "immutable", true),
        ("last-modified", long_ago, true),
        ("cache-control", "max-age=600, no-cache", false),
        ("cache-control", "no-store", false),
        ("cache-control", "must-revalidate", false),
        ("x-nothing", "", false),
    ] {
        server.say(name, value);
        let films = Films::new(&server, 3);
        films.requests(&server);
        let requests = films.requests(&server);
        let expected = if is_fresh { 0 } else { 3 };
        assert_eq!(requests, expected, "{name}: {value}");
    }
}

#[test]
fn an_expired_archive_is_asked_for_once_and_is_fresh_again() {
    let server = ArchiveServer::new(archive("any"));
    server.say("cache-control", "max-age=1");
    let films = Films::new(&server, 3);
    films.requests(&server);
    thread::sleep(Duration::from_millis(2100));
    server.say("cache-control", "max-age=600");
    assert_eq!(films.requests(&server), 3);
    assert_eq!(films.requests(&server), 0);
}

/// An archive whose file is too large to come with the index.
fn large(byte: u8, len: usize) -> Vec<u8> {
    Zip::of([
        Item::new("film.bin", vec![byte; len]),
        Item::new(format!("only in {byte}"), "x"),
    ])
    .finish()
}

/// What is in the only archive.
fn list(mount: &Mount) -> Vec<OsString> {
    let names = fs::read_dir(mount.join("f000")).expect("an archive");
    let mut names: Vec<_> = names.map(|n| n.expect("a name").file_name()).collect();
    names.sort();
    names
}

/// The names come from the cache. The first read learns that they are those of another version: it must never give
/// the bytes that are there now.
#[test]
fn a_fresh_archive_that_has_changed_never_gives_bytes_of_another_version() {
    const LEN: usize = 3 << 20;
    let server = ArchiveServer::new(archive("any"));
    server.say("cache-control", "max-age=600");
    // The same size, and sizes that the range asked for goes beyond, or begins beyond.
    for (round, len) in [LEN, 200_000, 0].into_iter().enumerate() {
        server.set("/any/f000", Answer::Blob(large(1, LEN)));
        let films = Films::new(&server, 1);
        let mount = films.mount();
        assert_eq!(list(&mount), ["film.bin", "only in 1"]);
        mount.end();
        server.set("/any/f000", Answer::Blob(large(2, len)));
        server.clear();
        let mount = films.mount();
        assert_eq!(list(&mount), ["film.bin", "only in 1"], "round {round}");
        assert_eq!(server.requests(), 0);
        let path = mount.join("f000/film.bin");
        let wanted = vec![2; len];
        let read = || fs::read(&path).ok();
        let first = read();
        assert!(
            first.is_none() || first == Some(wanted.clone()),
            "round {round}"
        );
        assert!(run::wait_until(Duration::from_secs(10), || {
            let now = read();
            assert!(now.is_none() || now.as_ref() == Some(&wanted));
            now.is_some()
        }));
        assert_eq!(list(&mount), ["film.bin", "only in 2"]);
        mount.end();
        // The next mount knows the new one.
        server.clear();
        let mount = films.mount();
        assert_eq!(list(&mount), ["film.bin", "only in 2"]);
        assert_eq!(server.requests(), 0);
        mount.end();
    }
}

#[test]
fn a_read_of_a_fresh_archive_needs_no_other_request() {
    let server = ArchiveServer::new(archive("any"));
    server.say("cache-control", "max-age=600");
    server.set("/any/f000", Answer::Blob(large(1, 3 << 20)));
    let films = Films::new(&server, 1);
    let mount = films.mount();
    fs::read_dir(mount.join("f000")).expect("an archive");
    mount.end();
    server.clear();
    let mount = films.mount();
    let film = fs::read(mount.join("f000/film.bin")).expect("the film");
    assert_eq!(film, vec![1; 3 << 20]);
    mount.assert_no_complaint();
    mount.end();
}

/// The server was asked when the archive was opened, and had another version at the first read. What it had told before
/// was believed again, so the old version came back as fresh.
#[test]
fn an_archive_that_changes_after_its_server_was_asked_is_shown_as_it_is() {
    let server = ArchiveServer::new(archive("any"));
    server.say("cache-control", "max-age=600");
    server.set("/any/f000", Answer::Blob(large(1, 3 << 20)));
    let films = Films::new(&server, 1);
    let mount = films.mount();
    assert_eq!(list(&mount), ["film.bin", "only in 1"]);
    server.set("/any/f000", Answer::Blob(large(2, 2 << 20)));
    fs::read(mount.join("f000/film.bin")).expect_err("it has changed");
    // No other read finds out again.
    assert!(run::wait_until(Duration::from_secs(10), || {
        list(&mount) == ["film.bin", "only in 2"]
    }));
    let film = fs::read(mount.join("f000/film.bin")).expect("the film");
    assert_eq!(film, vec![2; 2 << 20]);
    mount.end();
    let mount = films.mount();
    assert_eq!(list(&mount), ["film.bin", "only in 2"]);
    mount.end();
}

/// The version is fresh, but the index was evicted. The answer for its range does not say that the archive has changed,
/// and the archive could not be opened for as long as the old version was fresh.
#[test]
fn a_fresh_archive_whose_index_cannot_be_read_is_asked_for() {
    let server = ArchiveServer::new(archive("any"));
    server.say("cache-control", "max-age=600");
    server.set("/any/f000", Answer::Blob(large(1, 3 << 20)));
    let films = Films::new(&server, 1);
    let mount = films.mount();
    assert_eq!(list(&mount), ["film.bin", "only in 1"]);
    mount.end();
    // There is one directory for each format of the cache.
    let formats = fs::read_dir(films.dir.path().join("cache")).expect("the cache");
    let blobs = formats.filter_map(|format| Some(format.ok()?.path().join("blobs")));
    let removed = blobs.filter(|blobs| fs::remove_dir_all(blobs).is_ok());
    assert_eq!(removed.count(), 1);
    server.set("/any/f000", Answer::Silent416(large(2, 10)));
    let mount = films.mount();
    assert_eq!(list(&mount), ["film.bin", "only in 2"]);
    mount.assert_no_complaint();
    mount.end();
}

/// The version came from the cache, and the server's first answer did not say that there is another one now: the archive
/// was gone, not allowed, shorter, or served without ranges. Every read failed with EIO until nobody had used the archive
/// for ten minutes, though its server had something else to say when it was asked anew.
#[test]
fn a_fresh_archive_whose_server_answers_otherwise_is_opened_again_in_the_same_mount() {
    const LEN: usize = 3 << 20;
    let server = ArchiveServer::new(archive("any"));
    server.say("cache-control", "max-age=600");
    for (what, answer, errno) in [
        ("gone", Answer::Status(404), Some(libc::ENOENT)),
        ("not allowed", Answer::Status(403), Some(libc::EACCES)),
        ("whole", Answer::Whole(large(2, 10)), None),
        ("shorter", Answer::Silent416(large(2, 10)), None),
    ] {
        server.set("/any/f000", Answer::Blob(large(1, LEN)));
        let films = Films::new(&server, 1);
        let mount = films.mount();
        assert_eq!(list(&mount), ["film.bin", "only in 1"]);
        mount.end();
        let mount = films.mount();
        assert_eq!(list(&mount), ["film.bin", "only in 1"]);
        server.set("/any/f000", answer);
        fs::read(mount.join("f000/film.bin")).expect_err(what);
        match errno {
            Some(errno) => {
                let found = || fs::metadata(mount.join("f000/film.bin"));
                let error = || found().err().and_then(|error| error.raw_os_error());
                let is_asked = run::wait_until(Duration::from_secs(10), || error() == Some(errno));
                assert!(is_asked, "{what}: {:?}", found());
                // It is not there for as long as its server says so.
                server.set("/any/f000", Answer::Blob(large(2, LEN)));
            }
            // The program's next attempt asks for the index of what is there now.
            None if what == "whole" => server.set("/any/f000", Answer::Blob(large(2, LEN))),
            None => {}
        }
        let is_new = run::wait_until(Duration::from_secs(10), || {
            let names = fs::read_dir(mount.join("f000"));
            names.is_ok_and(|names| {
                names
                    .filter_map(Result::ok)
                    .any(|name| name.file_name() == "only in 2")
            })
        });
        assert!(is_new, "{what}");
        mount.end();
    }
}
