//! Ranges verified against a CID: right bytes or an error, whatever the server sends.

mod block_check;
mod corpus;
mod hostile;
mod kept;
mod random;
mod refused;
mod served;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use aiozfs::content::{self, Block, Cid, Importer, Profile, Tree, Verified, Version};
use aiozfs::source::{
    BlockCheck, Blocks, Chunk, ChunkStream, Error, Memory, Opened, Origin, Priority, Result, Source,
};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, ready};
use futures_util::stream;
use futures_util::{StreamExt, TryStreamExt};

/// The inner nodes of a tree, and no leaves; of a file of one leaf, that.
struct Nodes(HashMap<String, Bytes>);

impl Blocks for Nodes {
    fn block(&self, cid: &str, _most: usize, check: BlockCheck) -> BoxFuture<'_, Result<Bytes>> {
        let block = self.0.get(cid).filter(|block| check(block)).cloned();
        ready(block.ok_or_else(|| Error::NotFound {
            origin: Origin::new("nodes"),
        }))
        .boxed()
    }
}

fn blob(len: usize) -> Vec<u8> {
    (0..len as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

fn import(profile: Profile, bytes: &[u8]) -> (Cid, Arc<dyn Blocks>) {
    let mut nodes = HashMap::new();
    let keep = |cid: &Cid, block: &[u8]| {
        nodes.insert(cid.to_string(), Bytes::copy_from_slice(block));
    };
    let mut importer = Importer::with_nodes(profile, keep);
    importer.push(bytes);
    let cid = importer.finish();
    let tree = Tree::import(bytes, profile, |_| true).expect("read");
    if let Some(Block::Leaf { before, behind, .. }) = tree.find(&cid) {
        let block = [&before[..], bytes, &behind].concat();
        nodes.insert(cid.to_string(), block.into());
    }
    (cid, Arc::new(Nodes(nodes)))
}

async fn read(source: &dyn Source, range: Range<u64>) -> Result<Vec<u8>> {
    let mut stream = source.read(range, Priority::Demand);
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk?.bytes);
    }
    Ok(bytes)
}

#[tokio::test]
async fn only_bytes_that_match_the_cid_come_through() {
    let good = blob(300_000);
    // Three levels of raw leaves.
    let profile = Profile::new("small", 4096, 8, true, Version::V1);
    let (cid, blocks) = import(profile, &good);
    let right = Memory::new("right", good.clone());
    let source = Verified::new(cid, Arc::new(right), blocks.clone());
    assert_eq!(source.open(1000).await.expect("a tree").size, 300_000);
    for range in [
        0..1,
        0..300_000,
        4095..4097,
        299_999..300_000,
        70_000..200_001,
        5..5,
    ] {
        let got = read(&source, range.clone()).await.expect("right bytes");
        assert!(
            got == good[range.start as usize..range.end as usize],
            "{range:?}"
        );
        if range.is_empty() {
            continue;
        }
        let unit = source.verification_unit(range.clone());
        assert!(unit.start <= range.start && range.end <= unit.end);
        assert_eq!(source.verification_unit(unit.clone()), unit);
        assert_eq!(unit.start % 4096, 0, "known leaves are the units");
    }

    for at in [0usize, 4096, 150_000, 299_999] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let wrong = Memory::new("wrong", bad);
        let source = Verified::new(cid, Arc::new(wrong), blocks.clone());
        source.open(0).await.expect("the tree is right");
        let error = read(&source, 0..300_000).await.expect_err("a flipped bit");
        assert!(matches!(error, Error::Forged { .. }), "{error:?}");
        // What does not share its leaf is as good as ever.
        let leaf = at as u64 / 4096 * 4096;
        let other = (leaf + 8192) % 200_000;
        let got = read(&source, other..other + 10)
            .await
            .expect("another leaf");
        assert!(got == good[other as usize..other as usize + 10]);
    }
}

#[tokio::test]
async fn a_root_that_is_another_block_is_refused() {
    let profile = Profile::new("small", 4096, 8, true, Version::V1);
    let (_, blocks) = import(profile, &blob(300_000));
    let (other, _) = import(profile, &blob(299_999));
    let data = Memory::new("data", blob(299_999));
    let source = Verified::new(other, Arc::new(data), blocks);
    assert!(source.open(0).await.is_err());
}

