//! Gateways that refuse ranges or raw blocks, permanently or at the moment, and give the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aiozfs::cache::{Ask, Cache, Cached, CachedNodes, Folder, Key};
use aiozfs::content::{Profile, Verified, Version};
use aiozfs::gateways::{Gateways, HttpBlocks, UrlOf};
use aiozfs::http::{Http, HttpOptions};
use aiozfs::source::{Offline, Source};
use futures_util::stream::{self, StreamExt};

use super::served::{LEN, patient, serve};
use super::{blob, read};
use crate::common::forger::{Forge, Forger};
use crate::common::tree;

/// How gateways refuse what they do not serve, or not now.
const REFUSALS: [u16; 23] = [
    204, 304, 400, 401, 403, 404, 405, 406, 408, 410, 415, 416, 421, 425, 429, 451, 500, 501, 502,
    503, 504, 520, 530,
];

/// A trustless gateway that answers 406 to all but raw blocks could not be mounted from, nor one that
/// answered 400, 403, 404 or 503; only after 501 did leaves come as blocks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_suffice_if_ranges_are_refused() {
    let bytes = blob(LEN);
    let (tree, addr) = serve(&bytes, Profile::UNIXFS_V1_2025).await;
    let (tree, bytes) = (&tree, &bytes);
    let refusals = REFUSALS.map(|status| (status, None));
    let refusals = refusals
        .into_iter()
        .chain([(429, Some(60)), (503, Some(3600))]);
    let cases = refusals.flat_map(|refusal| [true, false].map(|at_first| (refusal, at_first)));
    let cases = cases.map(|((status, retry_after), at_first)| async move {
        let what = format!("{status}, Retry-After {retry_after:?}, at first: {at_first}");
        let relay = Forger::before(addr);
        let patience = Duration::from_secs(60);
        let source = patient(tree.cid(), &[relay.base()], patience);
        source.open(0).await.expect("a tree");
        let mut got = Vec::new();
        if !at_first {
            got = read(&source, 0..1 << 20).await.expect("all is well");
        }
        relay.forge(Forge::RefusedRanges(status, retry_after));
        let before = Instant::now();
        let rest = read(&source, got.len() as u64..LEN as u64).await;
        got.extend(rest.unwrap_or_else(|e| panic!("{what}: {e}")));
        assert!(got == *bytes, "{what}");
        let took = before.elapsed();
        assert!(took < Duration::from_secs(10), "{what}: it took {took:?}");
    });
    stream::iter(cases)
        .buffer_unordered(8)
        .collect::<Vec<()>>()
        .await;
}

/// A gateway that gives blocks and nothing else was asked for a range again with each leaf, and its leaves
/// came one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_ranges_are_asked_for_once_and_leaves_come_side_by_side() {
    let bytes = blob(LEN);
    // Many small leaves.
    let profile = Profile::new("small", 64 << 10, 64, true, Version::V1);
    let (tree, addr) = serve(&bytes, profile).await;
    for status in [404, 406, 501] {
        let relay = Forger::before(addr);
        relay.forge(Forge::RefusedRanges(status, None));
        let source = patient(tree.cid(), &[relay.base()], Duration::from_secs(10));
        source.open(0).await.expect("a tree");
        for part in [0..1 << 20, 1 << 20..LEN as u64] {
            let got = read(&source, part.clone()).await.expect("blocks");
            assert!(got == bytes[part.start as usize..part.end as usize]);
        }
        assert_eq!(relay.ranges().len(), 1, "{status}");
        assert!(relay.most_at_once() > 1, "{status}");
    }
}

