//! The blobs that a node serves.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::blob::Blob;
use crate::content::{Block, Cid};

/// The most blobs with the same block that are tried for one whose bytes still exist.
const MOST_HOLDERS: usize = 16;

/// Identifies one publication of a blob, to withdraw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(u64);

/// A node. Clones share their blobs.
#[derive(Clone, Default)]
pub struct Node(Arc<Shared>);

#[derive(Default)]
struct Shared {
    published: Mutex<Published>,
    withdrawn: Notify,
}

/// The published blobs.
#[derive(Default)]
struct Published {
    /// The highest id given out.
    last: u64,
    /// In the order of publication.
    blobs: BTreeMap<BlobId, Blob>,
    /// By CID in version 1. Several files may have the same bytes.
    by_cid: HashMap<Cid, Vec<BlobId>>,
}

impl Node {
    /// A node without blobs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves `blob` from now on. The caller guarantees that its bytes have its CID.
    pub fn publish(&self, blob: Blob) -> BlobId {
        let mut published = self.0.published.lock();
        published.last += 1;
        let id = BlobId(published.last);
        published
            .by_cid
            .entry(blob.cid.to_v1())
            .or_default()
            .push(id);
        published.blobs.insert(id, blob);
        id
    }

    /// Stops serving a blob. Answers in flight continue. Returns `false` if it was withdrawn before.
    pub fn withdraw(&self, id: BlobId) -> bool {
        let mut published = self.0.published.lock();
        let Some(blob) = published.blobs.remove(&id) else {
            return false;
        };
        let key = blob.cid.to_v1();
        if let Some(ids) = published.by_cid.get_mut(&key) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                published.by_cid.remove(&key);
            }
        }
        true
    }

    /// Whether a blob is published. Its bytes are not checked.
    pub fn serves(&self, id: BlobId) -> bool {
        self.0.published.lock().blobs.contains_key(&id)
    }

    /// All blobs, in the order of publication. Withdraws and leaves out those whose bytes changed.
    pub async fn list(&self) -> Vec<Blob> {
        let all: Vec<_> = self.0.published.lock().blobs.clone().into_iter().collect();
        let mut list = Vec::with_capacity(all.len());
        for (id, blob) in all {
            if self.still_exists(id, &blob).await {
                list.push(blob);
            }
        }
        list
    }

    /// Waits until the node withdraws a blob because its bytes changed or are gone.
    pub async fn withdrew(&self) {
        self.0.withdrawn.notified().await;
    }

    /// Whether a blob of this CID is published under this name: the whole name, or its last
    /// component.
    pub(super) fn is_name_of(&self, cid: &Cid, name: &str) -> bool {
        let published = self.0.published.lock();
        let ids = published.by_cid.get(&cid.to_v1()).into_iter().flatten();
        let mut blobs = ids.filter_map(|id| published.blobs.get(id));
        blobs.any(|blob| blob.name == name || blob.name.rsplit('/').next() == Some(name))
    }

    /// A blob of this CID whose bytes still exist.
    pub(super) async fn find(&self, cid: &Cid) -> Option<Blob> {
        loop {
            let (id, blob) = {
                let published = self.0.published.lock();
                let id = *published.by_cid.get(&cid.to_v1())?.first()?;
                (id, published.blobs.get(&id)?.clone())
            };
            // Each failed check withdraws a blob, so the loop ends.
            if self.still_exists(id, &blob).await {
                return Some(blob);
            }
        }
    }

    /// The block of this CID, and a blob that contains it whose bytes still exist.
    pub(super) async fn find_block(&self, cid: &Cid) -> Option<(Blob, Block)> {
        // A lookup in each tree takes a few steps. One map of all leaves would change with every
        // file and take twice the memory.
        let found: Vec<(BlobId, Blob, Block)> = {
            let published = self.0.published.lock();
            let blobs = published.blobs.iter();
            let found = blobs.filter_map(|(id, blob)| {
                let block = blob.tree.as_ref()?.find(cid)?;
                Some((*id, blob.clone(), block))
            });
            found.take(MOST_HOLDERS).collect()
        };
        for (id, blob, block) in found {
            if self.still_exists(id, &blob).await {
                return Some((blob, block));
            }
        }
        None
    }

    /// Whether the blob still has its size. Withdraws it if not.
    async fn still_exists(&self, id: BlobId, blob: &Blob) -> bool {
        match blob.source.open(0).await {
            Ok(opened) if opened.size == blob.size => return true,
            Ok(opened) => log::warn!(
                "{} changed from {} to {} bytes; no longer served as {}",
                blob.name,
                blob.size,
                opened.size,
                blob.cid
            ),
            Err(e) => log::warn!("no longer served as {}: {e}", blob.cid),
        }
        self.withdraw(id);
        self.0.withdrawn.notify_one();
        false
    }
}
