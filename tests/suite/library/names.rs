//! What programs find in a library.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aiozfs::content::{Cid, Codec, Version};

use super::archive_server::{Answer, ArchiveServer, archive, control, write_list};
use crate::common::mount::Mount;
use crate::common::node::Node;
use crate::common::{run, tree};

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names.map(|n| n.into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

fn add(name: &str, source: &str) -> String {
    format!("--add={name}={source}")
}

/// The inode numbers of everything below a directory.
fn inodes(root: &Path) -> BTreeMap<PathBuf, u64> {
    let mut found = BTreeMap::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(path) = ahead.pop() {
        let attr = fs::symlink_metadata(&path).expect("a file");
        let name = path.strip_prefix(root).expect("below").to_owned();
        found.insert(name, attr.ino());
        if attr.is_dir() {
            let entries = fs::read_dir(&path).expect("a directory");
            ahead.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
    }
    found
}

#[test]
fn root_is_listed_without_a_request_and_archives_open_when_looked_into() {
    let server = ArchiveServer::new(archive("hello"));
    let file = tree::temp();
    fs::write(file.path().join("local.zip"), archive("here")).expect("a file");
    let mount = Mount::library(&[
        &add("films/one", &server.url("/any/1.zip")),
        &add("films/two", &server.url("/any/2.zip")),
        &add(
            "local",
            file.path().join("local.zip").to_str().expect("UTF-8"),
        ),
    ]);
    assert_eq!(names(mount.path()), ["films", "local"]);
    assert_eq!(names(&mount.join("films")), ["one", "two"]);
    let one = fs::metadata(mount.join("films/one")).expect("a directory");
    assert!(one.is_dir());
    assert_eq!((one.nlink(), one.mode() & 0o7777), (1, 0o755));
    run::run(run::tool("ls").arg("-la").arg(mount.join("films"))).ok("ls");
    assert_eq!(server.requests(), 0);

    assert_eq!(
        fs::read_to_string(mount.join("local/a.txt")).expect("a file"),
        "here"
    );
    assert_eq!(names(&mount.join("films/one")), ["a.txt", "sub"]);
    assert_eq!(
        fs::read_to_string(mount.join("films/one/sub/b.txt")).expect("a file"),
        "b of hello"
    );
    let missing = fs::read(mount.join("films/one/none")).expect_err("no such file");
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    let missing = fs::read(mount.join("films/three/a.txt")).expect_err("no such archive");
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    assert_eq!(server.asked(), ["/any/1.zip".to_owned()].into());
    // `..` leads out of the archive.
    let up = fs::metadata(mount.join("films/one/..")).expect("a directory");
    let films = fs::metadata(mount.join("films")).expect("a directory");
    assert_eq!(up.ino(), films.ino());
    mount.assert_no_complaint();
    mount.end();
}

#[test]
fn inode_numbers_are_distinct_and_the_same_after_a_remount() {
    let server = ArchiveServer::new(archive("hello"));
    let (one, two) = (
        add("b/one", &server.url("/any/1")),
        add("two", &server.url("/any/2")),
    );
    let first = {
        let mount = Mount::library(&[&one, &two]);
        inodes(mount.path())
    };
    // With others beside them, and in another order.
    let (three, four) = (
        add("a", &server.url("/any/3")),
        add("b/z", &server.url("/any/4")),
    );
    let mount = Mount::library(&[&three, &two, &four, &one]);
    let second = inodes(mount.path());
    for (path, ino) in &first {
        assert_eq!(second.get(path), Some(ino), "{}", path.display());
    }
    let mut all: Vec<u64> = second.values().copied().collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), second.len());
    // A listing says the same as stat.
    for entry in fs::read_dir(mount.join("b/one/sub")).expect("a directory") {
        let entry = entry.expect("an entry");
        let path = Path::new("b/one/sub").join(entry.file_name());
        let listed = std::os::unix::fs::DirEntryExt::ino(&entry);
        assert_eq!(second.get(&path), Some(&listed));
    }
}

