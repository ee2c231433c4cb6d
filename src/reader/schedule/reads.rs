//! The reads that wait for bytes, and the ranges that failed a moment ago.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::ranges::{RangeSet, overlap, overlaps};
use crate::reader::block::Blocks;
use crate::reader::error::Error;
use crate::source;

/// A range that failed fails again at once for this long. After an error of a read-ahead request the
/// kernel asks for the same page alone, and that must not cost a second deadline.
const FAILURE_REMEMBERED: Duration = Duration::from_secs(1);

/// Identifies a read that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ReadId(u64);

/// Why a read stops waiting.
#[derive(Debug, PartialEq)]
pub(crate) enum Wake {
    /// All its bytes are in memory.
    Ready,
    /// Its request was cancelled, or was read-ahead that failed. The read must be repeated.
    Again,
    /// Its bytes cannot be had.
    Failed(Error),
}

#[derive(Debug)]
struct WaitingRead {
    id: ReadId,
    range: Range<u64>,
    missing: RangeSet,
    blocks: Blocks,
}

/// The reads that wait.
#[derive(Debug, Default)]
pub(super) struct WaitingReads {
    reads: Vec<WaitingRead>,
    last_id: u64,
}

impl WaitingReads {
    /// Adds a read of `range` that waits for its `missing` bytes, which will be in `blocks`.
    pub(super) fn add(&mut self, range: Range<u64>, missing: RangeSet, blocks: Blocks) -> ReadId {
        self.last_id += 1;
        let id = ReadId(self.last_id);
        self.reads.push(WaitingRead {
            id,
            range,
            missing,
            blocks,
        });
        id
    }

    /// The ranges of all waiting reads.
    pub(super) fn ranges(&self) -> Vec<Range<u64>> {
        self.reads.iter().map(|read| read.range.clone()).collect()
    }

    /// Records that `range` has come. Removes and returns the reads that have all their bytes now.
    pub(super) fn arrived(&mut self, range: &Range<u64>) -> Vec<(ReadId, Blocks)> {
        let ready = self.reads.extract_if(.., |read| {
            read.missing.remove(range);
            read.missing.is_empty()
        });
        ready.map(|read| (read.id, read.blocks)).collect()
    }

    /// Removes and returns the reads that touch `range`, with their own ranges.
    pub(super) fn remove_in(&mut self, range: &Range<u64>) -> Vec<(ReadId, Range<u64>)> {
        let touched = self
            .reads
            .extract_if(.., |read| overlaps(&read.range, range));
        touched.map(|read| (read.id, read.range)).collect()
    }

    /// Removes and returns all reads.
    pub(super) fn remove_all(&mut self) -> Vec<ReadId> {
        self.reads.drain(..).map(|read| read.id).collect()
    }

    /// Removes a read that does not wait any longer.
    pub(super) fn remove(&mut self, id: ReadId) {
        self.reads.retain(|read| read.id != id);
    }
}

/// The ranges that failed a moment ago.
#[derive(Debug, Default)]
pub(super) struct Failures(Vec<(Range<u64>, Error, Instant)>);

impl Failures {
    pub(super) fn add(&mut self, range: Range<u64>, error: Error, now: Instant) {
        self.0.push((range, error, now + FAILURE_REMEMBERED));
    }

    /// The error of a recent failure within `range`.
    pub(super) fn recent(&mut self, range: &Range<u64>, now: Instant) -> Option<Error> {
        self.0.retain(|(_, _, until)| *until > now);
        let failed = self.0.iter().find(|(failed, ..)| overlaps(failed, range));
        failed.map(|(_, error, _)| error.clone())
    }
}

/// The part of a failed request that cannot be had. If the error names the bytes that are wrong, the
/// others may be right.
pub(super) fn failed_range(left: &Range<u64>, error: &Error) -> Range<u64> {
    match error {
        Error::Source(source::Error::Forged { range, .. }) if overlaps(range, left) => {
            overlap(range, left)
        }
        _ => left.clone(),
    }
}
