//! Looks for headers of a tar in many places at once.
//!
//! A scout begins somewhere in the archive, reads on to the first block that is a header, and goes from header to
//! header as the walk would. What it finds is only kept for the walk, which takes it where its own way leads there.
//! So a block that only looks like a header, for example in a tar within the tar, costs requests and nothing else.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use futures_util::future::join_all;

use super::blob::BlobReader;
use super::tar::{ASSUMED_RATE, SKIP};
use super::watch::Watch;
use crate::archive::{ParseOptions, TAR_BLOCK, TarWalk, is_header};

/// The most scouts at once.
const MOST: usize = 32;

/// Scouts are sent if they take at most this share of the time without.
const WORTH: f64 = 0.7;

/// About how many members one scout passes. What it keeps of them is at most this many bytes.
const MEMBERS: u64 = 512;
const KEPT: usize = 1 << 20;

/// How far a scout looks for a first header, in mean distances of the headers so far, and at least in bytes.
const DISTANCES: u64 = 4;
const LEAST_LOOK: u64 = 256 * 1024;

/// The lengths of the reads of a scout that looks for a header, in bytes.
const LEAST_STEP: u64 = 128 * 1024;
const MOST_STEP: u64 = 1 << 20;

/// Where scouts begin.
#[derive(Debug)]
pub(super) struct Scouting {
    /// The first scout begins at a header.
    starts: Vec<u64>,
    end: u64,
    /// Mean distance of the headers so far.
    mean: u64,
}

impl Scouting {
    /// Where scouts should begin if the walk has come to `at`, over a gap of `gap` bytes. `None` if they would not gain
    /// time.
    pub(super) fn plan(blob: &BlobReader, walk: &TarWalk, at: u64, gap: u64) -> Option<Self> {
        let mean = (at / walk.seen().max(1)).max(gap).max(TAR_BLOCK);
        let left = blob.size().saturating_sub(at);
        let count = best_count(
            blob.connections().min(MOST),
            blob.link(ASSUMED_RATE),
            left / mean,
            mean,
        )? as u64;
        let span = left.min(mean.saturating_mul(count * MEMBERS));
        let each = (span / count).next_multiple_of(TAR_BLOCK);
        let starts = (0..count).map(|n| at + n * each);
        Some(Self {
            starts: starts.filter(|start| *start < blob.size()).collect(),
            end: at + span,
            mean,
        })
    }

    pub(super) fn count(&self) -> usize {
        self.starts.len()
    }
}

/// Headers, and extended headers, by their offsets.
pub(super) type Found = HashMap<u64, Vec<u8>>;

/// How many scouts pass `members` members of `mean` bytes in the least time. `None` if one walk is about as fast.
///
/// A scout looks through half a member until it finds a header, in reads one behind the other. All scouts share the
/// rate of the link.
fn best_count(most: usize, (latency, rate): (f64, f64), members: u64, mean: u64) -> Option<usize> {
    let looks = mean as f64 / 2.0;
    let steps = (looks / step(mean) as f64).ceil();
    let time = |count: usize| {
        let passing = members as f64 / count as f64 * latency;
        passing + steps * latency + count as f64 * looks / rate
    };
    let best = (2..=most).min_by(|a, b| time(*a).total_cmp(&time(*b)))?;
    (time(best) < WORTH * members as f64 * latency).then_some(best)
}

/// The length of the reads of a scout that looks for a header, in bytes.
fn step(mean: u64) -> u64 {
    mean.clamp(LEAST_STEP, MOST_STEP)
}

/// What scouts find. A scout whose reads fail keeps what it has: the walk meets the error itself.
pub(super) async fn run(
    blob: &BlobReader,
    parse: &ParseOptions,
    scouting: Scouting,
    watch: &Watch,
) -> Found {
    let ends = scouting.starts.iter().skip(1).copied();
    let ends: Vec<u64> = ends.chain([scouting.end]).collect();
    let (first, passed) = (scouting.starts.first().copied(), AtomicU64::new(0));
    let tell = |bytes: u64| {
        let at = first.unwrap_or(0) + passed.fetch_add(bytes, Relaxed) + bytes;
        watch.tell(at.min(scouting.end), blob.size());
    };
    let scouts = scouting.starts.iter().zip(ends).map(|(start, end)| {
        let look = if Some(*start) == first {
            0
        } else {
            (scouting.mean.saturating_mul(DISTANCES)).max(LEAST_LOOK)
        };
        scout(blob, parse, *start..end, look, scouting.mean, &tell)
    });
    join_all(scouts).await.into_iter().flatten().collect()
}

/// Goes from header to header in `region`. Looks for the first one in its first `look` bytes.
async fn scout(
    blob: &BlobReader,
    parse: &ParseOptions,
    region: Range<u64>,
    look: u64,
    mean: u64,
    tell: &(dyn Fn(u64) + Sync),
) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    let within = region.start..region.end.min(region.start + look);
    let start = match look {
        0 => Some(region.start),
        _ => first_header(blob, within, step(mean)).await,
    };
    let Some(start) = start else { return found };
    let mut walk = TarWalk::from(start, blob.size(), parse);
    let (mut kept, mut told) = (0, region.start);
    let (mut at, mut bytes) = (start, Vec::new());
    // An extended header may lie before the end of the region, and its member behind.
    while let Some(wanted) = walk.wants()
        && wanted.start < region.end + SKIP
        && kept < KEPT
    {
        if wanted.start < at || wanted.end > at + bytes.len() as u64 {
            let end = blob.size().min(wanted.end.max(wanted.start + SKIP));
            let Ok(read) = blob.read(wanted.start..end, end).await else {
                break;
            };
            (at, bytes) = (wanted.start, read);
            tell(at.saturating_sub(told));
            told = told.max(at);
        }
        let from = (wanted.start - at) as usize;
        let part = &bytes[from..from + (wanted.end - wanted.start) as usize];
        if walk.feed(wanted.start, part).is_err() {
            break;
        }
        kept += part.len();
        found.push((wanted.start, part.to_vec()));
    }
    found
}

/// The first block in `range` that is a header.
async fn first_header(blob: &BlobReader, range: Range<u64>, step: u64) -> Option<u64> {
    let mut at = range.start;
    while at < range.end {
        let end = blob.size().min(at + step);
        let bytes = blob.read(at..end, end).await.ok()?;
        let mut blocks = bytes.chunks_exact(TAR_BLOCK as usize);
        if let Some(block) = blocks.position(is_header) {
            return Some(at + block as u64 * TAR_BLOCK);
        }
        at = end;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scouts_are_sent_where_they_gain_time() {
        let far = (0.05, 100e6);
        assert_eq!(best_count(16, far, 604, 800_000), Some(16));
        assert_eq!(best_count(1, far, 604, 800_000), None);
        assert_eq!(best_count(16, far, 1, 800_000), None);
        // One that looks for a header of a large member costs more than it gains.
        assert_eq!(best_count(16, far, 200, 20_000_000), Some(10));
        assert_eq!(best_count(16, far, 5, 40_000_000_000), None);
        assert_eq!(best_count(16, (0.001, 10e6), 200, 20_000_000), None);
        assert_eq!(best_count(16, (0.0, 50e6), 604, 800_000), None);
    }
}
