//! A block: a fixed piece of the line in memory, which of its bytes have come, and from whom.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::pool::Buffer;
use crate::source::Origin;

/// Bytes in a block. Small enough that scattered reads of a few kilobytes do not hold much more
/// than they use, large enough that a gigabyte is only four thousand of them.
pub(super) const BLOCK: u64 = 256 * 1024;

/// Ranges of a block that are remembered as checked. One that holds more entries than this holds
/// small ones, and those are soon checked again.
const MAX_CHECKED: usize = 16;

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
    /// Who gave what, in the order in which it came.
    givers: Vec<(Range<u64>, Origin)>,
    /// What of it was compared with a checksum, and agreed.
    checked: Vec<Range<u64>>,
}

impl Block {
    pub(super) fn new(number: u64, buffer: Buffer) -> Self {
        Self {
            number,
            content: Mutex::new(Content {
                buffer,
                there: Vec::new(),
                givers: Vec::new(),
                checked: Vec::new(),
            }),
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
    pub(super) fn fill(&self, offset: u64, bytes: &[u8], origin: &Origin) {
        let mine = overlap(&self.extent(), &(offset..offset + bytes.len() as u64));
        if mine.is_empty() {
            return;
        }
        let from = &bytes[(mine.start - offset) as usize..(mine.end - offset) as usize];
        let mut content = self.content();
        let at = self.within(&mine);
        content.buffer.bytes_mut()[at].copy_from_slice(from);
        remove(&mut content.checked, &mine);
        match content.givers.last_mut() {
            Some((range, giver)) if range.end == mine.start && giver == origin => {
                range.end = mine.end;
            }
            _ => content.givers.push((mine.clone(), origin.clone())),
        }
        insert(&mut content.there, mine);
    }

    /// Forgets those bytes of `range` that belong here: they are missing again, even to those who
    /// hold the block.
    pub(super) fn forget(&self, range: &Range<u64>) {
        let mut content = self.content();
        remove(&mut content.there, range);
        remove(&mut content.checked, range);
        let givers = std::mem::take(&mut content.givers).into_iter();
        let left = givers.flat_map(|(given, origin)| {
            without(given, range).map(move |left| (left, origin.clone()))
        });
        content.givers = left.collect();
    }

    /// Says that those bytes of `range` that belong here agreed with their checksum.
    pub(super) fn set_checked(&self, range: &Range<u64>) {
        let mine = overlap(&self.extent(), range);
        let mut content = self.content();
        if covers(&content.there, &mine) && content.checked.len() < MAX_CHECKED {
            insert(&mut content.checked, mine);
        }
    }

    /// Whether those bytes of `range` that belong here are known to agree with their checksum.
    pub(super) fn is_checked(&self, range: &Range<u64>) -> bool {
        let mine = overlap(&self.extent(), range);
        mine.is_empty() || covers(&self.content().checked, &mine)
    }

    /// Adds those who gave bytes of `range` that belong here.
    pub(super) fn givers(&self, range: &Range<u64>, origins: &mut Vec<Origin>) {
        for (given, origin) in &self.content().givers {
            if !overlap(given, range).is_empty() && !origins.contains(origin) {
                origins.push(origin.clone());
            }
        }
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

/// What of `range` is left without `hole`.
pub(super) fn without(
    range: Range<u64>,
    hole: &Range<u64>,
) -> impl Iterator<Item = Range<u64>> + use<> {
    let shared = overlap(&range, hole);
    let parts = if shared.is_empty() {
        [range, 0..0]
    } else {
        [range.start..shared.start, shared.end..range.end]
    };
    parts.into_iter().filter(|part| !part.is_empty())
}

fn remove(ranges: &mut Vec<Range<u64>>, hole: &Range<u64>) {
    if ranges.iter().any(|range| !overlap(range, hole).is_empty()) {
        let left = std::mem::take(ranges).into_iter();
        *ranges = left.flat_map(|range| without(range, hole)).collect();
    }
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

    #[test]
    fn what_is_forgotten_is_missing_and_what_comes_anew_is_not_checked() {
        let block = block(0);
        let both = ["one", "two"].map(Origin::new);
        block.fill(0, &[1; 100], &both[0]);
        block.fill(100, &[1; 100], &both[0]);
        block.fill(200, &[2; 100], &both[1]);
        let givers = |range: Range<u64>| {
            let mut origins = Vec::new();
            block.givers(&range, &mut origins);
            origins
        };
        assert_eq!(givers(0..200), both[..1]);
        assert_eq!(givers(150..250), both);
        block.set_checked(&(50..400));
        assert!(!block.is_checked(&(50..250)), "some of it is not there");
        block.set_checked(&(50..250));
        assert!(block.is_checked(&(60..250)) && !block.is_checked(&(40..250)));

        block.forget(&(100..220));
        assert_eq!(block.missing(&(0..300)), vec![100..220]);
        assert!(block.is_checked(&(50..100)) && !block.is_checked(&(50..101)));
        assert_eq!(givers(100..220), []);
        block.fill(100, &[3; 120], &both[1]);
        assert_eq!(givers(0..300), both);
        assert!(!block.is_checked(&(100..101)) && block.is_checked(&(220..250)));
        let mut out = Vec::new();
        assert!(block.copy_to(&(99..221), &mut out));
        assert_eq!(out, [&[1][..], &[3; 120], &[2]].concat());
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
                block.fill(offset, &bytes, &Origin::new("test"));
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
