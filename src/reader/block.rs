//! A block: one buffer's worth of consecutive bytes of the blob, and what is known of each byte.
//!
//! A block knows which of its bytes are present, which origin gave them, and which of them agreed
//! with a checksum. Block `n` holds the bytes from `n * BLOCK` on.

use std::ops::Range;
use std::sync::Arc;

use parking_lot::Mutex;

use super::pool::{BLOCK, Buffer};
use crate::ranges::{RangeSet, overlap, overlaps, without};
use crate::source::Origin;

/// The blocks that a range touches, in order. Holding them keeps their bytes in memory.
pub(super) type Blocks = Vec<Arc<Block>>;

/// Number of checked ranges that a block remembers. A block with more checked entries than this holds
/// small ones, which are cheap to check again.
const MAX_CHECKED: usize = 16;

/// Number of ranges of read bytes that a block remembers. Kernels read whole pages, and a block has 64 of
/// them.
const MAX_READ: usize = 64;

/// The numbers of the blocks that `range` touches.
pub(super) fn blocks_of(range: &Range<u64>) -> Range<u64> {
    if range.is_empty() {
        return 0..0;
    }
    range.start / BLOCK..range.end.div_ceil(BLOCK)
}

/// The bytes of `range` that are absent from `blocks`, which must be all blocks of `range`.
pub(super) fn missing(blocks: &[Arc<Block>], range: &Range<u64>) -> Vec<Range<u64>> {
    let missing = blocks.iter().flat_map(|block| block.missing(range));
    missing.collect::<RangeSet>().to_vec()
}

/// One block of the blob.
#[derive(Debug)]
pub(super) struct Block {
    number: u64,
    content: Mutex<Content>,
}

#[derive(Debug)]
struct Content {
    buffer: Buffer,
    /// The bytes of the blob that are present. Nearly always one range.
    present: RangeSet,
    /// Origins of the bytes, in the order of arrival.
    origins: Vec<(Range<u64>, Origin)>,
    /// The bytes that agreed with a checksum.
    checked: RangeSet,
    /// The bytes that were read.
    read: RangeSet,
}

