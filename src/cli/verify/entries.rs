//! Compares entries with their CRC-32 while the archive is read in order.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tokio::task::JoinSet;

use super::content::{Content, End};
use super::fetch::Outcome;
use super::report::{Bad, Report};
use crate::archive::{EntryId, Extent, HeaderCheck, Index, Kind};
use crate::decode::{self, Memory, Password, Share};

/// How many entries may wait for the end of their decoding.
const ENDING: usize = 16;

/// The entries to compare, in the order of the archive.
pub(super) struct Entries {
    index: Arc<Index>,
    ahead: VecDeque<EntryId>,
    /// Entries whose header has begun and whose data has not ended. Usually one.
    open: Vec<Open>,
    /// Entries whose data has come and is being decoded.
    ending: JoinSet<(EntryId, Range<u64>, End)>,
    /// The least end of the data of all entries that have begun.
    reached: u64,
    password: Option<Password>,
    /// Of codecs.
    memory: Arc<Memory>,
}

struct Open {
    id: EntryId,
    /// Whether its codec may wait for memory.
    may_wait: Arc<AtomicBool>,
    check: HeaderCheck,
    header: Vec<u8>,
    /// Where the data lies. Known once the header was read or has failed.
    extent: Option<Extent>,
    /// Whether some of it could not be read. It is then not compared.
    has_holes: bool,
    /// `None` until its data begins.
    content: Option<Content>,
    /// The offset of the next byte that is needed.
    at: u64,
}

/// The range of an entry, header included, as the central directory indicates it.
pub(super) fn span(index: &Index, id: EntryId) -> Range<u64> {
    let check = index.header_check(id);
    let start = check.range().start;
    let end = match index.readable(id) {
        Ok(()) => check.predicted().range().end.max(check.range().end),
        // Its bytes as they are stored, within the archive.
        Err(_) => check
            .range()
            .end
            .saturating_add(index.get(id).compressed_size),
    };
    start..end.min(index.blob_size()).max(start)
}

/// Where an entry's data ends at the earliest: its local header tells the exact end.
fn least_end(index: &Index, id: EntryId) -> u64 {
    let entry = index.get(id);
    entry.header_offset.saturating_add(entry.compressed_size)
}

impl Entries {
    pub(super) fn new(
        index: &Arc<Index>,
        chosen: Vec<EntryId>,
        password: Option<&Password>,
        memory: &Arc<Memory>,
        report: &mut Report,
    ) -> Self {
        let readable = |id: &EntryId| {
            let (path, entry) = (index.path(*id), index.get(*id));
            let is_locked = password.is_none() && entry.encryption.is_some();
            let named = |why| format!("'{}': {why}", path.escape_ascii());
            let why = match (index.readable(*id), decode::check(&entry)) {
                (Err(why), _) => why.to_string(),
                (Ok(()), Err(why)) => named(why),
                (Ok(()), Ok(())) if is_locked => named(decode::Error::NoPassword),
                (Ok(()), Ok(())) => {
                    report.files += 1;
                    return true;
                }
            };
            report.unread(path, why);
            false
        };
        // A hard link has none. The file that it names is compared.
        let has_data =
            |id: &EntryId| index.get(*id).kind != Kind::File || index.link_target(*id).is_none();
        let chosen = chosen.into_iter().filter(has_data);
        Self {
            ahead: chosen.filter(readable).collect(),
            index: index.clone(),
            open: Vec::new(),
            ending: JoinSet::new(),
            reached: 0,
            password: password.cloned(),
            memory: memory.clone(),
        }
    }

    /// Takes the next bytes of the archive. Bytes between the chosen entries may be missing.
    pub(super) async fn take(&mut self, outcome: &Outcome, report: &mut Report) {
        report.bytes += outcome.range.end - outcome.range.start;
        while let Some(id) = self.ahead.front().copied()
            && self.index.get(id).header_offset < outcome.range.end
        {
            self.ahead.pop_front();
            let is_alone = self.is_alone(id);
            self.reached = self.reached.max(least_end(&self.index, id));
            self.open.push(Open::new(&self.index, id, is_alone));
        }
        if let Err(why) = &outcome.bytes {
            self.tell(&outcome.range, &why.to_string(), report);
        }
        let mut all = std::mem::take(&mut self.open).into_iter();
        while let Some(mut open) = all.next() {
            // Entries that share their bytes are fed in turn: from now on, none of them may wait for another's memory.
            // The directory need not tell it: lengths in a local header can make its data reach into the next entry.
            let others = self.open.iter().chain(all.as_slice());
            for other in others.filter(|other| other.content.is_some()) {
                other.may_wait.store(false, SeqCst);
                open.may_wait.store(false, SeqCst);
            }
            let share = self.memory.share_while(open.may_wait.clone());
            let password = self.password.as_ref();
            if open
                .take(&self.index, password, share, outcome, report)
                .await
            {
                self.compare(open, report).await;
            } else {
                self.open.push(open);
            }
        }
    }

