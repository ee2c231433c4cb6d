//! Plain bytes in memory, within a bound: those that were used last.
//!
//! A large entry lies here in blocks of one size, a small entry as a whole. Several archives share the bound.

use std::sync::Arc;

use parking_lot::Mutex;

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
    /// What they take, in bytes, and the most that they may take.
    held: u64,
    bound: u64,
    /// Memory of blocks, to be used again: the system takes a while to give new pages, and malloc would put small things
    /// into free ones.
    spare: Vec<Vec<u8>>,
    /// The most buffers in `spare`.
    most_spare: usize,
}

/// The most memory for buffers that are to be used again, in bytes.
pub(super) const MOST_SPARE: u64 = 16 * BLOCK;

impl Blocks {
    /// Holds at most `bound` bytes, and `spare` bytes to be used again.
    pub(super) fn new(bound: u64, spare: u64) -> Self {
        let all = Inner {
            recent: Recent::default(),
            held: 0,
            bound,
            spare: Vec::new(),
            most_spare: (spare / BLOCK) as usize,
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
        self.all.lock().recent.get((self.archive, key)).cloned()
    }

    /// Puts a block in. Those whose last use is the longest ago make room.
    pub(super) fn put(&self, key: Key, bytes: &Bytes) {
        let inner = &mut *self.all.lock();
        inner.held += bytes.capacity() as u64;
        let before = inner.recent.insert((self.archive, key), bytes.clone());
        before.into_iter().for_each(|bytes| inner.removed(bytes));
        inner.shrink();
    }

    /// Drops the blocks of an entry.
    pub(super) fn forget(&self, id: EntryId) {
        self.remove(|key| key.0 == id);
    }

    fn remove(&self, which: impl Fn(&Key) -> bool) {
        let inner = &mut *self.all.lock();
        let is_own = |(archive, key): &Place| *archive == self.archive && which(key);
        let removed = inner.recent.remove_all(is_own);
        removed.into_iter().for_each(|bytes| inner.removed(bytes));
    }

    /// A buffer with room for a block. Its content is arbitrary.
    pub(super) fn buffer(&self) -> Vec<u8> {
        let spare = self.all.lock().spare.pop();
        spare.unwrap_or_else(|| Vec::with_capacity(BLOCK as usize))
    }

    /// Changes the bound. `bound` is called while no other call changes it. Returns what all blocks and
    /// spare buffers take then, in bytes.
    pub(super) fn set_bound(&self, bound: impl FnOnce() -> u64) -> u64 {
        let inner = &mut *self.all.lock();
        inner.bound = bound();
        inner.shrink();
        inner.held + inner.spare.len() as u64 * BLOCK
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        self.remove(|_| true);
        let inner = &mut *self.all.lock();
        if inner.held == 0 {
            inner.spare = Vec::new();
        }
    }
}

impl Inner {
    /// A block is no longer held.
    fn removed(&mut self, bytes: Bytes) {
        self.held -= bytes.capacity() as u64;
        if let Some(buffer) = Arc::into_inner(bytes)
            && buffer.capacity() == BLOCK as usize
            && self.spare.len() < self.most_spare
        {
            self.spare.push(buffer);
        }
    }

    fn shrink(&mut self) {
        while self.held > self.bound
            && let Some(bytes) = self.recent.remove_oldest()
        {
            self.removed(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::EntryId;

    #[test]
    fn blocks_used_last_stay_within_the_bound() {
        let blocks = Blocks::new(4 * BLOCK, MOST_SPARE);
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
        assert_eq!(blocks.all.lock().held, 0);
    }

    /// Buffers that were kept to be used again were not counted.
    #[test]
    fn buffers_are_used_again_within_a_bound_of_their_own() {
        let blocks = Blocks::new(4 * BLOCK, 2 * BLOCK);
        let id = EntryId::at(0);
        for number in 0..4 {
            blocks.put((id, number), &Arc::new(blocks.buffer()));
        }
        assert_eq!(blocks.set_bound(|| 0), 2 * BLOCK);
        let buffers = [blocks.buffer(), blocks.buffer()];
        assert_eq!(blocks.set_bound(|| BLOCK), 0);
        blocks.put((id, 0), &Arc::new(buffers[0].clone()));
        assert_eq!(blocks.set_bound(|| 0), 0, "a buffer of another size");
    }

    #[test]
    fn archives_share_the_bound_but_no_blocks() {
        let all = Blocks::new(3 * BLOCK, MOST_SPARE);
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
        assert_eq!(all.all.lock().held, 0, "its archive was closed");
    }
}
