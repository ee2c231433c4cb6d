//! What a process did with the cache, for the status of a mount.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Running totals.
#[derive(Debug, Default)]
pub(super) struct Tally {
    hits: AtomicU64,
    misses: AtomicU64,
    written: AtomicU64,
    evicted_files: AtomicU64,
    evicted_bytes: AtomicU64,
    failures: AtomicU64,
}

/// What this process did with the cache so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct CacheStatus {
    /// The most disk space that it may take, in bytes.
    pub size: u64,
    /// Bytes read from disk.
    pub hits: u64,
    /// Bytes that had to come from servers.
    pub misses: u64,
    /// Bytes written.
    pub written: u64,
    /// Files removed to make room.
    pub evicted_files: u64,
    /// The disk space that this freed, in bytes.
    pub evicted_bytes: u64,
    /// Failures of the disk. After each, the cache is not used for a while.
    pub failures: u64,
}

impl Tally {
    pub(super) fn hit(&self, bytes: u64) {
        self.hits.fetch_add(bytes, Relaxed);
    }

    pub(super) fn missed(&self, bytes: u64) {
        self.misses.fetch_add(bytes, Relaxed);
    }

    pub(super) fn wrote(&self, bytes: u64) {
        self.written.fetch_add(bytes, Relaxed);
    }

    pub(super) fn evicted(&self, files: usize, bytes: u64) {
        self.evicted_files.fetch_add(files as u64, Relaxed);
        self.evicted_bytes.fetch_add(bytes, Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Relaxed);
    }

    pub(super) fn status(&self, size: u64) -> CacheStatus {
        CacheStatus {
            size,
            hits: self.hits.load(Relaxed),
            misses: self.misses.load(Relaxed),
            written: self.written.load(Relaxed),
            evicted_files: self.evicted_files.load(Relaxed),
            evicted_bytes: self.evicted_bytes.load(Relaxed),
            failures: self.failures.load(Relaxed),
        }
    }
}
