//! The jobs of the writer's thread.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use super::blob::Blob;
use super::budget::Reservation;
use super::key::Key;
use super::metadata::{Metadata, Seen};
use super::record::Fill;

/// A job. The thread does jobs in the order of sending.
pub(super) enum Job {
    /// Write these bytes, together with others of their block.
    Write(BlockPart),
    /// Remove these bytes; they were wrong.
    Forget(Arc<Blob>, Range<u64>),
    /// Write a node or an artifact.
    Keep(SideFile),
    /// Write everything that is pending, then answer.
    Settle(SyncSender<()>),
    /// Record the current version of a URL, and remove the blob of the old one.
    Seen {
        path: String,
        now: Seen,
        old: Option<Key>,
    },
    /// Remove the record of the current version of a URL: it may be an old one.
    ForgetSeen(String),
    /// Record a blob that is in use.
    Introduce(Arc<Blob>, Metadata),
}

/// A file of a blob that is not a block: a node or an artifact.
pub(super) struct SideFile {
    pub(super) blob: Arc<Blob>,
    /// Its name within the blob's directory.
    pub(super) name: String,
    pub(super) content: SideContent,
}

/// The content of a [`SideFile`].
pub(super) enum SideContent {
    /// These bytes, which are within the budget.
    Plain(
        Vec<u8>,
        #[expect(dead_code, reason = "it is held")] Reservation,
    ),
    /// About this many bytes, generated while they are written, with a checksum.
    Framed(u64, Fill),
}

/// Consecutive bytes of one block.
pub(super) struct BlockPart {
    pub(super) blob: Arc<Blob>,
    /// Their offset in the blob.
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) _reservation: Reservation,
}

impl BlockPart {
    /// Its range of the blob.
    pub(super) fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.bytes.len() as u64
    }
}
