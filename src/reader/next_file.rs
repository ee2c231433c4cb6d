//! Which file will be read next.
//!
//! Players read segment after segment, `cp` file after file: each to its end, then the next. Where
//! the next is the neighbour on the line, going on is obvious after one step. In archives of other
//! writers the segments lie anywhere, and then the next one is that of the next name; that is
//! believed once two steps have followed it, and after one within a series a little is staked on
//! it. Pure: what is read goes in, what to expect comes out.

use std::collections::VecDeque;

use crate::archive::EntryId;

/// Steps along the line after which it is expected to go on so.
const STEPS_BY_LINE: u32 = 1;

/// Steps by name after which they are expected to go on so.
const STEPS_BY_NAME: u32 = 2;

/// How many successions are followed at once; as many as walks.
const MOST: usize = 24;

/// The most files to plan ahead; tiny ones would otherwise fill a window by the ten thousand.
const MOST_PLANNED: usize = 1024;

/// Files of one series (`720p_0001.ts`, `720p_0002.ts`...) are read on and on; whether a reader goes
/// on beyond the last of a series is unsure. So many bytes are staked on it,
const STAKE: u64 = 2 << 20;

/// or one for so many that it has read: what may be fetched in vain is little beside those.
const STAKED_OF: u64 = 25;

/// So many bytes are staked on the second step by name, within a series.
const FIRST_STAKE: u64 = 8 << 20;

/// A reader that has gone on beyond so many series reads everything.
const READS_EVERYTHING: u32 = 2;

/// What comes after a file.
pub(super) trait FileOrder {
    /// On the line.
    fn on_the_line(&self, id: EntryId) -> Option<EntryId>;
    /// By name.
    fn by_name(&self, id: EntryId) -> Option<EntryId>;
    /// Whether two files belong to one series.
    fn is_series(&self, a: EntryId, b: EntryId) -> bool;
    /// How many bytes it has to read.
    fn len(&self, id: EntryId) -> u64;
}

/// Files to expect.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// What was expected before no longer holds.
    pub(super) is_new: bool,
    /// What will be read, in this order, behind what was expected before; and how many bytes of
    /// each it is worth fetching ahead.
    pub(super) files: Vec<(EntryId, u64)>,
}

/// One reader going from file to file.
#[derive(Debug)]
struct Walker {
    last: EntryId,
    /// Whether that was read to its end, and then what follows it on the line and by name.
    finished: Option<(Option<EntryId>, Option<EntryId>)>,
    steps_on_the_line: u32,
    steps_by_name: u32,
    /// How many times it went on with a file of another series.
    series_left: u32,
    /// How many bytes the files had that it went on from.
    read: u64,
    /// Behind `last`.
    planned: VecDeque<Planned>,
    heard: u64,
}

#[derive(Debug, Clone, Copy)]
struct Planned {
    file: EntryId,
    len: u64,
    is_series: bool,
}

/// All readers that are followed.
#[derive(Debug, Default)]
pub(super) struct NextFilePredictor {
    walkers: Vec<Walker>,
    reads: u64,
}

impl NextFilePredictor {
    /// The end of a file has been read.
    pub(super) fn ended(&mut self, id: EntryId, next: &dyn FileOrder) {
        if let Some(walker) = self.walkers.iter_mut().find(|w| w.last == id) {
            walker.finished = Some((next.on_the_line(id), next.by_name(id)));
        }
    }

    /// The beginning of a file has been read. Returns what to expect, up to `window` bytes of it.
    pub(super) fn began(&mut self, id: EntryId, window: u64, next: &dyn FileOrder) -> Option<Plan> {
        self.reads += 1;
        let reads = self.reads;
        let Some(walker) = self.walkers.iter_mut().find(|w| w.is_followed_by(id)) else {
            if self.walkers.iter().any(|w| w.last == id) {
                return None;
            }
            return self.follow(id, window, next);
        };
        walker.heard = reads;
        walker.step(id, next);
        let by_name = match (walker.steps_by_name, walker.steps_on_the_line) {
            (by_name, on_the_line) if by_name >= STEPS_BY_NAME.max(on_the_line) => true,
            (_, on_the_line) if on_the_line >= STEPS_BY_LINE => false,
            (1.., _) if walker.series_left == 0 => true,
            _ => return None,
        };
        Some(walker.plan(id, window, next, by_name))
    }

    /// What was planned behind this file could not be told to anybody.
    pub(super) fn forget_plan(&mut self, id: EntryId) {
        let walkers = self.walkers.iter_mut().filter(|w| w.last == id);
        walkers.for_each(|walker| walker.planned.clear());
    }

