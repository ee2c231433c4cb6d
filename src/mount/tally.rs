//! What a mount counts itself: reads, open files, failures.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use super::error_kind;
use crate::reader::Latencies;
use crate::volume::FileError;

/// Running totals.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Times from a read request of the kernel to its answer.
    pub(super) read_times: Latencies,
    /// How many times files are open.
    open_files: AtomicU64,
    failures: Mutex<BTreeMap<&'static str, u64>>,
}

impl Tally {
    pub(super) fn opened(&self) {
        self.open_files.fetch_add(1, Relaxed);
    }

    pub(super) fn released(&self) {
        self.open_files.fetch_sub(1, Relaxed);
    }

    pub(super) fn open_files(&self) -> u64 {
        self.open_files.load(Relaxed)
    }

    pub(super) fn failed(&self, error: &FileError) {
        if let Some(kind) = error_kind::of(error) {
            let mut failures = self.failures.lock();
            *failures.entry(kind).or_default() += 1;
        }
    }

    pub(super) fn failures(&self) -> BTreeMap<&'static str, u64> {
        self.failures.lock().clone()
    }
}
