//! `aiozfs pack`: the archive itself, and what other programs make of it.

mod common;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use common::run::{self, Finished, aiozfs, python, run, tool};
use common::{mount::Mount, tree};
use rustix::process::{Pid, Signal};

/// A folder of all sorts: playlists, links, an empty folder, names that need care.
fn folder() -> tempfile::TempDir {
    let dir = tree::temp();
    let root = dir.path();
    for at in 0..12 {
        let content = tree::bytes(at, 10_000 + at as usize);
        tree::write(root, &format!("v/seg {at}.ts"), &content);
    }
    let segments: String = (0..12)
        .rev()
        .map(|at| format!("#EXTINF:2,\nseg%20{at}.ts\n"))
        .collect();
    tree::write(
        root,
        "v/list.m3u8",
        format!("#EXTM3U\n{segments}").as_bytes(),
    );
    let master = "#EXTM3U\r\n#EXT-X-STREAM-INF:BANDWIDTH=1\r\nv/list.m3u8\r\n";
    tree::write(root, "master.m3u8", master.as_bytes());
    tree::write(root, "字幕.vtt", b"WEBVTT\n");
    tree::write(root, "z/thumb.webp", &tree::bytes(99, 3000));
    tree::write(root, "big.bin", &tree::bytes(100, 9 << 20));
    tree::write(root, "tool.sh", b"#!/bin/sh\n");
    tree::write(root, "empty", b"");
    fs::create_dir_all(root.join("nothing/in here")).expect("a directory");
    symlink("v/seg 0.ts", root.join("latest.ts")).expect("a link");
    let run = fs::Permissions::from_mode(0o750);
    fs::set_permissions(root.join("tool.sh"), run).expect("a mode");
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_640_170_800);
    for name in tree::names(root) {
        let path = root.join(name);
        if path.is_file() {
            let file = File::options().read(true).open(&path).expect("a file");
            file.set_modified(then).expect("a time");
        }
    }
    dir
}

fn pack(folder: &Path, out: &Path, more: &[&str]) -> Finished {
    let mut command = aiozfs();
    command.arg("pack").args(more).arg(folder).arg(out);
    run(&mut command)
}