#[test]
fn archive_that_cannot_be_opened_is_an_error_of_its_own_directory() {
    let server = ArchiveServer::new(archive("good"));
    server.set("/secret", Answer::Status(403));
    server.set(
        "/damaged",
        Answer::Blob(b"not an archive at all, but long enough".repeat(9)),
    );
    server.set("/silent", Answer::Silence(Duration::from_secs(20)));
    let mount = Mount::library(&[
        "--timeout=2s",
        &add("good", &server.url("/any/good")),
        &add("gone", &server.url("/gone")),
        &add("secret", &server.url("/secret")),
        &add("damaged", &server.url("/damaged")),
        &add("silent", &server.url("/silent")),
    ]);
    assert_eq!(names(mount.path()).len(), 5);
    let fails = |name: &str| {
        let error = fs::read_dir(mount.join(name)).and_then(|mut dir| dir.next().transpose());
        error.expect_err(name).raw_os_error()
    };
    let silent = std::thread::spawn({
        let path = mount.join("silent/a.txt");
        move || fs::read(path).expect_err("silent").raw_os_error()
    });
    let errno = |errno: rustix::io::Errno| Some(errno.raw_os_error());
    // A listing that ends with ENOENT would look like that of an empty directory.
    assert_eq!(fails("gone"), errno(rustix::io::Errno::IO));
    let gone = fs::read(mount.join("gone/a.txt")).expect_err("it is not there");
    assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    assert_eq!(fails("secret"), errno(rustix::io::Errno::ACCESS));
    assert_eq!(fails("damaged"), errno(rustix::io::Errno::IO));
    assert_eq!(
        silent.join().expect("no panic"),
        errno(rustix::io::Errno::TIMEDOUT)
    );
    assert_eq!(
        fs::read_to_string(mount.join("good/a.txt")).expect("a file"),
        "good"
    );
    server.clear();
    for _ in 0..20 {
        fails("damaged");
    }
    // It is tried again after a while only.
    let lines = mount.log_lines("cannot open damaged:").len();
    assert!((1..=3).contains(&lines), "{lines}");
    assert!(server.requests() <= 2 * 3, "{} requests", server.requests());
    // It is there later.
    server.set("/damaged", Answer::Blob(archive("mended")));
    let read = || fs::read_to_string(mount.join("damaged/a.txt"));
    assert!(run::wait_until(Duration::from_secs(10), || read().is_ok()));
    assert_eq!(read().expect("a file"), "mended");
}

#[test]
fn opening_is_shared_and_umount_ends_those_who_wait() {
    let server = ArchiveServer::new(archive("x"));
    server.set("/silent", Answer::Silence(Duration::from_secs(30)));
    let mount = Mount::library(&[
        &add("a", &server.url("/any/a")),
        &add("s", &server.url("/silent")),
    ]);
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let path = mount.join("a/a.txt");
            std::thread::spawn(move || fs::read(path).expect("a file"))
        })
        .collect();
    for reader in readers {
        assert_eq!(reader.join().expect("no panic"), b"x");
    }
    let opened = server.requests();
    assert!(opened <= 4, "{opened} requests");
    let waits = std::thread::spawn({
        let path = mount.join("s/a.txt");
        move || fs::read(path).is_err()
    });
    run::wait_until(Duration::from_secs(5), || {
        server.asked().contains("/silent")
    });
    // The rest of the mount answers meanwhile, also the directory of the one that hangs.
    assert_eq!(names(mount.path()), ["a", "s"]);
    assert_eq!(fs::read(mount.join("a/a.txt")).expect("a file"), b"x");
    let start = Instant::now();
    mount.end();
    assert!(start.elapsed() < Duration::from_secs(3));
    assert!(waits.join().expect("no panic"));
}

#[test]
fn idle_archives_are_closed_and_open_files_go_on() {
    let server = ArchiveServer::new(archive("x"));
    let mount = Mount::library(&["--idle=300ms", &add("a", &server.url("/any/a"))]);
    let path = mount.join("a/a.txt");
    let file = fs::File::open(&path).expect("a file");
    let before = file.metadata().expect("attributes").ino();
    let is_open = || status(&mount).contains("\"archives_open\":1");
    assert!(is_open());
    assert!(run::wait_until(Duration::from_secs(10), || !is_open()));
    // Not from the kernel's pages: nothing was read yet.
    assert_eq!(io::read_to_string(&file).expect("the file"), "x");
    assert_eq!(fs::metadata(&path).expect("a file").ino(), before);
    mount.assert_no_complaint();
}

fn status(mount: &Mount) -> String {
    control(mount, "status")
}

