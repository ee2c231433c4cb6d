//! `aiozfs pack`: the archive itself, also as other programs read it.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use crate::common::packs::{entry, folder, linked, names, pack};
use crate::common::run::{self, aiozfs, python, run, tool};
use crate::common::{mount::Mount, tree};

#[test]
fn other_programs_accept_the_archive() {
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
fn unpacking_restores_the_folder() {
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
fn entries_are_in_playback_order() {
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

/// An entry of more than 4 GiB and another behind it, to a pipe. The reader of the pipe writes zeroes as holes.
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
