//! The disk as the readers and the writer of a process share it: use, failures, pauses.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

use super::budget::Budget;
use super::buffers::Buffers;
use super::clock::now;
use super::disk::{Disk, Handle};
use super::{record, usage};

/// After a failure the disk is left alone for this long, in seconds.
const PAUSE: i64 = 30;

/// A use of a block is recorded this long after the last one, in seconds.
const NOTED_AFTER: i64 = 60;

/// The bytes that may wait for the disk. A link of 1 Gbit/s fills them in a quarter of a second.
const WAITING: usize = 32 << 20;

/// What the readers and the writer have in common.
pub(super) struct Shared {
    pub(super) disk: Arc<dyn Disk>,
    /// The bound on the bytes taken of the disk.
    pub(super) size: u64,
    pub(super) budget: Arc<Budget>,
    pub(super) buffers: Buffers,
    /// Numbers temporary files.
    pub(super) temporary: AtomicU64,
    warned: AtomicBool,
    /// When the disk may be written, and when it may be read again.
    paused_until: [AtomicI64; 2],
}

/// What is done with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Writing,
    Reading,
}

impl Shared {
    pub(super) fn new(disk: Arc<dyn Disk>, size: u64) -> Self {
        Self {
            disk,
            size,
            budget: Budget::new(WAITING),
            buffers: Buffers::default(),
            temporary: AtomicU64::new(0),
            warned: AtomicBool::new(false),
            paused_until: Default::default(),
        }
    }

    /// That something is used is written down if it was not used for a while.
    pub(super) fn note_use(&self, file: &dyn Handle) {
        if let Ok(stat) = file.stat() {
            let now = now();
            if now - stat.used >= NOTED_AFTER {
                // On a disk that cannot be written it is not known, and matters little.
                let _ = file.set_times(stat.written, now);
            }
        }
    }

    /// A small file, as it is; `None` if it is not there or has more than `most` bytes.
    pub(super) fn read_plain(&self, path: &str, most: usize) -> Option<Vec<u8>> {
        let file = self.disk.open(path).ok()?;
        let bytes = record::read_small(&*file, most).ok()??;
        self.note_use(&*file);
        Some(bytes)
    }

    pub(super) fn discard(&self, path: &str, why: &io::Error) {
        log::info!("cache: {path} is removed: {why}");
        self.remove(path);
    }

    /// Removes a file that is of no use; it may not be there.
    pub(super) fn remove(&self, path: &str) {
        let taken = self.disk.open(path).and_then(|file| file.stat());
        let Ok(stat) = taken else { return };
        match self.disk.remove(path) {
            Ok(()) => drop(usage::add(&*self.disk, -(stat.taken as i64))),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => self.complain(Work::Writing, &e),
        }
    }

    /// Something failed: it is told once, and not done for a while.
    pub(super) fn complain(&self, work: Work, error: &io::Error) {
        self.paused_until[work as usize].store(now() + PAUSE, Relaxed);
        if !self.warned.swap(true, Relaxed) {
            let what = match work {
                Work::Writing => "written",
                Work::Reading => "read",
            };
            log::warn!("cache: it cannot be {what}: {error}; going on without it");
        }
    }

    pub(super) fn is_paused(&self, work: Work) -> bool {
        now() < self.paused_until[work as usize].load(Relaxed)
    }
}

pub(super) fn damaged(what: &str) -> io::Error {
    io::Error::new(
        ErrorKind::InvalidData,
        format!("{what} does not agree with its hash"),
    )
}
