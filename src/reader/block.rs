//! A block: a fixed piece of the line in memory, and which of its bytes have come.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::pool::Buffer;

/// Bytes in a block. Small enough that scattered reads of a few kilobytes do not hold much more
/// than they use, large enough that a gigabyte is only four thousand of them.
pub(super) const BLOCK: u64 = 256 * 1024;

/// The numbers of the blocks that `range` touches.
pub(super) fn blocks_of(range: &Range<u64>) -> Range<u64> {
    if range.is_empty() {
        return 0..0;
    }
    range.start / BLOCK..range.end.div_ceil(BLOCK)
}

/// One block of the line.
#[derive(Debug)]
pub(super) struct Block {
    number: u64,
    content: Mutex<Content>,
}

#[derive(Debug)]
struct Content {
    buffer: Buffer,
    /// What has come, as ranges of the line: sorted, apart from each other. Nearly always one.
    there: Vec<Range<u64>>,
}

impl Block {
    pub(super) fn new(number: u64, buffer: Buffer) -> Self {
        let there = Vec::new();
        Self {
            number,
            content: Mutex::new(Content { buffer, there }),
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The part of the line that this block is.
    pub(super) fn extent(&self) -> Range<u64> {
        self.number * BLOCK..(self.number + 1) * BLOCK
    }

    /// Puts in those of `bytes`, which lie at `offset` of the line, that belong here.
    pub(super) fn fill(&self, offset: u64, bytes: &[u8]) {
        let mine = overlap(&self.extent(), &(offset..offset + bytes.len() as u64));
        if mine.is_empty() {
            return;
        }
        let from = &bytes[(mine.start - offset) as usize..(mine.end - offset) as usize];
        let mut content = self.content();
        let at = self.within(&mine);
        content.buffer.bytes_mut()[at].copy_from_slice(from);
        insert(&mut content.there, mine);
    }

    /// Whether all of `range` that belongs here has come.
    pub(super) fn has(&self, range: &Range<u64>) -> bool {
        let mine = overlap(&self.extent(), range);
        mine.is_empty() || covers(&self.content().there, &mine)
    }

    /// Adds those bytes of `range` that belong here to `out`; if not all have come, adds nothing
    /// and says so.
    pub(super) fn copy_to(&self, range: &Range<u64>, out: &mut Vec<u8>) -> bool {
        let mine = overlap(&self.extent(), range);
        if mine.is_empty() {
            return true;
        }
        let content = self.content();
        if !covers(&content.there, &mine) {
            return false;
        }
        out.extend_from_slice(&content.buffer.bytes()[self.within(&mine)]);
        true
    }

    /// The parts of `range` within this block that have not come.
    pub(super) fn missing(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        let mine = overlap(&self.extent(), range);
        let mut missing = Vec::new();
        let mut at = mine.start;
        for there in &self.content().there {
            if there.end <= at || there.start >= mine.end {
                continue;
            }
            if there.start > at {
                missing.push(at..there.start);
            }
            at = there.end;
        }
        if at < mine.end {
            missing.push(at..mine.end);
        }
        missing
    }

    fn within(&self, range: &Range<u64>) -> Range<usize> {
        let start = self.extent().start;
        (range.start - start) as usize..(range.end - start) as usize
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        // A panic while holding the lock can only have been in a copy: `there` is written last.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What two ranges share; empty (at the larger start) if nothing.
pub(super) fn overlap(a: &Range<u64>, b: &Range<u64>) -> Range<u64> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

fn covers(ranges: &[Range<u64>], wanted: &Range<u64>) -> bool {
    ranges
        .iter()
        .any(|r| r.start <= wanted.start && r.end >= wanted.end)
}

/// Adds a range, merging it with those that it overlaps or touches.
fn insert(ranges: &mut Vec<Range<u64>>, mut new: Range<u64>) {
    ranges.retain(|old| {
        let apart = old.end < new.start || old.start > new.end;
        if !apart {
            new = new.start.min(old.start)..new.end.max(old.end);
        }
        apart
    });
    let at = ranges.partition_point(|old| old.start < new.start);
    ranges.insert(at, new);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::pool::Pool;
    use proptest::prelude::*;

    fn block(number: u64) -> Block {
        let mut grant = Pool::new(1).try_grant(1, 0).expect("a free buffer");
        Block::new(number, grant.take().expect("a buffer"))
    }

    #[test]
    fn blocks_of_a_range() {
        assert_eq!(blocks_of(&(5..5)), 0..0);
        assert_eq!(blocks_of(&(0..1)), 0..1);
        assert_eq!(blocks_of(&(BLOCK - 1..BLOCK + 1)), 0..2);
        assert_eq!(blocks_of(&(BLOCK..2 * BLOCK)), 1..2);
    }

    proptest! {
        /// Whatever pieces come in whatever order, exactly those bytes are there, and right.
        #[test]
        fn holds_what_was_put_in(pieces in prop::collection::vec((0u64..3000, 1usize..500), 0..20)) {
            let block = block(1);
            let start = BLOCK - 1000; // some pieces begin before the block
            let mut model = vec![false; 4000];
            for (at, len) in pieces {
                let offset = start + at;
                let bytes: Vec<u8> = (offset..offset + len as u64).map(|o| o as u8).collect();
                block.fill(offset, &bytes);
                for o in offset.max(BLOCK)..(offset + len as u64).max(BLOCK) {
                    model[(o - BLOCK) as usize] = true;
                }
            }
            for (i, expected) in model.iter().enumerate() {
                let at = BLOCK + i as u64;
                let mut out = Vec::new();
                prop_assert_eq!(block.copy_to(&(at..at + 1), &mut out), *expected);
                prop_assert_eq!(out, if *expected { vec![at as u8] } else { vec![] });
            }
            let missing = block.missing(&(BLOCK..BLOCK + 4000));
            let lost: u64 = missing.iter().map(|r| r.end - r.start).sum();
            prop_assert_eq!(lost as usize, model.iter().filter(|there| !**there).count());
            prop_assert!(missing.iter().all(|r| !block.has(r)));
        }
    }
}
