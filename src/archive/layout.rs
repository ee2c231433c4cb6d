//! How entries lie on the line, and which of them cannot lie so.

use super::compact::{CompactEntry, SideTables, entry_flags};
use super::zip::LOCAL_FIXED;

/// Entries may share their bytes only whole, as writers that de-duplicate do; any other overlap is
/// a trick (quoted zip bombs) or damage. Marks all that take part in one, and those that run into
/// the central directory. `entries` are in the order of the line.
///
/// An entry's end is that of its data if its local header had no extra field: the least it can be.
/// What the header really says is compared with the next entry's begin when it is read.
pub(super) fn mark(entries: &mut [CompactEntry], tables: &SideTables, cd_start: u64) {
    // The entries that reach furthest so far, all with the same local header.
    let (mut furthest, mut reach) = (0..0, 0);
    let mut start = 0;
    while start < entries.len() {
        let here = entries[start].header_offset;
        let others = entries[start..].iter();
        let len = others.take_while(|e| e.header_offset == here).count();
        let run = start..start + len;
        start = run.end;

        let first = entries[run.start];
        let is_one = |e: &CompactEntry| is_same(&first, e, tables);
        let are_same = entries[run.clone()].iter().all(is_one);
        if are_same && len > 1 {
            set(&mut entries[run.clone()], entry_flags::SHARED);
        }
        let ends = entries[run.clone()].iter().map(|e| end_of(e, tables));
        let end = ends.max().unwrap_or(here);
        if here < reach {
            set(&mut entries[furthest.clone()], entry_flags::MISPLACED);
        }
        if here < reach || !are_same || end > cd_start {
            set(&mut entries[run.clone()], entry_flags::MISPLACED);
        }
        if end > reach {
            (furthest, reach) = (run, end);
        }
    }
}

/// Where the entry's data ends at the least. A header that several share has a name that may be
/// any one's.
pub(super) fn end_of(entry: &CompactEntry, tables: &SideTables) -> u64 {
    let name = if entry.has(entry_flags::SHARED) {
        0
    } else {
        tables.raw_name_len(entry)
    };
    let data = entry
        .header_offset
        .saturating_add(LOCAL_FIXED + u64::from(name));
    data.saturating_add(tables.compressed_size(entry))
}

fn is_same(a: &CompactEntry, b: &CompactEntry, tables: &SideTables) -> bool {
    let told = |e: &CompactEntry| {
        (
            e.size,
            tables.compressed_size(e),
            e.crc32,
            tables.method(e),
            e.flags & (entry_flags::ENCRYPTED | entry_flags::DESCRIPTOR),
        )
    };
    told(a) == told(b)
}

fn set(entries: &mut [CompactEntry], flag: u8) {
    entries.iter_mut().for_each(|entry| entry.flags |= flag);
}
