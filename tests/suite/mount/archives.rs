//! Archives of every writer, mounted by the real binary, show exactly what was put into them.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::common::mount::{Mount, xattr};
use crate::common::run::{self, run};
use crate::common::way::Way;
use crate::common::zips::{self, Item, Zip};
use crate::common::{archives, tree};
use rustix::io::Errno;

#[test]
fn every_kind_of_archive_equals_its_source() {
    let source = tree::sample();
    let out = tree::temp();
    for (name, make) in archives::STORED {
        let archive = out.path().join(format!("{name}.zip"));
        make(source.path(), &archive);
        for way in Way::ALL {
            let mount = way.mount(&archive);
            let what = format!("{name}, by {way:?}");
            tree::assert_same(&what, source.path(), mount.path());
            // Again, now that kernel and reader hold what they have learnt.
            tree::assert_same(&what, source.path(), mount.path());
            mount.assert_no_complaint();
        }
    }
}

#[test]
fn an_archive_without_entries_is_an_empty_directory() {
    let out = tree::temp();
    let archive = out.path().join("empty.zip");
    archives::scripted(&archive, "pass");
    assert_eq!(fs::metadata(&archive).expect("written").len(), 22);
    for way in Way::ALL {
        let mount = way.mount(&archive);
        assert_eq!(tree::names(mount.path()).len(), 0, "{way:?}");
    }
}

#[test]
fn beyond_4_gib_every_byte_is_in_its_place() {
    let out = tree::temp();
    let archive = out.path().join("sparse.zip");
    archives::beyond_4_gib(&archive);
    assert!(fs::metadata(&archive).expect("written").len() > 4 << 30);
    let mount = Mount::new(&archive);
    let read = |name: &str| fs::read(mount.join(name)).expect("a file of the mount");
    assert_eq!(read("near.bin"), b"near ".repeat(1000));
    assert_eq!(read("far.bin"), b"far beyond ".repeat(1000));
    let offset = xattr(&mount.join("far.bin"), "offset").expect("an attribute");
    assert!(offset.parse::<u64>().expect("a number") > 4 << 30);

    let huge = File::open(mount.join("huge.bin")).expect("a file of the mount");
    let size = huge.metadata().expect("attributes").len();
    assert_eq!(size, (4 << 30) + 8192);
    let at = |offset: u64, len: usize| {
        let mut bytes = vec![1; len];
        let got = huge.read_at(&mut bytes, offset).expect("bytes");
        bytes.truncate(got);
        bytes
    };
    assert_eq!(at(0, 6), b"begin\0");
    assert_eq!(at((4 << 30) - 6, 17), b"\0\0over the edge\0\0");
    assert_eq!(at((2 << 30) + 12_345, 100_000), vec![0; 100_000]);
    assert_eq!(at(size - 4, 100), b"\0end");
    assert_eq!(at(size, 100), b"");
    assert_eq!(at(size + 5000, 100), b"");
}