    /// Follows a reader that begins with this file. Whoever has just gone from name to name and
    /// begins elsewhere will do so from there: `cp` takes the series of a folder in an order of its
    /// own.
    fn follow(&mut self, id: EntryId, window: u64, next: &dyn FileOrder) -> Option<Plan> {
        let before = self.walkers.iter().max_by_key(|w| w.heard);
        let goes_on = before.is_some_and(|before| {
            before.finished.is_some() && before.steps_by_name >= STEPS_BY_NAME
        });
        if self.walkers.len() >= MOST {
            let walkers = self.walkers.iter().enumerate();
            if let Some((oldest, _)) = walkers.min_by_key(|(_, w)| w.heard) {
                self.walkers.swap_remove(oldest);
            }
        }
        let mut walker = Walker {
            last: id,
            finished: None,
            steps_on_the_line: 0,
            steps_by_name: u32::from(goes_on),
            series_left: 0,
            read: 0,
            planned: VecDeque::new(),
            heard: self.reads,
        };
        let plan = goes_on.then(|| walker.plan(id, window, next, true));
        self.walkers.push(walker);
        plan
    }
}

impl Walker {
    fn is_followed_by(&self, id: EntryId) -> bool {
        self.finished
            .is_some_and(|(a, b)| a == Some(id) || b == Some(id))
    }

    fn step(&mut self, id: EntryId, next: &dyn FileOrder) {
        let (on_the_line, by_name) = self.finished.take().unwrap_or_default();
        let count = |steps: u32, next| if next == Some(id) { steps + 1 } else { 0 };
        self.steps_on_the_line = count(self.steps_on_the_line, on_the_line);
        self.steps_by_name = count(self.steps_by_name, by_name);
        self.series_left += u32::from(!next.is_series(self.last, id));
        self.read = self.read.saturating_add(next.len(self.last));
        self.last = id;
    }

    fn plan(&mut self, id: EntryId, window: u64, next: &dyn FileOrder, by_name: bool) -> Plan {
        let is_new = self
            .planned
            .pop_front()
            .is_none_or(|planned| planned.file != id);
        if is_new {
            self.planned.clear();
        }
        let mut ahead: u64 = self.planned.iter().map(|planned| planned.len).sum();
        let mut last = self.planned.back().map_or(id, |planned| planned.file);
        // One step by name, within a series: probably so. That is worth a stake.
        let is_sure = !by_name || self.steps_by_name >= STEPS_BY_NAME;
        let mut files = Vec::new();
        while ahead < window && self.planned.len() < MOST_PLANNED {
            let following = match by_name {
                true => next.by_name(last),
                false => next.on_the_line(last),
            };
            let Some(file) = following else { break };
            let len = next.len(file);
            let is_series = next.is_series(last, file);
            let stake = match (is_sure, is_series) {
                (true, true) => self.stake(),
                (true, false) => self.stake().min(self.most_staked()),
                (false, true) => FIRST_STAKE.saturating_sub(ahead),
                (false, false) => 0,
            };
            // Of a file that is fetched in part, the rest would come late and all by itself.
            if stake == 0 || stake < len && !(files.is_empty() && ahead == 0) {
                break;
            }
            self.planned.push_back(Planned {
                file,
                len,
                is_series,
            });
            files.push((file, stake));
            ahead = ahead.saturating_add(len);
            last = file;
        }
        Plan { is_new, files }
    }

    /// How many bytes may still be staked on files behind those that are planned.
    fn stake(&self) -> u64 {
        if self.series_left >= READS_EVERYTHING {
            return u64::MAX;
        }
        let other = self.planned.iter().skip_while(|planned| planned.is_series);
        let mut staked = other.map(|planned| planned.len).peekable();
        match staked.peek() {
            None => u64::MAX,
            Some(_) => self.most_staked().saturating_sub(staked.sum()),
        }
    }