    /// Whether an entry that begins shares no bytes with those before and behind it.
    fn is_alone(&self, id: EntryId) -> bool {
        let start = |id| self.index.get(id).header_offset;
        let next = self.ahead.front().map(|next| start(*next));
        self.reached <= start(id) && next.is_none_or(|next| next >= least_end(&self.index, id))
    }

    /// Compares an entry whose data has come. A compressed one is decoded meanwhile.
    async fn compare(&mut self, open: Open, report: &mut Report) {
        let (Some(content), false) = (open.content, open.has_holes) else {
            return;
        };
        if matches!(content, Content::Unchecked) {
            return;
        }
        let (id, range) = (open.id, open.extent.map(|extent| extent.range()));
        self.ending
            .spawn(async move { (id, range.unwrap_or_default(), content.end().await) });
        while self.ending.len() > ENDING {
            self.end_one(report).await;
        }
    }

    /// Waits for one entry that is being decoded. Returns false if there is none.
    async fn end_one(&mut self, report: &mut Report) -> bool {
        match self.ending.join_next().await {
            None => return false,
            Some(Ok((id, range, end))) => {
                report.compared += 1;
                match end {
                    End::Right => {}
                    // Entries that share its bytes had the memory. That tells nothing about its data.
                    End::NoMemory(needs, why) if needs <= self.memory.most() => {
                        report.compared -= 1;
                        let path = self.index.path(id);
                        report.unread(path, format!("'{}': {why}", path.escape_ascii()));
                    }
                    End::Wrong(why) | End::NoMemory(_, why) => {
                        report.bad(Bad::of(&self.index, id, range, why));
                    }
                }
            }
            Some(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
        }
        true
    }

    /// The range that is still needed after all expected bytes were read.
    pub(super) fn rest(&self) -> Option<Range<u64>> {
        let wanted = self.open.iter().map(|open| open.at..open.end());
        let wanted = wanted.map(|rest| rest.start..rest.end.min(self.index.blob_size()));
        let wanted = wanted.filter(|rest| !rest.is_empty());
        wanted.min_by_key(|rest| rest.start)
    }

    /// Ends the comparison. Entries that are still open reach beyond the archive.
    pub(super) async fn end(mut self, report: &mut Report) {
        while self.end_one(report).await {}
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
    /// `is_alone`: it shares no bytes with another chosen entry, as far as the directory tells.
    fn new(index: &Index, id: EntryId, is_alone: bool) -> Self {
        let check = index.header_check(id);
        Self {
            at: check.range().start,
            id,
            may_wait: Arc::new(AtomicBool::new(is_alone)),
            check,
            header: Vec::new(),
            extent: None,
            has_holes: false,
            content: None,
        }
    }

    /// The known end of its data.
    fn end(&self) -> u64 {
        let extent = self.extent.unwrap_or_else(|| self.check.predicted());
        extent.range().end.max(self.check.range().end)
    }

    /// Takes the next bytes of the archive. Returns whether the entry is complete.
    async fn take(
        &mut self,
        index: &Index,
        password: Option<&Password>,
        share: Share,
        outcome: &Outcome,
        report: &mut Report,
    ) -> bool {
        let mut share = Some(share);
        loop {
            let (wanted, is_header) = match self.extent {
                None => (self.check.range(), true),
                Some(extent) => (extent.range(), false),
            };
            let part = self.at.max(outcome.range.start)..wanted.end.min(outcome.range.end);
            if !part.is_empty() {
                match &outcome.bytes {
                    Ok(bytes) => {
                        let from = (part.start - outcome.range.start) as usize;
                        let to = (part.end - outcome.range.start) as usize;
                        if is_header {
                            self.header.extend_from_slice(&bytes[from..to]);
                        } else if let Some(content) = &mut self.content {
                            content.take(bytes.slice(from..to)).await;
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
                return true;
            }
            let extent = self.confirm(index, report);
            self.at = extent.offset;
            self.extent = Some(extent);
            if !self.has_holes {
                let (entry, is_stored) = (index.get(self.id), index.is_stored(self.id));
                // The data begins once.
                let share = share.take().expect("one share");
                self.content = Some(Content::new(&entry, is_stored, password, share));
            }
        }
    }

    /// Where the data lies: as the header tells, or as the directory does if the header is bad or was not read.
    fn confirm(&mut self, index: &Index, report: &mut Report) -> Extent {
        if !self.has_holes {
            match self.check.confirm(&self.header) {
                Ok(extent) => return extent,
                Err(why) => {
                    let at = self.check.range();
                    report.bad(Bad::of(index, self.id, at, why.to_string()));
                    self.has_holes = true;
                }
            }
        }
        self.check.predicted()
    }
}
