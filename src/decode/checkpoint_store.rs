//! Where checkpoints outlive the mount.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::checkpoint::Point;
use crate::archive::EntryId;

/// Keeps checkpoints of entries.
pub trait CheckpointStore: Send + Sync {
    /// What was stored of an entry; nothing if that is damaged.
    fn load(&self, id: EntryId) -> BoxFuture<'_, Vec<Point>>;

    /// Stores the checkpoints of an entry in place of those that were stored before. Does not wait.
    fn store(&self, id: EntryId, points: Vec<Arc<Point>>);
}
