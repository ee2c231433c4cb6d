//! Archives as real programs write them. `mount-scripts/test` installs the programs.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use aiozfs::archive::{Index, Kind};

use super::drive;
use crate::common::tree;

/// 2001-09-09 01:46:40 UTC.
const TIME: u64 = 1_000_000_000;

/// Runs a program of a Debian package in a directory.
fn run(dir: &Path, package: &str, program: &str, args: &[&str]) {
    let output = Command::new(program)
        .args(args)
        .current_dir(dir)
        .env("TZ", "UTC")
        .output()
        .unwrap_or_else(|e| panic!("'{program}' cannot be run ({e}): install package {package}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {errors}");
}

/// A tree with what a tree can have.
fn folder() -> tree::TempDir {
    let dir = tree::temp();
    let root = dir.path().join("in");
    fs::create_dir_all(root.join("sub/deeper")).expect("created");
    fs::create_dir(root.join("empty")).expect("created");
    let files: [(&str, Vec<u8>, u32); 5] = [
        ("sub/one.ts", b"one".repeat(1000), 0o644),
        ("sub/deeper/zwei-ü-日本.ts", b"zwei".to_vec(), 0o600),
        ("nothing", Vec::new(), 0o640),
        ("script.sh", b"#!/bin/sh\n".to_vec(), 0o755),
        ("secret", b"setuid".to_vec(), 0o4755),
    ];
    for (name, data, mode) in files {
        let path = root.join(name);
        fs::write(&path, data).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("permitted");
        let file = fs::File::open(&path).expect("there");
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(TIME);
        file.set_modified(time).expect("timed");
    }
    symlink("sub/one.ts", root.join("link")).expect("linked");
    fs::hard_link(root.join("script.sh"), root.join("same.sh")).expect("linked");
    dir
}

/// Every file of the folder is in the archive with its bytes, and nothing else is.
fn compare(root: &Path, blob: &[u8], links: bool) -> Index {
    let index = drive::index(blob, "", || 100).expect("an index");
    assert_eq!(index.hidden().1, 0, "{:?}", index.hidden().0);
    let mut expected = Vec::new();
    files_below(root, root, &mut expected);
    expected.retain(|(name, _)| links || name != "link");
    expected.sort();
    let mut found: Vec<_> = drive::tree(&index, blob)
        .into_iter()
        .map(|(path, content)| (path, content.map(|c| c.expect("readable"))))
        .collect();
    found.sort();
    let names = |list: &[(String, Option<Vec<u8>>)]| -> Vec<String> {
        list.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&found), names(&expected));
    assert!(found == expected, "contents differ");
    index
}

fn files_below(root: &Path, dir: &Path, found: &mut Vec<(String, Option<Vec<u8>>)>) {
    for entry in fs::read_dir(dir).expect("readable") {
        let path = entry.expect("an entry").path();
        let name = path
            .strip_prefix(root)
            .expect("below")
            .to_str()
            .expect("UTF-8");
        if path.is_symlink() {
            let target = fs::read_link(&path).expect("a target");
            let target = target.into_os_string().into_encoded_bytes();
            found.push((name.to_owned(), Some(target)));
        } else if path.is_dir() {
            found.push((name.to_owned(), None));
            files_below(root, &path, found);
        } else {
            found.push((name.to_owned(), Some(fs::read(&path).expect("readable"))));
        }
    }
}

/// Kind, mode and time of an entry.
fn attributes(index: &Index, name: &str) -> (Kind, Option<u16>, i64) {
    let id = index.ids().find(|id| index.path(*id) == name.as_bytes());
    let entry = index.get(id.unwrap_or_else(|| panic!("no '{name}'")));
    (entry.kind, entry.mode, entry.mtime.secs)
}

fn check_attributes(index: &Index) {
    let time = TIME as i64;
    assert_eq!(
        attributes(index, "sub/one.ts"),
        (Kind::File, Some(0o644), time)
    );
    assert_eq!(
        attributes(index, "script.sh"),
        (Kind::File, Some(0o755), time)
    );
    assert_eq!(attributes(index, "secret"), (Kind::File, Some(0o755), time));
    assert_eq!(attributes(index, "empty").0, Kind::Dir);
    let owner = index.ids().find_map(|id| index.get(id).owner);
    assert!(owner.is_some(), "it keeps owners");
}

