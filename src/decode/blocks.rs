//! Plain bytes in memory, within a bound: those that were used last.
//!
//! A large entry lies here in blocks of one size, a small entry as a whole. Several archives share the bound.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::archive::EntryId;
use crate::reader::Recent;

/// Bytes in a block of a large entry: what the kernel reads at once.
pub(super) const BLOCK: u64 = 128 * 1024;

/// An entry and the number of a block.
pub(super) type Key = (EntryId, u64);

/// Plain bytes.
pub(super) type Bytes = Arc<Vec<u8>>;

/// Decoded bytes by entry and block: those of one archive. All that [`of_archive`](Self::of_archive) makes of one share its
/// bound.
pub(super) struct Blocks {
    archive: u64,
    all: Arc<Mutex<Inner>>,
}

/// The number of an archive, and a block of it.
type Place = (u64, Key);

struct Inner {
    recent: Recent<Place, Bytes>,
    held: u64,
    bound: u64,
}

impl Blocks {
    /// Holds at most `bound` bytes.
    pub(super) fn new(bound: u64) -> Self {
        let all = Inner {
            recent: Recent::default(),
            held: 0,
            bound,
        };
        Self {
            archive: 0,
            all: Arc::new(Mutex::new(all)),
        }
    }

    /// The blocks of the archive of this number, within the same bound.
    pub(super) fn of_archive(&self, archive: u64) -> Self {
        Self {
            archive,
            all: self.all.clone(),
        }
    }

    /// A block, which counts as used now.
    pub(super) fn get(&self, key: Key) -> Option<Bytes> {
        self.inner().recent.get((self.archive, key)).cloned()
    }

    /// Puts a block in. Those whose last use is the longest ago make room.
    pub(super) fn put(&self, key: Key, bytes: &Bytes) {
        let inner = &mut *self.inner();
        inner.held += bytes.capacity() as u64;
        let before = inner.recent.insert((self.archive, key), bytes.clone());
        inner.held -= before.map_or(0, |bytes| bytes.capacity() as u64);
        inner.shrink();
    }

    /// Drops the blocks of an entry.
    pub(super) fn forget(&self, id: EntryId) {
        self.remove(|key| key.0 == id);
    }

    fn remove(&self, which: impl Fn(&Key) -> bool) {
        let inner = &mut *self.inner();
        let is_own = |(archive, key): &Place| *archive == self.archive && which(key);
        let removed = inner.recent.remove_all(is_own);
        inner.held -= removed.iter().map(|b| b.capacity() as u64).sum::<u64>();
    }

    /// A buffer with room for a block. Its content is arbitrary. If there is no room for one more block, it is that of the
    /// block that would be dropped next: the system takes a while to give new pages.
    pub(super) fn buffer(&self) -> Vec<u8> {
        let oldest = {
            let inner = &mut *self.inner();
            let is_full = inner.held + BLOCK > inner.bound;
            is_full.then(|| inner.remove_oldest()).flatten()
        };
        let buffer = oldest.and_then(Arc::into_inner);
        buffer
            .filter(|buffer| buffer.capacity() == BLOCK as usize)
            .unwrap_or_else(|| Vec::with_capacity(BLOCK as usize))
    }

    /// Changes the bound. `bound` is called while no other call changes it. Returns what all blocks take then, in bytes.
    pub(super) fn set_bound(&self, bound: impl FnOnce() -> u64) -> u64 {
        let inner = &mut *self.inner();
        inner.bound = bound();
        inner.shrink();
        inner.held
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it is locked, short of a lack of memory.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        self.remove(|_| true);
    }
}

impl Inner {
    fn remove_oldest(&mut self) -> Option<Bytes> {
        let bytes = self.recent.remove_oldest()?;
        self.held -= bytes.capacity() as u64;
        Some(bytes)
    }

    fn shrink(&mut self) {
        while self.held > self.bound && self.remove_oldest().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::EntryId;

    #[test]
    fn blocks_used_last_stay_within_the_bound() {
        let blocks = Blocks::new(4 * BLOCK);
        let id = EntryId::at(0);
        let put = |number| {
            let mut buffer = blocks.buffer();
            buffer.clear();
            buffer.push(number as u8);
            blocks.put((id, number), &Arc::new(buffer));
        };
        (0..4).for_each(put);
        assert!(blocks.get((id, 0)).is_some());
        put(4);
        assert!(blocks.get((id, 1)).is_none(), "its use was the longest ago");
        for number in [0, 2, 3, 4] {
            assert_eq!(*blocks.get((id, number)).unwrap(), [number as u8]);
        }
        blocks.set_bound(|| BLOCK);
        assert!(blocks.get((id, 3)).is_none() && blocks.get((id, 4)).is_some());
        blocks.forget(id);
        assert!(blocks.get((id, 4)).is_none());
        assert_eq!(blocks.inner().held, 0);
    }

    /// Buffers of blocks that were dropped were kept beyond the bound, to be used again.
    #[test]
    fn a_buffer_beyond_the_bound_is_that_of_the_oldest_block() {
        let blocks = Blocks::new(2 * BLOCK);
        let id = EntryId::at(0);
        let mut buffers = Vec::new();
        for number in 0..3 {
            let buffer = blocks.buffer();
            buffers.push(buffer.as_ptr());
            blocks.put((id, number), &Arc::new(buffer));
        }
        assert_eq!(buffers[2], buffers[0]);
        assert!(blocks.get((id, 0)).is_none() && blocks.get((id, 2)).is_some());
        let read = blocks.get((id, 1)).unwrap();
        blocks.get((id, 2));
        let buffer = blocks.buffer();
        assert!(buffer.as_ptr() != read.as_ptr(), "it is read");
        assert_eq!(blocks.inner().held, BLOCK);
    }

    #[test]
    fn archives_share_the_bound_but_no_blocks() {
        let all = Blocks::new(3 * BLOCK);
        let [one, other] = [1, 2].map(|archive| all.of_archive(archive));
        let key = (EntryId::at(0), 0);
        let put = |blocks: &Blocks, number, byte| {
            let mut bytes = vec![byte; 1];
            bytes.reserve_exact(BLOCK as usize - 1);
            blocks.put((key.0, number), &Arc::new(bytes));
        };
        put(&one, 0, 1);
        put(&other, 0, 2);
        assert_eq!(*one.get(key).unwrap(), [1]);
        assert_eq!(*other.get(key).unwrap(), [2]);
        (1..3).for_each(|number| put(&other, number, 2));
        assert!(one.get(key).is_none(), "its use was the longest ago");
        one.forget(key.0);
        assert!(other.get(key).is_some());
        drop(other);
        assert_eq!(all.inner().held, 0, "its archive was closed");
    }
}
