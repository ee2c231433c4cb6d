//! Sizes of files that are shown in another form than they are stored.
//!
//! The set of files is fixed once, before the tree is used. A size that is unknown then is set once, when
//! the other form has been made.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::archive::EntryId;

/// Overridden entries and the sizes that are shown, in bytes.
#[derive(Debug, Default)]
pub(super) struct Overrides(OnceLock<HashMap<EntryId, OnceLock<u64>>>);

impl Overrides {
    /// Sets the overridden entries; `None` is an unknown size. Only the first call has an effect.
    pub(super) fn set(&self, sizes: impl IntoIterator<Item = (EntryId, Option<u64>)>) {
        let lock = |size: Option<u64>| size.map_or_else(OnceLock::new, OnceLock::from);
        let sizes = sizes.into_iter().map(|(id, size)| (id, lock(size)));
        let _ = self.0.set(sizes.collect());
    }

    /// Whether an entry is overridden.
    pub(super) fn contains(&self, id: EntryId) -> bool {
        self.get(id).is_some()
    }

    /// The size of an overridden entry, if it is known.
    pub(super) fn size(&self, id: EntryId) -> Option<u64> {
        self.get(id)?.get().copied()
    }

    /// Whether an entry is overridden and its size is not known yet.
    pub(super) fn is_pending(&self, id: EntryId) -> bool {
        self.get(id).is_some_and(|size| size.get().is_none())
    }

    /// Sets the size of an overridden entry, unless it is known. Returns the size in effect.
    pub(super) fn settle(&self, id: EntryId, size: u64) -> Option<u64> {
        Some(*self.get(id)?.get_or_init(|| size))
    }

    fn get(&self, id: EntryId) -> Option<&OnceLock<u64>> {
        self.0.get()?.get(&id)
    }
}
