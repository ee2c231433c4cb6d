//! What commands print with `--json` has the keys that doc/JSON.md describes, and no others.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::common::fault::FaultNode;
use crate::common::mount::Mount;
use crate::common::run::{self, run};
use crate::common::zips::{Item, Zip};
use crate::common::{packs, tree};

/// The examples below a heading of doc/JSON.md.
fn documented(command: &str) -> Vec<Value> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/doc/JSON.md");
    let page = fs::read_to_string(page).expect("the page");
    let sections = page.split("\n## ").skip(1);
    let section = sections
        .filter_map(|section| section.split_once('\n'))
        .find(|(name, _)| *name == command);
    let (_, section) = section.unwrap_or_else(|| panic!("doc/JSON.md has no section {command}"));
    let examples = section.split("```json\n").skip(1);
    let examples = examples.map(|text| text.split("```").next().expect("an end"));
    let parsed = examples.map(|text| serde_json::from_str(text).expect("JSON in the page"));
    parsed.collect()
}

/// Fails if `value` has a key that `example` lacks, or a value of another type.
fn assert_described(command: &str, at: &str, value: &Value, example: &Value) {
    match (value, example) {
        (Value::Object(fields), Value::Object(known)) => {
            for (key, field) in fields {
                // The keys of this one are names.
                let known = if at.ends_with(".methods") || at.ends_with(".failures") {
                    known.values().next()
                } else {
                    known.get(key)
                };
                let known =
                    known.unwrap_or_else(|| panic!("{command}: {at}.{key} is not in doc/JSON.md"));
                assert_described(command, &format!("{at}.{key}"), field, known);
            }
        }
        (Value::Array(items), Value::Array(known)) => {
            for item in items {
                let known: &Value = match &known[..] {
                    [one] => one,
                    // Elements of several kinds are told apart by their type.
                    several => several
                        .iter()
                        .find(|known| item["type"] == known["type"])
                        .or_else(|| several.first())
                        .expect("an element"),
                };
                // A tree has trees in it.
                let known = if at.ends_with(".contents") {
                    &documented("tree")[0][0]
                } else {
                    known
                };
                assert_described(command, &format!("{at}[]"), item, known);
            }
        }
        (Value::Null, _) => {}
        (value, example) => {
            let same = std::mem::discriminant(value) == std::mem::discriminant(example);
            assert!(same, "{command}: {at} is {value}, unlike {example}");
        }
    }
}

/// Fails if `text` is not as the example of this number of a command, without the `missing` keys.
fn check(command: &str, number: usize, text: &str, missing: &[&str]) {
    let value: Value =
        serde_json::from_str(text).unwrap_or_else(|e| panic!("{command}: {e}: {text}"));
    let example = &documented(command)[number];
    assert_described(command, "", &value, example);
    // And nothing is described that does not exist.
    let (value, example) = match (&value, example) {
        (Value::Array(values), Value::Array(examples)) => (&values[0], &examples[0]),
        pair => pair,
    };
    for key in example.as_object().expect("an object").keys() {
        let is_there = value.get(key).is_some();
        let is_missing = missing.contains(&&key[..]);
        assert_ne!(is_there, is_missing, "{command}: '{key}' in {text}");
    }
}

#[test]
fn what_is_printed_of_an_archive_is_documented() {
    let out = tree::temp();
    let archive = out.path().join("a.zip");
    let link = Item::new("link", "d/x").with(|item| item.external = 0o120_777 << 16);
    let beyond = Item::new("beyond", "data").with(|item| item.sizes = (1 << 30, 1 << 30));
    let items = [
        Item::new("d/x", "content"),
        link,
        Item::new("../out", "x"),
        beyond,
    ];
    fs::write(&archive, Zip::of(items).finish()).expect("an archive");
    let archive = archive.to_str().expect("a plain path");
    let said = |args: &[&str], code: i32| {
        let mut command = run::aiozfs();
        let done = run(command.args(args).arg("--json").current_dir(out.path()));
        assert_eq!(done.code(), Some(code), "{args:?}: {}", done.stderr);
        done.stdout
    };
    let optional = ["path_hex", "uid", "gid", "encryption", "target_hex"];
    let of_file = [&optional[..], &["problem", "target"]].concat();
    check("ls", 0, &said(&["ls", "-l", archive, "d"], 0), &of_file);
    let of_link = [&optional[..], &["problem"]].concat();
    check("ls", 0, &said(&["ls", "-l", archive, "link"], 0), &of_link);
    let of_damaged = [&optional[..], &["target"]].concat();
    check(
        "ls",
        0,
        &said(&["ls", "-l", archive, "beyond"], 0),
        &of_damaged,
    );
    check("tree", 0, &said(&["tree", archive], 0), &["name_hex"]);
    check("du", 0, &said(&["du", archive], 0), &["path_hex"]);
    let of_info = ["comment_hex", "problem"];
    check("info", 0, &said(&["info", archive], 0), &of_info);
    check("verify", 0, &said(&["verify", archive], 1), &[]);
    check(
        "extract",
        0,
        &said(&["extract", archive, "-C", "into"], 1),
        &[],
    );
    check("cid", 0, &said(&["cid", archive], 0), &[]);
    let index = said(&["index", archive, "-o", "a.index"], 0);
    check("index", 0, &index, &[]);
}

