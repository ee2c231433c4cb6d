//! Compares entries with their CRC-32 as they are read, and deals with those that are wrong.
//!
//! Bytes are hashed (`crc.rs`) when they are given to readers. If an entry's last byte has been given
//! out and the CRC is wrong, the bytes in memory are forgotten, their origins are rejected, and reads
//! of the entry fail. The next read fetches and compares the whole entry, and succeeds only if it is
//! right. Bytes that were given out before cannot be taken back, so this finds accidents, but does not
//! stop a forger.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crc32fast::Hasher;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::blob::BlobReader;
use super::crc::{PartialCrcs, add_origins};
use super::error::Error;
use crate::archive::{EntryId, Extent, Index};
use crate::source::Origin;

/// Length of the reads with which a wrong entry is fetched again, in bytes.
const STEP: u64 = 256 * 1024;

/// How many wrong entries are remembered. A forgotten one is read as if nothing had happened, and found wrong again at
/// its end.
const MAX_WRONG: usize = 512;

/// Readers that had the file open when it was found wrong get errors for at least this long, even if
/// right bytes come sooner. The kernel does not pass on errors of its read-ahead, and asks again when
/// the reader gets there. If it got right bytes then, the reader would end without an error after it
/// had read wrong bytes. A reader of 64 KiB a second meets the error within this time.
const READERS_ARE_TOLD: Duration = Duration::from_secs(2);

/// An entry that is still wrong after it was fetched again is not fetched anew for this long: after
/// an error, the kernel asks for the same pages one by one.
const STILL_WRONG: Duration = Duration::from_secs(1);

/// Called with an entry whose bytes are wrong and were given out.
pub type OnWrong = dyn Fn(EntryId) + Send + Sync;

/// Whether the bytes of a read may be given out.
#[derive(Debug)]
pub(super) enum Verdict {
    /// They may.
    Good,
    /// They are or may be wrong, and nobody has got any of them. Read again.
    Again,
    /// They are wrong, and other bytes of the entry were given out.
    Wrong(Error),
}

/// Compares entries with their CRC-32. Cheap to clone; all clones share their state.
#[derive(Clone)]
pub(super) struct Checker(Arc<Inner>);

struct Inner {
    blob: BlobReader,
    index: Arc<Index>,
    partial: Mutex<PartialCrcs<EntryId>>,
    wrong: Mutex<HashMap<EntryId, Wrong>>,
    /// Number of entries that were found wrong after some of their bytes had been given out.
    moment: watch::Sender<u64>,
    on_wrong: OnceLock<Box<OnWrong>>,
}

/// An entry that was found wrong.
struct Wrong {
    range: Range<u64>,
    since: Instant,
    /// Readers that began before this moment may have got wrong bytes; 0 if there are none.
    moment: u64,
    /// What its decoder found, if that found it to be wrong.
    why: Option<String>,
    /// Origins of wrong bytes.
    origins: Vec<Origin>,
    state: State,
}

/// The result of a task, once it has ended.
type Ending = watch::Receiver<Option<Result<(), Error>>>;

enum State {
    /// `on_wrong` is running. Reads fail and do not wait meanwhile.
    Telling,
    /// The first read after `retry` fetches it again.
    Wrong { retry: Instant },
    /// It is being fetched again.
    Fetching(Ending),
    /// Right bytes have come.
    Right,
}

impl Checker {
    pub(super) fn new(blob: BlobReader, index: Arc<Index>) -> Self {
        Self(Arc::new(Inner {
            blob,
            index,
            partial: Mutex::new(PartialCrcs::new()),
            wrong: Mutex::default(),
            moment: watch::channel(0).0,
            on_wrong: OnceLock::new(),
        }))
    }

    pub(super) fn on_wrong(&self, tell: Box<OnWrong>) {
        let _ = self.0.on_wrong.set(tell);
    }

    /// The present moment, for [`outdated`](Self::outdated).
    pub(super) fn moment(&self) -> u64 {
        *self.0.moment.borrow()
    }

    /// The error for a reader that began at `moment` and may have got wrong bytes.
    pub(super) fn outdated(&self, id: EntryId, moment: u64) -> Option<Error> {
        let wrong = self.0.wrong.lock();
        let wrong = wrong.get(&id)?;
        let may_go_on =
            matches!(wrong.state, State::Right) && wrong.since.elapsed() > READERS_ARE_TOLD;
        (moment < wrong.moment && !may_go_on).then(|| wrong.error())
    }