#[test]
fn no_name_leads_outside_and_no_entry_is_lost() {
    let out = tree::temp();
    let archive = out.path().join("hostile.zip");
    archives::scripted(
        &archive,
        r#"
for name in ('../escape.txt', 'a/../../escape.txt', '..', '.', 'x' * 256):
    z.writestr(info(name), b'hostile')
z.writestr(info('/tmp/absolute.txt'), b'inside')
z.writestr(info('C:/drive.txt'), b'inside')
z.writestr(info('C:\\odd.txt'), b'a name like others')
z.writestr(info('./a//b.txt'), b'inside')
z.writestr(info('twice.txt'), b'the first')
z.writestr(info('twice.txt'), b'the second')
z.writestr(info('clash'), b'a file')
z.writestr(info('clash/within.txt'), b'and a directory')
z.writestr(info('line\nbreak \x1b[31m.txt'), b'odd')
z.writestr(info('y' * 255), b'long')
"#,
    );
    let mount = Mount::new(&archive);
    let names = tree::names(mount.path());
    let long = "y".repeat(255);
    let expected = [
        "C:\\odd.txt",
        "a",
        "a/b.txt",
        "clash",
        "clash/within.txt",
        "clash (1)",
        "drive.txt",
        "line\nbreak \x1b[31m.txt",
        "tmp",
        "tmp/absolute.txt",
        "twice (1).txt",
        "twice.txt",
        &long,
    ];
    assert_eq!(names, expected.map(PathBuf::from));
    let read = |name: &str| fs::read(mount.join(name)).expect(name);
    assert_eq!(read("a/b.txt"), b"inside");
    assert_eq!(read("line\nbreak \x1b[31m.txt"), b"odd");
    assert_eq!(read(&long), b"long");
    assert_eq!(read("tmp/absolute.txt"), b"inside");
    assert_eq!(read("drive.txt"), b"inside");
    // The last entry of a name counts, as for unzip and for programs that update an archive in place.
    assert_eq!(read("twice.txt"), b"the second");
    assert_eq!(read("twice (1).txt"), b"the first");
    assert_eq!(read("clash (1)"), b"a file");
    assert_eq!(
        fs::read(mount.join("clash/within.txt")).expect("a file within"),
        b"and a directory"
    );
    let outside = mount.path().parent().expect("a parent");
    assert!(!outside.join("escape.txt").exists());
    // A log is for terminals.
    assert!(!mount.log().contains('\x1b'), "{}", mount.log());
}

#[test]
fn symlinks_are_symlinks_and_stay_inside() {
    let (source, out) = (tree::temp(), tree::temp());
    tree::write(source.path(), "dir/file.txt", b"content");
    for (name, target) in [
        ("link", "dir/file.txt"),
        ("dir/up", "../link"),
        ("dangling", "nowhere"),
        ("to dir", "dir"),
    ] {
        std::os::unix::fs::symlink(target, source.path().join(name)).expect("a link");
    }
    for (name, make) in [
        ("zip -y", archives::info_zip as archives::Maker),
        ("bsdtar", archives::bsdtar),
    ] {
        let archive = out.path().join(format!("{name}.zip"));
        make(source.path(), &archive);
        let mount = Mount::new(&archive);
        tree::assert_same(name, source.path(), mount.path());
        let content = fs::read_to_string(mount.join("to dir/up")).expect("followed");
        assert_eq!(content, "content");
    }

    for target in ["/etc/passwd", "../outside", "dir/../../outside"] {
        std::os::unix::fs::symlink(target, source.path().join("evil")).expect("a link");
        let archive = out.path().join("evil.zip");
        archives::info_zip(source.path(), &archive);
        let inside = Mount::new(&archive);
        let refused = fs::read_link(inside.join("evil")).expect_err(target);
        assert_eq!(refused.raw_os_error(), Some(Errno::ACCESS.raw_os_error()));
        let all = Mount::with(&archive, &["-o", "symlinks=all"]);
        assert_eq!(
            fs::read_link(all.join("evil")).expect("a target"),
            Path::new(target)
        );
        fs::remove_file(source.path().join("evil")).expect("removed");
        fs::remove_file(&archive).expect("removed");
    }
}

#[test]
fn devices_and_setuid_never_come_through() {
    let out = tree::temp();
    let archive = out.path().join("devices.zip");
    archives::scripted(
        &archive,
        r#"
z.writestr(info('setuid', 0o106755), b'#!/bin/sh\nid\n')
z.writestr(info('device', 0o020666), b'')
z.writestr(info('fifo', 0o010666), b'')
z.writestr(info('socket', 0o140666), b'')
"#,
    );
    let mount = Mount::new(&archive);
    for name in ["setuid", "device", "fifo", "socket"] {
        let meta = fs::symlink_metadata(mount.join(name)).expect(name);
        assert!(meta.is_file(), "{name}: {:?}", meta.file_type());
        assert_eq!(meta.permissions().mode() & 0o7000, 0, "{name}");
        assert_eq!(meta.rdev(), 0, "{name}");
        // A FIFO that is one would hang here.
        fs::read(mount.join(name)).expect(name);
    }
}

