//! Builds the index while the central directory is parsed.
//!
//! Memory grows with the bytes fed, not with the numbers that an archive announces: those only guide
//! a bounded reservation, which avoids copies of growing lists.

use std::ops::Range;

use super::central::FIXED_LEN;
use super::encoding::Detector;
use crate::archive::compact::{CompactEntry, EntryRecord, entry_flags};
use crate::archive::entry::Kind;
use crate::archive::error::Error;
use crate::archive::index::Index;
use crate::archive::{layout, names};

/// The most entries, and bytes of names, to reserve.
const MOST_ENTRIES_RESERVED: u64 = 1 << 20;
const MOST_NAMES_RESERVED: u64 = 1 << 25;

/// An index under construction.
#[derive(Debug)]
pub(super) struct Builder {
    index: Index,
    seen: u64,
    prepended: u64,
    /// Has seen all names whose encoding must be guessed.
    detector: Option<Detector>,
}

impl Builder {
    pub(super) fn new(
        cd_range: Range<u64>,
        blob_size: u64,
        prepended: u64,
        announced: u64,
        comment: Vec<u8>,
    ) -> Self {
        let (len, fixed) = (cd_range.end - cd_range.start, FIXED_LEN as u64);
        let entries = announced.min(len / fixed);
        let names = len - entries * fixed;
        let mut index = Index::empty(cd_range, blob_size, comment);
        (index.entries).reserve_exact(entries.min(MOST_ENTRIES_RESERVED) as usize);
        (index.names).reserve_exact(names.min(MOST_NAMES_RESERVED) as usize);
        Self {
            index,
            seen: 0,
            prepended,
            detector: None,
        }
    }

    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Adds the entry of a record, whose offset is as the writer counted it.
    pub(super) fn add(&mut self, mut record: EntryRecord) -> Result<(), Error> {
        self.seen += 1;
        let index = &mut self.index;
        let name_at = index.next_name_at()?;
        match &record.name {
            Some(name) => {
                index.append_path(name, record.windows, is_bare_dir(record.kind, record.size))
            }
            None => {
                let detector = self.detector.get_or_insert_with(Detector::new);
                detector.see(record.raw_name);
                index.names.extend_from_slice(record.raw_name);
            }
        }
        // An offset that overflows is refused as misplaced.
        record.header_offset = record.header_offset.saturating_add(self.prepended);
        index.append(&record, name_at);
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Index, Error> {
        if let Some(detector) = self.detector.take() {
            self.decode(detector)?;
        }
        let mut index = self.index;
        // Entries with equal offsets stay in the order of the directory. Most archives are sorted
        // already, which makes this one pass.
        let blob_order = |e: &CompactEntry| (e.header_offset, e.name_at);
        index.entries.sort_unstable_by_key(blob_order);
        layout::mark(&mut index.entries, &index.tables, index.cd_range.start);
        index.finish();
        Ok(index)
    }

    /// Decodes the names whose encoding is guessed. Names move in the arena but stay in order.
    fn decode(&mut self, detector: Detector) -> Result<(), Error> {
        let encoding = detector.guess();
        let mut entries = std::mem::take(&mut self.index.entries);
        let index = &mut self.index;
        let old = std::mem::take(&mut index.names);
        index.names.reserve(old.len());
        let mut rare = 0;
        for entry in &mut entries {
            let raw = &old[entry.name_range()];
            let link = index.tables.link_range(entry).unwrap_or_default();
            let start = index.names.len();
            if entry.has(entry_flags::UNDECODED) {
                let name = encoding.decode(raw).unwrap_or(raw.into());
                let windows = entry.has(entry_flags::WINDOWS);
                if names::is_dir(&name, windows) && entry.kind() == Kind::File {
                    entry.make_dir();
                }
                index.append_path(&name, windows, is_bare_dir(entry.kind(), entry.size));
            } else {
                index.names.extend_from_slice(raw);
            }
            entry.name_len = (index.names.len() - start) as u16; // at most 4,095
            if entry.name_len == 0 {
                index.names.push(0);
            } else {
                index.names.extend_from_slice(&old[link]);
            }
            let moved = u32::try_from(start).map_err(|_| Error::TooManyEntries)?;
            index.tables.moved(&mut rare, entry.name_at, moved);
            entry.name_at = moved;
        }
        index.entries = entries;
        Ok(())
    }
}

/// Whether the entry is a directory without data, so that nothing is lost if it is not shown.
fn is_bare_dir(kind: Kind, size: u64) -> bool {
    kind == Kind::Dir && size == 0
}
