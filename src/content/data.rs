//! The bytes that are to be proven, as they come.
//!
//! None of a leaf can be given out before all of it is there. So one that somebody waits for comes
//! over several connections, where some are free: over one, a mebibyte takes as long again as the
//! round trip before it. But the first: how fast a connection is shows in what comes over one.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::source::{Chunk, ChunkStream, Priority, Source};

/// A range that is spread has pieces of at least so many bytes,
const PIECE: u64 = 256 << 10;

/// and so many of them at most.
const MOST_PIECES: u64 = 4;

/// Where the bytes come from, and how many have come.
pub(super) struct Data {
    source: Arc<dyn Source>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    received: AtomicU64,
    on_trial: AtomicU64,
    /// Requests that are under way.
    running: AtomicUsize,
    /// Whether something was asked for before.
    has_begun: AtomicBool,
    /// Whether ranges were refused the last time, so that a leaf came as a block.
    is_refused: AtomicBool,
}

/// A request that is under way, for as long as this lives.
struct Running(Arc<Counts>);

/// Bytes of one reading that have come and not been given out.
pub(super) struct OnTrial {
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

    /// What gives the bytes.
    pub(super) fn source(&self) -> &dyn Source {
        &*self.source
    }

    /// How many bytes have come.
    pub(super) fn received(&self) -> u64 {
        self.counts.received.load(Relaxed)
    }

    /// Whether ranges were refused the last time.
    pub(super) fn is_refused(&self) -> bool {
        self.counts.is_refused.load(Relaxed)
    }

    /// A leaf came as a block, for its range was refused.
    pub(super) fn refused(&self) {
        if !self.counts.is_refused.swap(true, Relaxed) {
            log::info!("no gateway gives ranges now; leaves come as raw blocks");
        }
    }

    /// Something came by range.
    pub(super) fn gave(&self, chunk: &Chunk) {
        // What this machine has kept tells nothing about servers.
        if !chunk.bytes.is_empty() && !chunk.origin.is_kept() {
            self.counts.is_refused.store(false, Relaxed);
        }
    }

    /// How many of them are on trial.
    pub(super) fn on_trial(&self) -> u64 {
        self.counts.on_trial.load(Relaxed)
    }

    /// None on trial yet, of a reading that begins.
    pub(super) fn none_on_trial(&self) -> OnTrial {
        OnTrial {
            counts: self.counts.clone(),
            bytes: 0,
        }
    }

    /// The bytes of `range`, in order, and whether they come over several connections: then none is
    /// given before the first piece is complete. Must be called within a tokio runtime.
    pub(super) fn read(&self, range: Range<u64>, priority: Priority) -> (ChunkStream, bool) {
        let len = range.end - range.start;
        let pieces = match priority {
            Priority::Demand => (len / PIECE).min(MOST_PIECES) as usize,
            Priority::Prefetch => 1,
        };
        let is_first = !self.counts.has_begun.swap(true, Relaxed);
        let pieces = if is_first || self.is_refused() {
            1
        } else {
            pieces.min(self.free(pieces)) as u64
        };
        if pieces <= 1 {
            return (self.read_one(range, priority), false);
        }
        let starts = (0..=pieces).map(|n| range.start + len * n / pieces);
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
        let running = Running::new(&self.counts);
        let chunks = self.source.read(range, priority);
        let counted = chunks.inspect_ok(move |chunk| {
            let came = chunk.bytes.len() as u64;
            running.0.received.fetch_add(came, Relaxed);
        });
        counted.boxed()
    }

    /// Over how many connections something could come that carry nothing now. So many are wanted,
    /// this time and the next.
    fn free(&self, wanted: usize) -> usize {
        let running = self.counts.running.load(Relaxed);
        if wanted > 1 {
            let most = self.source.at_once().unwrap_or(usize::MAX);
            let usable = self.source.warm_up((running + wanted).min(most));
            usable.min(most).saturating_sub(running)
        } else {
            1
        }
    }
}

impl Running {
    fn new(counts: &Arc<Counts>) -> Self {
        counts.running.fetch_add(1, Relaxed);
        Self(counts.clone())
    }
}

impl OnTrial {
    pub(super) fn came(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.counts.on_trial.fetch_add(bytes as u64, Relaxed);
    }

    /// A block came in place of what is on trial, which is dropped.
    pub(super) fn replaced(&mut self, bytes: usize) {
        self.given_out(usize::MAX);
        self.came(bytes);
        self.counts.received.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn given_out(&mut self, bytes: usize) {
        let bytes = self.bytes.min(bytes as u64);
        self.bytes -= bytes;
        self.counts.on_trial.fetch_sub(bytes, Relaxed);
    }
}

impl Drop for OnTrial {
    fn drop(&mut self) {
        self.counts.on_trial.fetch_sub(self.bytes, Relaxed);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Relaxed);
    }
}
