//! What the reader has done so far, for the status of a mount.

use std::time::Duration;

use parking_lot::Mutex;

use super::latency::Timing;
use crate::source::{Origin, Priority};

/// Running totals. Those that are not counted here are left at their default.
#[derive(Debug, Default)]
pub(super) struct Counters(Mutex<Status>);

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
        self.0.lock().requests += 1;
    }

    /// Bytes of a request came.
    pub(super) fn arrived(&self, bytes: usize, origin: &Origin) {
        let mut totals = self.0.lock();
        let counter = if origin.is_kept() {
            &mut totals.bytes_from_disk
        } else {
            &mut totals.bytes_fetched
        };
        *counter += bytes as u64;
    }

    /// A request has ended.
    pub(super) fn ended(&self, priority: Priority, outcome: Outcome) {
        let mut totals = self.0.lock();
        let of_kind = match priority {
            Priority::Demand => &mut totals.demand,
            Priority::Prefetch => &mut totals.read_ahead,
        };
        let counter = match outcome {
            Outcome::Served => &mut of_kind.served,
            Outcome::Local => &mut of_kind.local,
            Outcome::Failed => &mut of_kind.failed,
            Outcome::Cancelled => &mut of_kind.cancelled,
        };
        *counter += 1;
    }

    pub(super) fn error(&self) {
        self.0.lock().errors += 1;
    }

    pub(super) fn read(&self, bytes: usize, from_memory: bool) {
        let mut totals = self.0.lock();
        totals.bytes_read += bytes as u64;
        if from_memory {
            totals.bytes_from_memory += bytes as u64;
        }
    }

    /// The totals.
    pub(super) fn status(&self) -> Status {
        let mut totals = self.0.lock().clone();
        let local = totals.demand.local + totals.read_ahead.local;
        totals.requests = totals.requests.saturating_sub(local);
        totals
    }
}
