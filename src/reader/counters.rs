//! What the reader has done so far, for the status of a mount.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::source::Origin;

/// Running totals.
#[derive(Debug, Default)]
pub(super) struct Counters {
    bytes_read: AtomicU64,
    bytes_from_memory: AtomicU64,
    bytes_fetched: AtomicU64,
    bytes_from_disk: AtomicU64,
    requests: AtomicU64,
    local_requests: AtomicU64,
    errors: AtomicU64,
}

/// The state of a reader at one moment.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Status {
    /// Bytes given to readers.
    pub bytes_read: u64,
    /// Those among them that were in memory when they were asked for.
    pub bytes_from_memory: u64,
    /// Bytes that came from servers.
    pub bytes_fetched: u64,
    /// Bytes that were stored on this machine.
    pub bytes_from_disk: u64,
    /// Requests, without those whose bytes were all stored on this machine.
    pub requests: u64,
    /// Reads that failed after all retries.
    pub errors: u64,
    /// Median time from a request to its first byte, at most an eighth too large. Requests whose
    /// bytes were stored on this machine do not count.
    pub median_latency: Duration,
    /// The 99th percentile of these times, at most an eighth too large.
    pub p99_latency: Duration,
    /// Requests in flight.
    pub requests_in_flight: usize,
    /// Bytes of memory in use for content.
    pub memory_used: u64,
    /// The bound of that memory, in bytes.
    pub memory_limit: u64,
    /// Sequential streams, the one that was read last first.
    pub streams: Vec<StreamStatus>,
}

/// A sequential stream through the blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamStatus {
    /// The end of what has been read, as an offset in the blob.
    pub at: u64,
    /// How far ahead of its reader it may fetch, in bytes.
    pub window: u64,
    /// How many bytes have been requested ahead of the reader.
    pub ahead: u64,
}

impl Counters {
    pub(super) fn requested(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// Bytes of a request came.
    pub(super) fn arrived(&self, bytes: usize, origin: &Origin) {
        let counter = if origin.is_kept() {
            &self.bytes_from_disk
        } else {
            &self.bytes_fetched
        };
        counter.fetch_add(bytes as u64, Relaxed);
    }

    /// All bytes of a request were stored on this machine.
    pub(super) fn was_local(&self) {
        self.local_requests.fetch_add(1, Relaxed);
    }

    pub(super) fn error(&self) {
        self.errors.fetch_add(1, Relaxed);
    }

    pub(super) fn read(&self, bytes: usize, from_memory: bool) {
        self.bytes_read.fetch_add(bytes as u64, Relaxed);
        if from_memory {
            self.bytes_from_memory.fetch_add(bytes as u64, Relaxed);
        }
    }

    /// The totals. Everything else is left at its default.
    pub(super) fn status(&self) -> Status {
        let local = self.local_requests.load(Relaxed);
        Status {
            bytes_read: self.bytes_read.load(Relaxed),
            bytes_from_memory: self.bytes_from_memory.load(Relaxed),
            bytes_fetched: self.bytes_fetched.load(Relaxed),
            bytes_from_disk: self.bytes_from_disk.load(Relaxed),
            requests: self.requests.load(Relaxed).saturating_sub(local),
            errors: self.errors.load(Relaxed),
            ..Status::default()
        }
    }
}