/// An archive that was closed, and is another one when it is opened again, must not show its bytes under the
/// inode numbers of the old one.
#[test]
fn archive_that_changed_while_it_was_closed_gets_new_inode_numbers() {
    let server = ArchiveServer::new(archive("x"));
    server.set("/a", Answer::Blob(archive("old")));
    let mount = Mount::library(&["--idle=200ms", &add("a", &server.url("/a"))]);
    let path = mount.join("a/a.txt");
    assert_eq!(fs::read_to_string(&path).expect("a file"), "old");
    let before = fs::metadata(&path).expect("a file").ino();
    let is_open = || status(&mount).contains("\"archives_open\":1");
    assert!(run::wait_until(Duration::from_secs(10), || !is_open()));
    server.set("/a", Answer::Blob(archive("quite another one")));
    let list = || fs::read_dir(mount.join("a/sub")).map(|dir| dir.count());
    let _ = list();
    let read = || fs::read_to_string(&path).unwrap_or_default();
    assert!(run::wait_until(Duration::from_secs(10), || {
        let _ = fs::metadata(mount.join("a/none"));
        read() == "quite another one"
    }));
    assert_ne!(fs::metadata(&path).expect("a file").ino(), before);
    assert_eq!(
        mount
            .log_lines("a: it has changed since it was opened")
            .len(),
        1
    );
}

#[test]
fn wrong_lists_are_refused_with_the_name_or_the_line() {
    let dir = tree::temp();
    let list = dir.path().join("films.tsv");
    write_list(
        &list,
        &[("a", "http://h/a".into()), ("b", "nonsense".into())],
    );
    let shown = list.to_str().expect("UTF-8");
    let point = tree::temp();
    let fails = |args: &[&str]| {
        let mut command = run::aiozfs();
        command.args(["mount"]).args(args).arg(point.path());
        let done = run::run(&mut command);
        assert_eq!(done.code(), Some(2), "{}", done.stderr);
        done.stderr
    };
    let library = format!("--library={shown}");
    let said = fails(&[&library]);
    assert!(said.contains(shown) && said.contains("line 2"), "{said}");
    let said = fails(&["--add=a=http://h/a", "--add=a/b=http://h/b"]);
    assert!(
        said.contains("'a/b' would be inside the archive 'a'"),
        "{said}"
    );
    let said = fails(&["--add=a"]);
    assert!(said.contains("NAME=SOURCE"), "{said}");
    let said = fails(&["--library=nowhere"]);
    assert!(said.contains("[library.nowhere]"), "{said}");
    let said = fails(&["--add=a=http://h/a", "http://h/b"]);
    assert!(said.contains("has no other source"), "{said}");
}

/// `--each` shows every archive in a directory, also below the directories in it.
#[test]
fn each_archive_of_a_directory_is_shown() {
    let dir = tree::temp();
    fs::create_dir(dir.path().join("2024")).expect("a directory");
    for name in ["a.zip", "b.zip", "2024/c.zip"] {
        fs::write(dir.path().join(name), archive(name)).expect("an archive");
    }
    fs::write(dir.path().join("notes.txt"), "no archive").expect("a file");
    let each = format!("--each={}", dir.path().display());
    let mount = Mount::library(&[&each]);
    assert_eq!(names(mount.path()), ["2024", "a.zip", "b.zip"]);
    for name in ["a.zip", "2024/c.zip"] {
        let text = fs::read_to_string(mount.join(name).join("a.txt"));
        assert_eq!(text.expect("a file"), name);
    }
    assert_eq!(names(&mount.join("2024")), ["c.zip"]);
    for name in ["d.zip", "2024/e.zip"] {
        fs::write(dir.path().join(name), archive("d")).expect("an archive");
    }
    run::run(run::aiozfs().arg("reload").arg(mount.path())).ok("reload");
    assert!(run::wait_until(Duration::from_secs(5), || {
        fs::read(mount.join("d.zip/a.txt")).is_ok()
            && fs::read(mount.join("2024/e.zip/a.txt")).is_ok()
    }));
    assert_eq!(names(&mount.join("2024")), ["c.zip", "e.zip"]);
    mount.end();
}

