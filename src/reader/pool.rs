//! The memory bound: a fixed number of buffers of one size.
//!
//! Every byte that the reader holds lies in a buffer from this pool. A buffer is a permit: when
//! none is free, callers wait in first-come-first-served order. Returned buffers are reused, so the
//! memory of a mount grows to what it needs and stays there, and the allocator has little to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes in a buffer, and so in a block. Small enough that scattered reads of a few kilobytes hold
/// little more than they use, large enough that a gigabyte is only four thousand blocks.
pub(super) const BLOCK: u64 = 256 * 1024;

/// Hands out buffers of [`BLOCK`] bytes up to a fixed total.
#[derive(Debug, Clone)]
pub(super) struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    permits: Arc<Semaphore>,
    total: AtomicUsize,
    /// Buffers in use that leave the pool when they are returned.
    leaving: AtomicUsize,
    /// The most bytes that read-ahead may use.
    read_ahead: u64,
    returned: Mutex<Vec<Box<[u8]>>>,
    /// Bytes that came and left memory unread.
    unread: AtomicU64,
}

/// One buffer. Dropping it returns it to its pool.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    home: Arc<Shared>,
    permit: OwnedSemaphorePermit,
}

/// Permits for a number of buffers.
#[derive(Debug)]
pub(super) struct Grant {
    permit: OwnedSemaphorePermit,
    home: Arc<Shared>,
}

impl Pool {
    /// Makes a pool of `total` buffers. Read-ahead may use `read_ahead` bytes of them. A buffer is allocated at its first use.
    pub(super) fn new(total: usize, read_ahead: u64) -> Self {
        Self(Arc::new(Shared {
            permits: Arc::new(Semaphore::new(total)),
            total: AtomicUsize::new(total),
            leaving: AtomicUsize::new(0),
            read_ahead,
            returned: Mutex::new(Vec::new()),
            unread: AtomicU64::new(0),
        }))
    }

    /// Waits for `count` buffers, which must not exceed the pool's total. All are granted together:
    /// two readers that took them one by one could each hold half of what both need.
    pub(super) async fn grant(&self, count: usize) -> Grant {
        debug_assert!(count <= self.total());
        let permits = self.0.permits.clone();
        let permit = permits.acquire_many_owned(count as u32).await;
        Grant {
            permit: permit.expect("the pool's semaphore is never closed"),
            home: self.0.clone(),
        }
    }

    /// Grants `count` buffers if at least `reserve` others stay free.
    pub(super) fn try_grant(&self, count: usize, reserve: usize) -> Option<Grant> {
        if self.available() < count + reserve {
            return None;
        }
        let permits = self.0.permits.clone();
        let permit = permits.try_acquire_many_owned(count as u32).ok()?;
        Some(Grant {
            permit,
            home: self.0.clone(),
        })
    }

    /// Number of buffers, free ones included.
    pub(super) fn total(&self) -> usize {
        self.0.total.load(Relaxed)
    }

    /// The most bytes that read-ahead may use.
    pub(super) fn read_ahead(&self) -> u64 {
        self.0.read_ahead
    }

    /// Takes this number of buffers out for good: free ones now, and others when they are returned.
    pub(super) fn take_out(&self, count: usize) {
        let free = self.0.permits.forget_permits(count);
        self.0.total.fetch_sub(free, Relaxed);
        self.0.leaving.fetch_add(count - free, Relaxed);
        let kept = self.available();
        self.0.returned.lock().truncate(kept);
    }

    /// Number of free buffers.
    pub(super) fn available(&self) -> usize {
        self.0.permits.available_permits()
    }

    /// How many bytes came and left memory unread.
    pub(super) fn unread(&self) -> u64 {
        self.0.unread.load(Relaxed)
    }

    /// Gives the memory of free buffers back to the allocator.
    pub(super) fn trim(&self) {
        *self.0.returned.lock() = Vec::new();
    }
}

impl Grant {
    /// Takes one of the granted buffers, or `None` when all have been taken. Its content is
    /// arbitrary.
    pub(super) fn take(&mut self) -> Option<Buffer> {
        let permit = self.permit.split(1)?;
        let returned = self.home.returned.lock().pop();
        Some(Buffer {
            bytes: returned.unwrap_or_else(|| vec![0; BLOCK as usize].into_boxed_slice()),
            home: self.home.clone(),
            permit,
        })
    }
}

impl Buffer {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Counts bytes of this buffer that are dropped unread.
    pub(super) fn drop_unread(&self, bytes: u64) {
        self.home.unread.fetch_add(bytes, Relaxed);
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let one_less = |leaving: usize| leaving.checked_sub(1);
        let leaving = &self.home.leaving;
        if leaving.fetch_update(Relaxed, Relaxed, one_less).is_ok()
            && let Some(permit) = self.permit.split(1)
        {
            permit.forget();
            self.home.total.fetch_sub(1, Relaxed);
            return;
        }
        self.home
            .returned
            .lock()
            .push(std::mem::take(&mut self.bytes));
    }
}
