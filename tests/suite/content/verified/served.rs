//! Verified reads over HTTP, from honest and from lying nodes, and what they cost.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use aiozfs::content::{Cid, Codec, Profile, Tree, Verified, Version};
use aiozfs::gateways::{Gateways, HttpBlocks, UrlOf};
use aiozfs::http::{Http, HttpOptions};
use aiozfs::serve::{Blob, Node};
use aiozfs::source::{Blocks, Error, Memory, Retry, Source};
use tokio::net::TcpListener;

use super::{blob, read};
use crate::common::forger::{Forge, Forger};

/// Small trees of several levels in the manner of the three profiles, and those themselves.
fn profiles() -> [Profile; 6] {
    [
        Profile::new("like v1", 4096, 16, true, Version::V1),
        Profile::new("like v0", 2048, 7, false, Version::V0),
        Profile::new("like v0 in v1", 2048, 7, false, Version::V1),
        Profile::UNIXFS_V1_2025,
        Profile::UNIXFS_V0_2015,
        Profile::KUBO_1MIB_174,
    ]
}

/// A node with this blob, which serves until the runtime ends.
pub(super) async fn serve(bytes: &[u8], profile: Profile) -> (Arc<Tree>, SocketAddr) {
    let tree = Arc::new(Tree::import(bytes, profile, |_| true).expect("read"));
    let node = Node::new();
    node.publish(Blob {
        cid: tree.cid(),
        name: "blob".into(),
        size: bytes.len() as u64,
        source: Arc::new(Memory::new("blob", bytes.to_vec())),
        tree: Some(tree.clone()),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    tokio::spawn(async move { node.serve(listener, std::future::pending()).await });
    (tree, addr)
}

/// The content of a CID from these servers, as a mount has it.
fn verified(cid: Cid, bases: &[String]) -> Verified {
    patient(cid, bases, Duration::from_millis(500))
}

/// The same, with transient errors retried for `patience`.
pub(super) fn patient(cid: Cid, bases: &[String], patience: Duration) -> Verified {
    let options = HttpOptions {
        idle_timeout: Duration::from_secs(5),
        pinned: false,
        ..HttpOptions::default()
    };
    let members = bases.iter().map(|base| {
        let http = Http::new(&format!("{base}/ipfs/{cid}"), options.clone()).expect("a URL");
        Arc::new(http) as Arc<dyn Source>
    });
    let gateways = Gateways::new(members.collect());
    let urls = bases.iter().cloned().map(|base| {
        let url: UrlOf = Box::new(move |cid: &str| format!("{base}/ipfs/{cid}"));
        (url, options.clone())
    });
    let set = gateways.set().clone();
    let blocks: Arc<dyn Blocks> = Arc::new(HttpBlocks::new(urls.collect(), set, patience));
    let data = Retry::new(Arc::new(gateways), patience);
    Verified::new(cid, Arc::new(data), blocks)
}

/// The leaf that holds a place, by the profile's numbers.
fn leaf_at(profile: Profile, bytes: &[u8], at: u64) -> (Cid, Range<u64>) {
    let full = profile.leaf_size as u64;
    let start = at / full * full;
    let end = (start + full).min(bytes.len() as u64);
    let data = &bytes[start as usize..end as usize];
    let cid = if profile.raw_leaves {
        Cid::of_block(Version::V1, Codec::Raw, data)
    } else {
        Tree::import(data, profile, |_| true).expect("read").cid()
    };
    (cid, start..end)
}

/// About four leaves of the large profiles, and many of the small ones.
pub(super) const LEN: usize = (3 << 20) + 12_345;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_inner_nodes_are_requested_besides_the_data() {
    let bytes = blob(LEN);
    for profile in profiles() {
        let name = profile.name;
        let (tree, addr) = serve(&bytes, profile).await;
        let relay = Forger::before(addr);
        let source = verified(tree.cid(), &[relay.base()]);
        let opened = source.open(1000).await.expect("a tree");
        assert_eq!(opened.size, LEN as u64, "{name}");
        let inner = tree.nodes().count() as u64;
        // One request for the root.
        assert_eq!(relay.blocks(), 1, "{name}");
        assert_eq!(relay.ranges(), [], "{name}");

        // From start to end, in pieces that mind no boundary.
        let mut got = Vec::new();
        while got.len() < LEN {
            let start = got.len() as u64;
            let range = source.verification_unit(start..(start + 1_000_000).min(LEN as u64));
            // The reader asks for whole units, and so for no byte twice.
            got.extend(read(&source, start..range.end).await.expect("right bytes"));
        }
        assert!(got == bytes, "{name}");
        assert_eq!(relay.blocks(), inner, "{name}: each inner node once");
        let fetched: u64 = relay
            .ranges()
            .iter()
            .map(|range| range.end - range.start)
            .sum();
        // Pieces that do not begin with a leaf fetch its beginning again, which the reader has.
        assert!(
            fetched <= LEN as u64 + 4 * profile.leaf_size as u64,
            "{name}: {fetched}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_random_read_costs_one_leaf_and_two_across_a_boundary() {
    let bytes = blob(LEN);
    for profile in [Profile::UNIXFS_V1_2025, Profile::UNIXFS_V0_2015] {
        let (tree, addr) = serve(&bytes, profile).await;
        let relay = Forger::before(addr);
        let source = verified(tree.cid(), &[relay.base()]);
        source.open(0).await.expect("a tree");
        let leaf = profile.leaf_size as u64;
        let half = 32 << 10;
        for (range, leaves) in [
            (leaf + 100..leaf + 100 + 2 * half, 1),
            (2 * leaf - half..2 * leaf + half, 2),
            (LEN as u64 - 10..LEN as u64, 1),
            (0..2 * half, 1),
        ] {
            let before = relay.ranges().len();
            let got = read(&source, range.clone()).await.expect("right bytes");
            assert!(got == bytes[range.start as usize..range.end as usize]);
            let asked = relay.ranges().split_off(before);
            let [asked] = &asked[..] else {
                panic!("one request for {range:?}, not {asked:?}");
            };
            let first = range.start / leaf * leaf;
            assert_eq!(*asked, first..(first + leaves * leaf).min(LEN as u64));
        }
    }
}

/// Regions of the blob: its head, a boundary of leaves, the middle, what would be the central
/// directory, its last byte.
fn places(profile: Profile) -> [u64; 5] {
    let leaf = profile.leaf_size as u64;
    let len = LEN as u64;
    [0, leaf, len / 2, len - 20_000, len - 1]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_servers_lies_and_reads_are_right() {
    let bytes = blob(LEN);
    for profile in profiles() {
        let (tree, addr) = serve(&bytes, profile).await;
        for at in places(profile) {
            let (first, second) = (Forger::before(addr), Forger::before(addr));
            let (leaf, _) = leaf_at(profile, &bytes, at);
            first.forge(Forge::Leaf(at, leaf.to_string()));
            let source = verified(tree.cid(), &[first.base(), second.base()]);
            source.open(0).await.expect("a tree");
            let got = read(&source, 0..LEN as u64).await.expect("right bytes");
            assert!(got == bytes, "{}, byte {at}", profile.name);
            assert!(!second.ranges().is_empty(), "the second has stepped in");
        }
        // The inner nodes of the first are all wrong.
        let (first, second) = (Forger::before(addr), Forger::before(addr));
        first.forge(Forge::Blocks);
        let source = verified(tree.cid(), &[first.base(), second.base()]);
        source.open(0).await.expect("a tree");
        let got = read(&source, 0..LEN as u64).await.expect("right bytes");
        assert!(got == bytes, "{}, inner nodes", profile.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_server_lies_and_reads_fail_until_it_is_honest() {
    let bytes = blob(LEN);
    for profile in profiles() {
        let name = profile.name;
        let (tree, addr) = serve(&bytes, profile).await;
        let relay = Forger::before(addr);
        let source = verified(tree.cid(), &[relay.base()]);
        source.open(0).await.expect("a tree");
        for at in places(profile) {
            let (leaf, range) = leaf_at(profile, &bytes, at);
            relay.forge(Forge::Leaf(at, leaf.to_string()));
            let error = read(&source, range.clone())
                .await
                .expect_err("a forged leaf");
            assert!(
                matches!(error, Error::Forged { .. }),
                "{name}, byte {at}: {error:?}"
            );
            // One byte of the leaf is no better than all of them.
            let other = (range.start + range.end) / 2;
            assert!(
                read(&source, other..other + 1).await.is_err(),
                "{name}, byte {at}"
            );
            relay.forge(Forge::Nothing);
            let got = read(&source, range.clone()).await.expect("mended");
            assert!(got == bytes[range.start as usize..range.end as usize]);
        }

        // Inner nodes: asked for anew by a source that knows nothing yet.
        let source = verified(tree.cid(), &[relay.base()]);
        relay.forge(Forge::Blocks);
        let error = source.open(0).await.expect_err("a forged root");
        assert!(matches!(error, Error::Forged { .. }), "{name}: {error:?}");
        relay.forge(Forge::Nothing);
        source.open(0).await.expect("mended");
        let got = read(&source, 0..LEN as u64).await.expect("mended");
        assert!(got == bytes, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_and_missing_ranges_are_replaced_by_blocks() {
    let bytes = blob(LEN);
    for profile in profiles() {
        let (tree, addr) = serve(&bytes, profile).await;
        for forge in [Forge::Bit(LEN as u64 / 2), Forge::NoRanges] {
            let relay = Forger::before(addr);
            let source = verified(tree.cid(), &[relay.base()]);
            source.open(0).await.expect("a tree");
            relay.forge(forge.clone());
            let range = LEN as u64 / 2 - 100_000..LEN as u64 / 2 + 100_000;
            let got = read(&source, range.clone()).await;
            let got = got.unwrap_or_else(|e| panic!("{}, {forge:?}: {e}", profile.name));
            assert!(
                got == bytes[range.start as usize..range.end as usize],
                "{forge:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_without_raw_blocks_is_named() {
    let bytes = blob(LEN);
    let (tree, addr) = serve(&bytes, Profile::UNIXFS_V1_2025).await;
    let relay = Forger::before(addr);
    relay.forge(Forge::NoBlocks);
    let error = verified(tree.cid(), &[relay.base()]).open(0).await;
    let error = error.expect_err("nothing can be verified");
    assert!(matches!(error, Error::NoRawBlocks { .. }), "{error:?}");
    // With another that gives them, its ranges are as good as any.
    let other = Forger::before(addr);
    let source = verified(tree.cid(), &[relay.base(), other.base()]);
    source.open(0).await.expect("a tree");
    let got = read(&source, 0..LEN as u64).await.expect("right bytes");
    assert!(got == bytes);
    assert!(!relay.ranges().is_empty() && other.ranges().is_empty());
}