#[test]
fn what_is_printed_of_servers_and_the_cache_is_documented() {
    let out = tree::temp();
    let content = tree::bytes(1, 3 << 20);
    let node = FaultNode::start(Zip::of([Item::new("film", &content)]).finish());
    let said = |args: &[&str]| {
        let mut command = run::aiozfs();
        command
            .env(run::CACHE_SIZE, "64M")
            .env("AIOZFS_CACHE_DIR", out.path());
        let done = run(command.args(args).arg("--json"));
        assert_eq!(done.code(), Some(0), "{args:?}: {}", done.stderr);
        done.stdout
    };
    let url = node.url();
    check("fetch", 0, &said(&["fetch", &url]), &[]);
    check("fetch", 1, &said(&["fetch", "--index", &url]), &[]);
    check("cache", 0, &said(&["cache"]), &[]);
    check("cache", 0, &said(&["cache", "pin", &url]), &[]);
    for (args, keys) in [
        (&["cache", "verify"][..], &["damaged", "good"][..]),
        (&["cache", "prune"], &["freed"]),
        (&["cache", "rm", &url], &["freed"]),
    ] {
        let value: Value = serde_json::from_str(&said(args)).expect("JSON");
        let found: Vec<_> = value.as_object().expect("an object").keys().collect();
        assert_eq!(found, keys, "{args:?}");
    }
    let mut gateways = run::aiozfs();
    gateways.args(["gateways", "--json", "--gateway", &node.base()]);
    let done = run(&mut gateways);
    check(
        "gateways",
        0,
        &done.stdout,
        &["ranges", "latency_ms", "bytes_per_second"],
    );
}

#[test]
fn what_is_printed_of_folders_and_nodes_is_documented() {
    let (folder, out) = (packs::folder(), tree::temp());
    let archive = out.path().join("a.zip");
    let mut pack = run::aiozfs();
    pack.args(["pack", "--json"])
        .arg(folder.path())
        .arg(&archive);
    check("pack", 0, &run(&mut pack).ok("pack").stdout, &["layout"]);
    let planned = run(pack.arg("--dry-run")).ok("pack").stdout;
    check("pack", 0, &planned, &["cid"]);

    let mut serve = run::aiozfs();
    serve
        .args(["serve", "--json", "--listen", "127.0.0.1:0"])
        .arg(&archive);
    serve.env("AIOZFS_CACHE_DIR", out.path());
    serve.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut node = serve.spawn().expect("aiozfs");
    let mut line = String::new();
    let said = BufReader::new(node.stdout.take().expect("a pipe")).read_line(&mut line);
    node.kill().expect("a child");
    node.wait().expect("a child");
    said.expect("a line");
    check("serve", 0, &line, &[]);
}

#[test]
fn what_is_printed_of_mounts_is_documented() {
    let out = tree::temp();
    let archive = out.path().join("a.zip");
    fs::write(&archive, Zip::of([Item::new("f", "content")]).finish()).expect("an archive");
    let mount = Mount::new(&archive);
    let root = mount.path().to_str().expect("a plain path").to_owned();
    let said = |args: &[&str]| {
        run(run::aiozfs().args(args).arg("--json"))
            .ok(args[0])
            .stdout
    };
    let status = said(&["status", &root]);
    let of_library = ["archives", "archives_open", "library"];
    let missing = [&["cid", "url", "cache"][..], &of_library].concat();
    check("status", 0, &status, &missing);
    let mounts: Value = serde_json::from_str(&said(&["mounts"])).expect("JSON");
    let ours = mounts.as_array().expect("an array").iter();
    let ours: Vec<_> = ours
        .filter(|mount| mount["mountpoint"] == root[..])
        .collect();
    check(
        "mounts",
        0,
        &Value::from_iter(ours.into_iter().cloned()).to_string(),
        &["mountpoint_hex"],
    );
    let list = out.path().join("list");
    fs::write(&list, "a\ta.zip\n").expect("a list");
    let library = Mount::library(&["--library", list.to_str().expect("a plain path")]);
    let at = library.path().to_str().expect("a plain path");
    check("reload", 0, &said(&["reload", at]), &[]);
    library.end();
    let held = fs::File::open(mount.path().join("f")).expect("a file");
    let told = said(&["umount", &root]);
    drop(held);
    check("umount", 0, &told, &[]);
    assert!(
        told.contains(&format!("\"pid\":{}", std::process::id())),
        "{told}"
    );
}
