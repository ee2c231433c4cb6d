//! Requests that are decided, but whose ends are not aligned yet.
//!
//! Only the source knows where a range is best cut, and it must not be called while the scheduler is
//! locked. So the scheduler hands out a [`Draft`]. The executor aligns it with the scheduler
//! unlocked, and hands it back. Other events may come between: the scheduler checks that the draft
//! still fits.

use std::ops::Range;

use super::requests::RequestId;
use super::stream::{StreamId, Wanted};
use crate::ranges::len;
use crate::reader::block::Blocks;

/// A demand read is split over several connections if each gets at least this many bytes.
const MIN_SPLIT: u64 = 256 * 1024;

/// Where the ranges of a source are best cut.
pub(crate) struct Boundaries<'a> {
    /// The smallest range around another that can be verified on its own.
    pub(crate) unit: &'a dyn Fn(Range<u64>) -> Range<u64>,
    /// The preferred end of a request near an offset: that offset, or a boundary soon after it.
    pub(crate) preferred_end: &'a dyn Fn(u64) -> u64,
}

/// Requests of one stream.
#[derive(Debug)]
pub(crate) enum Draft {
    Demand(Demand),
    ReadAhead(ReadAhead),
}

/// Requests for bytes that a reader waits for.
#[derive(Debug)]
pub(crate) struct Demand {
    pub(super) stream: StreamId,
    /// One request each. Never empty. Before the draft is aligned: the bytes that are neither in
    /// memory nor in flight.
    pub(super) ranges: Vec<Range<u64>>,
    pub(super) blocks: Blocks,
    /// The last request may be extended to the end of this range.
    pub(super) extension: Option<Wanted>,
    /// How many connections the source should have for this draft.
    pub(crate) connections: usize,
    /// How many requests may be added to those in flight, if there are connections for all.
    pub(super) capacity: usize,
    pub(super) in_flight: usize,
    /// The last request before the draft. If it still is the last one, the draft fits.
    pub(super) made_after: RequestId,
}

/// A request for bytes that a reader will probably want.
#[derive(Debug)]
pub(crate) struct ReadAhead {
    pub(super) stream: StreamId,
    /// The part of the stream that is requested.
    pub(super) wanted: Wanted,
    /// The same in whole verification units; may end earlier or later. Set by alignment.
    pub(super) request: Range<u64>,
    /// Length of the first verification unit, in bytes. Set by alignment.
    pub(super) unit: u64,
}

impl Demand {
    /// Splits the last request over the connections that are `ready`, or else aligns its extension.
    pub(crate) fn align(&mut self, source: &Boundaries<'_>, ready: usize) {
        let Some(last) = self.ranges.last().cloned() else {
            return;
        };
        let free = ready.min(self.capacity).saturating_sub(self.in_flight);
        let pieces = (len(&last) / MIN_SPLIT).min(free as u64);
        if pieces > 1 {
            self.ranges.pop();
            self.ranges.extend(split(&last, pieces, source));
            self.extension = None;
        } else if let Some(wanted) = &mut self.extension {
            extend(wanted, source);
        }
    }
}

impl ReadAhead {
    /// Moves the end of the range to the preferred boundary, and then to whole verification units.
    pub(crate) fn align(&mut self, source: &Boundaries<'_>) {
        extend(&mut self.wanted, source);
        let range = &self.wanted.range;
        self.request = if self.wanted.extent_end == Some(range.end) {
            (source.unit)(range.clone())
        } else {
            whole_units(range, source)
        };
        self.unit = len(&(source.unit)(range.start..range.start + 1));
    }
}

fn extend(wanted: &mut Wanted, source: &Boundaries<'_>) {
    if wanted.extent_end.is_some() {
        wanted.extend_to((source.preferred_end)(wanted.range.end));
    }
}

/// Splits `range`, which consists of whole verification units, into about `count` pieces that do so
/// as well.
fn split(range: &Range<u64>, count: u64, source: &Boundaries<'_>) -> Vec<Range<u64>> {
    let length = len(range).div_ceil(count);
    let mut pieces = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let end = (start + length).min(range.end);
        let end = (source.unit)(start..end).end.min(range.end);
        pieces.push(start..end);
        start = end;
    }
    pieces
}

/// `range` with its last verification unit whole, or left out if less than half of it is wanted. So
/// requests have the intended length on average.
fn whole_units(range: &Range<u64>, source: &Boundaries<'_>) -> Range<u64> {
    let all = (source.unit)(range.clone());
    let last = (source.unit)(range.end - 1..range.end);
    let is_less_than_half = range.end - last.start < last.end - range.end;
    if is_less_than_half && last.start > range.start {
        all.start..last.start
    } else {
        all
    }
}
