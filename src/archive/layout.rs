//! Finds entries whose extents overlap.

use super::compact::{CompactEntry, SideTables, entry_flags};
use super::zip::LOCAL_FIXED;

/// Marks entries that overlap others or the central directory as misplaced. Entries may share all of
/// their bytes, as writers that de-duplicate make them; any other overlap is an attack (quoted zip
/// bombs) or damage. `entries` are in the order of the blob.
///
/// An entry's end is the least possible one, without an extra field in its local header. The actual
/// end is checked when the header is read.
pub(super) fn mark(entries: &mut [CompactEntry], tables: &SideTables, cd_start: u64) {
    // The run of entries with the furthest end so far; they share one local header.
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

/// The least possible end of an entry's data. The name in a shared header may be any entry's, so it
/// counts as empty.
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
    let content = |e: &CompactEntry| {
        (
            e.size,
            tables.compressed_size(e),
            e.crc32,
            tables.method(e),
            tables.coding(e),
            e.flags & (entry_flags::ENCRYPTED | entry_flags::DESCRIPTOR),
        )
    };
    content(a) == content(b)
}

fn set(entries: &mut [CompactEntry], flag: u8) {
    entries.iter_mut().for_each(|entry| entry.flags |= flag);
}
