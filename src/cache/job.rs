//! What the writer is asked to do.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use super::blob::Blob;
use super::budget::Room;
use super::key::Key;
use super::metadata::{Metadata, Seen};
use super::record::Fill;

/// What the thread is asked to do, in this order.
pub(super) enum Job {
    /// Write these bytes, with others of their block.
    Piece(Piece),
    /// These bytes were wrong.
    Forget(Arc<Blob>, Range<u64>),
    /// Keep something else of a blob's.
    Keep(Keep),
    /// Write all that waits, and say so.
    Settle(SyncSender<()>),
    /// This version of a URL is there now; another one was before, perhaps.
    Seen {
        path: String,
        now: Seen,
        old: Option<Key>,
    },
    /// This blob is in use.
    Introduce(Arc<Blob>, Metadata),
}

/// A file beside the blocks.
pub(super) struct Keep {
    pub(super) blob: Arc<Blob>,
    /// Its name within the blob's directory.
    pub(super) name: String,
    pub(super) content: Content,
}

/// What is in it.
pub(super) enum Content {
    /// These bytes, as they are.
    /// They wait within the budget.
    Plain(Vec<u8>, #[expect(dead_code, reason = "it is held")] Room),
    /// About so many bytes, which are made as they are written; with a checksum.
    Framed(u64, Fill),
}

/// Consecutive bytes of one block.
pub(super) struct Piece {
    pub(super) blob: Arc<Blob>,
    /// Where in the blob they lie.
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) _room: Room,
}

impl Piece {
    /// What of the blob it is.
    pub(super) fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.bytes.len() as u64
    }
}
