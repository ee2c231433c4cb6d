//! Reads of the data that is to be verified.
//!
//! No byte of a leaf can be returned before all of it has arrived. So a leaf that a program waits for is
//! split over several idle connections: over one connection, a mebibyte costs about one more round trip.
//! The first read uses one connection, to measure its rate.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::source::{Chunk, ChunkStream, Error, Fact, Priority, Source};

/// The least length of a part of a split range, in bytes.
const PART: u64 = 256 << 10;

/// After ranges were refused for good, they are requested again after this time. The server may have been
/// upgraded.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// The most parts of a split range.
const MOST_PARTS: u64 = 4;

/// The source of the data, with counters.
pub(super) struct Data {
    source: Arc<dyn Source>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    received: AtomicU64,
    unverified: AtomicU64,
    /// Requests in flight.
    running: AtomicUsize,
    /// Whether there was a request before.
    has_begun: AtomicBool,
    /// Whether the last range was refused, so that a leaf came as a block.
    is_refused: AtomicBool,
    /// Until when leaves are requested as blocks, because ranges were refused for good.
    without_ranges: Mutex<Option<Instant>>,
}

/// Counts a request in flight until it is dropped.
struct Running(Arc<Counts>);

/// Bytes of one read that have arrived and were not returned yet.
pub(super) struct Unverified {
    counts: Arc<Counts>,
    bytes: u64,
}

impl Data {
    pub(super) fn new(source: Arc<dyn Source>) -> Self {
        Self {
            source,
            counts: Arc::default(),
        }
    }

    /// The source of the data.
    pub(super) fn source(&self) -> &dyn Source {
        &*self.source
    }

    /// The number of bytes received.
    pub(super) fn received(&self) -> u64 {
        self.counts.received.load(Relaxed)
    }

    /// Whether the last range was refused.
    pub(super) fn is_refused(&self) -> bool {
        self.counts.is_refused.load(Relaxed)
    }

    /// Whether ranges were refused for good, lately.
    pub(super) fn is_without_ranges(&self) -> bool {
        let mut until = self.counts.without_ranges.lock();
        until.take_if(|until| Instant::now() >= *until);
        until.is_some()
    }

    /// Records that a leaf came as a block, since its range was refused with this error.
    pub(super) fn range_refused(&self, error: &Error) {
        if !error.is_transient() && !matches!(error, Error::Offline | Error::NoNetwork { .. }) {
            let mut until = self.counts.without_ranges.lock();
            if until.is_none() {
                let pause = ASK_AGAIN;
                self.source.learn(Fact::NoRanges { error, pause });
                *until = Some(Instant::now() + ASK_AGAIN);
            }
        }
        if !self.counts.is_refused.swap(true, Relaxed) {
            log::info!("no gateway gives ranges now; leaves come as raw blocks");
        }
    }

    /// Records that a range was served.
    pub(super) fn range_served(&self, chunk: &Chunk) {
        // Cached bytes tell nothing about servers.
        if !chunk.bytes.is_empty() && !chunk.origin.is_kept() {
            self.counts.is_refused.store(false, Relaxed);
            *self.counts.without_ranges.lock() = None;
        }
    }

    /// The number of received bytes that were not returned yet.
    pub(super) fn unverified(&self) -> u64 {
        self.counts.unverified.load(Relaxed)
    }

    /// A counter for a new read.
    pub(super) fn start_unverified(&self) -> Unverified {
        Unverified {
            counts: self.counts.clone(),
            bytes: 0,
        }
    }

    /// Reads `range`. Also returns whether the range is split over several connections: then no chunk comes
    /// before the first part is complete. Must be called within a tokio runtime.
    pub(super) fn read(&self, range: Range<u64>, priority: Priority) -> (ChunkStream, bool) {
        let len = range.end - range.start;
        let parts = match priority {
            Priority::Demand => (len / PART).min(MOST_PARTS) as usize,
            Priority::Prefetch => 1,
        };
        let is_first = !self.counts.has_begun.swap(true, Relaxed);
        let parts = if is_first || self.is_refused() {
            1
        } else {
            parts.min(self.idle_connections(parts)) as u64
        };
        if parts <= 1 {
            return (self.read_one(range, priority), false);
        }
        let starts = (0..=parts).map(|n| range.start + len * n / parts);
        let starts: Vec<u64> = starts.collect();
        let reads: Vec<_> = starts
            .windows(2)
            .map(|ends| {
                self.read_one(ends[0]..ends[1], priority)
                    .try_collect::<Vec<_>>()
            })
            .collect();
        let count = reads.len();
        let read = stream::iter(reads).buffered(count);
        let read = read.map_ok(|chunks| stream::iter(chunks).map(Ok));
        (read.try_flatten().boxed(), true)
    }

    fn read_one(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        self.counts.running.fetch_add(1, Relaxed);
        let running = Running(self.counts.clone());
        let chunks = self.source.read(range, priority);
        let counted = chunks.inspect_ok(move |chunk| {
            let came = chunk.bytes.len() as u64;
            running.0.received.fetch_add(came, Relaxed);
        });
        counted.boxed()
    }

    /// The number of idle connections, at most about `wanted`, which are opened for the next time.
    fn idle_connections(&self, wanted: usize) -> usize {
        let running = self.counts.running.load(Relaxed);
        if wanted > 1 {
            let most = self.source.hints().concurrency.unwrap_or(usize::MAX);
            let usable = self.source.warm_up((running + wanted).min(most));
            usable.min(most).saturating_sub(running)
        } else {
            1
        }
    }
}

impl Unverified {
    pub(super) fn received(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.counts.unverified.fetch_add(bytes as u64, Relaxed);
    }

    /// Records that a block replaces the unverified bytes.
    pub(super) fn replaced(&mut self, bytes: usize) {
        self.returned(usize::MAX);
        self.received(bytes);
        self.counts.received.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn returned(&mut self, bytes: usize) {
        let bytes = self.bytes.min(bytes as u64);
        self.bytes -= bytes;
        self.counts.unverified.fetch_sub(bytes, Relaxed);
    }
}

impl Drop for Unverified {
    fn drop(&mut self) {
        self.counts.unverified.fetch_sub(self.bytes, Relaxed);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Relaxed);
    }
}