/// `--each` of a node said that its page "serves no ranges". Its archives are opened by their CIDs, so they are verified.
#[test]
fn each_archive_of_a_node_is_shown() {
    let dir = tree::temp();
    fs::create_dir_all(dir.path().join("2024/new")).expect("a directory");
    let served = ["a b.zip", "2024/c.zip", "2024/new/d.zip"];
    for name in served {
        fs::write(dir.path().join(name), archive(name)).expect("an archive");
    }
    fs::write(dir.path().join("notes.txt"), "no archive").expect("a file");
    let node = Node::of_folder(dir.path(), 4);
    let root = format!("{}/", node.base);
    let each = format!("--each={root}");
    let mount = Mount::library(&[&each]);
    assert_eq!(names(mount.path()), ["2024", "a b.zip"]);
    assert_eq!(names(&mount.join("2024")), ["c.zip", "new"]);
    for name in served {
        let text = fs::read_to_string(mount.join(name).join("a.txt"));
        assert_eq!(text.expect("a file"), name);
    }
    mount.end();
    let listed = run::run(run::aiozfs().args(["ls", "-R", "--json", &root])).ok("ls");
    let rows: Vec<serde_json::Value> = serde_json::from_str(&listed.stdout).expect("JSON");
    for name in served {
        let row = rows.iter().find(|row| row["path"] == name).expect(name);
        let at = row["source"].as_str().expect("an address");
        assert!(at.starts_with(&format!("{root}ipfs/b")), "{at}");
        assert_eq!(row["size"], archive(name).len());
    }
}

/// Each lookup of a CID made a snapshot of all names, and after eight of them a listing that was under way lost its own.
/// It went on at the same position of another one, so names were missing or came twice.
#[test]
fn listing_goes_on_while_cids_are_looked_up_and_the_list_is_reloaded() {
    const NAMES: usize = 20_000;
    const CIDS: usize = 50;
    let server = ArchiveServer::new(archive("any"));
    let dir = tree::temp();
    let list = dir.path().join("films.tsv");
    // Some are before the CIDs in the order of names, and some behind them.
    let expected: Vec<String> = (0..NAMES)
        .map(|n| format!("{}{n:05}", if n % 2 == 0 { 'a' } else { 'z' }))
        .collect();
    let write = |names: &[String]| {
        let entries = names.iter().map(|n| (n.as_str(), server.url("/any/1")));
        write_list(&list, &entries.collect::<Vec<_>>());
    };
    write(&expected);
    let mount = Mount::library(&[
        "--any",
        &format!("--library={}", list.display()),
        &format!("--gateway={}", server.url("")),
    ]);
    let cids: Vec<String> = (0..CIDS)
        .map(|n| Cid::of_block(Version::V1, Codec::Raw, &n.to_le_bytes()).to_string())
        .collect();
    // What a listing says, while something is done after each four hundredth name.
    let listing = |mut act: Box<dyn FnMut(usize) + '_>| {
        let entries = fs::read_dir(mount.path()).expect("the root").enumerate();
        let listed = entries.map(|(n, entry)| {
            if n % 400 == 399 {
                act(n / 400);
            }
            entry.expect("an entry").file_name().into_string()
        });
        let mut listed: Vec<String> = listed.map(|name| name.expect("UTF-8")).collect();
        let all = listed.len();
        listed.sort();
        listed.dedup();
        assert_eq!(listed.len(), all, "no name comes twice");
        listed.retain(|name| !cids.contains(name));
        listed
    };
    let mut sorted = expected.clone();
    sorted.sort();
    let listed = listing(Box::new(|turn| {
        if let Some(cid) = cids.get(turn) {
            fs::metadata(mount.join(cid)).expect("a CID is a directory");
        }
    }));
    assert!(listed == sorted, "{} names", listed.len());
    assert_eq!(names(mount.path()).len(), NAMES + CIDS);

    // A listing that has begun goes on with all its names, and the next one has the new ones.
    let listed = listing(Box::new(|turn| {
        if turn < 3 {
            write(&expected[..NAMES / (turn + 2)]);
            let mut reload = run::aiozfs();
            run::run(reload.arg("reload").arg(mount.path())).ok("reload");
        }
    }));
    assert!(listed == sorted, "{} names", listed.len());
    assert_eq!(names(mount.path()).len(), NAMES / 4 + CIDS);
    assert_eq!(server.requests(), 0);
    mount.assert_no_complaint();
}