/// The refusal of one kind of request put the gateway aside for the other kind as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_gateway_of_ranges_and_one_of_blocks_suffice() {
    let bytes = blob(LEN);
    let (tree, addr) = serve(&bytes, Profile::UNIXFS_V1_2025).await;
    let (tree, bytes) = (&tree, &bytes);
    let cases = REFUSALS.into_iter().flat_map(|status| {
        let cases = [(true, true), (true, false), (false, true), (false, false)];
        cases.map(|(blocks_first, at_first)| (status, blocks_first, at_first))
    });
    let cases = cases.map(|(status, blocks_first, at_first)| async move {
        let what = format!("{status}, blocks first: {blocks_first}, at first: {at_first}");
        let (blocks, ranges) = (Forger::before(addr), Forger::before(addr));
        let refuse = || {
            blocks.forge(Forge::RefusedRanges(status, None));
            ranges.forge(Forge::RefusedBlocks(status));
        };
        let mut bases = [blocks.base(), ranges.base()];
        if !blocks_first {
            bases.reverse();
        }
        if at_first {
            refuse();
        }
        let source = patient(tree.cid(), &bases, Duration::from_secs(60));
        source
            .open(0)
            .await
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        let mut got = Vec::new();
        if !at_first {
            got = read(&source, 0..1 << 20).await.expect("all is well");
            refuse();
        }
        let before = Instant::now();
        let rest = read(&source, got.len() as u64..LEN as u64).await;
        got.extend(rest.unwrap_or_else(|e| panic!("{what}: {e}")));
        assert!(got == *bytes, "{what}");
        let took = before.elapsed();
        assert!(took < Duration::from_secs(10), "{what}: it took {took:?}");
        let came: u64 = ranges
            .ranges()
            .iter()
            .map(|range| range.end - range.start)
            .sum();
        assert!(
            came >= LEN as u64 - (1 << 20),
            "{what}: {came} bytes came by range"
        );
    });
    stream::iter(cases)
        .buffer_unordered(8)
        .collect::<Vec<()>>()
        .await;
}

/// Leaves that came as blocks were not kept as data: `aiozfs fetch` said that the disk was full, and
/// what it had brought could not be read offline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaves_that_came_as_blocks_are_cached_as_data() {
    let bytes = blob(LEN);
    let (tree, addr) = serve(&bytes, Profile::UNIXFS_V1_2025).await;
    let (cid, relay) = (tree.cid(), Forger::before(addr));
    relay.forge(Forge::RefusedRanges(406, None));
    let dir = tree::temp();
    let disk = Folder::open(dir.path()).expect("a cache");
    let cache = Cache::new(Arc::new(disk), 1 << 30);
    let key = Key::verified(&cid);

    let options = HttpOptions {
        pinned: false,
        ..HttpOptions::default()
    };
    let base = relay.base();
    let http = Http::new(&format!("{base}/ipfs/{cid}"), options.clone()).expect("a URL");
    let gateways = Gateways::new(vec![Arc::new(http)]);
    let url: UrlOf = Box::new(move |cid: &str| format!("{base}/ipfs/{cid}"));
    let set = gateways.set().clone();
    let blocks = HttpBlocks::new(vec![(url, options)], set, Duration::from_secs(5));
    let blocks = CachedNodes::new(Arc::new(blocks), &cache, key.clone());
    let data = Cached::new(Arc::new(gateways), &cache, key.clone(), Ask::Always);
    let source = Verified::new(cid, Arc::new(data.clone()), Arc::new(blocks));
    source.open(0).await.expect("a tree");
    let whole = 0..LEN as u64;
    assert!(read(&source, whole.clone()).await.expect("right bytes") == bytes);
    cache.settle(Duration::from_secs(20));
    assert_eq!(data.missing(vec![whole.clone()]).await, []);

    let from_disk = Arc::new(Cached::new(
        Arc::new(Offline),
        &cache,
        key.clone(),
        Ask::Never,
    ));
    let nodes = Arc::new(CachedNodes::new(Arc::new(Offline), &cache, key));
    let source = Verified::new(cid, from_disk, nodes);
    source.open(0).await.expect("kept");
    assert!(read(&source, whole).await.expect("kept") == bytes);
    // And not twice: of the tree its root alone is kept as a block.
    let mut kept = 0;
    let mut dirs = vec![dir.path().to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                dirs.push(path)
            } else {
                kept += usize::from(dir.ends_with("nodes"))
            }
        }
    }
    assert_eq!(kept, 1);
}
