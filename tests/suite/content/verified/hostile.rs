//! Trees that were made to do harm, or with layouts that our importer never makes.
//!
//! Nodes are written by hand, because no importer makes them. The maker of a tree chooses its CID, so
//! all hashes of these trees are right. A reader must still end, within little memory, with
//! the bytes that the CID names or with an error that says what is wrong.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use aiozfs::content::{Cid, Codec, Verified, Version};
use aiozfs::source::{
    BlockCheck, Blocks, Chunk, ChunkStream, Error, Memory, Opened, Origin, Priority, Result, Source,
};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, ready};
use futures_util::{StreamExt, stream};

use super::read;

/// Blocks by CID, and how often any was asked for.
#[derive(Default)]
struct Store {
    blocks: HashMap<String, Bytes>,
    /// Given for every CID there is no block of.
    instead: Option<Bytes>,
    asked: AtomicU64,
}

impl Blocks for Store {
    fn block(&self, cid: &str, most: usize, check: BlockCheck) -> BoxFuture<'_, Result<Bytes>> {
        self.asked.fetch_add(1, SeqCst);
        let block = self.blocks.get(cid).or(self.instead.as_ref());
        let block = block.filter(|block| block.len() <= most && check(block));
        ready(block.cloned().ok_or_else(|| Error::NotFound {
            origin: Origin::new("store"),
        }))
        .boxed()
    }
}

/// A link as a parent writes it, which need not be true.
#[derive(Clone, Copy)]
struct Link {
    cid: Cid,
    /// Bytes of the file.
    size: u64,
    tree_size: Option<u64>,
}

impl Store {
    fn put(&mut self, codec: Codec, block: &[u8]) -> Cid {
        let cid = Cid::of_block(Version::V1, codec, block);
        self.blocks
            .insert(cid.to_string(), Bytes::copy_from_slice(block));
        cid
    }

    fn raw(&mut self, data: &[u8]) -> Link {
        let cid = self.put(Codec::Raw, data);
        let size = data.len() as u64;
        let tree_size = Some(size);
        Link {
            cid,
            size,
            tree_size,
        }
    }

    /// A dag-pb leaf of this UnixFS type.
    fn leaf(&mut self, kind: u64, data: &[u8]) -> Link {
        let size = data.len() as u64;
        let unixfs = [number(1, kind), bytes(2, data), number(3, size)].concat();
        let block = bytes(1, &unixfs);
        Link {
            cid: self.put(Codec::DagPb, &block),
            size,
            tree_size: Some(block.len() as u64),
        }
    }

    fn node(&mut self, links: &[Link]) -> Link {
        let size = links.iter().map(|link| link.size).sum();
        let block = node(size, &[], links);
        Link {
            cid: self.put(Codec::DagPb, &block),
            size,
            tree_size: Some(1 << 40),
        }
    }

    fn verified(self, root: Link, data: impl Source) -> Verified {
        Verified::new(root.cid, Arc::new(data), Arc::new(self))
    }
}

fn node(size: u64, data: &[u8], links: &[Link]) -> Vec<u8> {
    let mut block = Vec::new();
    for link in links {
        let tree_size = link.tree_size.map(|size| number(3, size));
        let encoded = [
            bytes(1, &link.cid.to_bytes()),
            bytes(2, b""),
            tree_size.unwrap_or_default(),
        ];
        block.extend(bytes(2, &encoded.concat()));
    }
    let mut unixfs = number(1, 2);
    if !data.is_empty() {
        unixfs.extend(bytes(2, data));
    }
    unixfs.extend(number(3, size));
    links
        .iter()
        .for_each(|link| unixfs.extend(number(4, link.size)));
    block.extend(bytes(1, &unixfs));
    block
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value > 127 {
        out.push(value as u8 & 127 | 128);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field * 8), varint(value)].concat()
}

fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    [
        varint(field * 8 + 2),
        varint(value.len() as u64),
        value.to_vec(),
    ]
    .concat()
}

/// Endless bytes of one kind.
struct Same(u8);

impl Source for Same {
    fn inner(&self) -> Option<&dyn Source> {
        None
    }

    fn open(&self, _tail: u64) -> BoxFuture<'_, Result<Opened>> {
        ready(Ok(Opened {
            size: u64::MAX,
            tail: None,
        }))
        .boxed()
    }

    fn read(&self, range: Range<u64>, _priority: Priority) -> ChunkStream {
        let byte = self.0;
        let starts = stream::iter(range.clone().step_by(4096));
        let chunks = starts.map(move |offset| {
            let len = (range.end - offset).min(4096) as usize;
            Ok(Chunk {
                offset,
                bytes: vec![byte; len].into(),
                origin: Origin::new("same"),
            })
        });
        chunks.boxed()
    }
}

