//! A blob of the cache and the paths of its files.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::key::Key;
use super::presence::{GROUP, PresenceIndex};
use super::quarantine::Quarantine;

/// A blob that this process reads or writes.
pub(super) struct Blob {
    pub(super) key: Key,
    /// Its directory.
    pub(super) dir: String,
    /// Ranges that turned out to be wrong.
    pub(super) quarantine: Quarantine,
    /// Which of its blocks are on disk.
    pub(super) presence: PresenceIndex,
    /// Bytes read from disk.
    pub(super) hits: AtomicU64,
    /// Bytes read from below.
    pub(super) misses: AtomicU64,
}

/// The directory of the blob whose key has this file name.
pub(super) fn dir(key: &str) -> String {
    format!("blobs/{key}")
}

impl Blob {
    pub(super) fn new(key: Key) -> Arc<Self> {
        Arc::new(Self {
            dir: dir(&key.hex()),
            key,
            quarantine: Quarantine::default(),
            presence: PresenceIndex::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        })
    }

    /// The path of one of its files.
    pub(super) fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.dir)
    }

    /// The path of a block's file.
    pub(super) fn block(&self, number: u64) -> String {
        format!("{}/{number:x}", self.group_dir(number))
    }

    /// The directory of a block and its group.
    pub(super) fn group_dir(&self, number: u64) -> String {
        format!("{}/data/{:x}", self.dir, number / GROUP)
    }
}
