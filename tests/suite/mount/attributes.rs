//! The attributes of files and of the mount itself.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use crate::common::fault::FaultNode;
use crate::common::mount::{Mount, xattr};
use crate::common::run::{self, run};
use crate::common::tree::TempDir;
use crate::common::way::Way;
use crate::common::{archives, tree};
use rustix::io::Errno;

/// The sample as Info-ZIP packs it: the folder, where the archive is, and the archive.
pub(super) fn packed() -> (TempDir, TempDir, PathBuf) {
    let (source, out) = (tree::sample(), tree::temp());
    let archive = out.path().join("sample.zip");
    archives::info_zip(source.path(), &archive);
    (source, out, archive)
}

#[test]
fn attributes_are_those_of_the_packed_files() {
    let (source, _out, archive) = packed();
    let mount = Mount::new(&archive);
    for name in tree::names(source.path()) {
        let want = fs::symlink_metadata(source.path().join(&name)).expect("the source");
        let have = fs::symlink_metadata(mount.join(&name)).expect("of the mount");
        let shown = name.display();
        assert_eq!(have.mode(), want.mode(), "{shown}");
        assert_eq!(have.mtime(), want.mtime(), "{shown}");
        assert_eq!(
            (have.uid(), have.gid()),
            (want.uid(), want.gid()),
            "{shown}"
        );
        assert!(have.blksize().is_power_of_two() && have.blksize() >= 4096);
        if want.is_dir() {
            assert_eq!(have.nlink(), want.nlink(), "{shown}")
        } else {
            assert_eq!(have.nlink(), 1, "{shown}");
            assert_eq!(have.size(), want.size(), "{shown}");
            assert_eq!(have.blocks(), want.size().div_ceil(512), "{shown}");
        }
    }
    let total = |root: &Path| {
        let files = tree::names(root).into_iter().map(|name| root.join(name));
        let sizes = files.filter(|path| path.is_file());
        sizes
            .map(|path| fs::metadata(path).expect("a file").len().div_ceil(512) * 512)
            .sum::<u64>()
    };
    let mut du = run::tool("du");
    let du = run(du.args(["-s", "--block-size=512"]).arg(mount.path())).ok("du");
    let blocks: u64 = du
        .stdout
        .split('\t')
        .next()
        .expect("a number")
        .parse()
        .expect("a number");
    assert_eq!(blocks * 512, total(source.path()));
}

#[test]
fn dos_times_count_as_utc_and_options_change_owner_and_mode() {
    let out = tree::temp();
    let archive = out.path().join("times.zip");
    archives::scripted(
        &archive,
        "z.writestr(info('a/file', 0o100664), b'x')\nz.writestr(info('odd'), b'')",
    );
    let args = ["--umask", "027", "-o", "uid=1234,gid=567,noexec"];
    let mount = Mount::with_env(&archive, &args, &[("TZ", "America/New_York")]);
    let file = fs::metadata(mount.join("a/file")).expect("a file");
    // 2021-12-22 10:30:08 UTC
    let packed = UNIX_EPOCH + Duration::from_secs(1_640_169_008);
    assert_eq!(file.modified().expect("a time"), packed);
    assert_eq!((file.uid(), file.gid()), (1234, 567));
    assert_eq!(file.permissions().mode() & 0o7777, 0o640);
    let dir = fs::metadata(mount.join("a")).expect("a directory");
    assert_eq!(dir.permissions().mode() & 0o7777, 0o750);
    assert_eq!(dir.modified().expect("a time"), packed, "of what is in it");
    let line = mount.proc_mounts();
    assert!(line.contains("noexec"), "{line}");
}

