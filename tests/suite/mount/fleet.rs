//! Many mounts behind the site-wide caches of `mount-scripts/fleet`: the server is asked for each slice or block once.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::common::fault::{Behaviour, FaultNode};
use crate::common::mount::Mount;
use crate::common::nginx::Nginx;
use crate::common::run;
use crate::common::varnish::Varnish;
use crate::common::{archives, gateways, http, tree};

/// As the shipped configuration of nginx has it.
const SLICE: u64 = 1 << 20;

const FILES: usize = 9;

/// An archive of some files that are no multiples of slices.
struct Packed {
    folder: tree::TempDir,
    archive: Vec<u8>,
}

impl Packed {
    fn new() -> Self {
        let (folder, out) = (tree::temp(), tree::temp());
        for i in 0..FILES {
            let content = tree::bytes(i as u64, 700_000 + 10_000 * i);
            tree::write(folder.path(), &format!("part_{i}.bin"), &content);
        }
        let file = out.path().join("a.zip");
        archives::zipfile(folder.path(), &file);
        let archive = fs::read(file).expect("the archive");
        Self { folder, archive }
    }

    /// A gateway with the archive, and its CID.
    fn gateway(&self) -> (FaultNode, String) {
        let (cid, blocks) = gateways::import(&self.archive);
        let node = FaultNode::with_blocks(self.archive.clone(), blocks);
        (node, cid.to_string())
    }

    /// Reads everything on as many mounts at once, each from another file on.
    fn read_on(&self, mounts: usize, source: &str, options: &[&str]) {
        run::each((0..mounts).collect(), mounts, |first| {
            let mount = Mount::with(source, options);
            for i in 0..FILES {
                self.assert_file(mount.path(), (first + i) % FILES);
            }
            mount.assert_no_complaint();
        });
    }

    fn assert_file(&self, mount: &Path, index: usize) {
        let name = format!("part_{index}.bin");
        let want = fs::read(self.folder.path().join(&name)).expect("a file");
        let have = fs::read(mount.join(&name)).expect("a file of the mount");
        assert_eq!(tree::differs(&want, &have), None, "{name}");
    }
}

/// What a server was asked for, and how often: the path with the query, and the range.
fn asked(node: &FaultNode) -> BTreeMap<String, usize> {
    let mut asked = BTreeMap::new();
    for head in node.log() {
        let target = head.split(' ').nth(1).expect("a request").to_owned();
        let range = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("range").then(|| value.trim())
        });
        let what = format!("{target} {}", range.unwrap_or("whole"));
        *asked.entry(what).or_default() += 1;
    }
    asked
}

/// Fails if anything was asked for twice. Says how many slices or blocks there were.
fn assert_once(node: &FaultNode) -> usize {
    let asked = asked(node);
    let twice: Vec<_> = asked.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    asked.len()
}

#[test]
fn twenty_mounts_behind_nginx_cost_the_gateway_one_read_of_each_slice() {
    let packed = Packed::new();
    let (node, cid) = packed.gateway();
    let cache = Nginx::cache(node.addr, node.addr);
    packed.read_on(20, &cid, &["--gateway", &cache.base]);
    let slices = (packed.archive.len() as u64).div_ceil(SLICE) as usize;
    // Beside the slices the root of the hash tree, as a block.
    assert_eq!(assert_once(&node), slices + 1, "{:?}", asked(&node));
    assert_eq!(node.sent(), packed.archive.len() as u64);
    // Another machine costs the gateway nothing, even if that is gone.
    node.die();
    packed.read_on(1, &cid, &["--gateway", &cache.base]);
    assert_eq!(cache.log(), "");
}

#[test]
fn mounts_of_a_url_behind_nginx_cost_the_server_one_read_of_each_slice() {
    let packed = Packed::new();
    let node = FaultNode::start(packed.archive.clone());
    let cache = Nginx::cache(node.addr, node.addr);
    let url = format!("{}/files/archive.zip", cache.base);
    packed.read_on(5, &url, &[]);
    let slices = (packed.archive.len() as u64).div_ceil(SLICE) as usize;
    assert_eq!(assert_once(&node), slices, "{:?}", asked(&node));
    let head = http::request(cache.addr, "HEAD", "/files/archive.zip", &[]);
    assert_eq!(head.status, 200);
    let size = packed.archive.len().to_string();
    assert_eq!(head.header("content-length"), Some(&*size));
}

/// Some gateways send another ETag for each range. The slice module took that for a change and cut the answer.
#[test]
fn nginx_accepts_gateways_whose_etags_differ_between_ranges() {
    let packed = Packed::new();
    let (node, cid) = packed.gateway();
    node.behave(Behaviour::OtherETags);
    let cache = Nginx::cache(node.addr, node.addr);
    packed.read_on(1, &cid, &["--gateway", &cache.base]);
    // One answer of several slices.
    let range = [("Range", "bytes=100-4000000")];
    let reply = http::request(cache.addr, "GET", &format!("/ipfs/{cid}"), &range);
    assert_eq!(reply.status, 206);
    assert!(reply.body == packed.archive[100..4_000_001]);
    assert_eq!(cache.log(), "");
}

/// A gateway sent wrong bytes once. The mount noticed, but the cache gave them to every mount of the site, for a
/// year: nothing told it to ask the gateway again.
fn wrong_bytes_in_a_cache_are_replaced(cache: &str, node: &FaultNode, packed: &Packed, cid: &str) {
    let path = format!("/ipfs/{cid}");
    let addr = cache[7..].parse().expect("an address");
    let range = [("Range", "bytes=2097152-4194303")];
    node.behave(Behaviour::Flipped);
    http::request(addr, "GET", &path, &range);
    for leaf in packed.archive.chunks(1 << 20).take(3) {
        let (leaf, _) = gateways::import(leaf);
        http::request(addr, "GET", &format!("/ipfs/{leaf}?format=raw"), &[]);
    }
    node.behave(Behaviour::Good);
    let mount = Mount::with(cid, &["--gateway", cache]);
    for i in 0..FILES {
        packed.assert_file(mount.path(), i);
    }
    assert!(!mount.log_lines("wrong bytes").is_empty());
    // The next mount finds nothing wrong, without the gateway.
    node.die();
    packed.read_on(1, cid, &["--gateway", cache]);
}

#[test]
fn wrong_bytes_in_nginx_are_replaced() {
    let packed = Packed::new();
    let (node, cid) = packed.gateway();
    let cache = Nginx::cache(node.addr, node.addr);
    wrong_bytes_in_a_cache_are_replaced(&cache.base, &node, &packed, &cid);
}

#[test]
fn wrong_bytes_in_varnish_are_replaced() {
    let packed = Packed::new();
    let (node, cid) = packed.gateway();
    let cache = Varnish::cache(node.addr);
    wrong_bytes_in_a_cache_are_replaced(&cache.base, &node, &packed, &cid);
}

#[test]
fn mounts_behind_varnish_cost_the_gateway_one_read_of_each_block() {
    let packed = Packed::new();
    let (node, cid) = packed.gateway();
    let cache = Varnish::cache(node.addr);
    packed.read_on(5, &cid, &["--gateway", &cache.base]);
    let leaves = packed.archive.len().div_ceil(1 << 20);
    assert_eq!(assert_once(&node), leaves + 1, "{:?}", asked(&node));
    node.die();
    packed.read_on(1, &cid, &["--gateway", &cache.base]);
}
