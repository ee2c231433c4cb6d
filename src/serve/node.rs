//! The blobs that a node serves, and its connections.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use axum::handler::HandlerWithoutStateExt;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::answer::answer;
use super::connection::CuttableListener;
use crate::content::{Block, Cid, Tree};
use crate::source::Source;

/// How long answers in flight may go on after the end was asked for.
const GRACE: Duration = Duration::from_millis(500);

/// Of how many blobs with the same block one is looked for whose file is still there.
const MOST_HOLDERS: usize = 16;

/// A blob to be served.
#[derive(Clone)]
pub struct Blob {
    /// The name it is asked for by.
    pub cid: Cid,
    /// What people call it; shown in lists and part of its URL.
    pub name: String,
    /// Length in bytes.
    pub size: u64,
    /// Its bytes. [`Source::open`] is called before every answer: it should fail, or tell another
    /// size, if they are no longer there, and the blob is then withdrawn.
    pub source: Arc<dyn Source>,
    /// Its blocks, by which others prove what they get. Without it there are only bytes.
    pub tree: Option<Arc<Tree>>,
}

/// One publication: by it, a blob can be withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(u64);

/// A node. Clones are handles of the same node.
#[derive(Clone, Default)]
pub struct Node(Arc<Shared>);

#[derive(Default)]
struct Shared {
    shelf: Mutex<Shelf>,
    withdrawn: Notify,
}

#[derive(Default)]
struct Shelf {
    last: u64,
    /// In the order of publication.
    blobs: BTreeMap<BlobId, Blob>,
    /// By CID in version 1. Several files may hold the same bytes.
    by_cid: HashMap<Cid, Vec<BlobId>>,
}

impl Node {
    /// A node that serves nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves `blob` from now on. The caller knows that it has this CID: nothing is compared.
    pub fn publish(&self, blob: Blob) -> BlobId {
        let mut shelf = self.shelf();
        shelf.last += 1;
        let id = BlobId(shelf.last);
        shelf.by_cid.entry(blob.cid.to_v1()).or_default().push(id);
        shelf.blobs.insert(id, blob);
        id
    }

    /// Serves that blob no longer; answers in flight go on. `false` if it was withdrawn before.
    pub fn withdraw(&self, id: BlobId) -> bool {
        let mut shelf = self.shelf();
        let Some(blob) = shelf.blobs.remove(&id) else {
            return false;
        };
        let key = blob.cid.to_v1();
        if let Some(ids) = shelf.by_cid.get_mut(&key) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                shelf.by_cid.remove(&key);
            }
        }
        true
    }

    /// Whether that blob is served, as far as is known.
    pub fn serves(&self, id: BlobId) -> bool {
        self.shelf().blobs.contains_key(&id)
    }

    /// All that is served, in the order of publication; what turns out to have changed is
    /// withdrawn and not among it.
    pub async fn list(&self) -> Vec<Blob> {
        let all: Vec<_> = self.shelf().blobs.clone().into_iter().collect();
        let mut list = Vec::with_capacity(all.len());
        for (id, blob) in all {
            if self.is_there(id, &blob).await {
                list.push(blob);
            }
        }
        list
    }

    /// Waits until the node has withdrawn a blob by itself, because its bytes are no longer there.
    pub async fn withdrew(&self) {
        self.0.withdrawn.notified().await;
    }

    /// Answers connections until `shutdown` ends. Then none is accepted any more, and answers in
    /// flight have half a second before their connections are cut.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let cut = CancellationToken::new();
        let listener = CuttableListener {
            listener,
            cut: cut.clone(),
        };
        // However this function ends, dropped in the middle included, no connection outlives it.
        let cut_at_end = cut.clone().drop_guard();
        let node = self.clone();
        let handler = move |request: Request| answer(node, request);
        let ended = async move {
            shutdown.await;
            tokio::spawn(async move {
                tokio::time::sleep(GRACE).await;
                cut.cancel();
            });
        };
        // The bare handler, not a router: a router adds a Content-Length of 0 to 304 answers.
        let served = axum::serve(listener, handler.into_make_service())
            .with_graceful_shutdown(ended)
            .await;
        drop(cut_at_end);
        served
    }

    /// Whether a blob of this CID is published under this name, or is a file of this name in a
    /// directory that is served.
    pub(super) fn is_name_of(&self, cid: &Cid, name: &str) -> bool {
        let shelf = self.shelf();
        let ids = shelf.by_cid.get(&cid.to_v1()).into_iter().flatten();
        let mut blobs = ids.filter_map(|id| shelf.blobs.get(id));
        blobs.any(|blob| blob.name == name || blob.name.rsplit('/').next() == Some(name))
    }

    /// A blob of this CID whose bytes are there.
    pub(super) async fn find(&self, cid: &Cid) -> Option<Blob> {
        loop {
            let (id, blob) = {
                let shelf = self.shelf();
                let id = *shelf.by_cid.get(&cid.to_v1())?.first()?;
                (id, shelf.blobs.get(&id)?.clone())
            };
            // Each turn that fails takes one from the shelf.
            if self.is_there(id, &blob).await {
                return Some(blob);
            }
        }
    }

    /// The block of this CID, and the blob that it is of, whose bytes are there.
    pub(super) async fn find_block(&self, cid: &Cid) -> Option<(Blob, Block)> {
        // Looked up in each tree, a few steps each, instead of in one map of all leaves, which
        // would have to change with every file and take twice the memory.
        let found: Vec<(BlobId, Blob, Block)> = {
            let shelf = self.shelf();
            let blobs = shelf.blobs.iter();
            let found = blobs.filter_map(|(id, blob)| {
                let block = blob.tree.as_ref()?.find(cid)?;
                Some((*id, blob.clone(), block))
            });
            // Should a file be gone, the next that has the block will do; a few are enough.
            found.take(MOST_HOLDERS).collect()
        };
        for (id, blob, block) in found {
            if self.is_there(id, &blob).await {
                return Some((blob, block));
            }
        }
        None
    }

    async fn is_there(&self, id: BlobId, blob: &Blob) -> bool {
        match blob.source.open(0).await {
            Ok(opened) if opened.size == blob.size => return true,
            Ok(opened) => log::warn!(
                "{} has {} bytes now, not {}: no longer served as {}",
                blob.name,
                opened.size,
                blob.size,
                blob.cid
            ),
            Err(e) => log::warn!("no longer served as {}: {e}", blob.cid),
        }
        self.withdraw(id);
        self.0.withdrawn.notify_one();
        false
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // No holder panics half-way through a change.
        let locked = self.0.shelf.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }
}
