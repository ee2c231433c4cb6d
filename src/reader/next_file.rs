//! Predicts which files will be read next.
//!
//! Players read segment after segment and `cp` reads file after file: each to its end, then the next.
//! After one step to the neighbour in the blob, the following neighbours are expected. In archives of
//! other writers, segments lie anywhere, and the next segment is the next by name. The order of names is
//! expected after two steps. After one step within a series, the next few files are fetched as a bet.
//! This module is pure: reads go in, expected files come out.

use std::collections::VecDeque;

use crate::archive::EntryId;

/// Steps to the neighbour after which the order in the blob is expected.
const STEPS_BY_POSITION: u32 = 1;

/// Steps to the next name after which the order of names is expected.
const STEPS_BY_NAME: u32 = 2;

/// The maximum number of readers that are followed, the same as for streams.
const MAX_READERS: usize = 24;

/// The most files to plan ahead. Without a bound, tiny files would fill a window by the ten thousand.
const MAX_PLANNED: usize = 4096;

/// The most files of a new plan. A reader that only seems to jump would have many planned again and again.
const FIRST_PLANNED: usize = 128;

/// A full plan is continued when this many bytes of the window are free, or an eighth of it, or when half of the files were
/// read. Each continuation can become a request. Without this bound, each tiny file became one.
const STEP: u64 = 512 << 10;

/// The least bet, in bytes, that a reader goes on after the last file of a series (`720p_0001.ts`,
/// `720p_0002.ts`...).
const BET: u64 = 2 << 20;

/// The bet is the number of bytes that the reader has read divided by this, if that is more than
/// [`BET`]: compared with those bytes, a lost bet costs little.
const BET_DIVISOR: u64 = 25;

/// The bet on the order of names after one step within a series, in bytes.
const FIRST_BET: u64 = 8 << 20;

/// A reader that has gone on after this many series reads everything.
const READS_EVERYTHING: u32 = 2;

/// The order of the files in an archive.
pub(super) trait FileOrder {
    /// The next file in the blob.
    fn next_by_position(&self, id: EntryId) -> Option<EntryId>;
    /// The next file by name.
    fn next_by_name(&self, id: EntryId) -> Option<EntryId>;
    /// Whether two files belong to one series.
    fn is_series(&self, a: EntryId, b: EntryId) -> bool;
    /// Length of a file in bytes; 0 if it cannot be read.
    fn len(&self, id: EntryId) -> u64;
}

/// The files that a reader is expected to read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Whether these files replace those that were planned before, and do not follow them.
    pub(super) is_new: bool,
    /// The files in reading order, each with the number of bytes that are worth fetching ahead.
    pub(super) files: Vec<(EntryId, u64)>,
}

/// A reader that goes from file to file.
#[derive(Debug)]
struct Reader {
    current: EntryId,
    /// Set when the current file was read to its end: the next file by position and by name.
    finished: Option<(Option<EntryId>, Option<EntryId>)>,
    steps_by_position: u32,
    steps_by_name: u32,
    /// How many times it went on with a file of another series.
    series_left: u32,
    /// Total length of the files that it went on from, in bytes.
    bytes_read: u64,
    /// The files expected after the current one.
    planned: VecDeque<PlannedFile>,
    /// Total length of the planned files, in bytes.
    ahead: u64,
    last_read: u64,
}

#[derive(Debug, Clone, Copy)]
struct PlannedFile {
    id: EntryId,
    len: u64,
    /// Whether it belongs to the series of the file before it.
    is_series: bool,
}

/// Follows the readers of an archive and predicts their next files.
#[derive(Debug, Default)]
pub(super) struct NextFilePredictor {
    readers: Vec<Reader>,
    reads: u64,
}

impl NextFilePredictor {
    /// Records that the end of a file has been read.
    pub(super) fn ended(&mut self, id: EntryId, order: &dyn FileOrder) {
        let mut readers = self.readers.iter_mut();
        if let Some(reader) = readers.find(|reader| reader.current == id) {
            reader.finished = Some((order.next_by_position(id), order.next_by_name(id)));
        }
    }

