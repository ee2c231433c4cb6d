//! `aiozfs fetch` and `aiozfs cache`, by the real binary.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::fault::{Behaviour, FaultNode};
use crate::common::gateways::import;
use crate::common::mount::Mount;
use crate::common::run::{self, Finished};
use crate::common::tree::TempDir;
use crate::common::{archives, tree};

/// An archive of `a/0.bin` to `a/3.bin`, `b/0.bin` to `b/3.bin` behind a node, and a cache.
struct House {
    folder: TempDir,
    cache: TempDir,
    node: FaultNode,
    cid: String,
    size: u64,
}

const LEN: usize = 1_500_000;

impl House {
    fn new() -> Self {
        Self::of_files(LEN)
    }

    /// Files of this length.
    fn of_files(len: usize) -> Self {
        let folder = tree::temp();
        let root = folder.path().join("root");
        for (seed, name) in ["a", "b"].into_iter().enumerate() {
            for at in 0..4 {
                let bytes = tree::bytes((seed * 4 + at) as u64, len);
                tree::write(&root, &format!("{name}/{at}.bin"), &bytes);
            }
        }
        let archive = folder.path().join("archive.zip");
        archives::zipfile(&root, &archive);
        let blob = fs::read(&archive).expect("the archive");
        let (size, (cid, blocks)) = (blob.len() as u64, import(&blob));
        Self {
            folder,
            cache: tree::temp(),
            node: FaultNode::with_blocks(blob, blocks),
            cid: cid.to_string(),
            size,
        }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn aiozfs(&self, args: &[&str]) -> Finished {
        let mut command = run::aiozfs();
        command.env("AIOZFS_CACHE_DIR", self.cache.path());
        command.env_remove(run::CACHE_SIZE);
        command.env("AIOZFS_GATEWAYS", self.node.base());
        run::run(command.args(args))
    }

    fn fetch(&self, args: &[&str]) -> Finished {
        self.aiozfs(&[&["fetch", "--verify", "trustless", &self.cid], args].concat())
    }

    fn listed(&self) -> serde_json::Value {
        let done = self.aiozfs(&["cache", "ls", "--json"]).ok("cache ls");
        serde_json::from_str(&done.stdout).expect("JSON")
    }

    /// A mount that asks nobody.
    fn offline(&self) -> Mount {
        let dir = self.cache.path().to_str().expect("a plain path");
        let args = ["--offline", "--verify", "trustless", "--cache-dir", dir];
        Mount::with(&self.cid, &args)
    }
}

#[test]
fn fetched_bytes_are_readable_offline_and_not_evicted() {
    let house = House::new();
    let done = house.fetch(&[]).ok("fetch");
    assert!(done.stdout.contains("pinned"), "{}", done.stdout);
    let sent = house.node.sent();
    assert!(
        sent < house.size + house.size / 10,
        "{sent} of {}",
        house.size
    );
    let mount = house.offline();
    tree::assert_same("offline", &house.root(), mount.path());
    mount.end();

    // Again: nothing is asked for.
    let requests = house.node.requests();
    let done = house.fetch(&[]).ok("fetch again");
    assert!(done.stdout.contains("0 B fetched"), "{}", done.stdout);
    assert_eq!(house.node.requests(), requests);

    let listed = house.listed();
    let blob = &listed["blobs"][0];
    assert_eq!(blob["name"], house.cid.as_str());
    assert_eq!(
        (&blob["kind"], &blob["size"]),
        (&"cid".into(), &house.size.into())
    );
    assert_eq!(blob["pinned"], house.size);
    assert!(blob["hits"].as_u64().expect("a number") > 0);
    let table = house.aiozfs(&["cache"]).ok("cache").stdout;
    assert!(
        table.contains(&house.cid) && table.contains("all"),
        "{table}"
    );

    // Pinned, it is not pruned; unpinned, it is.
    house.aiozfs(&["cache", "prune"]).ok("prune");
    assert_eq!(house.listed()["blobs"][0]["pinned"], house.size);
    tree::assert_same("pruned", &house.root(), house.offline().path());
    house.aiozfs(&["cache", "unpin", &house.cid]).ok("unpin");
    house.aiozfs(&["cache", "prune"]).ok("prune");
    assert_eq!(house.listed()["blobs"], serde_json::json!([]));
    let gone = house.fetch(&["--offline"]);
    assert_eq!(gone.code(), Some(1));
    assert!(gone.stderr.contains("not in the cache"), "{}", gone.stderr);
}

/// An archive of one block comes whole with its CID, and no range of it is read. The cache kept nothing of it, and
/// `fetch` said that the disk was full.
#[test]
fn an_archive_of_one_block_is_fetched() {
    let house = House::of_files(10_000);
    assert!(house.size < 1 << 20);
    house.fetch(&[]).ok("fetch");
    let listed = &house.listed()["blobs"][0];
    assert_eq!(listed["size"], house.size, "{listed}");
    house.node.die();
    house.fetch(&[]).ok("fetch again");
    let mount = house.offline();
    tree::assert_same("offline", &house.root(), mount.path());
}

#[test]
fn some_files_are_fetched_by_path_and_pattern() {
    let house = House::new();
    house.fetch(&["a/1.bin", "b/[23]*"]).ok("fetch");
    assert!(house.node.sent() < 6 * LEN as u64, "{}", house.node.sent());
    let mount = house.offline();
    for name in ["a/1.bin", "b/2.bin", "b/3.bin"] {
        let got = fs::read(mount.join(name)).expect("it was fetched");
        assert!(
            got == fs::read(house.root().join(name)).expect("the file"),
            "{name}"
        );
    }
    let missing = fs::read(mount.join("a/3.bin")).expect_err("it was not fetched");
    assert_eq!(missing.raw_os_error(), Some(101), "ENETUNREACH");
    let unknown = house.fetch(&["a/9.bin"]);
    assert_eq!(unknown.code(), Some(1));
    assert!(
        unknown.stderr.contains("no 'a/9.bin'"),
        "{}",
        unknown.stderr
    );
}

/// Cut off in the middle, it goes on where it was.
#[test]
fn an_interrupted_fetch_resumes() {
    let house = House::new();
    house.node.behave(Behaviour::Cut(700_000));
    let first = house.fetch(&["--timeout", "2s"]);
    house.node.behave(Behaviour::Status(500, None));
    let failed = house.fetch(&["--timeout", "1s"]);
    assert!(first.status.success() || failed.code() == Some(1));
    house.node.behave(Behaviour::Good);
    house.fetch(&[]).ok("fetch");
    let sent = house.node.sent();
    assert!(sent < house.size * 3 / 2, "{sent} of {}", house.size);
    tree::assert_same("offline", &house.root(), house.offline().path());
}

#[test]
fn a_url_is_fetched_and_mounted_without_a_network() {
    let house = House::new();
    let url = house.node.url();
    house.aiozfs(&["fetch", &url]).ok("fetch");
    let dir = house.cache.path().to_str().expect("a plain path");
    let mount = Mount::with(&url, &["--offline", "--cache-dir", dir]);
    tree::assert_same("offline", &house.root(), mount.path());
    assert_eq!(house.listed()["blobs"][0]["name"], url);
    house.aiozfs(&["cache", "rm", &url]).ok("rm");
    assert_eq!(house.listed()["blobs"], serde_json::json!([]));
}

/// With `--offline`, a command asked the gateways after all: why the archive could not be opened.
#[test]
fn offline_asks_no_server_why_an_archive_is_missing() {
    let house = House::new();
    let (url, there) = (house.node.url(), house.folder.path().join("mounted"));
    fs::create_dir(&there).expect("a directory");
    let there = there.to_str().expect("a plain path");
    let commands: [&[&str]; 5] = [
        &["ls", "--verify", "trustless", &house.cid],
        &["ls", "--verify", "crc", &house.cid],
        &["ls", &url],
        &["cat", &house.cid, "a/0.bin"],
        &["mount", &house.cid, there],
    ];
    for command in commands {
        let done = house.aiozfs(&[command, &["--offline"]].concat());
        assert_eq!(done.code(), Some(1), "{command:?}: {}", done.stderr);
        let said = ["not in the cache", "aiozfs fetch", "--offline"];
        let is_said = said.iter().all(|text| done.stderr.contains(text));
        assert!(is_said, "{command:?}: {}", done.stderr);
    }
    assert_eq!(house.node.requests(), 0);
}

/// More than there is room for is refused before anything is fetched.
#[test]
fn a_fetch_larger_than_the_cache_is_refused() {
    let house = House::new();
    let done = house.fetch(&["--cache-size", "5M"]);
    assert_eq!(done.code(), Some(1));
    assert!(done.stderr.contains("--cache-size"), "{}", done.stderr);
    house
        .fetch(&["--cache-size", "5M", "a/0.bin"])
        .ok("one file");
    let off = house.fetch(&["--cache-size", "0"]);
    assert_eq!(off.code(), Some(1));
    let file = house.aiozfs(&[
        "fetch",
        house
            .folder
            .path()
            .join("archive.zip")
            .to_str()
            .expect("plain"),
    ]);
    assert_eq!(file.code(), Some(2));
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory").flatten() {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()))
        } else {
            found.push(entry.path())
        }
    }
    found
}

