//! Adds entries to an index.

use super::compact::{CompactEntry, EntryRecord};
use super::error::{Error, Hidden, hidden_reason};
use super::index::{Index, printable};
use super::names;

/// How many hidden entries are listed by name; all are counted.
const HIDDEN_TOLD: usize = 1000;

impl Index {
    /// Where the name of the next entry will begin in the arena.
    pub(super) fn next_name_at(&self) -> Result<u32, Error> {
        if self.entries.len() as u64 >= u64::from(u32::MAX) - 1 {
            return Err(Error::TooManyEntries);
        }
        u32::try_from(self.names.len()).map_err(|_| Error::TooManyEntries)
    }

    /// Appends the path of a name to the arena. Appends nothing for an entry that is hidden, and records it,
    /// unless it is the root directory.
    pub(super) fn append_path(&mut self, name: &[u8], windows: bool, may_be_root: bool) {
        let start = self.names.len();
        match names::path(name, windows, &mut self.names) {
            Ok(()) if self.names.len() > start || may_be_root => {}
            Ok(()) => self.hide(name, hidden_reason::EMPTY),
            Err(why) => self.hide(name, why),
        }
    }

    /// Records an entry that is not shown.
    pub(super) fn hide(&mut self, name: &[u8], why: &'static str) {
        self.hidden_count += 1;
        if self.hidden.len() < HIDDEN_TOLD {
            let name = printable(name);
            self.hidden.push(Hidden { name, why });
        }
    }

    /// Appends an entry whose name was appended to the arena at `name_at`.
    pub(super) fn append(&mut self, record: &EntryRecord, name_at: u32) {
        let shown = &self.names[name_at as usize..];
        let packed = CompactEntry::new(record, name_at, shown, &mut self.tables);
        if shown.is_empty() {
            self.names.push(0); // keeps `name_at` rising
        } else {
            self.names.extend_from_slice(record.link);
        }
        self.entries.push(packed);
    }

    /// Takes out the entries that are hidden, and gives back spare memory. No more entries will be added.
    pub(super) fn finish(&mut self) {
        self.names.shrink_to_fit();
        self.tables.shrink();
        self.sparse.shrink();
        let hidden = self.entries.iter().filter(|e| e.name_len == 0);
        self.hidden_offsets = hidden.map(|e| e.header_offset).collect();
        self.entries.retain(|e| e.name_len != 0);
        self.entries.shrink_to_fit();
    }
}
