//! `aiozfs verify`: it reports the place and the reason of all damage, and nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::fault::{Behaviour, FaultNode};
use crate::common::forger::{Forge, Forger};
use crate::common::gateways::Content;
use crate::common::node::Node;
use crate::common::run::Finished;
use crate::common::tree::TempDir;
use crate::common::{archives, run, tree};
use aiozfs::content::{Cid, Codec, Version};

const LEAF: usize = 16 << 10;

/// An archive with a folder, a large file and a small one.
struct Packed {
    dir: TempDir,
    path: PathBuf,
    bytes: Vec<u8>,
    large: Vec<u8>,
}

impl Packed {
    fn new() -> Self {
        let (source, dir) = (tree::temp(), tree::temp());
        let large = tree::bytes(1, 3_000_011);
        tree::write(source.path(), "a/large.bin", &large);
        tree::write(source.path(), "a/small.txt", b"small");
        tree::write(source.path(), "b.bin", &tree::bytes(2, 100_000));
        tree::write(source.path(), "empty", b"");
        let path = dir.path().join("archive.zip");
        archives::zipfile(source.path(), &path);
        let bytes = fs::read(&path).expect("the archive");
        Self {
            dir,
            path,
            bytes,
            large,
        }
    }

    /// Where in the archive a byte of the large file lies.
    fn place(&self, at: usize) -> usize {
        let mut windows = self.bytes.windows(64);
        let start = windows.position(|window| window == &self.large[..64]);
        start.expect("the large file") + at
    }

    fn damaged(&self, at: usize) -> PathBuf {
        let mut bytes = self.bytes.clone();
        bytes[at] ^= 1;
        let path = self.dir.path().join("damaged.zip");
        fs::write(&path, bytes).expect("a file");
        path
    }

    /// What makes a server lie about one byte, be it asked by range or by block.
    fn lie(&self, at: usize) -> Forge {
        let start = at / LEAF * LEAF;
        let leaf = &self.bytes[start..(start + LEAF).min(self.bytes.len())];
        let cid = Cid::of_block(Version::V1, Codec::Raw, leaf);
        Forge::Leaf(at as u64, cid.to_string())
    }
}

fn verify(source: &str, args: &[&str]) -> Finished {
    let mut command = run::aiozfs();
    run::run(command.arg("verify").args(args).arg(source))
}

fn verify_file(path: &Path, paths: &[&str]) -> Finished {
    let mut command = run::aiozfs();
    run::run(command.arg("verify").arg(path).args(paths))
}

#[test]
fn good_archives_of_every_writer_pass() {
    let source = tree::sample();
    let out = tree::temp();
    for (name, make) in archives::STORED {
        let archive = out.path().join(format!("{name}.zip"));
        make(source.path(), &archive);
        let done = verify_file(&archive, &[]);
        assert_eq!(done.code(), Some(0), "{name}: {}", done.stdout);
        assert!(
            done.stdout.ends_with("all good\n"),
            "{name}: {}",
            done.stdout
        );
        let size = fs::metadata(&archive).expect("written").len();
        assert!(
            done.stdout.contains(&format!("{size} bytes")),
            "{}",
            done.stdout
        );
    }
}

#[test]
fn from_a_node_every_byte_is_verified_once() {
    let packed = Packed::new();
    let node = Node::of(&packed.path);
    let addr = node.base.trim_start_matches("http://").parse();
    let relay = Forger::before(addr.expect("an address"));
    let done = verify(&node.cid, &["--gateway", &relay.base()]);
    assert_eq!(done.code(), Some(0), "{}{}", done.stdout, done.stderr);
    let size = packed.bytes.len() as u64;
    let says = format!("{size} bytes verified against the CID");
    assert!(done.stdout.contains(&says), "{}", done.stdout);
    assert_eq!(relay.blocks(), 1, "the root");
    let fetched: u64 = relay.ranges().iter().map(|r| r.end - r.start).sum();
    // The end, in whole leaves of 1 MiB, is read first, for the index.
    assert!(fetched <= size + (2 << 20), "{fetched} of {size}");
}

