//! What the reader has done so far, for the status of a mount.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Running totals; cheap enough to keep always.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) bytes_read: AtomicU64,
    pub(super) bytes_from_memory: AtomicU64,
    pub(super) bytes_fetched: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) errors: AtomicU64,
    /// Sum of the times from a request to its first byte, in microseconds.
    pub(super) first_byte_us: AtomicU64,
    pub(super) first_bytes: AtomicU64,
}

/// A reading of the counters at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Bytes given to readers.
    pub bytes_read: u64,
    /// Of those, bytes that were there when they were asked for.
    pub bytes_from_memory: u64,
    /// Bytes that came from the source.
    pub bytes_fetched: u64,
    /// Ranges asked of the source.
    pub requests: u64,
    /// Ranges that failed for good, after all retries.
    pub errors: u64,
    /// Mean time from asking for a range to its first byte.
    pub mean_latency: Duration,
    /// Bytes of memory in use for blocks.
    pub memory_used: u64,
    /// Sequential walks being followed now.
    pub streams: usize,
    /// Ranges under way now.
    pub requests_in_flight: usize,
}

impl Counters {
    pub(super) fn first_byte(&self, after: Duration) {
        self.first_bytes.fetch_add(1, Relaxed);
        let micros = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        self.first_byte_us.fetch_add(micros, Relaxed);
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

    pub(super) fn status(&self, memory_used: u64, streams: usize, in_flight: usize) -> Status {
        let answered = self.first_bytes.load(Relaxed).max(1);
        Status {
            bytes_read: self.bytes_read.load(Relaxed),
            bytes_from_memory: self.bytes_from_memory.load(Relaxed),
            bytes_fetched: self.bytes_fetched.load(Relaxed),
            requests: self.requests.load(Relaxed),
            errors: self.errors.load(Relaxed),
            mean_latency: Duration::from_micros(self.first_byte_us.load(Relaxed) / answered),
            memory_used,
            streams,
            requests_in_flight: in_flight,
        }
    }
}
