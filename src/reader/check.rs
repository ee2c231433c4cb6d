//! Entries compared with their CRC-32 as they are read, and what happens to those that disagree.
//!
//! Bytes given to readers are hashed on the way (`crc.rs`). When the last one of an entry has come
//! and the CRC is another, the bytes in memory are taken back, those who gave them are asked no
//! more while there are others, and reads of the entry fail; the next one has it fetched and
//! compared as a whole, and gets its bytes only if they are right. What was given out before
//! cannot be called back: this finds accidents, and does not keep a forger out.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crc32fast::Hasher;
use tokio::sync::watch;
use tokio::time::Instant;

use super::blob::BlobReader;
use super::crc::Rounds;
use super::error::Error;
use crate::archive::{EntryId, Extent, Index};
use crate::source::Origin;

/// How much of an entry is read at once when it is fetched again as a whole, in bytes.
const STEP: u64 = 256 * 1024;

/// Entries known to be wrong that are remembered. One that is forgotten is read as if nothing had
/// happened, and found wrong again at its end.
const MAX_WRONG: usize = 512;

/// Whoever had the file open when it was found wrong gets errors for so long at the least, though
/// right bytes may come sooner. The kernel reads ahead, does not pass on the error of that, and
/// asks again when the reader gets there: with right bytes then, the reader would end without an
/// error and with wrong bytes before. A reader of 64 KiB a second comes across it in this time.
const READERS_ARE_TOLD: Duration = Duration::from_secs(2);

/// An entry that was fetched again and is still wrong is not fetched anew for so long: after an
/// error the kernel asks for the same pages one by one.
const STILL_WRONG: Duration = Duration::from_secs(1);

/// Told of an entry whose bytes were given out and are wrong.
pub type OnWrong = dyn Fn(EntryId) + Send + Sync;

/// What the bytes of a read are worth.
#[derive(Debug)]
pub(super) enum Verdict {
    /// They may be given out.
    Good,
    /// They are wrong or in doubt, and nobody has got any of them: read once more.
    Again,
    /// They are wrong, and others of the same entry were given out.
    Wrong(Error),
}

/// Compares entries with their CRC-32. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(super) struct Checker(Arc<Inner>);

struct Inner {
    blob: BlobReader,
    index: Arc<Index>,
    rounds: Mutex<Rounds<EntryId>>,
    wrong: Mutex<HashMap<EntryId, Wrong>>,
    /// How many there are in `wrong`: mostly none, and then nobody needs its lock.
    wrong_count: AtomicUsize,
    /// Counts the entries found wrong after some of their bytes were given out.
    moment: watch::Sender<u64>,
    on_wrong: OnceLock<Box<OnWrong>>,
}

/// An entry that was found wrong.
struct Wrong {
    range: Range<u64>,
    since: Instant,
    /// Readers from before this moment may have got wrong bytes; 0 if nobody has.
    moment: u64,
    /// Who gave wrong bytes.
    givers: Vec<Origin>,
    state: State,
}

/// How something ended, once it has.
type Ending = watch::Receiver<Option<Result<(), Error>>>;

enum State {
    /// Others who may hold wrong bytes are being told. Nobody waits for the entry meanwhile.
    Telling,
    /// The next read after this has it fetched again.
    Wrong { retry: Instant },
    /// It is being fetched again; how that ended.
    Fetching(Ending),
    /// Right bytes have come.
    Right,
}

impl Checker {
    pub(super) fn new(blob: BlobReader, index: Arc<Index>) -> Self {
        Self(Arc::new(Inner {
            blob,
            index,
            rounds: Mutex::default(),
            wrong: Mutex::default(),
            wrong_count: AtomicUsize::new(0),
            moment: watch::channel(0).0,
            on_wrong: OnceLock::new(),
        }))
    }

    pub(super) fn on_wrong(&self, tell: Box<OnWrong>) {
        let _ = self.0.on_wrong.set(tell);
    }

    /// What [`outdated`](Self::outdated) wants to know of a reader that begins now.
    pub(super) fn moment(&self) -> u64 {
        *self.0.moment.borrow()
    }