#[test]
fn inode_numbers_follow_the_order_of_entries_and_stay_the_same() {
    let (_source, _out, archive) = packed();
    let numbers = |mount: &Mount| {
        let names = tree::names(mount.path()).into_iter();
        let pairs = names.map(|name| {
            let ino = fs::symlink_metadata(mount.join(&name))
                .expect("a file")
                .ino();
            (name, ino)
        });
        pairs.collect::<BTreeMap<_, _>>()
    };
    let first = Mount::new(&archive);
    let (of_files, by_url) = (numbers(&first), Way::Url.mount(&archive));
    assert_eq!(of_files, numbers(&by_url));
    assert_eq!(of_files, numbers(&Mount::new(&archive)));

    let distinct: std::collections::BTreeSet<_> = of_files.values().collect();
    assert_eq!(distinct.len(), of_files.len());
    let mut places = Vec::new();
    for (name, ino) in &of_files {
        if let Ok(offset) = xattr(&first.join(name), "offset") {
            places.push((offset.parse::<u64>().expect("a number"), *ino));
        }
    }
    places.sort_unstable();
    assert!(places.len() > 5);
    assert!(places.is_sorted_by_key(|(_, ino)| *ino), "{places:?}");
    // What readdir says is what stat says.
    let mut listed = fs::read_dir(first.path()).expect("the root");
    assert!(listed.all(|entry| {
        use std::os::unix::fs::DirEntryExt;
        let entry = entry.expect("an entry");
        entry.ino() == of_files[Path::new(&entry.file_name())]
    }));
}

#[test]
fn statfs_reports_the_size_and_no_free_space() {
    let (source, _out, archive) = packed();
    let mount = Mount::new(&archive);
    let stat = rustix::fs::statvfs(mount.path()).expect("statfs");
    let names = tree::names(source.path());
    let files = names.iter().map(|name| source.path().join(name));
    let bytes: u64 = files
        .filter(|path| path.is_file())
        .map(|path| fs::metadata(path).expect("a file").len())
        .sum();
    assert_eq!(stat.f_blocks, bytes.div_ceil(stat.f_frsize));
    assert_eq!((stat.f_bfree, stat.f_bavail, stat.f_ffree), (0, 0, 0));
    assert_eq!(stat.f_files, names.len() as u64 + 1);
    assert_eq!(stat.f_namemax, 255);
    assert!(stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY));
}

#[test]
fn absent_names_are_absent_again_and_again() {
    let (_source, _out, archive) = packed();
    let mount = Mount::new(&archive);
    for _ in 0..2 {
        for name in [
            "nothing",
            "dir/nothing",
            "hello.txt?",
            "HELLO.TXT",
            "nothing/below",
        ] {
            let error = fs::metadata(mount.join(name)).expect_err(name);
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{name}");
        }
        let below = fs::metadata(mount.join("hello.txt/below")).expect_err("a file");
        assert_eq!(below.raw_os_error(), Some(Errno::NOTDIR.raw_os_error()));
    }
}

#[test]
fn nothing_can_be_written() {
    let (_source, _out, archive) = packed();
    let mount = Mount::new(&archive);
    let at = |name: &str| mount.join(name);
    let mode = || fs::Permissions::from_mode(0o777);
    let attempts: [(&str, io::Result<()>); 9] = [
        (
            "write",
            OpenOptions::new()
                .write(true)
                .open(at("hello.txt"))
                .map(drop),
        ),
        (
            "append",
            OpenOptions::new()
                .append(true)
                .open(at("hello.txt"))
                .map(drop),
        ),
        ("truncate", fs::write(at("hello.txt"), b"")),
        ("create", fs::write(at("new"), b"new")),
        ("mkdir", fs::create_dir(at("new"))),
        ("unlink", fs::remove_file(at("hello.txt"))),
        ("rmdir", fs::remove_dir(at("empty dir/inner"))),
        ("rename", fs::rename(at("hello.txt"), at("new"))),
        ("chmod", fs::set_permissions(at("hello.txt"), mode())),
    ];
    for (what, outcome) in attempts {
        let error = outcome.expect_err(what);
        assert_eq!(
            error.raw_os_error(),
            Some(Errno::ROFS.raw_os_error()),
            "{what}"
        );
    }
    let set = rustix::fs::setxattr(
        at("hello.txt"),
        "user.x",
        b"x",
        rustix::fs::XattrFlags::empty(),
    );
    assert_eq!(set, Err(Errno::ROFS));
}