    /// Records that the beginning of a file has been read. Returns about `window` bytes of files to expect.
    pub(super) fn began(
        &mut self,
        id: EntryId,
        window: u64,
        order: &dyn FileOrder,
    ) -> Option<Plan> {
        self.reads += 1;
        let reads = self.reads;
        let mut readers = self.readers.iter_mut();
        let Some(reader) = readers.find(|reader| reader.is_followed_by(id)) else {
            if self.readers.iter().any(|reader| reader.current == id) {
                return None;
            }
            return self.follow(id, window, order);
        };
        reader.last_read = reads;
        reader.step(id, order);
        let by_name = match (reader.steps_by_name, reader.steps_by_position) {
            (by_name, by_position) if by_name >= STEPS_BY_NAME.max(by_position) => true,
            (_, by_position) if by_position >= STEPS_BY_POSITION => false,
            (1.., _) if reader.series_left == 0 => true,
            _ => return None,
        };
        Some(reader.plan(id, window, order, by_name))
    }

    /// Forgets what was planned after this file, because nobody could be told.
    pub(super) fn forget_plan(&mut self, id: EntryId) {
        let readers = self.readers.iter_mut().filter(|r| r.current == id);
        readers.for_each(Reader::forget_plan);
    }

    /// Follows a reader that begins with this file. If the last reader went by name and begins
    /// elsewhere now, it will go by name from there: `cp` reads the series of a folder in an order of
    /// its own.
    fn follow(&mut self, id: EntryId, window: u64, order: &dyn FileOrder) -> Option<Plan> {
        let before = self.readers.iter().max_by_key(|reader| reader.last_read);
        let goes_by_name = before.is_some_and(|before| {
            before.finished.is_some() && before.steps_by_name >= STEPS_BY_NAME
        });
        if self.readers.len() >= MAX_READERS {
            let readers = self.readers.iter().enumerate();
            if let Some((oldest, _)) = readers.min_by_key(|(_, reader)| reader.last_read) {
                self.readers.swap_remove(oldest);
            }
        }
        let mut reader = Reader {
            current: id,
            finished: None,
            steps_by_position: 0,
            steps_by_name: u32::from(goes_by_name),
            series_left: 0,
            bytes_read: 0,
            planned: VecDeque::new(),
            ahead: 0,
            last_read: self.reads,
        };
        let plan = goes_by_name.then(|| reader.plan(id, window, order, true));
        self.readers.push(reader);
        plan
    }
}

impl Reader {
    fn is_followed_by(&self, id: EntryId) -> bool {
        self.finished
            .is_some_and(|(a, b)| a == Some(id) || b == Some(id))
    }

    /// Moves the reader on to this file.
    fn step(&mut self, id: EntryId, order: &dyn FileOrder) {
        let (by_position, by_name) = self.finished.take().unwrap_or_default();
        let count = |steps: u32, next| if next == Some(id) { steps + 1 } else { 0 };
        self.steps_by_position = count(self.steps_by_position, by_position);
        self.steps_by_name = count(self.steps_by_name, by_name);
        self.series_left += u32::from(!order.is_series(self.current, id));
        self.bytes_read = self.bytes_read.saturating_add(order.len(self.current));
        self.current = id;
    }

    fn plan(&mut self, id: EntryId, window: u64, order: &dyn FileOrder, by_name: bool) -> Plan {
        let expected = self.planned.pop_front();
        let is_new = expected.is_none_or(|planned| planned.id != id);
        if is_new {
            self.forget_plan();
        } else if let Some(read) = expected {
            self.ahead = self.ahead.saturating_sub(read.len);
        }
        let mut files = Vec::new();
        let is_full = window.saturating_sub(self.ahead) < STEP.min(window / 8);
        if is_full || self.planned.len() > MAX_PLANNED / 2 {
            return Plan { is_new, files };
        }
        let mut last = self.planned.back().map_or(id, |planned| planned.id);
        let is_sure = !by_name || self.steps_by_name >= STEPS_BY_NAME;
        let mut beyond = self.planned_beyond_series();
        let most = if is_new { FIRST_PLANNED } else { MAX_PLANNED };
        while self.ahead < window && self.planned.len() < most {
            let next = if by_name {
                order.next_by_name(last)
            } else {
                order.next_by_position(last)
            };
            let Some(next) = next else { break };
            let len = order.len(next);
            let is_series = order.is_series(last, next);
            let bet = match (is_sure, is_series) {
                (true, true) => self.bet_left(beyond),
                (true, false) => self.bet_left(beyond).min(self.bet()),
                (false, true) => FIRST_BET.saturating_sub(self.ahead),
                (false, false) => 0,
            };
            // Only the first file may be fetched in part: the rest of a later one would come late,
            // and in a request of its own.
            if bet == 0 || bet < len && !(files.is_empty() && self.ahead == 0) {
                break;
            }
            self.planned.push_back(PlannedFile {
                id: next,
                len,
                is_series,
            });
            if !is_series || beyond.is_some() {
                beyond = Some(beyond.unwrap_or_default().saturating_add(len));
            }
            files.push((next, bet));
            self.ahead = self.ahead.saturating_add(len);
            last = next;
        }
        Plan { is_new, files }
    }