/// Counts the reads that were taken to their end, behind the last byte.
struct Ends(Memory, Arc<AtomicUsize>);

impl Source for Ends {
    fn inner(&self) -> Option<&dyn Source> {
        Some(&self.0)
    }

    fn open(&self, tail: u64) -> BoxFuture<'_, Result<Opened>> {
        self.0.open(tail)
    }

    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        let count = self.1.clone();
        let end = stream::iter(std::iter::from_fn(move || {
            count.fetch_add(1, SeqCst);
            None
        }));
        self.0.read(range, priority).chain(end).boxed()
    }
}

/// With its last leaf verified, a read let go of the answer that had brought it, before the answer had
/// said that it was over. No connection was used twice, and each part began with a round trip more.
#[tokio::test]
async fn answers_are_read_to_the_end() {
    let good = blob(300_000);
    let profile = Profile::new("small", 4096, 8, true, Version::V1);
    let (cid, blocks) = import(profile, &good);
    let ended = Arc::new(AtomicUsize::new(0));
    let data = Ends(Memory::new("data", good.clone()), ended.clone());
    let source = Verified::new(cid, Arc::new(data), blocks);
    source.open(0).await.expect("a tree");
    for (reads, range) in [0..1, 4095..4097, 0..300_000].into_iter().enumerate() {
        let got = read(&source, range.clone()).await.expect("right bytes");
        assert!(got == good[range.start as usize..range.end as usize]);
        assert_eq!(ended.load(SeqCst), reads + 1, "{range:?}");
    }
    assert_eq!(source.hints().received, Some(4096 + 2 * 4096 + 300_000));
    assert_eq!(source.hints().unverified, 0);
}

/// Bytes in pieces of a thousand.
struct Trickle(Memory);

impl Source for Trickle {
    fn inner(&self) -> Option<&dyn Source> {
        Some(&self.0)
    }

    fn open(&self, tail: u64) -> BoxFuture<'_, Result<Opened>> {
        self.0.open(tail)
    }

    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        let pieces = self.0.read(range, priority).map_ok(|chunk| {
            let starts = (0..chunk.bytes.len()).step_by(1000);
            let pieces: Vec<Chunk> = starts
                .map(|start| Chunk {
                    offset: chunk.offset + start as u64,
                    bytes: chunk
                        .bytes
                        .slice(start..(start + 1000).min(chunk.bytes.len())),
                    origin: chunk.origin.clone(),
                })
                .collect();
            stream::iter(pieces).map(Ok)
        });
        pieces.try_flatten().boxed()
    }
}

/// Nothing told of bytes before their leaf was verified: the reader took them to be under way still,
/// and looked what to ask for next when leaves had come, many at once.
#[tokio::test]
async fn unverified_bytes_are_counted() {
    let good = blob(300_000);
    let profile = Profile::new("small", 4096, 8, true, Version::V1);
    let (cid, blocks) = import(profile, &good);
    let source = Verified::new(cid, Arc::new(Trickle(Memory::new("data", good))), blocks);
    source.open(0).await.expect("a tree");
    let mut read = source.read(0..8192, Priority::Prefetch);
    let mut told = Vec::new();
    while let Some(chunk) = read.next().await {
        let chunk = chunk.expect("right bytes");
        told.push((chunk.offset, chunk.bytes.len(), source.hints().unverified));
    }
    let first: Vec<_> = (1..=4).map(|n| (0, 0, n * 1000)).collect();
    assert_eq!(told[..4], first[..]);
    // Then the chunks of the leaf, the fifth with 96 bytes, and the first chunk of the next leaf.
    let begun: Vec<_> = told
        .iter()
        .map(|(offset, len, _)| (*offset, *len))
        .collect();
    assert_eq!(
        begun[4..9],
        [
            (0, 1000),
            (1000, 1000),
            (2000, 1000),
            (3000, 1000),
            (4000, 96)
        ]
    );
    assert_eq!(told.last().map(|last| last.2), Some(0));

    let mut read = source.read(0..8192, Priority::Prefetch);
    read.next().await.expect("a chunk").expect("right bytes");
    assert_eq!(source.hints().unverified, 1000);
    drop(read);
    assert_eq!(source.hints().unverified, 0);
}
