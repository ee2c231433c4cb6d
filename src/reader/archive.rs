//! Reads entries of an archive, after it has confirmed where their data lies.
//!
//! The central directory of a ZIP says where an entry's local header is, but not where its data begins: that
//! depends on lengths in the local header (APPNOTE 6.3.10, section 4.3.7). A local header that
//! disagrees with the directory is damage or a lie. So each entry's header is checked once, in the
//! same request as the first bytes of data, or at the same time if a read begins further behind.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::join;
use parking_lot::Mutex;

use super::blob::{BlobReader, ReaderOptions};
use super::check::{Checker, OnWrong, Verdict};
use super::counters::Status;
use super::error::Error;
use super::index::read_index;
use super::next_file::{FileOrder, NextFilePredictor, is_series};
use super::trace::Trace;
use crate::archive::{
    EntryId, Extent, Format, HeaderCheck, Index, Kind, Method, ParseOptions, TAIL,
};
use crate::source::{Origin, Source};

/// Data this close behind its header, in bytes, is fetched together with it: what lies between costs
/// less than a second request.
const TOGETHER: u64 = 64 * 1024;

/// A read is tried this many times if its bytes turn out to be wrong before any were given out.
const TRIES: u32 = 3;

/// An archive whose entries can be read.
pub struct Archive {
    blob: BlobReader,
    index: Arc<Index>,
    /// For each entry, the distance from its local header to its data, 0 until that is confirmed. The
    /// distance is at least 30 bytes, and at most 30 and twice 65,535.
    confirmed: Vec<AtomicU32>,
    predictor: Mutex<NextFilePredictor>,
    next_by_name: OnceLock<Box<NextByName>>,
    check: Option<Checker>,
}

/// Returns the file that comes after another by name.
pub type NextByName = dyn Fn(EntryId) -> Option<EntryId> + Send + Sync;

impl Archive {
    /// Opens the archive in `source`: reads its end, then its index. If it does not end like a ZIP, it may begin like a
    /// tar. Must be called within a tokio runtime.
    pub async fn open(
        source: Arc<dyn Source>,
        parse: ParseOptions,
        options: ReaderOptions,
    ) -> Result<Self, Error> {
        Self::open_with(source, None, parse, options).await
    }

    /// Opens the archive. If `known` is the index of a blob of this size, nothing is read.
    pub async fn open_with(
        source: Arc<dyn Source>,
        known: Option<Index>,
        parse: ParseOptions,
        options: ReaderOptions,
    ) -> Result<Self, Error> {
        let tail = if known.is_some() { 0 } else { TAIL };
        let watch = options.watch.clone();
        let blob = BlobReader::open(source, tail, options).await?;
        let known = known.filter(|index| index.blob_size() == blob.size());
        let index = match known {
            Some(index) => index,
            None => read_index(&blob, parse, &watch).await?,
        };
        Ok(Self::with_index(blob, index))
    }

    /// The archive in `blob`, with its index.
    pub fn with_index(blob: BlobReader, index: Index) -> Self {
        let index = Arc::new(index);
        blob.set_index(index.clone());
        let confirmed = std::iter::repeat_with(|| AtomicU32::new(0));
        Self {
            blob,
            confirmed: confirmed.take(index.len()).collect(),
            index,
            predictor: Mutex::default(),
            next_by_name: OnceLock::new(),
            check: None,
        }
    }

    /// Compares an entry with its CRC-32 once all its bytes were read, in any order. If they differ, the read
    /// of its last byte fails, and later reads fail until right bytes come. A tar has no checksums of content.
    pub fn checking_crcs(mut self) -> Self {
        if self.index.format() == Format::Tar {
            return self;
        }
        self.check = Some(Checker::new(self.blob.clone(), self.index.clone()));
        self
    }

    /// Sets what is called with an entry that disagrees with its CRC-32 after some of its bytes were
    /// given out. `report` may wait for reads under way: they end, and new ones fail at once until it
    /// returns. Only the first call counts.
    pub fn on_wrong(&self, report: Box<OnWrong>) {
        if let Some(check) = &self.check {
            check.on_wrong(report);
        }
    }

    /// The present moment, for [`outdated`](Self::outdated).
    pub fn moment(&self) -> u64 {
        self.check.as_ref().map_or(0, Checker::moment)
    }

    /// The error for a reader that began at `moment` if it must not go on: it may have got bytes of the
    /// entry that were found to be wrong later.
    pub fn outdated(&self, id: EntryId, moment: u64) -> Option<Error> {
        self.check.as_ref()?.outdated(id, moment)
    }