fn check_attributes_and_link(index: &Index) {
    check_attributes(index);
    assert_eq!(attributes(index, "link").0, Kind::Symlink);
}

fn zip(args: &[&str]) -> (tree::TempDir, Vec<u8>) {
    let dir = folder();
    let args = [args, &["-q", "-0", "-r", "--symlinks", "../out.zip", "."]].concat();
    run(&dir.path().join("in"), "zip", "zip", &args);
    let blob = fs::read(dir.path().join("out.zip")).expect("an archive");
    (dir, blob)
}

#[test]
fn info_zip() {
    let (dir, blob) = zip(&[]);
    check_attributes_and_link(&compare(&dir.path().join("in"), &blob, true));
}

#[test]
fn info_zip_with_zip64_everywhere() {
    let (dir, blob) = zip(&["--force-zip64"]);
    check_attributes_and_link(&compare(&dir.path().join("in"), &blob, true));
}

#[test]
fn info_zip_to_a_pipe() {
    let dir = folder();
    let root = dir.path().join("in");
    // zip takes a link's size for unknown, and ends with an error where one is to go to a pipe.
    fs::remove_file(root.join("link")).expect("the link");
    let script = "zip -q -0 -r --symlinks - . | cat > ../out.zip";
    run(&root, "zip", "zip", &["-v"]);
    run(&root, "dash", "sh", &["-c", script]);
    let blob = fs::read(dir.path().join("out.zip")).expect("an archive");
    check_attributes(&compare(&root, &blob, true));
}

#[test]
fn info_zip_behind_a_stub() {
    let (dir, mut blob) = zip(&[]);
    blob.splice(0..0, b"#!/bin/sh\necho stub\n".iter().copied());
    compare(&dir.path().join("in"), &blob, true);
    // Once more with the offsets adjusted.
    let path = dir.path().join("stub.zip");
    fs::write(&path, &blob).expect("written");
    run(dir.path(), "zip", "zip", &["-q", "-A", "stub.zip"]);
    let adjusted = fs::read(&path).expect("an archive");
    assert_ne!(adjusted, blob);
    compare(&dir.path().join("in"), &adjusted, true);
}

#[test]
fn a_split_archive_is_refused() {
    let dir = tree::temp();
    // Parts have 64 KiB at the least.
    fs::write(dir.path().join("data"), vec![7; 200_000]).expect("written");
    run(
        dir.path(),
        "zip",
        "zip",
        &["-q", "-0", "-s", "64k", "out.zip", "data"],
    );
    for part in ["out.zip", "out.z01"] {
        let blob = fs::read(dir.path().join(part)).expect("a part");
        let error = drive::index(&blob, "", || usize::MAX).expect_err("a part");
        assert!(error.to_string().contains("split ZIP"), "{part}: {error}");
    }
}

#[test]
fn bsdtar() {
    let dir = folder();
    let args = [
        "--format",
        "zip",
        "--options",
        "zip:compression=store",
        "-cf",
        "../out.zip",
        ".",
    ];
    run(&dir.path().join("in"), "libarchive-tools", "bsdtar", &args);
    let blob = fs::read(dir.path().join("out.zip")).expect("an archive");
    check_attributes_and_link(&compare(&dir.path().join("in"), &blob, true));
}

#[test]
fn python() {
    let dir = folder();
    let script = "
import os, sys, zipfile
with zipfile.ZipFile('../out.zip', 'w') as archive:
    archive.comment = b'by Python'
    for folder, names, files in os.walk('.'):
        for name in names:
            archive.write(os.path.join(folder, name))
        for name in files:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                continue
            info = zipfile.ZipInfo.from_file(path)
            with archive.open(info, 'w', force_zip64=name != 'script.sh') as out:
                out.write(open(path, 'rb').read())
";
    run(
        &dir.path().join("in"),
        "python3",
        "python3",
        &["-c", script],
    );
    let blob = fs::read(dir.path().join("out.zip")).expect("an archive");
    let index = compare(&dir.path().join("in"), &blob, false);
    assert_eq!(index.comment(), b"by Python");
    assert_eq!(
        attributes(&index, "script.sh"),
        (Kind::File, Some(0o755), TIME as i64)
    );
}

