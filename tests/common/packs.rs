//! Folders to pack, and the archives made of them.

use std::fs;
use std::fs::File;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::run::{Finished, aiozfs, python, run, tool};
use super::tree;

/// A folder of all sorts: playlists, links, an empty folder, names that need care.
pub fn folder() -> tree::TempDir {
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

pub fn pack(folder: &Path, out: &Path, more: &[&str]) -> Finished {
    let mut command = aiozfs();
    command.arg("pack").args(more).arg(folder).arg(out);
    run(&mut command)
}

/// Names in the order of the archive, by Python's zipfile.
pub fn names(archive: &Path) -> Vec<String> {
    let program = "import sys, zipfile\nfor i in sorted(zipfile.ZipFile(sys.argv[1]).infolist(), key=lambda i: i.header_offset): print(i.filename)";
    python(program, &[archive])
        .stdout
        .lines()
        .map(str::to_owned)
        .collect()
}

pub fn entry(archive: &Path, name: &str) -> String {
    run(tool("unzip").arg("-p").arg(archive).arg(name))
        .ok("unzip -p")
        .stdout
}

pub fn linked(archive: &[u8], link: &str) -> Vec<u8> {
    let (_, range) = link.split_once("?range=").expect("a range link");
    let (offset, size) = range.split_once(',').expect("two numbers");
    let (offset, size): (usize, usize) = (
        offset.parse().expect("a number"),
        size.parse().expect("a number"),
    );
    archive[offset..offset + size].to_vec()
}