    /// Sets the order of names, which read-ahead follows where the next file is not the neighbour in the
    /// blob. Only the first call counts.
    pub fn follow_names(&self, next: Box<NextByName>) {
        let _ = self.next_by_name.set(next);
    }

    /// The index of the archive.
    pub fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// Where its bytes come from, for callers that read each byte once and want none kept in memory.
    pub fn source(&self) -> &Arc<dyn Source> {
        self.blob.source()
    }

    /// Appends `range` of the entry's data, as it is stored, to `out` if all of it is in memory and not known to be wrong;
    /// otherwise leaves `out` alone and returns false. Never waits.
    pub fn try_read(&self, id: EntryId, range: &Range<u64>, out: &mut Vec<u8>) -> bool {
        let Some(extent) = self.extent_now(id) else {
            return false;
        };
        let Some(at) = within(&extent, range) else {
            return false;
        };
        let before = out.len();
        if !self.blob.try_read(&at, extent.range().end, out) {
            return false;
        }
        if let Some(check) = self.check_of(id)
            && !matches!(
                check.judge(id, &extent, range, &out[before..]),
                Verdict::Good
            )
        {
            out.truncate(before);
            return false;
        }
        self.blob.count_read(out.len() - before, true);
        self.passes(id, range.start == 0, range.end == extent.len);
        true
    }

    /// Reads `range` of the entry's data as it is stored, up to its end.
    pub async fn read(&self, id: EntryId, range: Range<u64>) -> Result<Vec<u8>, Error> {
        // The next files are requested while the read waits for its own bytes, not after it.
        let begins = async { self.passes(id, range.start == 0, false) };
        let (bytes, ()) = join(self.read_aside(id, range.clone()), begins).await;
        let bytes = bytes?;
        let end = range.start + bytes.len() as u64;
        self.passes(id, false, end == self.index.get(id).compressed_size);
        Ok(bytes)
    }

    /// Reads like [`read`](Self::read), but for the mount's own purposes: the read does not count as a
    /// reader's step from file to file.
    pub async fn read_aside(&self, id: EntryId, range: Range<u64>) -> Result<Vec<u8>, Error> {
        self.index.readable(id)?;
        let size = self.index.get(id).compressed_size;
        let range = range.start.min(size)..range.end.min(size);
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let bytes = match self.check_of(id) {
            None => self.read_unchecked(id, &range, size).await,
            Some(check) => self.read_checked(check, id, &range).await,
        }?;
        self.blob.count_read(bytes.len(), false);
        Ok(bytes)
    }

    /// Appends `range` of the entry's data, as it is stored, to `out` if all of it is in memory. Never
    /// waits, compares nothing with a checksum, and counts nothing. Read-ahead goes up to offset `limit`
    /// of the data.
    pub fn try_read_stored(
        &self,
        id: EntryId,
        range: &Range<u64>,
        limit: u64,
        out: &mut Vec<u8>,
    ) -> bool {
        self.extent_now(id).is_some_and(|extent| {
            let limit = extent.offset + limit.min(extent.len);
            within(&extent, range).is_some_and(|at| self.blob.try_read(&at, limit, out))
        })
    }

    /// Reads `range` of the entry's data, as it is stored. It must not reach beyond its end. Otherwise like
    /// [`try_read_stored`](Self::try_read_stored).
    pub async fn read_stored(
        &self,
        id: EntryId,
        range: Range<u64>,
        limit: u64,
    ) -> Result<Vec<u8>, Error> {
        self.index.readable(id)?;
        self.read_unchecked(id, &range, limit).await
    }

    /// Forgets the data of an entry, which turned out to be wrong, and does not ask its origins again while there are
    /// others. Returns whether it did so: verified bytes cannot be wrong, and stay.
    pub fn reject_stored(&self, id: EntryId) -> bool {
        let (Some(_), Some(extent)) = (&self.check, self.confirmed(id)) else {
            return false;
        };
        let range = extent.range();
        let origins = self.blob.check_origins(&range).err().unwrap_or_default();
        self.blob.reject(&range, &origins);
        true
    }

    /// Records that a decoder has found an entry to be wrong after plain bytes of it were given out. `why` says what was
    /// found. Readers that began before are [`outdated`](Self::outdated) for a while. Does nothing for an
    /// archive whose bytes are proved: to fetch them again gives the same.
    pub fn outdate_readers(&self, id: EntryId, why: &str) {
        if let (Some(check), Some(extent)) = (&self.check, self.confirmed(id)) {
            check.outdate_readers(id, extent.range(), why);
        }
    }

