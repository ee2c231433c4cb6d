//! Small files that lie side by side in the archive are fetched together.
//!
//! They are extracted many at a time. A reader of many files at a time looks like many readers of one file each, for which
//! nothing is fetched ahead, and over a link each file would be a request.

use std::ops::Range;

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

/// The files, each with what to wait for before it is read. Those longer than `longest`, in bytes, are fetched alone.
pub(super) fn with_fetches(
    volume: &Volume,
    files: &[Ino],
    longest: u64,
) -> impl Iterator<Item = (Ino, Option<Fetched>)> {
    // Where a short file lies in the archive.
    let span = move |ino: &Ino| {
        let tree = volume.tree();
        let is_short = tree.attr(*ino)?.size <= longest;
        let span = volume.archive().span(tree.entry(*ino)?);
        (is_short && len(&span) <= STEP && !span.is_empty()).then_some(span)
    };
    let is_next = move |first: &Ino, second: &Ino| {
        let spans = span(first).zip(span(second));
        spans.is_some_and(|(a, b)| b.end >= a.end && b.start <= a.end + GAP)
    };
    let runs = files.chunk_by(is_next);
    runs.flat_map(move |run| fetches_of(volume, run, run.iter().filter_map(span).collect()))
}

/// The files of `run`, each with what to wait for before it is read. They lie side by side, at `spans`; a run of one file
/// has nothing to wait for.
fn fetches_of(volume: &Volume, run: &[Ino], spans: Vec<Range<u64>>) -> Vec<(Ino, Option<Fetched>)> {
    let mut files = Vec::with_capacity(run.len());
    while files.len() < run.len() {
        let start = files.len();
        let mut end = start + 1;
        let mut fetched = None;
        if end < run.len() {
            let mut range = spans[start].clone();
            while end < run.len() && len(&range) < STEP {
                range.end = range.end.max(spans[end].end);
                end += 1;
            }
            let (archive, limit) = (volume.archive().clone(), spans[run.len() - 1].end);
            let fetch = async move { archive.fetch(range, limit).await };
            fetched = Some(fetch.boxed().shared());
        }
        files.extend(run[start..end].iter().map(|ino| (*ino, fetched.clone())));
    }
    files
}