    /// Whether a reader from `moment` on must be told that it may have got wrong bytes.
    pub(super) fn outdated(&self, id: EntryId, moment: u64) -> Option<Error> {
        if self.0.wrong_count.load(Relaxed) == 0 {
            return None;
        }
        let wrong = self.wrong();
        let wrong = wrong.get(&id)?;
        let may_go_on =
            matches!(wrong.state, State::Right) && wrong.since.elapsed() > READERS_ARE_TOLD;
        (moment < wrong.moment && !may_go_on).then(|| wrong.error())
    }

    /// Takes in `bytes`, which were read as `range` of an entry and shall now be given out.
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
        let is_in_round = !is_whole && self.rounds().has(id);
        let givers = match self.0.blob.check_origins(&at) {
            // A round that is going on needs all bytes, also those that were checked before.
            Ok(()) if !is_in_round => return Verdict::Good,
            Ok(()) => Vec::new(),
            Err(givers) => givers,
        };
        let (crc, givers) = if is_whole {
            (crc32fast::hash(bytes), givers)
        } else {
            let round = self.rounds().of(id, extent.len);
            let mut round = round.lock().unwrap_or_else(PoisonError::into_inner);
            round.came_from(givers);
            match round.add(range.start, bytes) {
                Some(crc) => (crc, std::mem::take(&mut round.origins)),
                None => return Verdict::Good,
            }
        };
        self.rounds().end(id);
        if crc == self.0.index.get(id).crc32 {
            self.0.blob.set_checked(&extent.range());
            return Verdict::Good;
        }
        self.blame(id, &extent.range(), crc, &givers);
        self.found_wrong(id, extent.range(), givers, !is_whole)
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
            // The task that fetched it has gone without a word.
            Ok(Err(_)) => Err(error.unwrap_or(Error::Closed)),
            Err(_) => Err(match error {
                Some(Error::Checksum { range }) => self.0.blob.missed_deadline(range),
                other => other.unwrap_or(Error::Closed),
            }),
        }
    }

    /// Reads on, unless the entry is found wrong meanwhile: whoever waits for more of it, and may
    /// hold pages of the kernel for that, shall not wait for nothing.
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

    /// Why the entry cannot be read now.
    fn is_wrong(&self, id: EntryId) -> Option<Error> {
        if self.0.wrong_count.load(Relaxed) == 0 {
            return None;
        }
        let mut all = self.wrong();
        let wrong = all.get(&id)?;
        if !matches!(wrong.state, State::Right) {
            return Some(wrong.error());
        }
        if wrong.since.elapsed() > READERS_ARE_TOLD {
            all.remove(&id);
            self.0.wrong_count.store(all.len(), Relaxed);
        }
        None
    }

    /// Enters an entry as wrong, after which nothing of it is given out.
    fn found_wrong(
        &self,
        id: EntryId,
        range: Range<u64>,
        givers: Vec<Origin>,
        was_given_out: bool,
    ) -> Verdict {
        let is_new = self.enter(id, &range, &givers, was_given_out);
        self.0.blob.reject(&range, &givers);
        match was_given_out {
            true if is_new => self.tell_others(id),
            true => {}
            false => return Verdict::Again,
        }
        Verdict::Wrong(Error::Checksum { range })
    }

    /// Enters an entry in the list of the wrong ones; false if it is there.
    fn enter(
        &self,
        id: EntryId,
        range: &Range<u64>,
        givers: &[Origin],
        was_given_out: bool,
    ) -> bool {
        let mut all = self.wrong();
        let before = all.get(&id);
        if before.is_some_and(|wrong| !matches!(wrong.state, State::Right)) {
            return false;
        }
        let before = before.map_or(0, |wrong| wrong.moment);
        if all.len() >= MAX_WRONG {
            let oldest = all.iter().min_by_key(|(_, wrong)| wrong.since);
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                all.remove(&oldest);
            }
        }
        let since = Instant::now();
        let (moment, state) = match was_given_out {
            true => (self.moment() + 1, State::Telling),
            false => (before, State::Wrong { retry: since }),
        };
        let (range, givers) = (range.clone(), givers.to_vec());
        let wrong = Wrong {
            range,
            since,
            moment,
            givers,
            state,
        };
        all.insert(id, wrong);
        self.0.wrong_count.store(all.len(), Relaxed);
        if was_given_out {
            // With the list still locked: nobody else counts, and who hears of it finds it there.
            self.0.moment.send_modify(|moment| *moment += 1);
        }
        true
    }

    /// Tells others who hold bytes of the entry, on a thread that may wait for them: the kernel
    /// lets go of a page only when the read that fills it has been answered.
    fn tell_others(&self, id: EntryId) {
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

    /// Lets the entry be fetched again, if it is wrong and that is not going on already.
    fn fetch_again(&self, id: EntryId) -> Result<Option<Ending>, Error> {
        if self.0.wrong_count.load(Relaxed) == 0 {
            return Ok(None);
        }
        let mut all = self.wrong();
        let Some(wrong) = all.get_mut(&id) else {
            return Ok(None);
        };
        match &wrong.state {
            State::Right => return Ok(None),
            State::Telling => return Err(wrong.error()),
            State::Wrong { retry } if *retry > Instant::now() => return Err(wrong.error()),
            // Its task may have panicked; then another one begins.
            State::Fetching(ended) if ended.has_changed().is_ok() || ended.borrow().is_some() => {
                return Ok(Some(ended.clone()));
            }
            State::Fetching(_) | State::Wrong { .. } => {}
        }
        let (tell, ended) = watch::channel(None);
        wrong.state = State::Fetching(ended.clone());
        let (this, range, blamed) = (self.clone(), wrong.range.clone(), wrong.givers.clone());
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

    /// Fetches an entry whole and compares it, until it is right or nobody new gives it.
    async fn compare_again(
        &self,
        id: EntryId,
        range: Range<u64>,
        mut blamed: Vec<Origin>,
    ) -> Result<(), Error> {
        loop {
            let (crc, givers) = self.read_through(&range).await?;
            if crc == self.0.index.get(id).crc32 {
                self.0.blob.set_checked(&range);
                let path = self.path(id);
                log::info!("{path}: right bytes have come, from {}", list(&givers));
                return Ok(());
            }
            self.0.blob.reject(&range, &givers);
            let count = blamed.len();
            for giver in &givers {
                if !blamed.contains(giver) {
                    blamed.push(giver.clone());
                }
            }
            if blamed.len() == count {
                log::debug!("{}: still wrong, from {}", self.path(id), list(&givers));
                return Err(Error::Checksum { range });
            }
            self.blame(id, &range, crc, &givers);
            if let Some(wrong) = self.wrong().get_mut(&id) {
                wrong.givers.clone_from(&blamed);
            }
        }
    }

    async fn read_through(&self, range: &Range<u64>) -> Result<(u32, Vec<Origin>), Error> {
        let (mut crc, mut givers) = (Hasher::new(), Vec::new());
        let mut at = range.start;
        while at < range.end {
            let step = at..range.end.min(at + STEP);
            crc.update(&self.0.blob.read(step.clone(), range.end).await?);
            for giver in self.0.blob.check_origins(&step).err().unwrap_or_default() {
                if !givers.contains(&giver) {
                    givers.push(giver);
                }
            }
            at = step.end;
        }
        Ok((crc.finalize(), givers))
    }

    fn set_state(&self, id: EntryId, state: State) {
        if let Some(wrong) = self.wrong().get_mut(&id) {
            wrong.state = state;
        }
    }

    fn blame(&self, id: EntryId, range: &Range<u64>, crc: u32, givers: &[Origin]) {
        log::warn!(
            "{}: its bytes, {}-{} of the archive, have the CRC-32 {crc:08x} instead of {:08x}; they came from {}",
            self.path(id),
            range.start,
            range.end - 1,
            self.0.index.get(id).crc32,
            list(givers)
        );
    }

    fn path(&self, id: EntryId) -> String {
        String::from_utf8_lossy(self.0.index.path(id)).into_owned()
    }

    fn rounds(&self) -> MutexGuard<'_, Rounds<EntryId>> {
        (self.0.rounds.lock()).unwrap_or_else(PoisonError::into_inner)
    }

    fn wrong(&self) -> MutexGuard<'_, HashMap<EntryId, Wrong>> {
        (self.0.wrong.lock()).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wrong {
    fn error(&self) -> Error {
        let range = self.range.clone();
        Error::Checksum { range }
    }
}

fn list(origins: &[Origin]) -> String {
    let names: Vec<String> = origins.iter().map(Origin::to_string).collect();
    match names.is_empty() {
        true => "nobody who is remembered".into(),
        false => names.join(" and "),
    }
}
