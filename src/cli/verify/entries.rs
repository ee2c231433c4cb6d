//! Compares entries with their CRC-32 while the archive is read in order.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crc32fast::Hasher;

use super::fetch::Piece;
use super::report::{Bad, Report};
use crate::archive::{EntryId, Extent, HeaderCheck, Index};

/// The entries to compare, in the order of the archive.
pub(super) struct Entries {
    index: Arc<Index>,
    ahead: VecDeque<EntryId>,
    /// Entries whose header has begun and whose data has not ended. Usually one.
    open: Vec<Open>,
}

struct Open {
    id: EntryId,
    check: HeaderCheck,
    header: Vec<u8>,
    /// Where the data lies. Known once the header was read or has failed.
    extent: Option<Extent>,
    /// Whether some of it could not be read, so that it cannot be compared.
    has_holes: bool,
    crc: Hasher,
    /// The offset of the next byte that is needed.
    at: u64,
}

/// The range of an entry, header included, as the central directory indicates it.
pub(super) fn span(index: &Index, id: EntryId) -> Range<u64> {
    let check = index.header_check(id);
    let start = check.range().start;
    let end = match index.stored(id) {
        Ok(()) => check.predicted().range().end.max(check.range().end),
        // Its bytes as they are stored, within the archive.
        Err(_) => check
            .range()
            .end
            .saturating_add(index.get(id).compressed_size),
    };
    start..end.min(index.blob_size()).max(start)
}

impl Entries {
    pub(super) fn new(index: &Arc<Index>, chosen: Vec<EntryId>, report: &mut Report) -> Self {
        let readable = |id: &EntryId| {
            let readable = index.stored(*id);
            match &readable {
                Ok(()) => report.files += 1,
                Err(why) => report
                    .unread
                    .push((index.path(*id).to_vec(), why.to_string())),
            }
            readable.is_ok()
        };
        Self {
            ahead: chosen.into_iter().filter(readable).collect(),
            index: index.clone(),
            open: Vec::new(),
        }
    }

    /// Takes the next bytes of the archive. Bytes between the chosen entries may be missing.
    pub(super) fn take(&mut self, piece: &Piece, report: &mut Report) {
        report.bytes += piece.range.end - piece.range.start;
        while let Some(id) = self.ahead.front().copied()
            && self.index.get(id).header_offset < piece.range.end
        {
            self.ahead.pop_front();
            self.open.push(Open::new(&self.index, id));
        }
        if let Err(why) = &piece.bytes {
            self.tell(&piece.range, &why.to_string(), report);
        }
        let index = &self.index;
        self.open
            .retain_mut(|open| !open.take(index, piece, report));
    }

    /// The range that is still needed after all expected bytes were read.
    pub(super) fn rest(&self) -> Option<Range<u64>> {
        let wanted = self.open.iter().map(|open| open.at..open.end());
        let wanted = wanted.map(|rest| rest.start..rest.end.min(self.index.blob_size()));
        let wanted = wanted.filter(|rest| !rest.is_empty());
        wanted.min_by_key(|rest| rest.start)
    }

    /// Ends the comparison. Entries that are still open reach beyond the archive.
    pub(super) fn end(self, report: &mut Report) {
        for open in self.open {
            let why = "its data ends beyond the end of the archive".to_owned();
            report.bad(Bad::of(&self.index, open.id, open.at..open.end(), why));
        }
    }

    /// Reports bytes that could not be read, by the entries that they belong to.
    fn tell(&self, range: &Range<u64>, why: &str, report: &mut Report) {
        let mut at = range.start;
        for open in &self.open {
            let span = open.check.range().start..open.end();
            let hit = range.start.max(span.start)..range.end.min(span.end);
            if hit.is_empty() {
                continue;
            }
            if at < hit.start {
                report.bad(Bad::between(&self.index, at..hit.start, why.to_owned()));
            }
            at = at.max(hit.end);
            report.bad(Bad::of(&self.index, open.id, hit, why.to_owned()));
        }
        if at < range.end {
            report.bad(Bad::between(&self.index, at..range.end, why.to_owned()));
        }
    }
}

impl Open {
    fn new(index: &Index, id: EntryId) -> Self {
        let check = index.header_check(id);
        Self {
            at: check.range().start,
            id,
            check,
            header: Vec::new(),
            extent: None,
            has_holes: false,
            crc: Hasher::new(),
        }
    }

    /// The known end of its data.
    fn end(&self) -> u64 {
        let extent = self.extent.unwrap_or_else(|| self.check.predicted());
        extent.range().end.max(self.check.range().end)
    }

    /// Takes the next bytes of the archive. Returns whether the entry is complete.
    fn take(&mut self, index: &Index, piece: &Piece, report: &mut Report) -> bool {
        loop {
            let (wanted, is_header) = match self.extent {
                None => (self.check.range(), true),
                Some(extent) => (extent.range(), false),
            };
            let part = self.at.max(piece.range.start)..wanted.end.min(piece.range.end);
            if !part.is_empty() {
                match &piece.bytes {
                    Ok(bytes) => {
                        let from = (part.start - piece.range.start) as usize;
                        let to = (part.end - piece.range.start) as usize;
                        if is_header {
                            self.header.extend_from_slice(&bytes[from..to])
                        } else {
                            self.crc.update(&bytes[from..to])
                        }
                    }
                    Err(_) => self.has_holes = true,
                }
                self.at = part.end;
            }
            if self.at < wanted.end {
                return false;
            }
            if !is_header {
                self.compare(index, report);
                return true;
            }
            let extent = if self.has_holes {
                self.check.predicted()
            } else {
                match self.check.confirm(&self.header) {
                    Ok(extent) => extent,
                    Err(why) => {
                        let at = self.check.range();
                        report.bad(Bad::of(index, self.id, at, why.to_string()));
                        self.has_holes = true;
                        self.check.predicted()
                    }
                }
            };
            self.at = extent.offset;
            self.extent = Some(extent);
        }
    }

    fn compare(&self, index: &Index, report: &mut Report) {
        let told = index.get(self.id).crc32;
        let found = self.crc.clone().finalize();
        if self.has_holes {
            return;
        }
        report.compared += 1;
        if told != found {
            let range = self.extent.map(|extent| extent.range());
            let why = format!("their CRC-32 is {found:08x}, but {told:08x} in the archive's index");
            report.bad(Bad::of(index, self.id, range.unwrap_or_default(), why));
        }
    }
}