    /// Whether no entry needs a decoder.
    pub fn is_stored(&self) -> bool {
        let index = &self.index;
        let mut ids = index.ids();
        ids.all(|id| index.is_stored(id) || index.get(id).method == Method::Sparse)
    }

    /// Takes half of the memory bound for decoding, for good, and returns its bytes. Archives that share the bound call
    /// this once.
    pub fn take_memory_for_decoding(&self) -> u64 {
        self.blob.take_out()
    }

    /// Counts bytes of content that a program got. `from_memory`: without waiting.
    pub fn count_read(&self, bytes: usize, from_memory: bool) {
        self.blob.count_read(bytes, from_memory);
    }

    /// A read that has not got its bytes within this time fails.
    pub fn timeout(&self) -> Duration {
        self.blob.timeout()
    }

    /// The error of a read of an entry whose deadline has passed.
    pub fn missed_deadline(&self, id: EntryId) -> Error {
        self.blob.missed_deadline(self.span(id))
    }

    /// Where the entry's data lies, according to its local header.
    pub async fn extent(&self, id: EntryId) -> Result<Extent, Error> {
        self.index.readable(id)?;
        if let Some(extent) = self.confirmed(id) {
            return Ok(extent);
        }
        let check = self.index.header_check(id);
        let header = check.range();
        let bytes = self.blob.read(header.clone(), header.end).await?;
        self.confirm(id, &check, &bytes)
    }

    /// Whether the header of an entry was compared with the index, or can be without waiting.
    pub fn is_confirmed(&self, id: EntryId) -> bool {
        self.extent_now(id).is_some()
    }

    /// The origins of what is in memory of `range` of the entry's data, as it is stored.
    pub fn origins(&self, id: EntryId, range: &Range<u64>) -> Vec<Origin> {
        let at = self.confirmed(id).and_then(|extent| within(&extent, range));
        at.map_or_else(Vec::new, |at| self.blob.origins(&at))
    }

    /// Where reads of this archive are added while somebody watches.
    pub fn trace(&self) -> &Trace {
        self.blob.trace()
    }

    /// Ends all reads. Those that wait fail.
    pub fn close(&self) {
        self.blob.close();
    }

    /// What has been read and fetched so far.
    pub fn status(&self) -> Status {
        self.blob.status()
    }

    async fn read_checked(
        &self,
        check: &Checker,
        id: EntryId,
        range: &Range<u64>,
    ) -> Result<Vec<u8>, Error> {
        for _ in 0..TRIES {
            check.settled(id).await?;
            let read = check.unless_wrong(id, self.read_unchecked(id, range, u64::MAX));
            let Some(bytes) = read.await.transpose()? else {
                continue;
            };
            let extent = self.extent(id).await?;
            match check.judge(id, &extent, range, &bytes) {
                Verdict::Good => return Ok(bytes),
                Verdict::Again => {}
                Verdict::Wrong(error) => return Err(error),
            }
        }
        let range = self.extent(id).await?.range();
        Err(Error::Checksum { range })
    }

    /// `limit`: see [`try_read_stored`](Self::try_read_stored).
    async fn read_unchecked(
        &self,
        id: EntryId,
        range: &Range<u64>,
        limit: u64,
    ) -> Result<Vec<u8>, Error> {
        match self.confirmed(id) {
            Some(extent) => self.read_extent(&extent, range, limit).await,
            None => self.read_unconfirmed(id, range, limit).await,
        }
    }

    /// Fetches the header and the data at the same time, the data from where it probably lies according
    /// to the directory. The data is used only if the header confirms that.
    async fn read_unconfirmed(
        &self,
        id: EntryId,
        range: &Range<u64>,
        limit: u64,
    ) -> Result<Vec<u8>, Error> {
        let check = self.index.header_check(id);
        let (header, guess) = (check.range(), check.predicted());
        let Some(data) = within(&guess, range).filter(|data| data.end <= self.blob.size()) else {
            let extent = self.extent(id).await?;
            return self.read_extent(&extent, range, limit).await;
        };
        let end = guess.offset + limit.min(guess.len);
        let (head, bytes) = if data.start - header.start <= TOGETHER {
            let mut both = self.blob.read(header.start..data.end, end).await?;
            let bytes = both.split_off((data.start - header.start) as usize);
            both.truncate((header.end - header.start) as usize);
            (both, bytes)
        } else {
            let head = self.blob.read(header.clone(), header.end);
            tokio::try_join!(head, self.blob.read(data, end))?
        };
        let extent = self.confirm(id, &check, &head)?;
        if extent == guess {
            return Ok(bytes);
        }
        self.read_extent(&extent, range, limit).await
    }

