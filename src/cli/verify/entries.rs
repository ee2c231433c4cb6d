//! Entries, compared while the line goes by.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crc32fast::Hasher;

use super::fetch::Piece;
use super::report::{Bad, Report};
use crate::archive::{EntryId, Extent, HeaderCheck, Index};

/// The entries to be compared, in the order of the line.
pub(super) struct Entries {
    index: Arc<Index>,
    ahead: VecDeque<EntryId>,
    /// Those whose header has begun and whose data has not ended. Mostly one.
    open: Vec<Open>,
}

struct Open {
    id: EntryId,
    check: HeaderCheck,
    header: Vec<u8>,
    /// Where the data lies, once the header has said so, or cannot any more.
    extent: Option<Extent>,
    /// Whether some of it could not be read, so that nothing can be compared.
    has_holes: bool,
    crc: Hasher,
    /// Where the next byte that is wanted lies.
    at: u64,
}

/// Where an entry lies, header and all, as far as the directory lets expect.
pub(super) fn span(index: &Index, id: EntryId) -> Range<u64> {
    let check = index.header_check(id);
    let start = check.range().start;
    let end = match index.readable(id) {
        Ok(()) => check.predicted().range().end.max(check.range().end),
        // Its bytes, compressed or not, and no more than there can be.
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
            let readable = index.readable(*id);
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

    /// The next bytes of the line. They may leave out what lies between the chosen entries.
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

    /// What is still wanted after all that was expected has come.
    pub(super) fn rest(&self) -> Option<Range<u64>> {
        let wanted = self.open.iter().map(|open| open.at..open.end());
        let wanted = wanted.map(|rest| rest.start..rest.end.min(self.index.blob_size()));
        let wanted = wanted.filter(|rest| !rest.is_empty());
        wanted.min_by_key(|rest| rest.start)
    }

    /// Whatever is still open lies where the line has no bytes.
    pub(super) fn end(self, report: &mut Report) {
        for open in self.open {
            let why = "its data ends beyond the end of the archive".to_owned();
            report.bad(Bad::of(&self.index, open.id, open.at..open.end(), why));
        }
    }

    /// Tells of bytes that could not be had, by the names of those they belong to.
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

    /// Where its data ends, as far as is known.
    fn end(&self) -> u64 {
        let extent = self.extent.unwrap_or_else(|| self.check.predicted());
        extent.range().end.max(self.check.range().end)
    }

    /// Takes what it needs of the line's next bytes. Whether that was all.
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
                        match is_header {
                            true => self.header.extend_from_slice(&bytes[from..to]),
                            false => self.crc.update(&bytes[from..to]),
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
            let extent = match self.has_holes {
                true => self.check.predicted(),
                false => match self.check.confirm(&self.header) {
                    Ok(extent) => extent,
                    Err(why) => {
                        let at = self.check.range();
                        report.bad(Bad::of(index, self.id, at, why.to_string()));
                        self.has_holes = true;
                        self.check.predicted()
                    }
                },
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
