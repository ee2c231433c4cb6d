//! `aiozfs du` and `aiozfs tree` compared with du(1), tree(1) and the folder that was packed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{packed, printed, refused};
use crate::common::run::{self, run};
use crate::common::{archives, tree};

fn folder() -> tree::TempDir {
    let source = tree::temp();
    for (name, size) in [
        ("a/b/deep", 5000),
        ("a/x", 70_000),
        ("a/y", 1),
        ("c/z", 1 << 20),
        ("top", 12),
    ] {
        tree::write(source.path(), name, &vec![b'x'; size]);
    }
    source
}

/// Lines of du(1) as path and bytes. It counts directories, too; what they take is subtracted.
fn gnu(folder: &Path, args: &[&str]) -> BTreeMap<String, u64> {
    let du = |inodes: &[&str]| {
        let mut du = run::tool("du");
        du.current_dir(folder).args(args).args(inodes);
        let lines = run(&mut du).ok("du").stdout;
        let lines = lines.lines().map(|line| {
            let (size, path) = line.split_once('\t').expect("two columns");
            let path = path.strip_prefix("./").unwrap_or(path);
            (path.to_owned(), size.parse::<u64>().expect("a size"))
        });
        lines.collect::<BTreeMap<_, _>>()
    };
    let all = du(&["-b"]);
    let directories = |path: &str| {
        let mut find = run::tool("find");
        find.current_dir(folder)
            .args([path, "-type", "d", "-printf", "%s\\n"]);
        let sizes = run(&mut find).ok("find").stdout;
        sizes
            .lines()
            .map(|size| size.parse::<u64>().expect("a size"))
            .sum::<u64>()
    };
    all.into_iter()
        .map(|(path, size)| {
            let own = directories(&path);
            (path, size - own)
        })
        .collect()
}

#[test]
fn sizes_are_those_of_du() {
    let source = folder();
    let (_out, archive) = packed(source.path(), archives::info_zip);
    for args in [
        &[][..],
        &["-s"],
        &["-a"],
        &["-d", "1"],
        &["-d", "0"],
        &["-a", "-d", "1"],
    ] {
        let listed = printed(&[&["du", &archive][..], args].concat());
        let listed = String::from_utf8(listed).expect("UTF-8");
        let ours: BTreeMap<String, u64> = listed
            .lines()
            .map(|line| {
                let fields: Vec<_> = line.split('\t').collect();
                assert_eq!(fields[0], fields[1], "stored: {line}");
                (fields[2].to_owned(), fields[0].parse().expect("a size"))
            })
            .collect();
        assert_eq!(ours, gnu(source.path(), args), "{args:?}");
    }
    let human = String::from_utf8(printed(&["du", "-h", &archive, "c", "a/[xy]"])).expect("UTF-8");
    assert_eq!(human, "1.0M\t1.0M\tc\n69K\t69K\ta/x\n1\t1\ta/y\n");
    let said = refused(&["du", &archive, "none*"]);
    assert!(said.contains("has no 'none*'"), "{said}");
}

#[test]
fn compressed_files_take_less_in_the_archive() {
    let source = folder();
    let out = tree::temp();
    let archive = out.path().join("a.zip");
    let mut zip = run::tool("zip");
    run(zip
        .current_dir(&source)
        .args(["-q", "-r"])
        .arg(&archive)
        .arg("."))
    .ok("zip");
    let json = printed(&["du", "-s", "--json", archive.to_str().expect("plain")]);
    let rows: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    let row = &rows[0];
    assert_eq!(
        (&row["path"], &row["files"]),
        (&".".into(), &5.into()),
        "{rows}"
    );
    assert!(
        row["stored"].as_u64() < row["size"].as_u64().map(|size| size / 50),
        "{rows}"
    );
}

#[test]
fn the_tree_is_that_of_tree() {
    let source = folder();
    let (_out, archive) = packed(source.path(), archives::info_zip);
    let theirs = |args: &[&str]| {
        let mut command = run::tool("tree");
        command.current_dir(&source).env("LC_ALL", "C.UTF-8");
        let said = run(command.args(["-a", "-F", "--noreport"]).args(args))
            .ok("tree")
            .stdout;
        let lines = said.trim_end().lines().skip(1);
        // With -d, it marks nothing.
        let slash = if args.contains(&"-d") { "/" } else { "" };
        lines
            .map(|line| format!("{}{slash}", line.replace('\u{a0}', " ")))
            .collect::<Vec<_>>()
    };
    for (args, count) in [
        (&[][..], "3 directories, 5 files"),
        (&["-L", "1"], "2 directories, 1 file"),
        (&["-L", "2"], "3 directories, 4 files"),
        (&["-d"], "3 directories"),
    ] {
        let drawn = printed(&[&["tree", &archive][..], args].concat());
        let drawn = String::from_utf8(drawn).expect("UTF-8");
        let mut lines: Vec<_> = drawn.lines().map(str::to_owned).collect();
        assert_eq!(lines.pop().as_deref(), Some(count), "{args:?}");
        assert_eq!(lines.pop().as_deref(), Some(""));
        assert_eq!(lines.remove(0), ".");
        assert_eq!(lines, theirs(args), "{args:?}");
    }
}

#[test]
fn the_json_is_that_of_tree() {
    let source = folder();
    let (_out, archive) = packed(source.path(), archives::info_zip);
    let mut theirs = run::tool("tree");
    theirs
        .current_dir(&source)
        .env("LC_ALL", "C.UTF-8")
        .args(["-a", "-J"]);
    let theirs = run(&mut theirs).ok("tree").stdout;
    let theirs: serde_json::Value = serde_json::from_str(&theirs).expect("JSON of tree(1)");
    let ours: serde_json::Value =
        serde_json::from_slice(&printed(&["tree", "--json", &archive])).expect("JSON");
    assert_eq!(ours[0], theirs[0]);
    // Versions of tree(1) differ in whether they count the first directory.
    assert_eq!(
        ours[1].to_string(),
        r#"{"directories":3,"files":5,"type":"report"}"#
    );
    let below: serde_json::Value =
        serde_json::from_slice(&printed(&["tree", "--json", &archive, "a/b"])).expect("JSON");
    assert_eq!(below[0]["name"], "a/b");
}

/// 1,500 directories within each other, as deep as a path can be that a mount shows.
#[test]
fn a_deep_path_is_walked() {
    let (out, depth) = (tree::temp(), 1_500);
    let name = [&b"d/".repeat(depth)[..], b"f"].concat();
    let item = crate::common::zips::Item::new(&name, "x");
    let archive = out.path().join("a.zip");
    fs::write(&archive, crate::common::zips::Zip::of([item]).finish()).expect("an archive");
    let archive = archive.to_str().expect("plain");
    assert_eq!(printed(&["du", "-s", archive]), b"1\t1\t.\n");
    let counted = printed(&["tree", "-L", "3", archive]);
    assert!(counted.ends_with(b"3 directories, 0 files\n"));
}
