//! Bytes on their way to the disk: collected while they pass, within a bound, never waited for.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::block::BLOCK;
use super::store::{Blob, Inner};

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

/// How many bytes may wait for the disk.
#[derive(Debug)]
pub(super) struct Budget {
    left: AtomicUsize,
    total: usize,
}

/// A part of the budget; it is given back when dropped.
#[derive(Debug)]
pub(super) struct Room {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(super) fn new(total: usize) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicUsize::new(total),
            total,
        })
    }

    /// Room for so many bytes; `None` if the disk is so far behind that there is none.
    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> Option<Room> {
        let taken = self
            .left
            .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes));
        taken.ok().map(|_| Room {
            budget: self.clone(),
            bytes,
        })
    }

    /// Whether more than half is taken.
    pub(super) fn is_short(&self) -> bool {
        self.left.load(Relaxed) < self.total / 2
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.bytes, Relaxed);
    }
}

/// Copies what passes into pieces, a block each. What it has when it is dropped is kept, too.
pub(super) struct Collector {
    cache: Arc<Inner>,
    blob: Arc<Blob>,
    /// What may pass.
    range: Range<u64>,
    filling: Option<Piece>,
}

impl Collector {
    /// For bytes of `range` of the blob, which come in order.
    pub(super) fn new(cache: Arc<Inner>, blob: Arc<Blob>, range: Range<u64>) -> Self {
        Self {
            cache,
            blob,
            range,
            filling: None,
        }
    }

    /// These bytes pass.
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
            // Without room the rest of the block is taken up if there is some by then.
            self.filling = self.cache.room(most as usize).map(|room| Piece {
                blob: self.blob.clone(),
                offset: at,
                bytes: Vec::with_capacity(most as usize),
                _room: room,
            });
        }
        if let Some(piece) = &mut self.filling {
            debug_assert_eq!(piece.offset + piece.bytes.len() as u64, at);
            piece.bytes.extend_from_slice(bytes);
        }
        if end == block_end || end >= self.range.end {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        if let Some(piece) = self.filling.take()
            && !piece.bytes.is_empty()
            && self.blob.doubt.first(&piece.range()).is_none()
        {
            self.cache.write(piece);
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.hand_over();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_not_overdrawn_and_comes_back() {
        let budget = Budget::new(100);
        let first = budget.take(60).expect("room");
        assert!(budget.is_short());
        assert!(budget.take(41).is_none());
        let second = budget.take(40).expect("room");
        drop(first);
        assert!(budget.take(61).is_none());
        drop(second);
        assert!(!budget.is_short());
        assert!(budget.take(100).is_some());
    }
}
