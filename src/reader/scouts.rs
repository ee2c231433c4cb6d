//! Looks for headers of a tar in many places at once.
//!
//! A scout begins somewhere in the archive, reads on to the first block that is a header, and goes from header to
//! header as the walk would. The walk takes what a scout found where its own way leads there, and it never waits for
//! a scout. So a block that only looks like a header, for example in a tar within the tar, costs requests and nothing
//! else.
//!
//! Equal parts of an archive differ in their number of members. So a scout that has come to the end of its region
//! takes over the second half of the region in which the most steps are left.

use std::future::Future;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use parking_lot::Mutex;

use super::blob::BlobReader;
use super::regions::{Link, Regions};
use super::watch::Watch;
use crate::archive::{ParseOptions, TAR_BLOCK, TarWalk, is_header};

/// What is read of a member that is skipped: its header with extended headers before it, in bytes.
pub(super) const SKIP: u64 = 4 * 1024;

/// The rate of the link that is assumed while it is unknown, in bytes a second.
pub(super) const ASSUMED_RATE: f64 = 50e6;

/// The most ways through an archive at once: the walk and the scouts.
const MAX_WAYS: usize = 64;

/// Scouts are sent if the walk takes at most this share of the time with them.
const MAX_TIME_SHARE: f64 = 0.7;

/// About how many members one scout passes before all of them begin anew.
const MEMBERS: u64 = 512;

/// A scout looks for a header this many times: at first, and whenever it has lost its way.
const MAX_TRIES: u32 = 16;

/// How far a scout looks for a header: this many mean distances, but at least this many bytes.
const DISTANCES: u64 = 4;
const MIN_LOOK: u64 = 256 * 1024;

/// Bounds of the reads of a scout that looks for a header, in bytes.
const MIN_STEP: u64 = 128 * 1024;
const MAX_STEP: u64 = 1 << 20;

/// The scouts of one walk.
pub(super) struct Scouts<'a> {
    blob: &'a BlobReader,
    parse: &'a ParseOptions,
    watch: &'a Watch,
    regions: Arc<Mutex<Regions>>,
    running: FuturesUnordered<BoxFuture<'a, ()>>,
}

impl<'a> Scouts<'a> {
    /// No scouts yet.
    pub(super) fn new(blob: &'a BlobReader, parse: &'a ParseOptions, watch: &'a Watch) -> Self {
        Self {
            blob,
            parse,
            watch,
            regions: Arc::new(Mutex::new(Regions::new(blob.size()))),
            running: FuturesUnordered::new(),
        }
    }

    /// Takes the header, or extended header, at `at`, where the walk is now, if a scout has found one there.
    pub(super) fn take(&self, at: u64) -> Option<Vec<u8>> {
        self.regions.lock().take(at)
    }

    /// How many ways lead through the archive from `at` on, after `seen` members: the walk and the scouts. Plans
    /// scouts if there are none and if they would save time.
    pub(super) fn ways(&self, at: u64, seen: u64, gap: u64) -> usize {
        let mut regions = self.regions.lock();
        if !self.running.is_empty() || regions.are_ahead(at) {
            return regions.ways();
        }
        let link = self.blob.link(ASSUMED_RATE);
        let mean = (at / seen.max(1)).max(gap).max(TAR_BLOCK);
        let left = self.blob.size().saturating_sub(at);
        let most = self.blob.connections().min(MAX_WAYS);
        let unit = self.unit(&(at..self.blob.size().min(at + TAR_BLOCK)));
        let Some(count) = best_count(most, link, left / mean, mean, unit) else {
            regions.plan(at..at, 1, link, mean);
            return 1;
        };
        let span = left.min(mean.saturating_mul(count as u64 * MEMBERS));
        regions.plan(at..at + span, count, link, mean);
        count
    }

    /// Sends scouts as planned, and lets them work until the walk has read what it needs at `at`. The headers in its
    /// last read were `spacing` bytes apart.
    pub(super) async fn run_during<T>(
        &mut self,
        at: u64,
        spacing: u64,
        read: impl Future<Output = T>,
    ) -> T {
        self.regions.lock().pass(at, spacing);
        let mut read = pin!(read);
        loop {
            self.send();
            let passed = self.regions.lock().passed();
            self.watch.tell(passed, self.blob.size());
            tokio::select! {
                biased;
                read = &mut read => return read,
                Some(()) = self.running.next() => {}
            }
        }
    }

    /// How far the walk alone goes: to the first region of a scout.
    pub(super) fn walk_end(&self) -> u64 {
        self.regions.lock().walk_end()
    }

    fn send(&self) {
        let mut regions = self.regions.lock();
        while self.running.len() + 1 < regions.ways()
            && let Some((start, mean)) = regions.split()
        {
            let scout = Scout {
                blob: self.blob,
                parse: self.parse,
                regions: self.regions.clone(),
                link: regions.link(),
                start,
                mean,
            };
            self.running.push(scout.run().boxed());
        }
    }

    /// The length of what must be fetched to verify `range`, in bytes.
    fn unit(&self, range: &Range<u64>) -> u64 {
        let unit = self.blob.source().verification_unit(range.clone());
        unit.end - unit.start
    }
}

