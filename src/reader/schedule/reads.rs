//! The reads that wait for bytes, and the ranges that failed a moment ago.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::reader::block::Blocks;
use crate::reader::error::Error;
use crate::reader::ranges::{overlaps, remove};

/// A range that failed fails again at once for this long. After an error of a read-ahead request the
/// kernel asks for the same page alone, and that must not cost a second deadline.
const FAILURE_REMEMBERED: Duration = Duration::from_secs(1);

/// Identifies a read that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::reader) struct ReadId(u64);

/// Why a read stops waiting.
#[derive(Debug, PartialEq)]
pub(in crate::reader) enum Wake {
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
    missing: Vec<Range<u64>>,
    blocks: Blocks,
}

/// The reads that wait.
#[derive(Debug, Default)]
pub(super) struct WaitingReads {
    reads: Vec<WaitingRead>,
    /// Reads that have been woken and have not ended.
    ready: Vec<(ReadId, Blocks)>,
    last_id: u64,
}

impl WaitingReads {
    /// A read of `range` waits for the `missing` bytes of it, in `blocks`.
    pub(super) fn add(
        &mut self,
        range: Range<u64>,
        missing: Vec<Range<u64>>,
        blocks: Blocks,
    ) -> ReadId {
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

    /// The ranges of all of them.
    pub(super) fn ranges(&self) -> Vec<Range<u64>> {
        self.reads.iter().map(|read| read.range.clone()).collect()
    }

    /// `range` has come. Returns the reads that have all their bytes now. They do not wait any more.
    pub(super) fn arrived(&mut self, range: &Range<u64>) -> Vec<ReadId> {
        let ready = self.reads.extract_if(.., |read| {
            remove(&mut read.missing, range);
            read.missing.is_empty()
        });
        let before = self.ready.len();
        self.ready.extend(ready.map(|read| (read.id, read.blocks)));
        self.ready[before..].iter().map(|(id, _)| *id).collect()
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

    /// A read has ended. Returns its blocks if it got all its bytes.
    pub(super) fn ended(&mut self, id: ReadId) -> Option<Blocks> {
        self.reads.retain(|read| read.id != id);
        let at = self.ready.iter().position(|(ready, _)| *ready == id)?;
        Some(self.ready.swap_remove(at).1)
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
