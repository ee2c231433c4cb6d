//! Buffers for large reads of the disk, used over and over.
//!
//! A fresh buffer costs more than the checksum of what is read into it: its pages are made, zeroed
//! and given back each time. And a disk writes into memory sooner where that is in one piece, so
//! each buffer lies in a large page, if the system has any.

use std::ops::{Deref, DerefMut, Range};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use memmap2::{Advice, MmapMut, MmapOptions};

use super::block::{BLOCK, HEAD};

/// How many there are at most. With large pages each takes 2 MB, once it was used. Reads that find
/// none make do with fresh memory.
const MOST: usize = 12;

/// Bytes in one: a block's file fits.
const LEN: usize = (HEAD + BLOCK) as usize;

/// A page of memory that is large.
const LARGE_PAGE: usize = 2 << 20;

/// All buffers. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Buffers(Arc<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    free: Mutex<Vec<MmapMut>>,
    made: AtomicUsize,
}

/// One of [`LEN`] bytes, whatever they are; it goes back when dropped.
#[derive(Debug)]
pub(super) struct Buffer {
    /// Taken out only by `drop`.
    memory: Option<MmapMut>,
    start: usize,
    home: Arc<Shelf>,
}

impl Buffers {
    /// One that nobody uses; `None` if there is none.
    pub(super) fn take(&self) -> Option<Buffer> {
        let free = self.0.free().pop();
        let memory = match free {
            Some(memory) => memory,
            None => self.0.make()?,
        };
        Some(Buffer {
            start: memory.as_ptr().align_offset(LARGE_PAGE),
            memory: Some(memory),
            home: self.0.clone(),
        })
    }
}

impl Shelf {
    fn make(&self) -> Option<MmapMut> {
        let made = self
            .made
            .fetch_update(Relaxed, Relaxed, |made| (made < MOST).then_some(made + 1));
        made.ok()?;
        // Twice a page, so that there is a whole one in it; what is not used is not there.
        let memory = MmapOptions::new().len(2 * LARGE_PAGE).map_anon().ok()?;
        // Without large pages it is slower, no more.
        let _ = memory.advise(Advice::HugePage);
        Some(memory)
    }

    fn free(&self) -> MutexGuard<'_, Vec<MmapMut>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffer {
    /// A part of it as it is now, for as long as anybody holds that.
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
            self.home.free().push(memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_back_and_there_are_so_many() {
        let buffers = Buffers::default();
        let mut all: Vec<Buffer> = std::iter::from_fn(|| buffers.take()).collect();
        assert_eq!(all.len(), MOST);
        for buffer in &mut all {
            assert_eq!(buffer.len(), LEN);
            // Disks want 4096 at most.
            assert_eq!(buffer.as_ptr() as usize % LARGE_PAGE, 0);
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
