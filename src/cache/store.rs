//! The cache object: the disk, the writer's thread, and bounded access from async code.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::blob::Blob;
use super::block::blocks_of;
use super::disk::Disk;
use super::job::Job;
use super::shared::{Shared, Work};
use super::{record, usage, writer};

/// The most concurrent reads of the disk.
const MAX_READS: usize = 16;

/// The timeout of a read of the disk: the network may be faster, and reads have a deadline.
const PATIENCE: Duration = Duration::from_secs(2);

/// A cache on a disk. Clones share it.
#[derive(Clone)]
pub struct Cache(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) shared: Arc<Shared>,
    jobs: Sender<Job>,
    /// Bounds the reads of the disk.
    slots: Arc<Semaphore>,
}

impl Cache {
    /// A cache on this disk that may take `size` bytes of it.
    pub fn new(disk: Arc<dyn Disk>, size: u64) -> Self {
        let shared = Arc::new(Shared::new(disk, size));
        let (jobs, queue) = mpsc::channel();
        writer::start(shared.clone(), queue);
        Self(Arc::new(Inner {
            shared,
            jobs,
            slots: Arc::new(Semaphore::new(MAX_READS)),
        }))
    }

    /// The disk space that the cache could take: the free space and what it takes now, in bytes.
    pub fn room(disk: &dyn Disk) -> io::Result<u64> {
        let has = usage::add(disk, 0)?.bytes;
        Ok(disk.free()?.saturating_add(has))
    }

    /// Changes the size limit. If the cache is larger, the next write evicts files.
    pub fn set_size(&self, size: u64) {
        self.0.shared.status.lock().size = size;
    }

    /// Waits until all pending writes are done, at most for `patience`.
    pub fn settle(&self, patience: Duration) {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.0.send(Job::Settle(sender));
        // What was not written by then is fetched again when it is needed.
        let _ = receiver.recv_timeout(patience);
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cache")
    }
}

impl Inner {
    /// Reserves room for bytes to write; `None` if there is none or writing is paused.
    pub(super) fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        if self.shared.is_paused(Work::Writing) {
            return None;
        }
        let bytes = u32::try_from(bytes).ok()?;
        self.shared.room.clone().try_acquire_many_owned(bytes).ok()
    }

    /// Runs disk work on a blocking thread. `None` if reading is paused, or if the work times out, which
    /// pauses reading.
    pub(super) async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> T + Send + 'static,
    ) -> Option<T> {
        if self.shared.is_paused(Work::Reading) {
            return None;
        }
        let (slots, shared) = (self.slots.clone(), self.shared.clone());
        let done = async move {
            let slot = slots.acquire_owned().await.ok()?;
            let blocking = tokio::task::spawn_blocking(move || {
                let done = work(&shared);
                drop(slot); // here, since a timed out read still occupies the disk
                done
            });
            blocking.await.ok()
        };
        let done = tokio::time::timeout(PATIENCE, done).await;
        done.unwrap_or_else(|_| {
            let slow = format!("no answer within {} s", PATIENCE.as_secs());
            let slow = io::Error::new(ErrorKind::TimedOut, slow);
            self.shared.report_failure(Work::Reading, &slow);
            None
        })
    }

    /// Reads a record; `None` if it does not exist or is damaged.
    pub(super) async fn record<T>(&self, path: String) -> Option<T>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let read = move |shared: &Shared| record::read(&*shared.disk, &path);
        self.run_blocking(read).await?
    }

    pub(super) fn send(&self, job: Job) {
        // The writer ends when this sender is dropped, or by a panic; then nothing is cached.
        let _ = self.jobs.send(job);
    }

    /// Removes all blocks that hold bytes of `range`, which were wrong.
    pub(super) fn forget(&self, blob: &Arc<Blob>, range: &Range<u64>) {
        blob.quarantine.add(range);
        for number in blocks_of(range) {
            self.shared.remove(&blob.block(number));
        }
        // The writer drops pending parts, and removes a block that it is writing now.
        self.send(Job::Forget(blob.clone(), range.clone()));
    }
}
