//! Sizes that are not the entries' own: files that are shown in another form than they are stored.
//!
//! Which files these are is said once, before anybody looks at the tree; a size that is not known
//! then is set once, when somebody has made that form.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::attr::Ino;
use super::tree::Tree;
use crate::archive::EntryId;

/// Entries and the lengths in bytes of what is shown of them.
#[derive(Debug, Default)]
pub(super) struct Overrides(OnceLock<HashMap<EntryId, OnceLock<u64>>>);

impl Overrides {
    fn get(&self, id: EntryId) -> Option<&OnceLock<u64>> {
        self.0.get()?.get(&id)
    }

    /// The length in bytes of what is shown of an entry, where it is another than the entry's own
    /// and known.
    pub(super) fn size(&self, id: EntryId) -> Option<u64> {
        self.get(id)?.get().copied()
    }
}

impl Tree {
    /// Lets entries be shown with other sizes than their own; `None`: not known yet. Only the first
    /// call counts.
    pub fn override_sizes(&self, sizes: impl IntoIterator<Item = (EntryId, Option<u64>)>) {
        let lock = |size: Option<u64>| size.map_or_else(OnceLock::new, OnceLock::from);
        let sizes = sizes.into_iter().map(|(id, size)| (id, lock(size)));
        let _ = self.overrides.0.set(sizes.collect());
    }

    /// Whether an entry is shown in another form than it is stored.
    pub fn is_overridden(&self, id: EntryId) -> bool {
        self.overrides.get(id).is_some()
    }

    /// Whether a file's size is not known yet. [`attr`](Self::attr) then gives that of the entry,
    /// which must not be shown.
    pub fn is_pending(&self, ino: Ino) -> bool {
        let size = self.record(ino).and_then(|id| self.overrides.get(id));
        size.is_some_and(|size| size.get().is_none())
    }

    /// Says the size of what is shown of an entry, if it was not known; returns the one that
    /// holds. `None` if the entry is shown as it is.
    pub fn settle(&self, id: EntryId, size: u64) -> Option<u64> {
        let known = self.overrides.get(id)?;
        Some(*known.get_or_init(|| size))
    }
}
