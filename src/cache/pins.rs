//! The ranges of a blob that eviction skips.

use std::ops::Range;

use super::block::BLOCK;
use super::disk::Disk;
use super::record;
use crate::ranges::{RangeSet, overlap};

/// More ranges than this are replaced by one around all of them, since a record's size is limited.
const MAX_RANGES: usize = 10_000;

/// Pinned ranges, which begin and end at block boundaries. A blob with pins also keeps its nodes and
/// artifacts.
pub(super) struct Pins(RangeSet);

/// The pins of the blob in a directory.
pub(super) fn of(disk: &dyn Disk, dir: &str) -> Pins {
    let ranges: Vec<Range<u64>> = record::read(disk, &path(dir)).unwrap_or_default();
    Pins(ranges.into_iter().collect())
}

/// The path of the pins of the blob in a directory.
pub(super) fn path(dir: &str) -> String {
    format!("{dir}/pins")
}

impl Pins {
    /// The bytes of their record.
    pub(super) fn seal(&self) -> Vec<u8> {
        record::seal(&*self.0)
    }

    /// Whether nothing is pinned.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a part of this block is pinned.
    pub(super) fn hold(&self, number: u64) -> bool {
        self.0
            .first_in(&(number * BLOCK..(number + 1) * BLOCK))
            .is_some()
    }

    /// Adds the blocks that these ranges touch.
    pub(super) fn add(&mut self, ranges: &[Range<u64>]) {
        for range in ranges.iter().filter(|range| !range.is_empty()) {
            let end = range.end.next_multiple_of(BLOCK);
            self.0.insert(range.start / BLOCK * BLOCK..end);
        }
        if self.0.len() > MAX_RANGES
            && let (Some(first), Some(last)) = (self.0.first().cloned(), self.0.last().cloned())
        {
            self.0.insert(first.start..last.end);
        }
    }

    /// How many bytes of a blob of `size` bytes are pinned.
    pub(super) fn bytes(&self, size: u64) -> u64 {
        let pins = self.0.iter();
        pins.map(|pin| overlap(pin, &(0..size)))
            .map(|pin| pin.end - pin.start)
            .sum()
    }
}