#[test]
fn mount_tables_show_a_read_only_aiozfs_and_no_secret() {
    let (_source, _out, archive) = packed();
    let node = FaultNode::start(fs::read(&archive).expect("the archive"));
    let url = format!("http://joe:s3cret@{}/archive.zip?sig=t0ken", node.addr);
    let log = tree::temp();
    let log = log.path().join("aiozfs.log");
    let args = [
        "-vvv",
        "--timeout",
        "1s",
        "--log-file",
        log.to_str().expect("plain"),
    ];
    // Without the log on standard error the harness could not tell when it is usable.
    let noisy = Mount::with(&url, &args[..3]);
    let line = noisy.proc_mounts();
    let fields: Vec<_> = line.split(' ').collect();
    assert_eq!(fields[0], node.url());
    assert_eq!(fields[2], "fuse.aiozfs");
    let options: Vec<_> = fields[3].split(',').collect();
    for option in ["ro", "nosuid", "nodev"] {
        assert!(options.contains(&option), "{line}");
    }

    fs::read(noisy.join("hello.txt")).expect("a file");
    node.die();
    fs::read(noisy.join("dir/seg_0000.ts")).expect_err("nobody serves it");
    let mut seen = vec![
        noisy.log(),
        fs::read_to_string("/proc/self/mountinfo").expect("mountinfo"),
    ];
    seen.push(fs::read_to_string("/proc/mounts").expect("mounts"));
    for attribute in ["url", "status"] {
        seen.push(xattr(noisy.path(), attribute).expect(attribute));
    }
    // Nor when it fails, in the foreground or not.
    let point = crate::common::mount::MountPoint::new();
    for more in [&args[3..], &[]] {
        let mut failing = run::aiozfs();
        let failed = run(failing
            .args(["mount", "-vvv"])
            .args(more)
            .arg(&url)
            .arg(point.path()));
        assert_ne!(failed.code(), Some(0));
        seen.extend([failed.stderr, failed.stdout]);
    }
    seen.push(fs::read_to_string(&log).unwrap_or_default());
    for text in seen {
        for secret in ["s3cret", "t0ken", "am9lOnMzY3JldA"] {
            assert!(!text.contains(secret), "{secret} in: {text}");
        }
    }
    // They were used, though.
    let asked = node.log().remove(0);
    assert!(
        asked.contains("sig=t0ken") && asked.contains("am9lOnMzY3JldA"),
        "{asked}"
    );
}

#[test]
fn a_range_link_is_its_entry_if_it_is_exact() {
    let (source, _out, archive) = packed();
    let mount = Way::Url.mount(&archive);
    for name in ["dir/seg_0001.ts", "hello.txt", "日本語/字幕.vtt"] {
        let range = xattr(&mount.join(name), "range").expect("an attribute");
        let (offset, size) = range.split_once(',').expect("two numbers");
        let (offset, size): (u64, u64) = (offset.parse().expect("one"), size.parse().expect("two"));
        let linked = |offset: u64, size: u64| mount.join(format!("{name}?range={offset},{size}"));
        let content = fs::read(source.path().join(name)).expect("the source");
        assert_eq!(fs::read(linked(offset, size)).expect(name), content);
        let ino = |path: &Path| fs::metadata(path).expect("a file").ino();
        assert_eq!(ino(&linked(offset, size)), ino(&mount.join(name)));
        for wrong in [
            (offset + 1, size),
            (offset, size - 1),
            (offset, size + 1),
            (0, size),
        ] {
            let error = fs::metadata(linked(wrong.0, wrong.1)).expect_err("not its extent");
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{name} {wrong:?}");
        }
    }
    for odd in [
        "hello.txt?range=",
        "hello.txt?range=1",
        "dir?range=0,0",
        "?range=1,2,3",
    ] {
        let error = fs::metadata(mount.join(odd)).expect_err(odd);
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "{odd}");
    }
    // A file that is really called so comes first.
    assert_eq!(
        fs::metadata(mount.join("?range=1,2"))
            .expect("a file")
            .len(),
        100
    );
}

#[test]
fn reads_end_where_the_file_ends() {
    let (source, _out, archive) = packed();
    let mount = Mount::new(&archive);
    let name = "dir/deep/er/still.bin";
    let content = fs::read(source.path().join(name)).expect("the source");
    let file = fs::File::open(mount.join(name)).expect("a file");
    let len = content.len();
    for (offset, size) in [
        (0, len),
        (1, len),
        (len - 1, 10),
        (len, 10),
        (len + 9999, 10),
        (4095, 2),
    ] {
        let mut buffer = vec![0; size];
        let got = file
            .read_at(&mut buffer, offset as u64)
            .expect("bytes or none");
        let want = &content[offset.min(len)..(offset + size).min(len)];
        assert_eq!(tree::differs(want, &buffer[..got]), None, "{offset}+{size}");
    }
}