/// In a verified mount, a stream that went from a file to one that is not its neighbour
/// requested the same leaf without end, if that leaf went on behind the file. The reads below then hung.
#[test]
fn cache_verify_removes_damaged_blocks() {
    let house = House::new();
    house.fetch(&[]).ok("fetch");
    house.aiozfs(&["cache", "verify"]).ok("all is well");
    let all = files(&house.cache.path().join("v1/blobs"));
    let of = |part: &'static str| {
        all.iter()
            .filter(move |path| path.to_string_lossy().contains(part))
    };
    let damaged: Vec<_> = [
        of("/data/").take(2),
        of("/nodes/").take(1),
        of("index").take(1),
    ]
    .into_iter()
    .flatten()
    .collect();
    assert_eq!(damaged.len(), 4, "{all:?}");
    for path in &damaged {
        let mut bytes = fs::read(path).expect("a file");
        let at = bytes.len() / 2;
        bytes[at] ^= 2;
        fs::write(path, bytes).expect("damaged");
    }
    let done = house.aiozfs(&["cache", "verify", "--json", &house.cid]);
    assert_eq!(done.code(), Some(1), "{}", done.stderr);
    let said: serde_json::Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!(said["damaged"], 4, "{said}");
    assert!(damaged.iter().all(|path| !path.exists()));
    house.aiozfs(&["cache", "verify"]).ok("the rest is well");
    house.fetch(&[]).ok("fetch");
    tree::assert_same("offline", &house.root(), house.offline().path());
}