    /// How many bytes may be fetched ahead behind the end of a series.
    fn most_staked(&self) -> u64 {
        STAKE.max(self.read / STAKED_OF)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::{Index, IndexParser};

    /// Entries of an archive whose names go up while it lies on the line in steps of seven, as a
    /// writer that hashes names may put them; every tenth file begins a series.
    struct Scattered(Vec<EntryId>);

    const LEN: u64 = 1 << 20;

    impl Scattered {
        fn new() -> Self {
            Self(ids(100))
        }

        fn nth_by_name(&self, n: usize) -> EntryId {
            self.0[n * 7 % 100]
        }

        fn name(&self, id: EntryId) -> usize {
            (0..100)
                .find(|n| self.nth_by_name(*n) == id)
                .expect("an entry")
        }
    }

    impl FileOrder for Scattered {
        fn on_the_line(&self, id: EntryId) -> Option<EntryId> {
            self.0.get(id.index() + 1).copied()
        }
        fn by_name(&self, id: EntryId) -> Option<EntryId> {
            let next = self.name(id) + 1;
            (next < 100).then(|| self.nth_by_name(next))
        }
        fn is_series(&self, a: EntryId, b: EntryId) -> bool {
            self.name(a) / 10 == self.name(b) / 10
        }
        fn len(&self, _: EntryId) -> u64 {
            LEN
        }
    }

    /// Ids cannot be made up, so an index of as many empty entries gives them.
    fn ids(count: u16) -> Vec<EntryId> {
        let mut bytes = Vec::new();
        let mut directory = Vec::new();
        for n in 0..count {
            let name = format!("{n:05}");
            let offset = bytes.len() as u32;
            bytes.extend_from_slice(b"PK\x03\x04");
            bytes.extend_from_slice(&[0; 22]);
            bytes.extend_from_slice(&[5, 0, 0, 0]);
            bytes.extend_from_slice(name.as_bytes());
            directory.extend_from_slice(b"PK\x01\x02");
            directory.extend_from_slice(&[0; 24]);
            directory.extend_from_slice(&[5, 0]);
            directory.extend_from_slice(&[0; 12]);
            directory.extend_from_slice(&offset.to_le_bytes());
            directory.extend_from_slice(name.as_bytes());
        }
        let (start, len) = (bytes.len() as u32, directory.len() as u32);
        bytes.extend(directory);
        bytes.extend_from_slice(b"PK\x05\x06\0\0\0\0");
        bytes.extend([count, count].iter().flat_map(|n| n.to_le_bytes()));
        bytes.extend([len, start].iter().flat_map(|n| n.to_le_bytes()));
        bytes.extend_from_slice(&[0, 0]);
        let size = bytes.len() as u64;
        let mut parser = IndexParser::new(size, Default::default()).expect("long enough");
        while let Some(wanted) = parser.wants() {
            let wanted = wanted.start as usize..wanted.end as usize;
            parser.feed(&bytes[wanted]).expect("an archive");
        }
        let index: Index = parser.finish().expect("an index");
        index.ids().collect()
    }

    /// Reads a file whole; returns the names of what is then expected.
    fn read(
        succession: &mut NextFilePredictor,
        archive: &Scattered,
        name: usize,
    ) -> Option<Vec<usize>> {
        let id = archive.nth_by_name(name);
        let plan = succession.began(id, 5 * LEN, archive);
        succession.ended(id, archive);
        plan.map(|plan| plan.files.iter().map(|(id, _)| archive.name(*id)).collect())
    }

    #[test]
    fn names_are_followed_after_two_steps_and_staked_on_only_within_their_series() {
        let (mut succession, archive) = (NextFilePredictor::default(), Scattered::new());
        assert_eq!(read(&mut succession, &archive, 20), None);
        // One step: no more than the stake, and no further than its series.
        let staked = Some((22..=26).collect());
        assert_eq!(read(&mut succession, &archive, 21), staked);
        assert_eq!(read(&mut succession, &archive, 22), Some(vec![27]));
        // Only what is new is told, so that as much stays planned.
        assert_eq!(read(&mut succession, &archive, 23), Some(vec![28]));
        for name in 24..28 {
            read(&mut succession, &archive, name);
        }
        // At the end of the series 20 to 29 two files of the next one are all that is staked.
        assert_eq!(read(&mut succession, &archive, 28), Some(vec![]));
        assert_eq!(read(&mut succession, &archive, 29), Some(vec![]));
        assert_eq!(
            read(&mut succession, &archive, 30),
            Some(vec![32, 33, 34, 35])
        );
    }

    #[test]
    fn the_line_is_followed_after_one_step() {
        let (mut succession, archive) = (NextFilePredictor::default(), Scattered::new());
        let (first, second) = (archive.0[40], archive.0[41]);
        assert_eq!(succession.began(first, 3 * LEN, &archive), None);
        succession.ended(first, &archive);
        let plan = succession.began(second, 2 * LEN, &archive).expect("a plan");
        assert!(plan.is_new);
        let files: Vec<EntryId> = plan.files.iter().map(|(id, _)| *id).collect();
        assert_eq!(files, [archive.0[42], archive.0[43]]);
    }

    #[test]
    fn files_that_are_only_looked_into_lead_nowhere() {
        let (mut succession, archive) = (NextFilePredictor::default(), Scattered::new());
        for name in 0..50 {
            let id = archive.nth_by_name(name);
            assert_eq!(succession.began(id, 5 * LEN, &archive), None, "file {name}");
        }
    }
}
