//! How much of a tree is kept in memory, and that the rest is fetched again.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Mutex;

use aiozfs::content::{Cid, Profile, Verified, Version};
use aiozfs::source::{BlockCheck, Blocks, Error, Memory, Origin, Result, Source};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};

use super::{import, read};

/// Children of a node.
const WIDTH: usize = 1024;

/// Bytes of a leaf.
const LEAF: usize = 8;

/// Bytes below a node.
const BELOW: usize = WIDTH * LEAF;

/// How many children of nodes are kept, as documented.
const MOST_KNOWN: usize = 128 << 10;

/// Nodes below the root: three times the number that is kept.
const NODES: usize = 3 * MOST_KNOWN / WIDTH;

/// Notes what is asked for, and forges what it is told to.
struct Watched {
    blocks: Arc<dyn Blocks>,
    asked: Mutex<Vec<String>>,
    forged: Mutex<HashSet<String>>,
}

impl Watched {
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().expect("what was asked"))
    }
}

impl Blocks for Watched {
    fn block(&self, cid: &str, most: usize, check: BlockCheck) -> BoxFuture<'_, Result<Bytes>> {
        self.asked
            .lock()
            .expect("what was asked")
            .push(cid.to_owned());
        if !self.forged.lock().expect("forged").contains(cid) {
            return self.blocks.block(cid, most, check);
        }
        let block = self.blocks.block(cid, most, Arc::new(|_| true));
        let forged = async move {
            let mut bytes = block.await?.to_vec();
            bytes[100] ^= 1;
            if check(&bytes) {
                Ok(bytes.into())
            } else {
                Err(Error::Forged {
                    origin: Origin::new("forger"),
                    range: 0..bytes.len() as u64,
                })
            }
        };
        forged.boxed()
    }
}

/// A read somewhere below each of these nodes.
async fn look_below(source: &Verified, bytes: &[u8], nodes: impl Iterator<Item = usize>) {
    for node in nodes {
        let at = node * BELOW + node % WIDTH * LEAF;
        let range = at as u64..(at + LEAF) as u64;
        let got = read(source, range).await.expect("right bytes");
        assert!(got == bytes[at..at + LEAF], "below node {node}");
    }
}

/// A tree of tiny leaves is nearly all inner nodes: what is known of them must not grow with what is
/// read. What made room is fetched anew when it is needed, and compared anew.
#[tokio::test]
async fn evicted_inner_nodes_are_fetched_and_verified_again() {
    let bytes: Vec<u8> = (0..(NODES * BELOW / 8) as u64)
        .flat_map(u64::to_le_bytes)
        .collect();
    let profile = Profile::new("tiny", LEAF, WIDTH, true, Version::V1);
    let (cid, blocks) = import(profile, &bytes);
    let watched = Arc::new(Watched {
        blocks,
        asked: Mutex::default(),
        forged: Mutex::default(),
    });
    let data = Arc::new(Memory::new("data", bytes.clone()));
    let source = Verified::new(cid, data, watched.clone());
    source.open(0).await.expect("a tree");
    assert_eq!(watched.asked().len(), 1);

    look_below(&source, &bytes, 0..NODES).await;
    let order = watched.asked();
    assert_eq!(order.len(), NODES, "each once");
    // The last ones are there,
    let recent = NODES - MOST_KNOWN / WIDTH * 3 / 4..NODES;
    look_below(&source, &bytes, recent).await;
    assert_eq!(watched.asked(), [""; 0]);
    // ... and the number of nodes that are kept is bounded.
    look_below(&source, &bytes, 0..NODES).await;
    let again = watched.asked().len();
    assert!(again >= NODES - MOST_KNOWN / WIDTH, "{again} of {NODES}");

    // What comes back is compared with its CID like the first time.
    let gone = &order[0];
    watched.forged.lock().expect("forged").insert(gone.clone());
    look_below(&source, &bytes, 1..NODES).await;
    let error = read(&source, 0..8).await.expect_err("a forged node");
    assert!(matches!(error, Error::Forged { .. }), "{error:?}");
    watched.forged.lock().expect("forged").clear();
    look_below(&source, &bytes, 0..1).await;
    let asked = watched.asked();
    assert!(asked.ends_with(&[gone.clone(), gone.clone()]));
    assert!(gone.parse::<Cid>().is_ok());
}
