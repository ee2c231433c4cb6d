//! Byte ranges, sets of them, the text forms of numbers, and sorting.
//!
//! Ranges are half-open and count bytes. Nothing here panics.

mod arrange;
mod set;
mod text;

pub use arrange::{arrange, arrange_by_key};
pub use set::RangeSet;
pub use text::{decimal, hex};

use std::ops::Range;

/// The bytes that two ranges share. If they share none, the result is empty and lies at the larger
/// start.
pub fn overlap(a: &Range<u64>, b: &Range<u64>) -> Range<u64> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

/// Whether two ranges share bytes.
pub fn overlaps(a: &Range<u64>, b: &Range<u64>) -> bool {
    !overlap(a, b).is_empty()
}

/// The number of bytes in `range`.
pub fn len(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

/// The parts of `range` that lie outside `hole`, in order.
pub fn without(range: Range<u64>, hole: &Range<u64>) -> impl Iterator<Item = Range<u64>> + use<> {
    let shared = overlap(&range, hole);
    let parts = if shared.is_empty() {
        [range, 0..0]
    } else {
        [range.start..shared.start, shared.end..range.end]
    };
    parts.into_iter().filter(|part| !part.is_empty())
}
