//! The memory bound: so many buffers of one size, and no more.
//!
//! All bytes that the reader holds live in buffers from here. A buffer is a permit: whoever wants
//! one when all are out waits, first come first served. Buffers that come back are kept for the
//! next, so a mount's memory grows to what it uses and then stays, without churning the allocator.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::block::BLOCK;

/// Hands out buffers of [`BLOCK`] bytes, never more of them than fit into the bound.
#[derive(Debug, Clone)]
pub(super) struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    permits: Arc<Semaphore>,
    total: usize,
    returned: Mutex<Vec<Box<[u8]>>>,
}

/// One buffer; it goes back to the pool when dropped.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    home: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

/// The right to so many buffers.
#[derive(Debug)]
pub(super) struct Grant {
    permit: OwnedSemaphorePermit,
    home: Arc<Shared>,
}

impl Pool {
    /// A pool of `total` buffers. No memory is taken before it is used.
    pub(super) fn new(total: usize) -> Self {
        Self(Arc::new(Shared {
            permits: Arc::new(Semaphore::new(total)),
            total,
            returned: Mutex::new(Vec::new()),
        }))
    }

    /// Waits for `count` buffers at once. Taken one by one, two readers could each hold half of
    /// what both need. `count` must not be more than the pool has.
    pub(super) async fn grant(&self, count: usize) -> Grant {
        debug_assert!(count <= self.0.total);
        let permits = self.0.permits.clone();
        let permit = permits.acquire_many_owned(count as u32).await;
        Grant {
            permit: permit.expect("the pool's semaphore is never closed"),
            home: self.0.clone(),
        }
    }

    /// `count` buffers, if afterwards at least `reserve` are left for others.
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

    /// How many buffers are free.
    pub(super) fn available(&self) -> usize {
        self.0.permits.available_permits()
    }

    /// Frees the buffers that wait for their next use.
    pub(super) fn trim(&self) {
        let mut returned = (self.0.returned.lock()).unwrap_or_else(PoisonError::into_inner);
        *returned = Vec::new();
    }

    /// How many bytes there are.
    pub(super) fn limit(&self) -> u64 {
        self.0.total as u64 * BLOCK
    }

    /// How many of them are out.
    pub(super) fn used(&self) -> u64 {
        ((self.0.total - self.0.permits.available_permits()) * BLOCK as usize) as u64
    }
}

impl Grant {
    /// One of the granted buffers; `None` when all have been taken. Its content is arbitrary.
    pub(super) fn take(&mut self) -> Option<Buffer> {
        let permit = self.permit.split(1)?;
        let returned = {
            let lock = self.home.returned.lock();
            lock.unwrap_or_else(PoisonError::into_inner).pop()
        };
        let bytes = returned.unwrap_or_else(|| vec![0; BLOCK as usize].into_boxed_slice());
        Some(Buffer {
            bytes,
            home: self.home.clone(),
            _permit: permit,
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
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut returned = (self.home.returned.lock()).unwrap_or_else(PoisonError::into_inner);
        returned.push(bytes);
    }
}