/// Names in the order of the line, by Python's zipfile.
fn names(archive: &Path) -> Vec<String> {
    let program = "import sys, zipfile\nfor i in sorted(zipfile.ZipFile(sys.argv[1]).infolist(), key=lambda i: i.header_offset): print(i.filename)";
    python(program, &[archive])
        .stdout
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn other_programs_accept_it() {
    let (folder, out) = (folder(), tree::temp());
    let archive = out.path().join("a.zip");
    let said = pack(folder.path(), &archive, &[]).ok("pack").stdout;
    let size = fs::metadata(&archive).expect("the archive").len();
    let cid = run(aiozfs().arg("cid").arg(&archive)).ok("cid").stdout;
    assert_eq!(said, format!("{} {size} bytes, 21 entries\n", cid.trim()));
    run(tool("unzip").arg("-tqq").arg(&archive)).ok("unzip -t");
    run(tool("bsdtar")
        .env("LC_ALL", "C.UTF-8")
        .arg("-tf")
        .arg(&archive))
    .ok("bsdtar -t");
    let check = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\nfor i in z.infolist(): assert i.compress_type == 0 and i.flag_bits & 8 == 0 and i.create_system == 3, i";
    python(check, &[&archive]);
    assert_eq!(
        fs::read_dir(out.path()).expect("a directory").count(),
        1,
        "nothing is left over"
    );
}

#[test]
fn unpacked_it_is_the_folder() {
    let (folder, out) = (folder(), tree::temp());
    let archive = out.path().join("a.zip");
    pack(folder.path(), &archive, &["--no-links"]).ok("pack");
    for (name, mut command) in [("unzip", tool("unzip")), ("bsdtar", tool("bsdtar"))] {
        let into = out.path().join(name);
        fs::create_dir(&into).expect("a directory");
        command.current_dir(&into).env("LC_ALL", "C.UTF-8");
        match name {
            "unzip" => command.arg("-qq").arg(&archive),
            _ => command.arg("-xf").arg(&archive),
        };
        run(&mut command).ok(name);
        tree::assert_same(name, folder.path(), &into);
        let mode = fs::metadata(into.join("tool.sh"))
            .expect("a file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o755, "{name}: modes are normalised");
        let mtime = fs::metadata(into.join("big.bin")).and_then(|meta| meta.modified());
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_640_170_800);
        assert_eq!(mtime.expect("a time"), then, "{name}");
    }
}

#[test]
fn it_is_laid_out_as_it_is_played() {
    let (folder, out) = (folder(), tree::temp());
    let archive = out.path().join("a.zip");
    pack(folder.path(), &archive, &["--align", "4096"]).ok("pack");
    let segments = (0..12).rev().map(|at| format!("v/seg {at}.ts"));
    let rest = [
        "big.bin",
        "empty",
        "latest.ts",
        "nothing/in here/",
        "tool.sh",
        "z/thumb.webp",
        "字幕.vtt",
    ];
    let lists = ["v/list.m3u8", "master.m3u8"];
    let expected: Vec<String> = segments
        .chain(rest.into_iter().chain(lists).map(str::to_owned))
        .collect();
    assert_eq!(names(&archive), expected);
    // Each link leads to the bytes that it names.
    let bytes = fs::read(&archive).expect("the archive");
    let master = entry(&archive, "master.m3u8");
    let list = linked(&bytes, master.lines().nth(2).expect("the link"));
    assert_eq!(list, entry(&archive, "v/list.m3u8").as_bytes());
    let list = String::from_utf8(list).expect("text");
    for (at, link) in (0..12)
        .rev()
        .zip(list.lines().filter(|line| !line.starts_with('#')))
    {
        let want = fs::read(folder.path().join(format!("v/seg {at}.ts"))).expect("a segment");
        assert!(linked(&bytes, link) == want, "{link}");
        let offset = link
            .split(['=', ','])
            .nth(1)
            .and_then(|n| n.parse::<u64>().ok());
        assert_eq!(offset.expect("an offset") % 4096, 0, "{link}");
    }
    let shown = pack(folder.path(), Path::new("-"), &["--dry-run"])
        .ok("dry run")
        .stdout;
    let order: Vec<&str> = shown
        .lines()
        .filter_map(|line| line.split("  ").last())
        .collect();
    assert_eq!(order[1], "v/seg 11.ts");
}

fn entry(archive: &Path, name: &str) -> String {
    run(tool("unzip").arg("-p").arg(archive).arg(name))
        .ok("unzip -p")
        .stdout
}

fn linked(archive: &[u8], link: &str) -> Vec<u8> {
    let (_, range) = link.split_once("?range=").expect("a range link");
    let (offset, size) = range.split_once(',').expect("two numbers");
    let (offset, size): (usize, usize) = (
        offset.parse().expect("a number"),
        size.parse().expect("a number"),
    );
    archive[offset..offset + size].to_vec()
}

#[test]
fn the_same_folder_gives_the_same_bytes() {
    let (folder, out) = (folder(), tree::temp());
    let one = out.path().join("one.zip");
    pack(folder.path(), &one, &[]).ok("pack");
    let bytes = fs::read(&one).expect("an archive");
    // A copy elsewhere, whose files were made in another order and have other inodes.
    let copy = out.path().join("copy");
    run(tool("rsync")
        .args(["-a", "--no-perms", "--chmod=F600"])
        .arg(format!("{}/", folder.path().display()))
        .arg(&copy))
    .ok("rsync");
    let exec = fs::Permissions::from_mode(0o700);
    fs::set_permissions(copy.join("tool.sh"), exec).expect("a mode");
    for (name, locale, umask) in [
        ("two", "C", "077"),
        ("three", "tr_TR.UTF-8", "000"),
        ("four", "ja_JP.eucJP", "022"),
    ] {
        let script = format!("umask {umask}; exec \"$0\" pack \"$1\" - 2>/dev/null");
        let made = Command::new("sh")
            .args(["-c", &script, run::AIOZFS])
            .arg(&copy)
            .env("LC_ALL", locale)
            .env("LANG", locale)
            .env("TZ", "Asia/Kathmandu")
            .output()
            .expect("sh");
        assert!(made.status.success() && made.stdout == bytes, "{name}");
    }
    // The times of the copy do not count if one is given.
    let touch = tree::temp();
    let other = touch.path().join("copy");
    run(tool("rsync")
        .args(["-r", "--links"])
        .arg(format!("{}/", folder.path().display()))
        .arg(&other))
    .ok("rsync");
    fs::set_permissions(other.join("tool.sh"), fs::Permissions::from_mode(0o755)).expect("a mode");
    let said = |folder: &Path| {
        pack(
            folder,
            &touch.path().join("x.zip"),
            &["--mtime", "2021-12-22T00:00:00Z"],
        )
        .ok("pack")
        .stdout
    };
    assert_eq!(said(folder.path()), said(&other));
}

#[test]
fn links_that_lead_nowhere_are_told() {
    let (folder, out) = (folder(), tree::temp());
    let archive = out.path().join("a.zip");
    fs::remove_file(folder.path().join("v/seg 3.ts")).expect("a file");
    let failed = pack(folder.path(), &archive, &[]);
    assert_eq!(failed.code(), Some(1));
    assert_eq!(
        failed.stderr,
        "aiozfs: v/list.m3u8, line 19: there is no file 'seg%203.ts'; '--allow-missing' packs it all the same\n"
    );
    assert!(!archive.exists());
    let allowed = pack(folder.path(), &archive, &["--allow-missing"]).ok("pack");
    assert!(
        allowed.stderr.contains("warning: v/list.m3u8, line 19"),
        "{}",
        allowed.stderr
    );
    assert!(entry(&archive, "v/list.m3u8").contains("\nseg%203.ts\n"));
    pack(folder.path(), &archive, &["--no-links"]).ok("without links");
}

#[test]
fn what_cannot_be_packed_is_told() {
    let (folder, out) = (folder(), tree::temp());
    let zip = out.path().join("a.zip");
    let table = [
        (pack(&out.path().join("absent"), &zip, &[]), "No such file"),
        (
            pack(&folder.path().join("empty"), &zip, &[]),
            "is not a folder",
        ),
        (
            pack(folder.path(), &folder.path().join("z/a.zip"), &[]),
            "lies in the folder",
        ),
        (pack(folder.path(), out.path(), &[]), "is no regular file"),
        (
            pack(folder.path(), Path::new("/dev/null"), &[]),
            "is no regular file",
        ),
        (
            pack(folder.path(), &out.path().join("no/a.zip"), &[]),
            "No such file",
        ),
        (pack(folder.path(), &zip, &["--align", "3"]), "power of two"),
        (
            pack(folder.path(), &zip, &["--mtime", "noon"]),
            "not a time",
        ),
    ];
    for (finished, expected) in table {
        assert!(!finished.status.success(), "{expected}");
        assert!(finished.stderr.contains(expected), "{}", finished.stderr);
    }
    run(tool("mkfifo").arg(folder.path().join("pipe"))).ok("mkfifo");
    let failed = pack(folder.path(), &zip, &[]);
    assert!(
        failed.stderr.contains("neither a file, a folder nor"),
        "{}",
        failed.stderr
    );
    assert_eq!(fs::read_dir(out.path()).expect("a directory").count(), 0);
}

/// Nothing is left behind: neither after Ctrl-C, nor on a full disk, nor if a file changes.
#[test]
fn it_is_there_complete_or_not_at_all() {
    let (folder, out) = (folder(), tree::temp());
    let zip = out.path().join("a.zip");
    fs::write(&zip, "what was there before").expect("a file");
    // Two holes of 64 GiB: never done before the signal, and done at once after it.
    for name in ["one", "two"] {
        let hole = File::create(folder.path().join(name)).expect("a file");
        hole.set_len(64 << 30).expect("a hole");
    }
    for signal in [Signal::INT, Signal::TERM] {
        let mut child = aiozfs()
            .arg("pack")
            .arg(folder.path())
            .arg(&zip)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary");
        let has_begun = || fs::read_dir(out.path()).expect("a directory").count() > 1;
        assert!(
            run::wait_until(Duration::from_secs(10), has_begun),
            "it begins"
        );
        rustix::process::kill_process(Pid::from_child(&child), signal).expect("a process of ours");
        let status = run::wait(&mut child, Duration::from_secs(5)).expect("it ends");
        assert_eq!(status.code(), Some(1));
        assert_eq!(fs::read_dir(out.path()).expect("a directory").count(), 1);
    }
    // A file that grows while it waits for its turn behind the holes' checksum.
    fs::remove_file(folder.path().join("two")).expect("a file");
    File::options()
        .write(true)
        .open(folder.path().join("one"))
        .and_then(|f| f.set_len(256 << 20))
        .expect("a hole");
    let child = aiozfs()
        .arg("pack")
        .arg(folder.path())
        .arg(&zip)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary");
    let has_begun = || fs::read_dir(out.path()).expect("a directory").count() > 1;
    assert!(
        run::wait_until(Duration::from_secs(10), has_begun),
        "it begins"
    );
    tree::write(folder.path(), "字幕.vtt", b"WEBVTT\n\nmore");
    let done = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(said.contains("changed while it was packed"), "{said}");
    assert_eq!(fs::read_dir(out.path()).expect("a directory").count(), 1);
    // A limit on the length of files is a full disk as far as a writer sees it.
    let script = "trap '' XFSZ; ulimit -f 1000; exec \"$0\" pack \"$1\" \"$2\"";
    let mut limited = Command::new("sh");
    limited
        .args(["-c", script, run::AIOZFS])
        .arg(folder.path())
        .arg(&zip);
    let failed = run(&mut limited);
    assert!(
        failed.stderr.contains("cannot be written"),
        "{}",
        failed.stderr
    );
    assert_eq!(
        fs::read_to_string(&zip).expect("a file"),
        "what was there before"
    );
    assert_eq!(fs::read_dir(out.path()).expect("a directory").count(), 1);
}

/// An entry of more than 4 GiB and another behind it, to a pipe. Whoever reads keeps holes as holes.
#[test]
fn entries_and_offsets_beyond_4_gib() {
    const HUGE: u64 = (4 << 30) + 8192;
    let (folder, out) = (tree::temp(), tree::temp());
    let huge = File::create(folder.path().join("huge.bin")).expect("a file");
    huge.set_len(HUGE).expect("a hole");
    huge.write_all_at(b"over the edge", (4 << 30) - 4)
        .expect("written");
    tree::write(folder.path(), "tail.bin", &tree::bytes(5, 70_000));
    let mut child = aiozfs()
        .arg("pack")
        .arg(folder.path())
        .arg("-")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary");
    let zip = out.path().join("a.zip");
    let file = File::create(&zip).expect("a file");
    let mut pipe = child.stdout.take().expect("piped");
    let (mut piece, zeros, mut at) = (vec![0; 1 << 16], vec![0; 1 << 16], 0u64);
    loop {
        let len = pipe.read(&mut piece).expect("the archive");
        if len == 0 {
            break;
        }
        if piece[..len] != zeros[..len] {
            file.write_all_at(&piece[..len], at).expect("written");
        }
        at += len as u64;
    }
    let done = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{said}");
    assert!(
        said.ends_with(&format!(" {at} bytes, 2 entries\n")),
        "{said}"
    );
    let sizes = "import sys, zipfile\nfor i in zipfile.ZipFile(sys.argv[1]).infolist(): print(i.file_size, i.header_offset > 1 << 32)";
    let sizes = python(sizes, &[&zip]).stdout;
    assert_eq!(sizes, format!("{HUGE} False\n70000 True\n"));
    let mount = Mount::new(&zip);
    let huge = File::open(mount.join("huge.bin")).expect("a file");
    assert_eq!(huge.metadata().expect("attributes").len(), HUGE);
    let mut edge = [0; 13];
    huge.read_exact_at(&mut edge, (4 << 30) - 4).expect("read");
    assert_eq!(&edge, b"over the edge");
    let tail = fs::read(mount.join("tail.bin")).expect("a file");
    assert!(tail == tree::bytes(5, 70_000));
}

#[test]
fn more_than_65_535_entries() {
    let (folder, out) = (tree::temp(), tree::temp());
    for at in 0..66_000 {
        File::create(folder.path().join(format!("{at:05}"))).expect("a file");
    }
    let zip = out.path().join("many.zip");
    pack(folder.path(), &zip, &["--no-sync"]).ok("pack");
    let count = python(
        "import sys, zipfile\nprint(len(zipfile.ZipFile(sys.argv[1]).namelist()))",
        &[&zip],
    );
    assert_eq!(count.stdout.trim(), "66000");
    let mount = Mount::new(&zip);
    assert!(mount.join("65999").is_file());
}

#[test]
fn playlists_by_byte_range_come_beside_it() {
    let (folder, out) = (folder(), tree::temp());
    let zip = out.path().join("a.zip");
    let lists = out.path().join("lists");
    let dir = lists.to_str().expect("a plain path");
    pack(folder.path(), &zip, &["--byterange-playlists", dir]).ok("pack");
    let list = fs::read_to_string(lists.join("v/list.m3u8")).expect("a playlist");
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines[..2], ["#EXTM3U", "#EXT-X-VERSION:4"]);
    assert_eq!(lines[4], "../a.zip");
    let (size, offset) = lines[3]
        .split_once(':')
        .and_then(|(_, range)| range.split_once('@'))
        .expect("a range");
    let bytes = fs::read(&zip).expect("the archive");
    let segment = linked(&bytes, &format!("?range={offset},{size}"));
    assert!(segment == fs::read(folder.path().join("v/seg 11.ts")).expect("a segment"));
    let master = fs::read(lists.join("master.m3u8")).expect("a playlist");
    assert_eq!(
        master,
        fs::read(folder.path().join("master.m3u8")).expect("a playlist")
    );
}