#[test]
fn damage_on_disk_is_reported_by_name_range_and_reason() {
    let packed = Packed::new();
    let path = packed.damaged(packed.place(1_000_000));
    let done = verify_file(&path, &[]);
    assert_eq!(done.code(), Some(1));
    let from = packed.place(0);
    let to = from + packed.large.len() - 1;
    let line = format!("a/large.bin: bytes {from}-{to} (3000011): their CRC-32 is ");
    assert!(done.stdout.starts_with(&line), "{}", done.stdout);
    assert!(done.stdout.ends_with("1 bad extent\n"), "{}", done.stdout);
    // The others are good, and only they are looked at.
    let others = verify_file(&path, &["a/small.txt", "./b.bin", "empty"]);
    assert_eq!(others.code(), Some(0), "{}", others.stdout);
    assert!(
        others.stdout.contains("of 3 entries, 3 were"),
        "{}",
        others.stdout
    );
    let folder = verify_file(&path, &["a/"]);
    assert_eq!(folder.code(), Some(1));
    let none = verify_file(&path, &["a/larg"]);
    assert_eq!(none.code(), Some(1));
    assert!(none.stderr.contains("has no 'a/larg'"), "{}", none.stderr);

    // A local header that says otherwise.
    let path = packed.damaged(packed.place(0) - 3);
    let done = verify_file(&path, &[]);
    assert_eq!(done.code(), Some(1));
    assert!(done.stdout.contains("another name"), "{}", done.stdout);
}

#[test]
fn the_report_as_json() {
    let packed = Packed::new();
    let path = packed.damaged(packed.place(7));
    let done = verify_file(&path, &["--json"]);
    assert_eq!(done.code(), Some(1));
    let script = "import json,sys\n\
        r = json.loads(sys.argv[1])\n\
        b, = r['bad']\n\
        print(r['good'], r['proven'], r['bytes'], b['name'], b['offset'], b['length'], bool(b['why']))";
    let said = run::python(script, &[&done.stdout]).stdout;
    let (size, from) = (packed.bytes.len(), packed.place(0));
    let expected = format!("False False {size} a/large.bin {from} 3000011 True\n");
    assert_eq!(said, expected);
}

#[test]
fn one_of_two_servers_lies_and_all_is_good() {
    let packed = Packed::new();
    let content = Content::of(packed.bytes.clone());
    let ((_one, first), (_two, second)) = (content.relayed(), content.relayed());
    // Each gateway lies about some bytes.
    first.forge(packed.lie(packed.place(1_000_000)));
    second.forge(packed.lie(packed.place(2_000_000)));
    let bases = [first.base(), second.base()];
    let args = ["--gateway", &bases[0], "--gateway", &bases[1]];
    let done = verify(&content.cid.to_string(), &args);
    assert_eq!(done.code(), Some(0), "{}{}", done.stdout, done.stderr);
    assert!(done.stderr.contains("match the CID"), "{}", done.stderr);
}

#[test]
fn the_only_server_lies_and_the_bad_leaf_is_reported() {
    let packed = Packed::new();
    let content = Content::of(packed.bytes.clone());
    let (_node, relay) = content.relayed();
    let at = packed.place(1_000_000);
    relay.forge(packed.lie(at));
    let base = relay.base();
    let args = ["--timeout", "5s", "--gateway", &base];
    let done = verify(&content.cid.to_string(), &args);
    assert_eq!(done.code(), Some(1), "{}{}", done.stdout, done.stderr);
    let first = at / LEAF * LEAF;
    let line = format!("a/large.bin: bytes {first}-{} ({LEAF}): ", first + LEAF - 1);
    let told = done.stdout.lines().find(|told| told.starts_with(&line));
    let told = told.unwrap_or_else(|| panic!("{line}\n{}", done.stdout));
    assert!(told.contains("match the CID"), "{told}");
    assert!(done.stdout.ends_with("1 bad extent\n"), "{}", done.stdout);
    relay.forge(Forge::Nothing);
    let done = verify(&content.cid.to_string(), &args);
    assert_eq!(done.code(), Some(0), "{}", done.stdout);
}

#[test]
fn a_lost_server_is_not_reported_as_damage() {
    let packed = Packed::new();
    let node = FaultNode::start(packed.bytes.clone());
    node.behave(Behaviour::Status(403, None));
    let done = verify(&node.url(), &["--timeout", "1s"]);
    assert_eq!((done.code(), done.stdout.as_str()), (Some(1), ""));
    assert!(done.stderr.contains("status 403"), "{}", done.stderr);
}
