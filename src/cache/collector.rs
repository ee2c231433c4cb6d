//! Copies the bytes of a read into block parts for the writer, as far as there is room for what
//! waits. No read waits for it.

use std::ops::Range;
use std::sync::Arc;

use super::blob::Blob;
use super::block::BLOCK;
use super::job::{BlockPart, Job};
use super::store::Inner;

/// Copies bytes into parts, one a block. Dropping it hands over an unfinished part.
pub(super) struct Collector {
    cache: Arc<Inner>,
    blob: Arc<Blob>,
    /// The bytes that the read will deliver.
    range: Range<u64>,
    filling: Option<BlockPart>,
}

impl Collector {
    /// For the bytes of `range` of the blob, which come in order.
    pub(super) fn new(cache: Arc<Inner>, blob: Arc<Blob>, range: Range<u64>) -> Self {
        Self {
            cache,
            blob,
            range,
            filling: None,
        }
    }

    /// Copies bytes that the read delivered.
    pub(super) fn pass(&mut self, offset: u64, mut bytes: &[u8]) {
        let mut at = offset;
        while !bytes.is_empty() {
            let block_end = (at / BLOCK + 1) * BLOCK;
            let now = bytes.len().min((block_end - at) as usize);
            let (mine, rest) = bytes.split_at(now);
            self.pass_within_block(at, mine, block_end);
            (at, bytes) = (at + now as u64, rest);
        }
    }

    fn pass_within_block(&mut self, at: u64, bytes: &[u8], block_end: u64) {
        let end = at + bytes.len() as u64;
        if self.filling.is_none() {
            let most = block_end.min(self.range.end).max(end) - at;
            // If there is no room, the rest of the block is tried again with the next bytes.
            self.filling = self.cache.room(most as usize).map(|room| BlockPart {
                blob: self.blob.clone(),
                offset: at,
                bytes: Vec::with_capacity(most as usize),
                _room: room,
            });
        }
        if let Some(part) = &mut self.filling {
            debug_assert_eq!(part.offset + part.bytes.len() as u64, at);
            part.bytes.extend_from_slice(bytes);
        }
        if end == block_end || end >= self.range.end {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        if let Some(part) = self.filling.take()
            && !part.bytes.is_empty()
            && self.blob.quarantine.first(&part.range()).is_none()
        {
            self.cache.send(Job::Write(part));
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.hand_over();
    }
}
