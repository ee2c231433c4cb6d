//! A pool of buffers for large reads of the disk.
//!
//! A fresh buffer costs more than the checksum of its content: the kernel allocates, zeroes and frees its pages each
//! time. Direct reads are faster into contiguous memory, so each buffer lies in a huge page, if the system has any.

use std::ops::{Deref, DerefMut, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use memmap2::{Advice, MmapMut, MmapOptions};
use parking_lot::Mutex;

use super::block::{BLOCK, HEAD};

/// The most buffers. With huge pages each takes 2 MB once it is used. A read that gets none allocates
/// memory.
const MAX_BUFFERS: usize = 12;

/// Bytes in a buffer: a block's file fits.
const LEN: usize = (HEAD + BLOCK) as usize;

/// The size of a huge page.
const HUGE_PAGE: usize = 2 << 20;

/// The pool.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    free: Mutex<Vec<MmapMut>>,
    made: AtomicUsize,
}

/// A buffer of [`LEN`] bytes with any content. Dropping it returns it to the pool.
#[derive(Debug)]
pub(super) struct Buffer {
    /// `None` only in `drop`.
    memory: Option<MmapMut>,
    start: usize,
    pool: Arc<Buffers>,
}

impl Buffers {
    /// A free buffer; `None` if all are in use.
    pub(super) fn take(self: &Arc<Self>) -> Option<Buffer> {
        let free = self.free.lock().pop();
        let memory = match free {
            Some(memory) => memory,
            None => self.make()?,
        };
        Some(Buffer {
            start: memory.as_ptr().align_offset(HUGE_PAGE),
            memory: Some(memory),
            pool: self.clone(),
        })
    }

    fn make(&self) -> Option<MmapMut> {
        let made = self.made.fetch_update(Relaxed, Relaxed, |made| {
            (made < MAX_BUFFERS).then_some(made + 1)
        });
        made.ok()?;
        // Two pages long, so that one aligned huge page fits. Untouched memory is never allocated.
        let memory = MmapOptions::new().len(2 * HUGE_PAGE).map_anon().ok()?;
        // Without huge pages it is only slower.
        let _ = memory.advise(Advice::HugePage);
        Some(memory)
    }
}

impl Buffer {
    /// A part of it as shared bytes; the buffer returns to the pool after the last of them.
    pub(super) fn freeze(self, range: Range<usize>) -> Bytes {
        Bytes::from_owner(self).slice(range)
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let memory = self.memory.as_deref().unwrap_or_default();
        memory.get(self.start..self.start + LEN).unwrap_or_default()
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        let memory = self.memory.as_deref_mut().unwrap_or_default();
        (memory.get_mut(self.start..self.start + LEN)).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            self.pool.free.lock().push(memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_return_and_are_limited() {
        let buffers = Arc::new(Buffers::default());
        let mut all: Vec<Buffer> = std::iter::from_fn(|| buffers.take()).collect();
        assert_eq!(all.len(), MAX_BUFFERS);
        for buffer in &mut all {
            assert_eq!(buffer.len(), LEN);
            // Direct I/O needs an alignment of at most 4096.
            assert_eq!(buffer.as_ptr() as usize % HUGE_PAGE, 0);
            buffer.fill(7);
        }
        let last = all.pop().expect("a buffer");
        let bytes = last.freeze(5..9);
        assert_eq!(bytes, [7; 4][..]);
        let clone = bytes.clone();
        drop(bytes);
        assert!(buffers.take().is_none(), "somebody holds it");
        drop(clone);
        assert!(buffers.take().is_some());
    }
}