/// How many ways, the walk included, take the least time through `members` members of `mean` bytes. `None` if the walk
/// alone is about as fast. To read a header, `unit` bytes must be fetched.
///
/// A scout reads through half a member on average, one read after the other, until it finds a header. All ways share
/// the rate of the link.
fn best_count(
    most: usize,
    (latency, rate): (f64, f64),
    members: u64,
    mean: u64,
    unit: u64,
) -> Option<usize> {
    let looks = (mean as f64 / 2.0).max(unit as f64);
    let steps = (looks / step(mean) as f64).ceil();
    // A unit may hold several headers.
    let transfer = mean.min(unit) as f64 / rate;
    let members = members as f64;
    let time = |count: usize| {
        let passing = members * transfer.max(latency / count as f64);
        passing + steps * latency + count as f64 * looks / rate
    };
    let alone = members * (latency + transfer).min(mean as f64 / rate);
    let best = (2..=most).min_by(|a, b| time(*a).total_cmp(&time(*b)))?;
    (time(best) < MAX_TIME_SHARE * alone).then_some(best)
}

/// The length of the reads of a scout that looks for a header, in bytes.
fn step(mean: u64) -> u64 {
    // A scout recognises headers at the distances of blocks from where it began.
    mean.clamp(MIN_STEP, MAX_STEP).next_multiple_of(TAR_BLOCK)
}

/// The end of the read of a header that is needed, while headers are about `mean` bytes apart.
fn read_end(blob: &BlobReader, wanted: &Range<u64>, mean: u64, link: Link) -> u64 {
    let unit = blob.source().verification_unit(wanted.clone());
    let run = link.stride(mean);
    let more = if run > mean {
        run
    } else if unit.end > wanted.end {
        // The rest of a unit comes along, and the beginning of another would cost as much again.
        unit.end - wanted.start
    } else {
        SKIP
    };
    blob.size().min(wanted.end.max(wanted.start + more))
}

/// One scout, on its way through its region.
struct Scout<'a> {
    blob: &'a BlobReader,
    parse: &'a ParseOptions,
    regions: Arc<Mutex<Regions>>,
    link: Link,
    /// Where its region begins.
    start: u64,
    /// The mean distance of headers that it expects.
    mean: u64,
}

impl Scout<'_> {
    /// Goes from header to header in the region. A scout whose reads fail leaves the error to the walk.
    async fn run(self) {
        let mut at = Some(self.start);
        for _ in 0..MAX_TRIES {
            let Some(from) = at else { break };
            let Some(header) = self.first_header(from).await else {
                break;
            };
            at = self.follow(header).await;
        }
        self.regions.lock().leave(self.start);
    }

    /// The first block from `at` on that is a header.
    async fn first_header(&self, mut at: u64) -> Option<u64> {
        let look = self.mean.saturating_mul(DISTANCES).max(MIN_LOOK);
        let to = at.saturating_add(look);
        while at < to.min(self.regions.lock().end(self.start)?) {
            let end = self.blob.size().min(at + step(self.mean));
            let bytes = self.blob.read(at..end, end).await.ok()?;
            let mut blocks = bytes.chunks_exact(TAR_BLOCK as usize);
            if let Some(block) = blocks.position(is_header) {
                return Some(at + block as u64 * TAR_BLOCK);
            }
            at = end;
        }
        None
    }

    /// Goes on from header to header, beginning at `at`. Returns where the headers end, if that is within the region.
    async fn follow(&self, at: u64) -> Option<u64> {
        let mut walk = TarWalk::from(at, self.blob.size(), self.parse);
        let (mut member, mut seen) = (at, 0);
        let (mut at, mut bytes, mut behind) = (at, Vec::new(), at);
        while let Some(wanted) = walk.wants() {
            let distance = (walk.seen() > seen).then(|| wanted.start - member);
            if distance.is_some() {
                (member, seen) = (wanted.start, walk.seen());
            }
            let mean = self
                .regions
                .lock()
                .reach(self.start, wanted.start, distance)?;
            if wanted.start < at || wanted.end > at + bytes.len() as u64 {
                let end = read_end(self.blob, &wanted, mean, self.link);
                bytes = self.blob.read(wanted.start..end, end).await.ok()?;
                at = wanted.start;
            }
            let from = (wanted.start - at) as usize;
            let part = &bytes[from..from + (wanted.end - wanted.start) as usize];
            walk.feed(wanted.start, part).ok()?;
            self.regions.lock().keep(wanted.start, part);
            behind = wanted.end;
        }
        Some(behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second read of a scout began inside a block, and no header was recognised from there on.
    #[test]
    fn each_read_of_a_scout_begins_at_a_block() {
        for mean in [1, 200_001, 5 << 20] {
            assert_eq!(step(mean) % TAR_BLOCK, 0, "{mean}");
        }
    }

    #[test]
    fn scouts_are_sent_where_they_gain_time() {
        let far = (0.05, 100e6);
        let count = |most, link, members, mean| best_count(most, link, members, mean, TAR_BLOCK);
        assert_eq!(count(16, far, 604, 800_000), Some(16));
        assert_eq!(count(1, far, 604, 800_000), None);
        assert_eq!(count(16, far, 1, 800_000), None);
        // One that looks for a header of a large member costs more than it gains.
        assert_eq!(count(16, far, 200, 20_000_000), Some(10));
        assert_eq!(count(16, far, 5, 40_000_000_000), None);
        assert_eq!(count(16, (0.001, 10e6), 200, 20_000_000), None);
        assert_eq!(count(16, (0.0, 50e6), 604, 800_000), None);
    }

    /// Each header of a tar by its CID must be fetched with the whole leaf around it.
    #[test]
    fn no_scouts_where_each_unit_has_a_header() {
        let far = (0.05, 100e6);
        assert_eq!(best_count(16, far, 604, 800_000, 1 << 20), None);
        assert_eq!(best_count(16, far, 604, 800_000, 256 << 10), Some(16));
        assert!(best_count(16, far, 604, 8_000_000, 1 << 20).is_some());
    }
}
