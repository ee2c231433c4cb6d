//! Plain bytes in memory, within a bound: those that were used last.
//!
//! A large entry lies here in blocks of one size, a small entry as a whole. Several archives share the bound.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::archive::EntryId;

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
    /// With the time of use.
    blocks: HashMap<Place, (Bytes, u64)>,
    /// By time of use.
    order: BTreeMap<u64, Place>,
    uses: u64,
    held: u64,
    bound: u64,
    /// Memory of blocks, to be used again: the system takes a while to give new pages.
    spare: Vec<Vec<u8>>,
}

/// The most buffers that are kept for use.
const SPARE: usize = 16;

impl Blocks {
    /// Holds at most `bound` bytes.
    pub(super) fn new(bound: u64) -> Self {
        let all = Inner {
            blocks: HashMap::new(),
            order: BTreeMap::new(),
            uses: 0,
            held: 0,
            bound,
            spare: Vec::new(),
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
        let place = (self.archive, key);
        let inner = &mut *self.inner();
        inner.uses += 1;
        let (bytes, used) = inner.blocks.get_mut(&place)?;
        inner.order.remove(used);
        inner.order.insert(inner.uses, place);
        *used = inner.uses;
        Some(bytes.clone())
    }

    /// Puts a block in. Those whose last use is the longest ago make room.
    pub(super) fn put(&self, key: Key, bytes: &Bytes) {
        let place = (self.archive, key);
        let inner = &mut *self.inner();
        inner.remove(place);
        inner.uses += 1;
        inner.held += bytes.capacity() as u64;
        inner.blocks.insert(place, (bytes.clone(), inner.uses));
        inner.order.insert(inner.uses, place);
        inner.shrink();
    }

    /// Drops the blocks of an entry.
    pub(super) fn forget(&self, id: EntryId) {
        self.remove(|key| key.0 == id);
    }

    fn remove(&self, which: impl Fn(&Key) -> bool) {
        let inner = &mut *self.inner();
        let places = inner.blocks.keys();
        let places = places.filter(|(archive, key)| *archive == self.archive && which(key));
        for place in places.copied().collect::<Vec<_>>() {
            inner.remove(place);
        }
    }

    /// A buffer with room for a block. Its content is arbitrary.
    pub(super) fn buffer(&self) -> Vec<u8> {
        let spare = self.inner().spare.pop();
        spare.unwrap_or_else(|| Vec::with_capacity(BLOCK as usize))
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
    fn remove(&mut self, place: Place) {
        let Some((bytes, used)) = self.blocks.remove(&place) else {
            return;
        };
        self.order.remove(&used);
        self.held -= bytes.capacity() as u64;
        if let Ok(buffer) = Arc::try_unwrap(bytes)
            && buffer.capacity() == BLOCK as usize
            && self.spare.len() < SPARE
        {
            self.spare.push(buffer);
        }
    }

    fn shrink(&mut self) {
        while self.held > self.bound
            && let Some((_, oldest)) = self.order.first_key_value()
        {
            self.remove(*oldest);
        }
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
