//! The jobs of the writer's thread.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use tokio::sync::OwnedSemaphorePermit;

use super::blob::Blob;
use super::metadata::{Metadata, Seen};
use super::record::Fill;

/// A job. The thread does jobs in the order of sending.
pub(super) enum Job {
    /// Write these bytes, together with others of their block.
    Write(BlockPart),
    /// Remove these bytes; they were wrong.
    Forget(Arc<Blob>, Range<u64>),
    /// Write a node of a hash tree.
    Node {
        path: String,
        bytes: Vec<u8>,
        /// Held until the bytes are written: they count as waiting.
        _room: OwnedSemaphorePermit,
    },
    /// Write an artifact of about `size` bytes, which are generated meanwhile, with a checksum.
    Artifact {
        path: String,
        key: [u8; 32],
        size: u64,
        fill: Fill,
    },
    /// Write everything that is pending, then answer.
    Settle(SyncSender<()>),
    /// Record the current version of a URL, and remove the directory of the old one.
    Seen {
        path: String,
        now: Seen,
        old: Option<String>,
    },
    /// Remove the record of the current version of a URL: it may be an old one.
    ForgetSeen(String),
    /// Record a blob that is in use.
    Introduce(Arc<Blob>, Metadata),
}

/// Consecutive bytes of one block.
pub(super) struct BlockPart {
    pub(super) blob: Arc<Blob>,
    /// Their offset in the blob.
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
    /// Held until the bytes are written: they count as waiting.
    pub(super) _room: OwnedSemaphorePermit,
}

impl BlockPart {
    /// Its range of the blob.
    pub(super) fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.bytes.len() as u64
    }
}
