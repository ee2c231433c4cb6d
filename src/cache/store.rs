//! The store: blobs, and what of them is on disk.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::blob::Blob;
use super::block::blocks_of;
use super::budget::Room;
use super::disk::Disk;
use super::job::{Job, Piece};
use super::shared::{Shared, Work};
use super::{usage, writer};

/// How to keep.
#[derive(Debug, Clone)]
pub struct CacheOptions {
    /// The most that may be kept, in bytes of the disk.
    pub size: u64,
}

/// How many reads of the disk may be going on at once.
const LANES: usize = 16;

/// A disk that takes longer than this for a read is slow: the network may be faster, and whoever
/// reads has a deadline.
const PATIENCE: Duration = Duration::from_secs(2);

/// Bytes of blobs on a disk. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Cache(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) shared: Arc<Shared>,
    jobs: Sender<Job>,
    pub(super) lanes: Arc<Semaphore>,
}

impl Cache {
    /// A cache on this disk.
    pub fn new(disk: Arc<dyn Disk>, options: &CacheOptions) -> Self {
        let shared = Arc::new(Shared::new(disk, options.size));
        let (jobs, queue) = mpsc::channel();
        writer::start(shared.clone(), queue);
        Self(Arc::new(Inner {
            shared,
            jobs,
            lanes: Arc::new(Semaphore::new(LANES)),
        }))
    }

    /// How many bytes of this disk could be the cache's: what is free, and what it has.
    pub fn room(disk: &dyn Disk) -> io::Result<u64> {
        let has = usage::add(disk, 0)?.bytes;
        Ok(disk.free()?.saturating_add(has))
    }

    /// Waits until all that was to be written is, but no longer than this.
    pub fn settle(&self, patience: Duration) {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.0.send(Job::Settle(sender));
        // It may be far behind: what was not written is fetched again one day.
        let _ = receiver.recv_timeout(patience);
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cache")
    }
}

impl Inner {
    /// Room for bytes that wait for the disk; `None` if there is none or nothing is written now.
    pub(super) fn room(&self, bytes: usize) -> Option<Room> {
        if self.shared.is_paused(Work::Writing) {
            None
        } else {
            self.shared.budget.take(bytes)
        }
    }

    pub(super) fn write(&self, piece: Piece) {
        self.send(Job::Piece(piece));
    }

    /// Does something with the disk where waiting is allowed. `None` if the disk is slow: it is then
    /// left alone for a while.
    pub(super) async fn off_the_runtime<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> T + Send + 'static,
    ) -> Option<T> {
        if self.shared.is_paused(Work::Reading) {
            return None;
        }
        let (lanes, shared) = (self.lanes.clone(), self.shared.clone());
        let done = async move {
            let lane = lanes.acquire_owned().await.ok()?;
            let blocking = tokio::task::spawn_blocking(move || {
                let done = work(&shared);
                drop(lane); // also if nobody waits any more
                done
            });
            blocking.await.ok()
        };
        let done = tokio::time::timeout(PATIENCE, done).await;
        done.unwrap_or_else(|_| {
            let slow = format!("nothing came within {} s", PATIENCE.as_secs());
            let slow = io::Error::new(ErrorKind::TimedOut, slow);
            self.shared.complain(Work::Reading, &slow);
            None
        })
    }

    pub(super) fn send(&self, job: Job) {
        // The writer ends with this sender, or by a panic; then nothing is kept.
        let _ = self.jobs.send(job);
    }

    /// Removes all blocks that hold some of `range`: those bytes were wrong.
    pub(super) fn forget(&self, blob: &Arc<Blob>, range: &Range<u64>) {
        blob.quarantine.add(range);
        for number in blocks_of(range) {
            self.shared.remove(&blob.block(number));
        }
        // What waits to be written goes, too, and what was being written just now.
        self.send(Job::Forget(blob.clone(), range.clone()));
    }
}