#[test]
fn a_large_directory_is_listed_whole_and_every_name_is_found() {
    let out = tree::temp();
    let archive = out.path().join("large.zip");
    archives::scripted(
        &archive,
        "for i in range(30000): z.writestr(info('many/segment_%06d.ts' % i), b'%d' % i)",
    );
    let node = crate::common::fault::FaultNode::start(fs::read(&archive).expect("the archive"));
    let mount = Mount::new(node.url());
    let mut find = run::tool("find");
    let found = run(find
        .arg(mount.join("many"))
        .args(["-type", "f", "-size", "-2"]))
    .ok("find");
    assert_eq!(found.stdout.lines().count(), 30_000);
    let before = node.requests();
    for i in tree::numbers(7, 30_000, 500) {
        let name = mount.join(format!("many/segment_{i:06}.ts"));
        assert!(name.is_file(), "{}", name.display());
    }
    assert_eq!(node.requests(), before, "names cost no request");
    for i in tree::numbers(8, 30_000, 20) {
        let name = mount.join(format!("many/segment_{i:06}.ts"));
        assert_eq!(fs::read_to_string(name).expect("a file"), i.to_string());
    }
    // Listed from the middle on, as a slow reader of a directory does.
    let mut dir = fs::read_dir(mount.join("many")).expect("a directory");
    let first: Vec<_> = dir
        .by_ref()
        .take(10_000)
        .map(|e| e.expect("an entry").file_name())
        .collect();
    std::thread::sleep(std::time::Duration::from_millis(50));
    let rest: Vec<_> = dir.map(|e| e.expect("an entry").file_name()).collect();
    assert_eq!(first.len() + rest.len(), 30_000);
    assert!(rest.iter().all(|name| first.binary_search(name).is_err()));
}

#[test]
fn links_of_pkzip_are_links() {
    let out = tree::temp();
    let archive = out.path().join("links.zip");
    let item = |name: &str, data: &str, mode: u32, target: &str| {
        Item::new(name, data).with(|item| {
            item.external = mode << 16;
            item.extra = zips::extra(0x000d, &[&[0; 12], target.as_bytes()].concat());
        })
    };
    let items = [
        item("d/file", "content", 0o100_644, ""),
        item("d/soft", "", 0o120_777, "file"),
        item("hard", "", 0o100_644, "d/file"),
        item("broken", "", 0o100_644, "d/other"),
    ];
    fs::write(&archive, Zip::of(items).finish()).expect("written");
    let mount = Mount::new(&archive);
    assert_eq!(fs::read(mount.join("d/soft")).expect("read"), b"content");
    assert_eq!(
        fs::read_link(mount.join("d/soft")).expect("a link"),
        Path::new("file")
    );
    assert_eq!(fs::read(mount.join("hard")).expect("read"), b"content");
    let [hard, file] =
        ["hard", "d/file"].map(|name| fs::metadata(mount.join(name)).expect("attributes"));
    assert_eq!((hard.ino(), hard.nlink()), (file.ino(), 2));
    // Listings have the same inode.
    let listed = fs::read_dir(mount.path()).expect("a directory");
    let mut listed = listed.map(|entry| entry.expect("an entry"));
    let listed = listed.find(|entry| entry.file_name() == "hard");
    let listed = std::os::unix::fs::DirEntryExt::ino(&listed.expect("listed"));
    assert_eq!(listed, file.ino());
    let broken = fs::read(mount.join("broken")).expect_err("no target");
    assert_eq!(broken.raw_os_error(), Some(Errno::IO.raw_os_error()));
}