/// Why a tree is refused, by opening it or by reading `range` of it.
async fn refused(source: &Verified, range: Range<u64>) -> String {
    let opened = source.open(0).await;
    let error = match opened {
        Err(error) => error,
        Ok(_) => (read(source, range).await).expect_err("nothing that could be right"),
    };
    assert!(!error.is_transient(), "asking again helps nothing: {error}");
    error.to_string()
}

#[tokio::test]
async fn the_root_in_place_of_every_node_is_no_cycle() {
    let mut store = Store::default();
    let below = Store::default().node(&[Store::default().raw(b"abc"); 3]);
    let root = store.node(&[below; 3]);
    store.instead = store.blocks.values().next().cloned();
    let source = store.verified(root, Same(b'a'));
    let read = tokio::time::timeout(Duration::from_secs(5), refused(&source, 0..9));
    let said = read.await.expect("it ends");
    assert!(said.contains("not found"), "{said}");
}

#[tokio::test]
async fn a_small_tree_of_a_huge_file_costs_little() {
    // Each node links to one and the same below, 174 times: 174^8 bytes in eight blocks.
    let mut store = Store::default();
    let mut root = store.raw(b"x");
    for _ in 0..8 {
        root = store.node(&[root; 174]);
    }
    let size = 174u64.pow(8);
    let store = Arc::new(store);
    let source = Verified::new(root.cid, Arc::new(Same(b'x')), store.clone());
    assert_eq!(source.open(0).await.expect("a tree").size, size);
    for range in [0..10, size - 10..size, size / 2..size / 2 + 50_000] {
        let got = read(&source, range.clone()).await.expect("all the same");
        assert!(got.len() as u64 == range.end - range.start && got.iter().all(|b| *b == b'x'));
        assert_eq!(source.verification_unit(range.clone()), range);
    }
    assert_eq!(store.asked.load(SeqCst), 8, "each block once");
}

#[tokio::test]
async fn a_tree_without_end_is_refused() {
    let mut store = Store::default();
    let mut root = store.raw(b"x");
    for _ in 0..30 {
        root = store.node(&[root; 2]);
    }
    let said = refused(&store.verified(root, Same(b'x')), 0..1).await;
    assert!(said.contains("deeper"), "{said}");
}

#[tokio::test]
async fn wrong_sizes_in_nodes_are_refused() {
    let data = || Memory::new("data", vec![7; 100]);
    // The parent says another size than the node below it.
    let mut store = Store::default();
    let leaf = store.raw(&[7; 10]);
    let mut below = store.node(&[leaf; 2]);
    below.size = 30;
    let root = store.node(&[below; 2]);
    let said = refused(&store.verified(root, data()), 0..60).await;
    assert!(said.contains("does not hold 30 bytes"), "{said}");

    // One node under two parents. One parent lies about its size.
    let mut store = Store::default();
    let leaf = store.raw(&[7; 10]);
    let right = store.node(&[leaf; 2]);
    let wrong = Link { size: 21, ..right };
    let root = store.node(&[right, wrong]);
    let source = store.verified(root, data());
    source.open(0).await.expect("the root is as it should be");
    assert_eq!(read(&source, 0..20).await, Ok(vec![7; 20]));
    let said = refused(&source, 20..41).await;
    assert!(said.contains("does not hold 21 bytes"), "{said}");

    // A leaf, raw or not, that is longer or shorter than its parent says.
    for size in [9, 11] {
        for wrapped in [false, true] {
            let mut store = Store::default();
            let mut leaf = if wrapped {
                store.leaf(2, &[7; 10])
            } else {
                store.raw(&[7; 10])
            };
            leaf.size = size;
            let root = store.node(&[leaf; 2]);
            let said = refused(&store.verified(root, data()), 0..1).await;
            let expected = format!("does not hold {size} bytes");
            assert!(said.contains(&expected), "{size} {wrapped}: {said}");
        }
    }

    // Sums that are wrong, or beyond 64 bits.
    let mut store = Store::default();
    let leaf = store.raw(&[7; 10]);
    let huge = Link {
        size: u64::MAX,
        ..leaf
    };
    for block in [node(21, &[], &[leaf; 2]), node(8, &[], &[huge, leaf])] {
        let mut root = leaf;
        root.cid = store.put(Codec::DagPb, &block);
        let blocks = Store {
            blocks: store.blocks.clone(),
            ..Store::default()
        };
        let said = refused(&blocks.verified(root, data()), 0..1).await;
        assert!(said.contains("add up"), "{said}");
    }
}