    async fn read_extent(
        &self,
        extent: &Extent,
        range: &Range<u64>,
        limit: u64,
    ) -> Result<Vec<u8>, Error> {
        let at = extent.offset + range.start..extent.offset + range.end;
        let limit = extent.offset + limit.min(extent.len);
        self.blob.read(at, limit).await
    }

    /// Records that a reader is at the beginning or at the end of a file, wherever it got the bytes from,
    /// and announces the files that will probably be read next.
    pub fn passes(&self, id: EntryId, is_start: bool, is_end: bool) {
        if !is_start && !is_end {
            return;
        }
        let mut predictor = self.predictor.lock();
        let plan = if is_start {
            predictor.began(id, self.blob.horizon(), self)
        } else {
            None
        };
        if is_end {
            predictor.ended(id, self);
        }
        drop(predictor);
        if let Some(plan) = plan {
            let files = plan.files.iter().map(|(file, most)| {
                let span = self.span(*file);
                let end = span.end.min(span.start.saturating_add(*most));
                span.start..end
            });
            let files: Vec<Range<u64>> = files.collect();
            let here = self.span(id);
            if !self.blob.expect_next(&here, plan.is_new, &files) {
                self.predictor.lock().forget_plan(id);
            }
        }
    }

    /// The checker, if it is for this entry: the CRC-32 of a compressed entry is that of its plain bytes.
    fn check_of(&self, id: EntryId) -> Option<&Checker> {
        let check = self.check.as_ref()?;
        self.index.stored(id).is_ok().then_some(check)
    }

    /// Brings a range of the blob into memory, if it can be fetched, for a reader that goes on to `limit`.
    pub async fn fetch(&self, range: Range<u64>, limit: u64) {
        let _ = self.blob.read(range, limit).await;
    }

    /// Where an entry with its header lies in the blob, as far as the directory tells.
    pub fn span(&self, id: EntryId) -> Range<u64> {
        let check = self.index.header_check(id);
        let (start, end) = (check.range().start, check.predicted().range().end);
        start..end.min(self.blob.size()).max(start)
    }

    fn confirmed(&self, id: EntryId) -> Option<Extent> {
        let distance = self.confirmed.get(id.index())?.load(Relaxed);
        let entry = self.index.get(id);
        (distance != 0).then(|| Extent {
            offset: entry.header_offset + u64::from(distance),
            len: entry.compressed_size,
        })
    }

    /// Where the entry's data lies, if its header was confirmed or read-ahead has brought it.
    fn extent_now(&self, id: EntryId) -> Option<Extent> {
        self.confirmed(id).or_else(|| {
            self.index.readable(id).ok()?;
            let (check, mut bytes) = (self.index.header_check(id), Vec::new());
            let limit = check.predicted().range().end;
            if !self.blob.try_read(&check.range(), limit, &mut bytes) {
                return None;
            }
            self.confirm(id, &check, &bytes).ok()
        })
    }

    fn confirm(&self, id: EntryId, check: &HeaderCheck, bytes: &[u8]) -> Result<Extent, Error> {
        let extent = check.confirm(bytes)?;
        let distance = extent.offset - self.index.get(id).header_offset;
        let distance = u32::try_from(distance).expect("two 16-bit lengths and 30 fit into 32 bits");
        self.confirmed[id.index()].store(distance, Relaxed);
        Ok(extent)
    }
}

impl FileOrder for Archive {
    fn next_by_position(&self, id: EntryId) -> Option<EntryId> {
        // Directories and empty files are not read.
        let behind = (1..=64).map_while(|step| self.index.id(id.index() + step));
        behind.into_iter().find(|id| self.len(*id) > 0)
    }

    fn next_by_name(&self, id: EntryId) -> Option<EntryId> {
        self.next_by_name.get().and_then(|next| next(id))
    }

    fn is_series(&self, a: EntryId, b: EntryId) -> bool {
        is_series(self.index.path(a), self.index.path(b))
    }

    fn len(&self, id: EntryId) -> u64 {
        let entry = self.index.get(id);
        let is_file = entry.kind == Kind::File && self.index.readable(id).is_ok();
        if is_file { entry.compressed_size } else { 0 }
    }
}

/// `range` of an entry's data as a range of the blob, or `None` if it leaves the entry.
fn within(extent: &Extent, range: &Range<u64>) -> Option<Range<u64>> {
    (range.end <= extent.len).then(|| extent.offset + range.start..extent.offset + range.end)
}
