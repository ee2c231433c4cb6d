//! Small files that lie side by side in the archive are fetched together.
//!
//! They are extracted many at a time. A reader of many files at a time looks like many readers of one file each, for which
//! nothing is fetched ahead, and over a link each file would be a request.

use std::ops::Range;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use crate::fs::Ino;
use crate::ranges::len;
use crate::volume::Volume;

/// How much is fetched at once, in bytes. So long a read is followed by read-ahead.
const STEP: u64 = 512 << 10;

/// What may lie between two files, in bytes.
const GAP: u64 = 16 << 10;

/// Ends when files are in memory, or cannot be fetched.
pub(super) type Fetched = Shared<BoxFuture<'static, ()>>;

/// A list of files, each with what to wait for before it is read.
pub(super) struct Runs {
    volume: Arc<Volume>,
    files: Vec<Ino>,
    /// The index of the next file.
    next: usize,
    /// Files longer than this, in bytes, belong to no run.
    longest: u64,
    /// The index of the first file behind the run, and the end of the run in the archive.
    run: (usize, u64),
    /// The index of the first file behind those that are fetched together.
    end: usize,
    fetched: Option<Fetched>,
}

impl Runs {
    pub(super) fn new(volume: &Arc<Volume>, files: Vec<Ino>, longest: u64) -> Self {
        Self {
            volume: volume.clone(),
            files,
            next: 0,
            longest,
            run: (0, 0),
            end: 0,
            fetched: None,
        }
    }

    /// What to wait for before the file with this index is read.
    fn fetched(&mut self, at: usize) -> Option<Fetched> {
        if at < self.end {
            return self.fetched.clone();
        }
        if at >= self.run.0 {
            self.run = self.run_from(at);
        }
        (self.end, self.fetched) = (at + 1, None);
        if self.run.0 - at < 2 {
            return None;
        }
        let mut range = self.span(at)?;
        while self.end < self.run.0 && len(&range) < STEP {
            range.end = range.end.max(self.span(self.end)?.end);
            self.end += 1;
        }
        let (archive, limit) = (self.volume.archive().clone(), self.run.1);
        let fetch = async move { archive.fetch(range, limit).await };
        self.fetched = Some(fetch.boxed().shared());
        self.fetched.clone()
    }

    fn run_from(&self, start: usize) -> (usize, u64) {
        let (mut at, mut end) = (start, 0);
        while let Some(span) = self.span(at) {
            if at > start && !(span.end >= end && span.start <= end + GAP) {
                break;
            }
            (at, end) = (at + 1, span.end);
        }
        (at.max(start + 1), end)
    }

    /// Where a short file lies in the archive.
    fn span(&self, at: usize) -> Option<Range<u64>> {
        let tree = self.volume.tree();
        let ino = *self.files.get(at)?;
        let is_short = tree.attr(ino)?.size <= self.longest;
        let span = self.volume.archive().span(tree.entry(ino)?);
        (is_short && len(&span) <= STEP && !span.is_empty()).then_some(span)
    }
}

impl Iterator for Runs {
    type Item = (Ino, Option<Fetched>);

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.next;
        let ino = *self.files.get(at)?;
        self.next += 1;
        Some((ino, self.fetched(at)))
    }
}
