//! Paths within an archive: resolved as the kernel resolves them in a mount, or refused with a message.

use std::fs;
use std::os::unix::fs::symlink;

use super::{packed, printed, refused};
use crate::common::run::{self, run};
use crate::common::{archives, tree};

#[test]
fn symbolic_links_inside_the_archive_are_followed() {
    let source = tree::temp();
    let root = source.path();
    tree::write(root, "dir/sub/file", b"content");
    tree::write(root, "top", b"of the top");
    for (target, link) in [
        ("dir/sub/file", "direct"),
        ("direct", "twice"),
        ("dir/sub", "folder"),
        ("../../top", "dir/sub/up"),
        ("round", "about"),
        ("about", "round"),
        ("/etc/passwd", "absolute"),
        ("../../etc/passwd", "outside"),
        ("nowhere", "dangling"),
    ] {
        symlink(target, root.join(link)).expect("a link");
    }
    let (_out, archive) = packed(root, archives::info_zip);
    for path in [
        "direct",
        "twice",
        "folder/file",
        "dir/../folder/file",
        "./dir//sub/file",
    ] {
        assert_eq!(printed(&["cat", &archive, path]), b"content", "{path}");
    }
    for path in ["dir/sub/up", "folder/up", "folder/../../top"] {
        assert_eq!(printed(&["cat", &archive, path]), b"of the top", "{path}");
    }
    assert_eq!(printed(&["ls", &archive, "folder"]), b"file\nup\n");
    for link in ["direct", "dangling", "about"] {
        let line = format!("{link}\n");
        assert_eq!(printed(&["ls", &archive, link]), line.as_bytes());
    }
    // With -l it is the link itself that is of interest.
    let long = printed(&["ls", "-l", &archive, "folder"]);
    assert!(long.ends_with(b"folder -> dir/sub\n"));
    for (path, words) in [
        ("about", &["about", "40 symbolic links"][..]),
        (
            "absolute",
            &["absolute", "/etc/passwd", "out of the archive"],
        ),
        (
            "outside",
            &["outside", "../../etc/passwd", "out of the archive"],
        ),
        ("dangling", &["has no dangling"]),
    ] {
        let said = refused(&["cat", &archive, path]);
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
}

#[test]
fn a_missing_path_is_an_error_before_any_output() {
    let (source, out) = (tree::temp(), tree::temp());
    let archive = out.path().join("mixed.zip");
    archives::mixed(source.path(), &archive);
    fs::remove_file(source.path().join("stored.txt")).expect("a file");
    let folder = tree::temp();
    tree::write(folder.path(), "dir/file", b"x");
    let mut zip = run::tool("zip");
    run(zip
        .current_dir(&folder)
        .args(["-q", "-0", "-r"])
        .arg(&archive)
        .arg("."))
    .ok("zip");
    let archive = archive.to_str().expect("plain");
    for (path, words) in [
        ("none", &["has no none", "aiozfs ls -R"][..]),
        ("dir/none", &["has no dir/none"]),
        ("../etc/passwd", &["has no ../etc/passwd"]),
        ("esc\x1b[31m\n", &["has no 'esc'$'\\033''[31m'$'\\n'"]),
        ("dir", &["dir is a directory", "aiozfs ls"]),
        ("", &["is a directory"]),
        ("stored.txt/x", &["stored.txt is a file", "nothing below"]),
        (
            "encrypted.txt",
            &["encrypted.txt: it is encrypted", "--password-file"],
        ),
    ] {
        // The good one before it is not printed either.
        let said = refused(&["cat", archive, "stored.txt", path]);
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
    let said = refused(&["ls", archive, "none"]);
    assert!(said.contains("has no none"), "{said}");
}

#[test]
fn archives_have_names_in_the_configuration() {
    let source = tree::sample();
    let (out, archive) = packed(source.path(), archives::zipfile);
    let config = out.path().join("aiozfs");
    fs::create_dir(&config).expect("a directory");
    let text = format!("[archive.holiday]\nsource = '{archive}'\n");
    fs::write(config.join("config.toml"), text).expect("a file");
    let with = |args: &[&str]| {
        let mut command = run::aiozfs();
        run(command.env("XDG_CONFIG_HOME", out.path()).args(args)).ok("aiozfs")
    };
    assert!(
        with(&["ls", "holiday", "dir"])
            .stdout
            .contains("seg_0000.ts")
    );
    let expected = fs::read(source.path().join("hello.txt")).expect("a file");
    let got = with(&["cat", "holiday", "hello.txt"]).stdout;
    assert_eq!(got, String::from_utf8_lossy(&expected));
}
