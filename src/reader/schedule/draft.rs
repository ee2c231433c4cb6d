//! Requests that are decided, but whose ends are not aligned yet.
//!
//! Only the source knows where a range is best cut, and it must not be called while the scheduler is
//! locked. So the scheduler hands out a [`Draft`]. The executor aligns it with the scheduler
//! unlocked, and hands the result back. Other events may come between: the scheduler checks that the
//! draft still fits.

use std::ops::Range;

use super::requests::RequestId;
use super::stream::{StreamId, Wanted};
use crate::reader::block::Blocks;
use crate::reader::ranges::len;

/// A demand read is split over several connections if each gets at least this many bytes.
const MIN_SPLIT: u64 = 256 * 1024;

/// Where the ranges of a source are best cut.
pub(in crate::reader) trait Boundaries {
    /// The smallest range around `range` that can be verified on its own.
    fn unit(&self, range: Range<u64>) -> Range<u64>;

    /// The preferred end of a request near `end`: `end`, or a boundary soon after it.
    fn preferred_end(&self, end: u64) -> u64;
}

/// A request, or several for one read, before alignment.
#[derive(Debug)]
pub(in crate::reader) enum Draft {
    Demand(DemandDraft),
    ReadAhead(ReadAheadDraft),
}

/// For bytes that a reader waits for.
#[derive(Debug)]
pub(in crate::reader) struct DemandDraft {
    pub(super) stream: StreamId,
    /// Bytes that nobody has requested. Never empty.
    pub(super) gaps: Vec<Range<u64>>,
    pub(super) blocks: Blocks,
    /// The last request may go on to the end of this range.
    pub(super) extension: Option<Wanted>,
    /// How many connections the source should have.
    pub(super) connections: usize,
    /// How many requests are worth it at once, and how many are in flight.
    pub(super) concurrency: usize,
    pub(super) in_flight: usize,
    /// The last request before the draft: without a newer one, the gaps are exact.
    pub(super) made_after: RequestId,
}

/// For bytes that a reader will probably want.
#[derive(Debug)]
pub(in crate::reader) struct ReadAheadDraft {
    pub(super) stream: StreamId,
    pub(super) wanted: Wanted,
}

/// An aligned draft.
#[derive(Debug)]
pub(in crate::reader) enum Aligned {
    Demand(AlignedDemand),
    ReadAhead(AlignedReadAhead),
}

/// An aligned [`DemandDraft`].
#[derive(Debug)]
pub(in crate::reader) struct AlignedDemand {
    pub(super) stream: StreamId,
    /// One request each.
    pub(super) ranges: Vec<Range<u64>>,
    pub(super) blocks: Blocks,
    /// Where the last request may end, if that is further.
    pub(super) extended_to: u64,
    pub(super) made_after: RequestId,
}

/// An aligned [`ReadAheadDraft`].
#[derive(Debug)]
pub(in crate::reader) struct AlignedReadAhead {
    pub(super) stream: StreamId,
    /// The part of the stream that is requested.
    pub(super) wanted: Range<u64>,
    /// The same in whole verification units. May end earlier or later.
    pub(super) request: Range<u64>,
    /// Length of the first verification unit, in bytes.
    pub(super) unit: u64,
}

impl DemandDraft {
    /// How many connections the source should have, so that the draft can use several of them.
    pub(in crate::reader) fn connections(&self) -> usize {
        self.connections
    }

    /// Splits the last gap over the connections that are `ready`, or else extends it.
    pub(in crate::reader) fn align(mut self, source: &dyn Boundaries, ready: usize) -> Aligned {
        let mut extended_to = 0;
        if let Some(last) = self.gaps.pop() {
            let free = ready.min(self.concurrency).saturating_sub(self.in_flight);
            let pieces = (len(&last) / MIN_SPLIT).min(free as u64);
            if pieces > 1 {
                self.gaps.extend(split(&last, pieces, source));
            } else {
                extended_to = self.extension.map_or(0, |w| extended(w, source).end);
                self.gaps.push(last);
            }
        }
        Aligned::Demand(AlignedDemand {
            stream: self.stream,
            ranges: self.gaps,
            blocks: self.blocks,
            extended_to,
            made_after: self.made_after,
        })
    }
}

impl ReadAheadDraft {
    /// Moves the end of the range to the preferred boundary, and then to whole verification units.
    pub(in crate::reader) fn align(self, source: &dyn Boundaries) -> Aligned {
        let extent_end = self.wanted.extent_end;
        let wanted = extended(self.wanted, source);
        let request = if extent_end == Some(wanted.end) {
            source.unit(wanted.clone())
        } else {
            whole_units(&wanted, source)
        };
        let unit = len(&source.unit(wanted.start..wanted.start + 1));
        Aligned::ReadAhead(AlignedReadAhead {
            stream: self.stream,
            wanted,
            request,
            unit,
        })
    }
}

fn extended(wanted: Wanted, source: &dyn Boundaries) -> Range<u64> {
    if wanted.extent_end.is_none() {
        return wanted.range;
    }
    let boundary = source.preferred_end(wanted.range.end);
    wanted.extended_to(boundary)
}

/// Splits `range`, which consists of whole verification units, into about `count` pieces that do so
/// as well.
fn split(range: &Range<u64>, count: u64, source: &dyn Boundaries) -> Vec<Range<u64>> {
    let length = len(range).div_ceil(count);
    let mut pieces = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let end = (start + length).min(range.end);
        let end = source.unit(start..end).end.min(range.end);
        pieces.push(start..end);
        start = end;
    }
    pieces
}

/// `range` with its last verification unit whole, or left out if less than half of it is wanted. So
/// requests have the intended length on average.
fn whole_units(range: &Range<u64>, source: &dyn Boundaries) -> Range<u64> {
    let all = source.unit(range.clone());
    let last = source.unit(range.end - 1..range.end);
    let is_less_than_half = range.end - last.start < last.end - range.end;
    if is_less_than_half && last.start > range.start {
        all.start..last.start
    } else {
        all
    }
}