#[test]
fn python_to_a_stream() {
    let dir = tree::temp();
    // It cannot go back, and so it writes data descriptors.
    let script = "
import sys, zipfile
class Out:
    def __init__(self): self.f = open('out.zip', 'wb')
    def write(self, b): return self.f.write(b)
    def flush(self): self.f.flush()
with zipfile.ZipFile(Out(), 'w') as archive:
    archive.writestr('a.ts', b'first')
    with archive.open('b.ts', 'w', force_zip64=True) as out:
        out.write(b'second')
    archive.writestr('c.ts', b'third')
";
    run(dir.path(), "python3", "python3", &["-c", script]);
    let blob = fs::read(dir.path().join("out.zip")).expect("an archive");
    let index = drive::index(&blob, "", || usize::MAX).expect("an index");
    let expected = [("a.ts", "first"), ("b.ts", "second"), ("c.ts", "third")];
    let found = drive::tree(&index, &blob);
    assert_eq!(found.len(), 3);
    for ((path, content), (name, data)) in found.iter().zip(expected) {
        assert_eq!((path.as_str(), content), (name, &Some(Ok(data.into()))));
    }
    // What is guessed before the local header is seen is right here.
    for id in index.ids().filter(|id| index.path(*id) != b"b.ts") {
        let check = index.header_check(id);
        let header = check.range();
        let extent = check.confirm(&blob[header.start as usize..header.end as usize]);
        assert_eq!(Ok(check.predicted()), extent);
    }
}

/// An archive in the comment of another one was passed over, and the outer one shown, where
/// Python's zipfile and unzip show the inner one: what one program checked was not what a mount
/// showed.
#[test]
fn the_last_of_two_directories_counts_as_in_python_and_unzip() {
    let dir = tree::temp();
    let script = "
import io, zipfile
def archive(name, comment=b''):
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as z:
        z.writestr(name, name.encode() * 100)
        z.comment = comment
    return out.getvalue()
one, two = archive('one'), archive('two', b'text')
with_text = b'see ' + one + b' and that is all there is to say of it'
files = {
    'one in the comment': archive('outer', one),
    'one with a comment of its own': archive('outer', two),
    'one and text in the comment': archive('outer', with_text),
    'one behind the other': one + two,
    'one behind bytes and the other': b'#!/bin/sh' + two + one,
    'a signature in the comment': archive('outer', b'PK\\5\\6'),
}
for name, blob in files.items():
    open(name + '.zip', 'wb').write(blob)
    try:
        names = zipfile.ZipFile(name + '.zip').namelist()
    except zipfile.BadZipFile:
        names = ['refused']
    open(name + '.python', 'w').write(' '.join(names))
";
    run(dir.path(), "python3", "python3", &["-c", script]);
    let mut archives = 0;
    for entry in fs::read_dir(dir.path()).expect("readable") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "zip") {
            continue;
        }
        archives += 1;
        let listing = Command::new("unzip").arg("-Z1").arg(&path).output();
        let listing = listing.expect("'unzip' cannot be run: install package unzip");
        let listing = String::from_utf8(listing.stdout).expect("UTF-8");
        let by_unzip = listing.trim();
        let by_python = fs::read_to_string(path.with_extension("python")).expect("a list");
        if by_python != "refused" {
            assert_eq!(by_python, by_unzip, "{}", path.display());
        }
        let blob = fs::read(&path).expect("an archive");
        let index = drive::index(&blob, "", || 100).expect("an index");
        let names: Vec<_> = index.ids().map(|id| index.path(id)).collect();
        let names = String::from_utf8(names.join(&b' ')).expect("UTF-8");
        assert_eq!(names, by_unzip, "{}", path.display());
        assert!(
            drive::tree(&index, &blob)
                .iter()
                .all(|(_, content)| matches!(content, Some(Ok(_))))
        );
    }
    assert_eq!(archives, 6);
}