#[tokio::test]
async fn a_leaf_too_large_for_memory_is_refused() {
    let mut store = Store::default();
    let mut leaf = store.raw(b"x");
    leaf.size = 1 << 40;
    let root = store.node(&[leaf; 2]);
    let said = refused(&store.verified(root, Same(b'x')), 0..1).await;
    assert!(said.contains("too large"), "{said}");
    // A dag-pb one is taken for a node until it turns out to be none.
    let mut store = Store::default();
    let mut leaf = store.leaf(2, b"x");
    leaf.size = 1 << 40;
    let root = store.node(&[leaf; 2]);
    let said = refused(&store.verified(root, Same(b'x')), 0..1).await;
    assert!(said.contains("does not hold"), "{said}");
}

#[tokio::test]
async fn wrong_codecs_and_kinds_are_refused() {
    let data = || Memory::new("data", vec![7; 100]);
    let mut store = Store::default();
    let leaf = store.raw(&[7; 10]);
    let cbor = Link {
        cid: store.put(Codec::Other(0x71), &[7; 10]),
        ..leaf
    };
    let directory = Link {
        cid: store.put(Codec::DagPb, &bytes(1, &number(1, 1))),
        tree_size: None,
        ..leaf
    };
    let garbage = Link {
        cid: store.put(Codec::DagPb, &[0xff; 10]),
        tree_size: None,
        ..leaf
    };
    for (child, says) in [
        (cbor, "codec 0x71"),
        (directory, "does not hold"),
        (garbage, "malformed"),
    ] {
        let mut store = Store {
            blocks: store.blocks.clone(),
            ..Store::default()
        };
        let root = store.node(&[leaf, child]);
        let said = refused(&store.verified(root, data()), 0..20).await;
        assert!(said.contains(says), "{said}");
    }
    for (block, says) in [
        (bytes(1, &number(1, 1)), "directory"),
        (bytes(1, &number(1, 4)), "symbolic link"),
        (bytes(1, &number(1, 3)), "not the CID of a file"),
        (node(13, b"abc", &[leaf]), "unknown layout"),
    ] {
        let mut store = Store::default();
        let mut root = leaf;
        root.cid = store.put(Codec::DagPb, &block);
        let said = refused(&store.verified(root, data()), 0..1).await;
        assert!(said.contains(says), "{said}");
    }
}

#[tokio::test]
async fn leaves_out_of_order_are_refused() {
    let file = [[1u8; 10], [2; 10], [3; 10]];
    let mut store = Store::default();
    let leaves = file.map(|data| store.raw(&data));
    let root = store.node(&[leaves[1], leaves[0], leaves[2]]);
    // The server of the data has them in another order: what comes is what the CID names.
    let data = || Memory::new("data", file.concat());
    let blocks = store.blocks.clone();
    let source = store.verified(root, data());
    source.open(0).await.expect("a tree");
    let named = [file[1], file[0], file[2]].concat();
    assert_eq!(read(&source, 0..30).await, Ok(named));
    // Without blocks of leaves, there is only the third.
    let nodes = blocks.into_iter();
    let nodes = nodes.filter(|(cid, _)| *cid == root.cid.to_string());
    let store = Store {
        blocks: nodes.collect(),
        ..Store::default()
    };
    let source = store.verified(root, data());
    source.open(0).await.expect("a tree");
    let error = read(&source, 0..30).await.expect_err("two wrong leaves");
    assert!(matches!(error, Error::Forged { .. }), "{error:?}");
    assert_eq!(read(&source, 20..30).await, Ok(vec![3; 10]));
}

#[tokio::test]
async fn trees_of_other_layouts_are_read() {
    // Leaves and nodes side by side, as in trickle trees; dag-pb leaves of both kinds, whose links
    // say how large they are, or do not.
    let file: Vec<u8> = (0..=255).collect();
    for hint in [true, false] {
        let mut store = Store::default();
        let mut leaf = |at: usize, kind: Option<u64>| {
            let data = &file[at * 32..at * 32 + 32];
            let mut link = match kind {
                Some(kind) => store.leaf(kind, data),
                None => store.raw(data),
            };
            link.tree_size = link.tree_size.filter(|_| hint);
            link
        };
        let leaves = [
            leaf(0, Some(0)),
            leaf(1, Some(2)),
            leaf(2, None),
            leaf(3, Some(0)),
            leaf(4, Some(2)),
            leaf(5, Some(0)),
            leaf(6, None),
            leaf(7, Some(2)),
        ];
        let deep = store.node(&leaves[3..5]);
        let below = store.node(&[leaves[2], deep, leaves[5]]);
        let nothing = store.raw(b"");
        let root = store.node(&[leaves[0], leaves[1], below, nothing, leaves[6], leaves[7]]);
        let source = store.verified(root, Memory::new("data", file.clone()));
        assert_eq!(source.open(0).await.expect("a tree").size, 256);
        for start in (0..256).step_by(13) {
            for end in (start + 1..=256).step_by(37) {
                let got = read(&source, start as u64..end as u64).await;
                assert_eq!(got.as_deref(), Ok(&file[start..end]), "{hint}");
            }
        }
    }
}
