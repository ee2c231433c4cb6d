//! What the reader has done so far, for the status of a mount.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::latency::Timing;
use crate::source::{Origin, Priority};

/// Running totals.
#[derive(Debug, Default)]
pub(super) struct Counters {
    bytes_read: AtomicU64,
    bytes_from_memory: AtomicU64,
    bytes_fetched: AtomicU64,
    bytes_from_disk: AtomicU64,
    requests: AtomicU64,
    demand: Ended,
    read_ahead: Ended,
    errors: AtomicU64,
}

/// Requests of one kind that have ended.
#[derive(Debug, Default)]
struct Ended {
    served: AtomicU64,
    local: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// With all its bytes, some of them from a server.
    Served,
    /// With all its bytes, all of them stored on this machine.
    Local,
    /// With an error.
    Failed,
    /// Nobody needed it any more.
    Cancelled,
}

/// How many requests of one kind have ended, and how.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct RequestCounts {
    /// With all their bytes, some of them from a server.
    pub served: u64,
    /// With all their bytes, all of them stored on this machine.
    pub local: u64,
    /// With an error.
    pub failed: u64,
    /// Nobody needed them any more.
    pub cancelled: u64,
}

impl RequestCounts {
    fn add(&mut self, other: Self) {
        self.served += other.served;
        self.local += other.local;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
    }
}

/// The state of a reader at one moment.
#[derive(Debug, Default, Clone, PartialEq)]
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
    /// Requests for bytes that a program waited for.
    pub demand: RequestCounts,
    /// Requests for bytes that a program may need later.
    pub read_ahead: RequestCounts,
    /// Bytes that came and left memory unread.
    pub bytes_unread: u64,
    /// Times from a request to its first byte, without requests whose bytes were stored on this machine.
    pub request_times: Timing,
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
    /// Sequential streams; what was read last comes first.
    pub streams: Vec<StreamStatus>,
}

impl Status {
    /// Adds what another reader did. Fields that are not sums stay as they are.
    pub fn add(&mut self, other: &Self) {
        self.bytes_read += other.bytes_read;
        self.bytes_from_memory += other.bytes_from_memory;
        self.bytes_fetched += other.bytes_fetched;
        self.bytes_from_disk += other.bytes_from_disk;
        self.requests += other.requests;
        self.demand.add(other.demand);
        self.read_ahead.add(other.read_ahead);
        self.request_times.add(&other.request_times);
        self.errors += other.errors;
    }
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

    /// A request has ended.
    pub(super) fn ended(&self, priority: Priority, outcome: Outcome) {
        let of_kind = match priority {
            Priority::Demand => &self.demand,
            Priority::Prefetch => &self.read_ahead,
        };
        let counter = match outcome {
            Outcome::Served => &of_kind.served,
            Outcome::Local => &of_kind.local,
            Outcome::Failed => &of_kind.failed,
            Outcome::Cancelled => &of_kind.cancelled,
        };
        counter.fetch_add(1, Relaxed);
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
        let (demand, read_ahead) = (self.demand.counts(), self.read_ahead.counts());
        let local = demand.local + read_ahead.local;
        Status {
            demand,
            read_ahead,
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

impl Ended {
    fn counts(&self) -> RequestCounts {
        RequestCounts {
            served: self.served.load(Relaxed),
            local: self.local.load(Relaxed),
            failed: self.failed.load(Relaxed),
            cancelled: self.cancelled.load(Relaxed),
        }
    }
}
