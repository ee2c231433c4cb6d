//! State that the readers and the writer of a process share: the disk, its failures and pauses.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::buffers::Buffers;
use super::clock::now;
use super::disk::{Disk, Handle};
use super::{record, usage};

/// How long the disk is not used after a failure, in seconds.
const PAUSE: i64 = 30;

/// The least time between two recorded uses of a file, in seconds.
const NOTED_AFTER: i64 = 60;

/// The bytes that may wait to be written. A link of 1 Gbit/s fills them in a quarter of a second.
const WAITING: usize = 32 << 20;

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

/// What the readers and the writer share.
pub(super) struct Shared {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) status: Mutex<CacheStatus>,
    /// A permit for each byte that may wait to be written.
    pub(super) room: Arc<Semaphore>,
    pub(super) buffers: Arc<Buffers>,
    /// Numbers temporary files.
    pub(super) temporary: AtomicU64,
    warned: AtomicBool,
    /// The ends of the pauses for writing and for reading, in seconds since 1970.
    paused_until: [AtomicI64; 2],
}

/// A kind of access to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Writing,
    Reading,
}

impl Shared {
    pub(super) fn new(disk: Arc<dyn Disk>, size: u64) -> Self {
        Self {
            disk,
            status: Mutex::new(CacheStatus {
                size,
                ..CacheStatus::default()
            }),
            room: Arc::new(Semaphore::new(WAITING)),
            buffers: Arc::default(),
            temporary: AtomicU64::new(0),
            warned: AtomicBool::new(false),
            paused_until: Default::default(),
        }
    }

    /// The bound on the bytes taken of the disk.
    pub(super) fn size(&self) -> u64 {
        self.status.lock().size
    }

    /// Whether the disk is behind: more than half of the bytes that may wait to be written do.
    pub(super) fn is_behind(&self) -> bool {
        self.room.available_permits() < WAITING / 2
    }

    /// Records a use of a file, unless one was recorded lately.
    pub(super) fn note_use(&self, file: &dyn Handle) {
        if let Ok(stat) = file.stat() {
            let now = now();
            if now - stat.used >= NOTED_AFTER {
                // On a read-only disk eviction goes by older times.
                let _ = file.set_times(stat.written, now);
            }
        }
    }

    /// Reads a small file; `None` if it does not exist or has more than `most` bytes.
    pub(super) fn read_plain(&self, path: &str, most: usize) -> Option<Vec<u8>> {
        let file = self.disk.open(path).ok()?;
        let bytes = record::read_small(&*file, most).ok()??;
        self.note_use(&*file);
        Some(bytes)
    }

    /// Removes a damaged file, and logs why.
    pub(super) fn discard(&self, path: &str, why: &io::Error) {
        log::info!("cache: {path} is removed: {why}");
        self.remove(path);
    }

    /// Removes a file, if it exists.
    pub(super) fn remove(&self, path: &str) {
        let taken = self.disk.open(path).and_then(|file| file.stat());
        let Ok(stat) = taken else { return };
        match self.disk.remove(path) {
            Ok(()) => drop(usage::add(&*self.disk, -(stat.taken as i64))),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => self.report_failure(Work::Writing, &e),
        }
    }

    /// Reports a failure: logs the first one, and pauses this access to the disk.
    pub(super) fn report_failure(&self, work: Work, error: &io::Error) {
        self.paused_until[work as usize].store(now() + PAUSE, Relaxed);
        self.status.lock().failures += 1;
        if !self.warned.swap(true, Relaxed) {
            let what = match work {
                Work::Writing => "written",
                Work::Reading => "read",
            };
            log::warn!(
                "cache: it cannot be {what}: {error}; going on without it, and trying again every {PAUSE} s"
            );
        }
    }

    /// Whether this access to the disk failed a short while ago.
    pub(super) fn is_paused(&self, work: Work) -> bool {
        now() < self.paused_until[work as usize].load(Relaxed)
    }
}

/// The error for a damaged file.
pub(super) fn damaged(what: &str) -> io::Error {
    io::Error::new(
        ErrorKind::InvalidData,
        format!("{what} does not agree with its hash"),
    )
}
