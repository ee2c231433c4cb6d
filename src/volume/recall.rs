//! Stores the index, the tree and the checkpoints of an archive in the cache, so that the next mount need not make them.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::archive::{self, EntryId, Index, ParseOptions};
use crate::cache::{Cached, Pull};
use crate::decode::{self, CheckpointStore, Point};
use crate::fs::{self, Tree, TreeOptions};

/// A tree of fewer entries takes less time to build than to read from disk.
const LARGE_TREE: usize = 10_000;

/// The names contain the format, so a file that another version wrote is not found.
const INDEX: &str = "index-3";
const TREE: &str = "tree-2";
const POINTS: &str = "points-2";
const _: () = assert!(archive::STORED_FORMAT == 3 && fs::STORED_FORMAT == 2);
const _: () = assert!(decode::STORED_FORMAT == 2);

/// The index and the tree of one archive in the cache. Without a cache, nothing is found or stored.
pub(super) struct Recall<'a> {
    cached: Option<&'a Cached>,
    /// Appended to the names of the files, because names decoded otherwise make another index.
    encoding: String,
}

impl<'a> Recall<'a> {
    pub(super) fn new(cached: Option<&'a Cached>, parse: &ParseOptions) -> Self {
        let encoding = if parse.encoding.is_usual() {
            String::new()
        } else {
            format!("-{}", parse.encoding)
        };
        Self { cached, encoding }
    }

    fn name(&self, what: &str) -> String {
        format!("{what}{}", self.encoding)
    }

    pub(super) async fn index(&self) -> Option<Index> {
        let name = self.name(INDEX);
        self.cached?.load(name, |pull| Index::load(pull)).await
    }

    pub(super) fn keep_index(&self, index: &Arc<Index>) {
        if let Some(cached) = self.cached {
            let (size, index) = (index.stored_len(), index.clone());
            let name = self.name(INDEX);
            cached.keep(&name, size, Box::new(move |push| index.store(push)));
        }
    }

    /// The tree of an index.
    pub(super) async fn tree(&self, index: &Arc<Index>, options: TreeOptions) -> Option<Tree> {
        if index.len() < LARGE_TREE {
            return None;
        }
        let index = index.clone();
        let load = move |pull: &mut Pull| Tree::load(index, options, pull);
        self.cached?.load(self.name(TREE), load).await
    }

    pub(super) fn keep_tree(&self, tree: &Arc<Tree>) {
        if let Some(cached) = self.cached
            && tree.index().len() >= LARGE_TREE
        {
            let (size, tree) = (tree.stored_len(), tree.clone());
            let name = self.name(TREE);
            cached.keep(&name, size, Box::new(move |push| tree.store(push)));
        }
    }
}

/// Keeps the checkpoints of an archive's compressed entries in the cache.
pub(super) struct CachedPoints {
    cached: Cached,
    index: Arc<Index>,
}

impl CachedPoints {
    pub(super) fn new(cached: Cached, index: Arc<Index>) -> Self {
        Self { cached, index }
    }

    /// Entries with one local header have the same data, however their names were decoded.
    fn name(&self, id: EntryId) -> String {
        format!("{POINTS}-{:x}", self.index.get(id).header_offset)
    }

    fn sizes(&self, id: EntryId) -> (u64, u64) {
        let entry = self.index.get(id);
        (entry.size, entry.compressed_size)
    }
}

impl CheckpointStore for CachedPoints {
    fn load(&self, id: EntryId) -> BoxFuture<'_, Vec<Point>> {
        let sizes = self.sizes(id);
        let load = move |pull: &mut Pull| decode::load_points(sizes, pull);
        let points = self.cached.load(self.name(id), load);
        points.map(Option::unwrap_or_default).boxed()
    }

    fn store(&self, id: EntryId, points: Vec<Arc<Point>>) {
        let size = decode::stored_points_len(&points);
        let sizes = self.sizes(id);
        let store = move |push: &mut dyn FnMut(&[u8])| decode::store_points(sizes, &points, push);
        self.cached.keep(&self.name(id), size, Box::new(store));
    }
}