    fn forget_plan(&mut self) {
        self.planned.clear();
        self.ahead = 0;
    }

    /// How many bytes are planned beyond the end of the series; `None` if the plan does not reach its end.
    fn planned_beyond_series(&self) -> Option<u64> {
        let beyond = self.planned.iter().skip_while(|planned| planned.is_series);
        beyond
            .map(|planned| planned.len)
            .reduce(u64::saturating_add)
    }

    /// How many bytes may be fetched after the files that are planned, of which `beyond` lie beyond the end of the series.
    fn bet_left(&self, beyond: Option<u64>) -> u64 {
        match beyond {
            Some(beyond) if self.series_left < READS_EVERYTHING => {
                self.bet().saturating_sub(beyond)
            }
            _ => u64::MAX,
        }
    }

    /// How many bytes may be fetched after the end of a series.
    fn bet(&self) -> u64 {
        BET.max(self.bytes_read / BET_DIVISOR)
    }
}

/// Whether two paths differ in one number only, as within a series. `720p_0149.ts` and
/// `1080p_0000.ts` belong to different series.
pub(super) fn is_series(a: &[u8], b: &[u8]) -> bool {
    let runs = |path| {
        <[u8]>::chunk_by(path, |a: &u8, b: &u8| {
            a.is_ascii_digit() == b.is_ascii_digit()
        })
    };
    let (mut a, mut b) = (runs(a), runs(b));
    let mut differing = 0;
    loop {
        match (a.next(), b.next()) {
            (None, None) => return differing <= 1,
            (Some(a), Some(b)) if a == b => {}
            (Some(a), Some(b)) if a[0].is_ascii_digit() && b[0].is_ascii_digit() => differing += 1,
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::{IndexParser, Kind, NewEntry, Timestamp, end_records};

    /// The entries of an archive. Neighbours in the blob differ by seven in name, as if a writer had
    /// hashed the names. Every tenth file begins a series.
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
        fn next_by_position(&self, id: EntryId) -> Option<EntryId> {
            self.0.get(id.index() + 1).copied()
        }
        fn next_by_name(&self, id: EntryId) -> Option<EntryId> {
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

    /// Only an index makes ids, so this parses one of `count` empty entries.
    fn ids(count: u16) -> Vec<EntryId> {
        let (mut bytes, mut directory) = (Vec::new(), Vec::new());
        for n in 0..count {
            let entry = NewEntry {
                path: &format!("{n:05}"),
                kind: Kind::File,
                mode: 0o644,
                mtime: Timestamp::default(),
                size: 0,
                playable: None,
            };
            directory.extend(entry.central_record(bytes.len() as u64, 0));
            bytes.extend(entry.local_header(bytes.len() as u64, 1, 0));
        }
        let (start, len) = (bytes.len() as u64, directory.len() as u64);
        bytes.extend(directory);
        bytes.extend(end_records(count.into(), start, len));
        let size = bytes.len() as u64;
        let mut parser = IndexParser::new(size, Default::default()).expect("long enough");
        while let Some(wanted) = parser.wants() {
            let wanted = wanted.start as usize..wanted.end as usize;
            parser.feed(&bytes[wanted]).expect("an archive");
        }
        parser.finish().expect("an index").ids().collect()
    }

    /// Reads all of a file. Returns the names of the files that are expected then.
    fn read(
        predictor: &mut NextFilePredictor,
        archive: &Scattered,
        name: usize,
    ) -> Option<Vec<usize>> {
        let id = archive.nth_by_name(name);
        let plan = predictor.began(id, 5 * LEN, archive);
        predictor.ended(id, archive);
        plan.map(|plan| plan.files.iter().map(|(id, _)| archive.name(*id)).collect())
    }

    #[test]
    fn names_are_predicted_after_two_steps_or_within_a_series() {
        let (mut predictor, archive) = (NextFilePredictor::default(), Scattered::new());
        assert_eq!(read(&mut predictor, &archive, 20), None);
        // After one step: no more than the bet, and not beyond the series.
        let bet = Some((22..=26).collect());
        assert_eq!(read(&mut predictor, &archive, 21), bet);
        assert_eq!(read(&mut predictor, &archive, 22), Some(vec![27]));
        // A plan has only the files that are new.
        assert_eq!(read(&mut predictor, &archive, 23), Some(vec![28]));
        for name in 24..28 {
            read(&mut predictor, &archive, name);
        }
        // At the end of the series 20 to 29, the bet is two files of the next one.
        assert_eq!(read(&mut predictor, &archive, 28), Some(vec![]));
        assert_eq!(read(&mut predictor, &archive, 29), Some(vec![]));
        assert_eq!(
            read(&mut predictor, &archive, 30),
            Some(vec![32, 33, 34, 35])
        );
    }

    #[test]
    fn neighbours_are_predicted_after_one_step() {
        let (mut predictor, archive) = (NextFilePredictor::default(), Scattered::new());
        let (first, second) = (archive.0[40], archive.0[41]);
        assert_eq!(predictor.began(first, 3 * LEN, &archive), None);
        predictor.ended(first, &archive);
        let plan = predictor.began(second, 2 * LEN, &archive).expect("a plan");
        assert!(plan.is_new);
        let files: Vec<EntryId> = plan.files.iter().map(|(id, _)| *id).collect();
        assert_eq!(files, [archive.0[42], archive.0[43]]);
    }

    /// Each file that was read made room for another one, which became a request of its own: 20,000 for 20,000 tiny
    /// files.
    #[test]
    fn tiny_files_are_planned_many_at_a_time() {
        struct Tiny(Vec<EntryId>);
        impl FileOrder for Tiny {
            fn next_by_position(&self, id: EntryId) -> Option<EntryId> {
                self.0.get(id.index() + 1).copied()
            }
            fn next_by_name(&self, id: EntryId) -> Option<EntryId> {
                self.next_by_position(id)
            }
            fn is_series(&self, _: EntryId, _: EntryId) -> bool {
                true
            }
            fn len(&self, _: EntryId) -> u64 {
                500
            }
        }
        const FILES: u16 = 20_000;
        let archive = Tiny(ids(FILES));
        for window in [64 << 10, 1 << 20, 64 << 20] {
            let mut predictor = NextFilePredictor::default();
            let (mut planned, mut steps) = (0, 0);
            for id in &archive.0 {
                let plan = predictor.began(*id, window, &archive);
                predictor.ended(*id, &archive);
                let files = plan.map_or(0, |plan| plan.files.len());
                planned += files;
                steps += usize::from(files > 0);
            }
            // All but the first two.
            assert_eq!(planned, usize::from(FILES) - 2, "{window}");
            let fewest = u64::from(FILES) * 500 / (window / 8).min(STEP);
            let fewest = fewest.max(u64::from(FILES) / MAX_PLANNED as u64 * 2);
            assert!(steps as u64 <= fewest + 3, "{steps} steps, {window}");
        }
    }

    #[test]
    fn files_that_are_not_read_to_their_end_predict_nothing() {
        let (mut predictor, archive) = (NextFilePredictor::default(), Scattered::new());
        for name in 0..50 {
            let id = archive.nth_by_name(name);
            assert_eq!(predictor.began(id, 5 * LEN, &archive), None, "file {name}");
        }
    }

    #[test]
    fn paths_of_a_series_differ_in_one_number() {
        let is = |a: &str, b: &str| is_series(a.as_bytes(), b.as_bytes());
        assert!(is("hls/720p_0149.ts", "hls/720p_0150.ts"));
        assert!(is("seg-9-v1-a1.m4s", "seg-10-v1-a1.m4s"));
        assert!(is("a/7", "a/10") && is("same", "same"));
        // Another rendition, another folder, another kind of file.
        assert!(!is("hls/720p_0149.ts", "hls/1080p_0000.ts"));
        assert!(!is("1/seg9.ts", "2/seg1.ts"));
        assert!(!is("a1.ts", "a1.vtt") && !is("a1", "a1b") && !is("a1", "ab"));
    }
}
