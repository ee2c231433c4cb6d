//! What the reader has done so far, for the status of a mount.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::latency::Latencies;
use crate::source::Origin;

/// Running totals; cheap enough to keep always.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) bytes_read: AtomicU64,
    pub(super) bytes_from_memory: AtomicU64,
    bytes_fetched: AtomicU64,
    bytes_from_disk: AtomicU64,
    /// Ranges asked of the source, and those among them that it had kept.
    requests: AtomicU64,
    ranges_kept: AtomicU64,
    pub(super) errors: AtomicU64,
    /// From a request to its first byte.
    pub(super) latencies: Latencies,
}

/// A reading of the counters at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Bytes given to readers.
    pub bytes_read: u64,
    /// Of those, bytes that were there when they were asked for.
    pub bytes_from_memory: u64,
    /// Bytes that the source had to fetch.
    pub bytes_fetched: u64,
    /// Bytes that it had kept.
    pub bytes_from_disk: u64,
    /// Ranges asked of the source, without those that it had kept.
    pub requests: u64,
    /// Ranges that failed for good, after all retries.
    pub errors: u64,
    /// Median time from asking for a range to its first byte, to an eighth, where it was not kept.
    pub median_latency: Duration,
    /// The 99th percentile of these times, to an eighth.
    pub p99_latency: Duration,
    /// Ranges under way now.
    pub requests_in_flight: usize,
    /// Bytes of memory in use for blocks,
    pub memory_used: u64,
    /// and how many there may be.
    pub memory_limit: u64,
    /// Sequential walks being followed now, the one heard of last first.
    pub streams: Vec<Stream>,
}

/// A sequential walk along the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// The end of what has been read, as an offset in the blob.
    pub at: u64,
    /// How far ahead it may fetch, in bytes.
    pub window: u64,
    /// How many bytes have been asked for ahead of the reader.
    pub ahead: u64,
}

impl Counters {
    /// A range is asked of the source.
    pub(super) fn asked(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// Bytes of such a range came.
    pub(super) fn came(&self, bytes: u64, origin: &Origin) {
        let counter = match origin.is_kept() {
            true => &self.bytes_from_disk,
            false => &self.bytes_fetched,
        };
        counter.fetch_add(bytes, Relaxed);
    }

    /// All of such a range turned out to be kept.
    pub(super) fn was_kept(&self) {
        self.ranges_kept.fetch_add(1, Relaxed);
    }

    pub(super) fn error(&self) {
        self.errors.fetch_add(1, Relaxed);
    }

    pub(super) fn read(&self, bytes: u64, from_memory: bool) {
        self.bytes_read.fetch_add(bytes, Relaxed);
        if from_memory {
            self.bytes_from_memory.fetch_add(bytes, Relaxed);
        }
    }

    /// A reading of these, and of what others know.
    pub(super) fn status(
        &self,
        (memory_used, memory_limit): (u64, u64),
        streams: Vec<Stream>,
        requests_in_flight: usize,
    ) -> Status {
        let kept = self.ranges_kept.load(Relaxed);
        let [median_latency, p99_latency] = self.latencies.percentiles([0.5, 0.99]);
        Status {
            bytes_read: self.bytes_read.load(Relaxed),
            bytes_from_memory: self.bytes_from_memory.load(Relaxed),
            bytes_fetched: self.bytes_fetched.load(Relaxed),
            bytes_from_disk: self.bytes_from_disk.load(Relaxed),
            requests: self.requests.load(Relaxed).saturating_sub(kept),
            errors: self.errors.load(Relaxed),
            median_latency,
            p99_latency,
            requests_in_flight,
            memory_used,
            memory_limit,
            streams,
        }
    }
}