#[test]
fn pin_unpin_and_rm_need_a_cached_blob() {
    let house = House::new();
    house.fetch(&["a/0.bin"]).ok("fetch");
    for action in ["pin", "unpin", "rm"] {
        let done = house.aiozfs(&["cache", action, "http://127.0.0.1/other.zip"]);
        assert_eq!(done.code(), Some(1), "{action}");
        assert!(done.stderr.contains("aiozfs cache"), "{}", done.stderr);
    }
    let id = house.listed()["blobs"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    house.aiozfs(&["cache", "pin", &id[..8]]).ok("by its id");
    assert_eq!(house.listed()["blobs"][0]["pinned"], house.size);
    house
        .aiozfs(&["cache", "prune", "--unused", "1h"])
        .ok("prune");
    house.aiozfs(&["cache", "unpin", &id[..8]]).ok("unpin");
    house
        .aiozfs(&["cache", "prune", "--unused", "1h"])
        .ok("prune");
    assert_ne!(
        house.listed()["blobs"],
        serde_json::json!([]),
        "it was just used"
    );
}

/// A misspelt `--cache-dir` made a second, empty cache, and `aiozfs cache` said that nothing was in it.
#[test]
fn commands_that_only_look_create_no_cache() {
    let home = tree::temp();
    let typo = home.path().join("typo");
    let typo_text = typo.to_str().expect("a plain path");
    for args in [
        &["cache"][..],
        &["cache", "ls", "--json"],
        &["cache", "prune"],
        &["cache", "verify"],
        &["cache", "pin", "bafybei"],
        &["cache", "unpin", "bafybei"],
        &["cache", "rm", "bafybei"],
    ] {
        let mut command = run::aiozfs();
        let done = run::run(command.args(args).args(["--cache-dir", typo_text]));
        assert_eq!(done.code(), Some(1), "{args:?}");
        let expected = format!("aiozfs: there is no cache in {typo_text}\n");
        assert_eq!(done.stderr, expected, "{args:?}");
        // In the usual place, it may not have been used yet.
        let mut command = run::aiozfs();
        let done = run::run(command.args(args).env("HOME", home.path()));
        let is_missed = args.last() == Some(&"bafybei");
        assert_eq!(done.code(), Some(i32::from(is_missed)), "{args:?}");
        assert!(done.stderr.contains("there is no cache in"), "{args:?}");
        assert_eq!(
            args.contains(&"--json"),
            done.stdout.contains("\"blobs\":[]")
        );
    }
    let mut offline = run::aiozfs();
    offline.args([
        "ls",
        "--offline",
        "--cache-size=1G",
        "--cache-dir",
        typo_text,
    ]);
    let done = run::run(offline.arg("http://127.0.0.1:9/a.zip"));
    assert!(
        done.stderr
            .contains(&format!("there is none in {typo_text}")),
        "{}",
        done.stderr
    );
    assert_eq!(tree::names(home.path()), Vec::<PathBuf>::new());
}

/// A directory that could not be searched was taken for one without a cache, so that `aiozfs cache` ended with 0.
#[test]
fn a_place_where_no_cache_can_be_is_an_error_with_the_remedy() {
    let home = tree::temp();
    std::fs::write(home.path().join(".cache"), "").expect("a file");
    let place = home.path().join(".cache/aiozfs");
    let place = place.to_str().expect("a plain path");
    let said = |args: &[&str]| {
        let mut command = run::aiozfs();
        let done = run::run(command.args(args).env("HOME", home.path()));
        assert_eq!(done.code(), Some(1), "{args:?}: {}", done.stderr);
        done.stderr
    };
    for args in [&["cache"][..], &["cache", "pin", "bafybei"]] {
        let expected = format!(
            "aiozfs: {place}: Not a directory (os error 20); give another with --cache-dir\n"
        );
        assert_eq!(said(args), expected, "{args:?}");
    }
    let offline = said(&["ls", "--offline", "--cache-size=1G", "http://127.0.0.1:9/"]);
    assert!(
        offline.contains(&format!("{place} is not used")),
        "{offline}"
    );
}