    /// Checks `bytes`, which were read as `range` of an entry, before they are given out.
    pub(super) fn judge(
        &self,
        id: EntryId,
        extent: &Extent,
        range: &Range<u64>,
        bytes: &[u8],
    ) -> Verdict {
        if self.is_wrong(id).is_some() {
            return Verdict::Again;
        }
        let at = extent.offset + range.start..extent.offset + range.end;
        let is_whole = range.end - range.start == extent.len;
        let has_begun = !is_whole && self.0.partial.lock().has(id);
        let origins = match self.0.blob.check_origins(&at) {
            // A CRC that has begun needs all bytes, also those that were checked before.
            Ok(()) if !has_begun => return Verdict::Good,
            Ok(()) => Vec::new(),
            Err(origins) => origins,
        };
        let (crc, origins) = if is_whole {
            (crc32fast::hash(bytes), origins)
        } else {
            let partial = self.0.partial.lock().of(id, extent.len);
            let mut partial = partial.lock();
            add_origins(&mut partial.origins, origins);
            match partial.add(range.start, bytes) {
                Some(crc) => (crc, std::mem::take(&mut partial.origins)),
                None => return Verdict::Good,
            }
        };
        self.0.partial.lock().end(id);
        if Some(crc) == self.0.index.get(id).crc32 {
            self.0.blob.set_checked(&extent.range());
            return Verdict::Good;
        }
        self.blame(id, &extent.range(), crc, &origins);
        self.found_wrong(id, extent.range(), origins, !is_whole)
    }

    /// Waits until the entry's bytes are right, if they are known to be wrong.
    pub(super) async fn settled(&self, id: EntryId) -> Result<(), Error> {
        let Some(mut fetching) = self.fetch_again(id)? else {
            return Ok(());
        };
        let after = self.0.blob.timeout();
        let ended = tokio::time::timeout(after, fetching.wait_for(Option::is_some)).await;
        let error = self.is_wrong(id);
        match ended {
            Ok(Ok(result)) => result.clone().unwrap_or(Ok(())),
            // The task that fetched it has panicked.
            Ok(Err(_)) => Err(error.unwrap_or(Error::Closed)),
            Err(_) => Err(match error {
                Some(Error::Checksum { range }) => self.0.blob.missed_deadline(range),
                other => other.unwrap_or(Error::Closed),
            }),
        }
    }

    /// Runs a read, unless the entry is found wrong meanwhile: then the read would wait for nothing, and
    /// could hold pages of the kernel. Returns `None` in that case.
    pub(super) async fn unless_wrong<T>(
        &self,
        id: EntryId,
        read: impl Future<Output = T>,
    ) -> Option<T> {
        let mut moments = self.0.moment.subscribe();
        tokio::pin!(read);
        loop {
            tokio::select! {
                biased;
                result = &mut read => return Some(result),
                _ = moments.changed() => {
                    if self.is_wrong(id).is_some() {
                        return None;
                    }
                }
            }
        }
    }

    /// The error for reads of this entry while it is wrong.
    fn is_wrong(&self, id: EntryId) -> Option<Error> {
        let mut all = self.0.wrong.lock();
        let wrong = all.get(&id)?;
        if !matches!(wrong.state, State::Right) {
            return Some(wrong.error());
        }
        if wrong.since.elapsed() > READERS_ARE_TOLD {
            all.remove(&id);
        }
        None
    }

    /// Records that an entry is wrong. Nothing of it is given out from then on.
    fn found_wrong(
        &self,
        id: EntryId,
        range: Range<u64>,
        origins: Vec<Origin>,
        was_given_out: bool,
    ) -> Verdict {
        let is_new = self.enter(id, &range, &origins, was_given_out);
        self.0.blob.reject(&range, &origins);
        if !was_given_out {
            return Verdict::Again;
        }
        if is_new {
            self.report_wrong(id);
        }
        Verdict::Wrong(Error::Checksum { range })
    }

    /// Adds an entry to the list of wrong ones. Returns false if it was there.
    fn enter(
        &self,
        id: EntryId,
        range: &Range<u64>,
        origins: &[Origin],
        was_given_out: bool,
    ) -> bool {
        let mut all = self.0.wrong.lock();
        let before = all.get(&id);
        if before.is_some_and(|wrong| !matches!(wrong.state, State::Right)) {
            return false;
        }
        let before = before.map_or(0, |wrong| wrong.moment);
        let since = Instant::now();
        let (moment, state) = if was_given_out {
            (self.moment() + 1, State::Telling)
        } else {
            (before, State::Wrong { retry: since })
        };
        let (range, origins) = (range.clone(), origins.to_vec());
        let wrong = Wrong {
            range,
            since,
            moment,
            why: None,
            origins,
            state,
        };
        self.insert(&mut all, id, wrong);
        true
    }

