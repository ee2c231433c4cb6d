//! Arithmetic of byte ranges, and of sorted lists of ranges that do not touch each other.

use std::ops::Range;

pub(super) use crate::ranges::{overlap, without};

/// Number of bytes in `range`.
pub(super) fn len(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

/// Whether the two ranges have bytes in common.
pub(super) fn overlaps(a: &Range<u64>, b: &Range<u64>) -> bool {
    !overlap(a, b).is_empty()
}

/// Removes the bytes of `hole` from a list.
pub(super) fn remove(ranges: &mut Vec<Range<u64>>, hole: &Range<u64>) {
    if ranges.iter().any(|range| overlaps(range, hole)) {
        let old = std::mem::take(ranges).into_iter();
        *ranges = old.flat_map(|range| without(range, hole)).collect();
    }
}

/// Whether one range of a list contains all of `wanted`.
pub(super) fn covers(ranges: &[Range<u64>], wanted: &Range<u64>) -> bool {
    let mut ranges = ranges.iter();
    ranges.any(|range| range.start <= wanted.start && range.end >= wanted.end)
}

/// Adds a range to a list, and merges it with those that it overlaps or touches.
pub(super) fn insert(ranges: &mut Vec<Range<u64>>, mut new: Range<u64>) {
    ranges.retain(|old| {
        let is_apart = old.end < new.start || old.start > new.end;
        if !is_apart {
            new = new.start.min(old.start)..new.end.max(old.end);
        }
        is_apart
    });
    let at = ranges.partition_point(|old| old.start < new.start);
    ranges.insert(at, new);
}

/// The pieces of `range` that a list does not contain.
pub(super) fn gaps(ranges: &[Range<u64>], range: &Range<u64>) -> Vec<Range<u64>> {
    let mut gaps = Vec::new();
    let mut at = range.start;
    for present in ranges {
        if present.end <= at || present.start >= range.end {
            continue;
        }
        if present.start > at {
            gaps.push(at..present.start);
        }
        at = present.end;
    }
    if at < range.end {
        gaps.push(at..range.end);
    }
    gaps
}
