//! How entries lie on the line, and which of them cannot lie so.

use super::header::LOCAL_FIXED;
use super::packed::{Beside, Packed, flag};

/// Entries may share their bytes only whole, as writers that de-duplicate do; any other overlap is
/// a trick (quoted zip bombs) or damage. Marks all that take part in one, and those that run into
/// the central directory. `entries` are in the order of the line.
///
/// An entry's end is that of its data if its local header had no extra field: the least it can be.
/// What the header really says is compared with the next entry's begin when it is read.
pub(super) fn mark(entries: &mut [Packed], beside: &Beside, cd_start: u64) {
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
        let is_one = |e: &Packed| is_same(&first, e, beside);
        let are_same = entries[run.clone()].iter().all(is_one);
        if are_same && len > 1 {
            set(&mut entries[run.clone()], flag::SHARED);
        }
        let ends = entries[run.clone()].iter().map(|e| end_of(e, beside));
        let end = ends.max().unwrap_or(here);
        if here < reach {
            set(&mut entries[furthest.clone()], flag::MISPLACED);
        }
        if here < reach || !are_same || end > cd_start {
            set(&mut entries[run.clone()], flag::MISPLACED);
        }
        if end > reach {
            (furthest, reach) = (run, end);
        }
    }
}

/// Where the entry's data ends at the least. A header that several share has a name that may be
/// any one's.
pub(super) fn end_of(entry: &Packed, beside: &Beside) -> u64 {
    let name = match entry.has(flag::SHARED) {
        true => 0,
        false => beside.raw_name_len(entry),
    };
    let data = entry
        .header_offset
        .saturating_add(LOCAL_FIXED + u64::from(name));
    data.saturating_add(beside.compressed_size(entry))
}

fn is_same(a: &Packed, b: &Packed, beside: &Beside) -> bool {
    let told = |e: &Packed| {
        (
            e.size,
            beside.compressed_size(e),
            e.crc32,
            beside.method(e),
            e.flags & (flag::ENCRYPTED | flag::DESCRIPTOR),
        )
    };
    told(a) == told(b)
}

fn set(entries: &mut [Packed], flag: u8) {
    entries.iter_mut().for_each(|entry| entry.flags |= flag);
}