    /// Adds an entry to the list, which may forget another one.
    fn insert(&self, all: &mut HashMap<EntryId, Wrong>, id: EntryId, wrong: Wrong) {
        if all.len() >= MAX_WRONG {
            let oldest = all.iter().min_by_key(|(_, wrong)| wrong.since);
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                all.remove(&oldest);
            }
        }
        let moment = wrong.moment;
        all.insert(id, wrong);
        if moment > self.moment() {
            // While the list is locked: a reader that learns the moment finds the entry.
            self.0.moment.send_replace(moment);
        }
    }

    /// Records that a decoder has found an entry to be wrong after plain bytes of it were given out. `why` says what was
    /// found. Programs that have it open get errors for a while. A program that opens it later gets what the decoder
    /// fetches again.
    pub(super) fn outdate_readers(&self, id: EntryId, range: Range<u64>, why: &str) {
        let mut all = self.0.wrong.lock();
        let wrong = Wrong {
            range,
            since: Instant::now(),
            moment: self.moment() + 1,
            why: Some(why.into()),
            origins: Vec::new(),
            state: State::Right,
        };
        self.insert(&mut all, id, wrong);
    }

    /// Calls `on_wrong` on a thread that may block: the kernel drops a page only when the read that
    /// fills it has been answered.
    fn report_wrong(&self, id: EntryId) {
        let this = self.clone();
        self.0.blob.runtime().spawn_blocking(move || {
            if let Some(tell) = this.0.on_wrong.get() {
                tell(id);
            }
            this.set_state(
                id,
                State::Wrong {
                    retry: Instant::now(),
                },
            );
        });
    }

    /// Fetches the entry again if it is wrong, unless that is under way.
    fn fetch_again(&self, id: EntryId) -> Result<Option<Ending>, Error> {
        let mut all = self.0.wrong.lock();
        let Some(wrong) = all.get_mut(&id) else {
            return Ok(None);
        };
        match &wrong.state {
            State::Right => return Ok(None),
            State::Telling => return Err(wrong.error()),
            State::Wrong { retry } if *retry > Instant::now() => return Err(wrong.error()),
            // If its task has panicked, another one begins.
            State::Fetching(ended) if ended.has_changed().is_ok() || ended.borrow().is_some() => {
                return Ok(Some(ended.clone()));
            }
            State::Fetching(_) | State::Wrong { .. } => {}
        }
        let (tell, ended) = watch::channel(None);
        wrong.state = State::Fetching(ended.clone());
        let (this, range, blamed) = (self.clone(), wrong.range.clone(), wrong.origins.clone());
        self.0.blob.runtime().spawn(async move {
            let result = this.compare_again(id, range, blamed).await;
            let now = Instant::now();
            this.set_state(
                id,
                match &result {
                    Ok(()) => State::Right,
                    Err(Error::Checksum { .. }) => State::Wrong {
                        retry: now + STILL_WRONG,
                    },
                    Err(_) => State::Wrong { retry: now },
                },
            );
            let _ = tell.send(Some(result));
        });
        Ok(Some(ended))
    }

    /// Fetches and compares the whole entry, until it is right or no new origin gives it.
    async fn compare_again(
        &self,
        id: EntryId,
        range: Range<u64>,
        mut blamed: Vec<Origin>,
    ) -> Result<(), Error> {
        loop {
            let (crc, origins) = self.read_through(&range).await?;
            if Some(crc) == self.0.index.get(id).crc32 {
                self.0.blob.set_checked(&range);
                let path = self.path(id);
                log::info!("{path}: right bytes came from {}", list(&origins));
                return Ok(());
            }
            self.0.blob.reject(&range, &origins);
            let count = blamed.len();
            add_origins(&mut blamed, origins.clone());
            if blamed.len() == count {
                log::debug!("{}: still wrong, from {}", self.path(id), list(&origins));
                return Err(Error::Checksum { range });
            }
            self.blame(id, &range, crc, &origins);
            if let Some(wrong) = self.0.wrong.lock().get_mut(&id) {
                wrong.origins.clone_from(&blamed);
            }
        }
    }

    async fn read_through(&self, range: &Range<u64>) -> Result<(u32, Vec<Origin>), Error> {
        let (mut crc, mut origins) = (Hasher::new(), Vec::new());
        let mut at = range.start;
        while at < range.end {
            let step = at..range.end.min(at + STEP);
            crc.update(&self.0.blob.read(step.clone(), range.end).await?);
            let more = self.0.blob.check_origins(&step).err();
            add_origins(&mut origins, more.unwrap_or_default());
            at = step.end;
        }
        Ok((crc.finalize(), origins))
    }

    fn set_state(&self, id: EntryId, state: State) {
        if let Some(wrong) = self.0.wrong.lock().get_mut(&id) {
            wrong.state = state;
        }
    }

    fn blame(&self, id: EntryId, range: &Range<u64>, crc: u32, origins: &[Origin]) {
        log::warn!(
            "{}: bytes {}-{} of the archive have the CRC-32 {crc:08x} instead of {:08x}; they came from {}",
            self.path(id),
            range.start,
            range.end - 1,
            self.0.index.get(id).crc32.unwrap_or_default(),
            list(origins)
        );
    }

    fn path(&self, id: EntryId) -> String {
        String::from_utf8_lossy(self.0.index.path(id)).into_owned()
    }
}

impl Wrong {
    fn error(&self) -> Error {
        let range = self.range.clone();
        match self.why.clone() {
            Some(why) => Error::Outdated { why },
            None => Error::Checksum { range },
        }
    }
}

fn list(origins: &[Origin]) -> String {
    let names: Vec<String> = origins.iter().map(Origin::to_string).collect();
    if names.is_empty() {
        "an unknown origin".into()
    } else {
        names.join(" and ")
    }
}