impl Block {
    pub(super) fn new(number: u64, buffer: Buffer) -> Self {
        Self {
            number,
            content: Mutex::new(Content {
                buffer,
                present: RangeSet::new(),
                origins: Vec::new(),
                checked: RangeSet::new(),
                read: RangeSet::new(),
            }),
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The part of the blob that this block holds.
    pub(super) fn extent(&self) -> Range<u64> {
        self.number * BLOCK..(self.number + 1) * BLOCK
    }

    /// Stores the part of `bytes` that belongs to this block. `offset` is where `bytes` begin in the
    /// blob.
    pub(super) fn fill(&self, offset: u64, bytes: &[u8], origin: &Origin) {
        let mine = overlap(&self.extent(), &(offset..offset + bytes.len() as u64));
        if mine.is_empty() {
            return;
        }
        let from = &bytes[(mine.start - offset) as usize..(mine.end - offset) as usize];
        let mut content = self.content.lock();
        let at = self.within(&mine);
        content.buffer.bytes_mut()[at].copy_from_slice(from);
        content.checked.remove(&mine);
        match content.origins.last_mut() {
            Some((range, last)) if range.end == mine.start && last == origin => {
                range.end = mine.end;
            }
            _ => content.origins.push((mine.clone(), origin.clone())),
        }
        content.present.insert(mine);
    }

    /// Makes the bytes of `range` absent again, also for those who hold the block.
    pub(super) fn forget(&self, range: &Range<u64>) {
        let mut content = self.content.lock();
        content.present.remove(range);
        content.checked.remove(range);
        let origins = std::mem::take(&mut content.origins).into_iter();
        let left = origins.flat_map(|(given, origin)| {
            without(given, range).map(move |left| (left, origin.clone()))
        });
        content.origins = left.collect();
    }

    /// Records that the bytes of `range` in this block agreed with their checksum.
    pub(super) fn set_checked(&self, range: &Range<u64>) {
        let mine = overlap(&self.extent(), range);
        let mut content = self.content.lock();
        if content.present.covers(&mine) && content.checked.len() < MAX_CHECKED {
            content.checked.insert(mine);
        }
    }

    /// Whether all bytes of `range` in this block agreed with their checksum.
    pub(super) fn is_checked(&self, range: &Range<u64>) -> bool {
        let mine = overlap(&self.extent(), range);
        self.content.lock().checked.covers(&mine)
    }

    /// Adds the origins of the bytes of `range` in this block to `origins`.
    pub(super) fn origins(&self, range: &Range<u64>, origins: &mut Vec<Origin>) {
        for (given, origin) in &self.content.lock().origins {
            if overlaps(given, range) && !origins.contains(origin) {
                origins.push(origin.clone());
            }
        }
    }

    /// Appends the bytes of `range` in this block to `out`. If some are absent, appends nothing and
    /// returns false.
    pub(super) fn copy_to(&self, range: &Range<u64>, out: &mut Vec<u8>) -> bool {
        let mine = overlap(&self.extent(), range);
        if mine.is_empty() {
            return true;
        }
        let mut content = self.content.lock();
        if !content.present.covers(&mine) {
            return false;
        }
        out.extend_from_slice(&content.buffer.bytes()[self.within(&mine)]);
        if content.read.len() < MAX_READ || content.read.covers(&mine) {
            content.read.insert(mine);
        }
        true
    }

    /// The bytes of `range` in this block that are absent.
    fn missing(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        self.content
            .lock()
            .present
            .gaps(&overlap(&self.extent(), range))
    }

    fn within(&self, range: &Range<u64>) -> Range<usize> {
        let start = self.extent().start;
        (range.start - start) as usize..(range.end - start) as usize
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let content = self.content.get_mut();
        let unread = (content.present.bytes()).saturating_sub(content.read.bytes());
        content.buffer.drop_unread(unread);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::pool::Pool;
    use proptest::prelude::*;

    fn block(number: u64) -> Block {
        let mut grant = Pool::new(1, u64::MAX)
            .try_grant(1, 0)
            .expect("a free buffer");
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
    fn forgotten_bytes_are_missing_and_new_bytes_are_unchecked() {
        let block = block(0);
        let both = ["one", "two"].map(Origin::new);
        block.fill(0, &[1; 100], &both[0]);
        block.fill(100, &[1; 100], &both[0]);
        block.fill(200, &[2; 100], &both[1]);
        let origins_of = |range: Range<u64>| {
            let mut origins = Vec::new();
            block.origins(&range, &mut origins);
            origins
        };
        assert_eq!(origins_of(0..200), both[..1]);
        assert_eq!(origins_of(150..250), both);
        block.set_checked(&(50..400));
        assert!(!block.is_checked(&(50..250)), "some of it is not there");
        block.set_checked(&(50..250));
        assert!(block.is_checked(&(60..250)) && !block.is_checked(&(40..250)));

        block.forget(&(100..220));
        assert_eq!(block.missing(&(0..300)), vec![100..220]);
        assert!(block.is_checked(&(50..100)) && !block.is_checked(&(50..101)));
        assert_eq!(origins_of(100..220), []);
        block.fill(100, &[3; 120], &both[1]);
        assert_eq!(origins_of(0..300), both);
        assert!(!block.is_checked(&(100..101)) && block.is_checked(&(220..250)));
        let mut out = Vec::new();
        assert!(block.copy_to(&(99..221), &mut out));
        assert_eq!(out, [&[1][..], &[3; 120], &[2]].concat());
    }

    proptest! {
        /// For any chunks in any order, exactly their bytes are present and correct.
        #[test]
        fn holds_exactly_the_bytes_that_were_filled_in(chunks in prop::collection::vec((0u64..3000, 1usize..500), 0..20)) {
            let block = block(1);
            let start = BLOCK - 1000; // some chunks begin before the block
            let mut model = vec![false; 4000];
            for (at, len) in chunks {
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
            let present = |r: &Range<u64>| block.copy_to(r, &mut Vec::new());
            prop_assert!(!missing.iter().any(present));
        }
    }
}
