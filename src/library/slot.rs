//! One archive of a library: closed, being opened, open, or not to be opened for a while.
//!
//! All who need it while it is opened wait for the same attempt. No lock is held while anybody waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::archives::OpenRequest;
use super::error::Unopened;
use super::inode::Part;
use super::item::Item;
use super::past::Past;
use super::status::{ArchiveStatus, State, Sums};
use crate::reader::Trace;
use crate::source::{Priority, Urgency};
use crate::volume::Volume;

/// After the first failure, an archive is not tried again for this long. Each further failure doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest time for which an archive is not tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The result of an attempt to open an archive, for all who wait for it.
pub(super) type Opening = Shared<BoxFuture<'static, Outcome>>;

/// An open archive, or why it is not open.
pub(super) type Outcome = Result<Arc<Volume>, Arc<Unopened>>;

/// An archive of a library.
pub(super) struct Slot {
    pub(super) item: Item,
    /// The part of its inode numbers.
    pub(super) part: Part,
    /// The part of the directory that it is in.
    pub(super) directory: Part,
    /// Files of it that programs have open.
    files: AtomicUsize,
    /// The server has another archive under this name now.
    is_stale: AtomicBool,
    /// The cached version turned out to be outdated, so each opening asks the server for the current one.
    asks: bool,
    /// It is not an archive, but a directory of archives.
    is_directory: AtomicBool,
    inner: Mutex<Inner>,
}

struct Inner {
    phase: Phase,
    /// No program has looked into it since it was opened ahead.
    is_ahead: bool,
    /// What it was when it was open last.
    fingerprint: Option<Fingerprint>,
    sums: Sums,
}

enum Phase {
    Closed,
    Opening {
        opening: Opening,
        urgency: Urgency,
        /// The pause after the last failure, if it failed before.
        after: Option<Duration>,
    },
    Open {
        volume: Arc<Volume>,
        used: Instant,
    },
    Failed {
        error: Arc<Unopened>,
        /// For how long after the attempt it is not tried again.
        pause: Duration,
        /// When it may be tried again.
        until: Instant,
    },
}

/// What a program finds that looks into an archive.
pub(super) enum Touched {
    Open(Arc<Volume>),
    Opening {
        opening: Opening,
        /// It has just begun, and the caller must run it.
        is_new: bool,
    },
    Failed(Arc<Unopened>),
}

/// Tells whether an archive that is opened again is the one that it was.
#[derive(PartialEq, Eq)]
struct Fingerprint {
    version: Option<String>,
    index: [u8; 32],
}

impl Fingerprint {
    fn of(volume: &Volume) -> Self {
        let archive = volume.archive();
        let mut hash = Sha256::new();
        hash.update(archive.index().blob_size().to_le_bytes());
        archive.index().store(&mut |bytes| hash.update(bytes));
        Self {
            version: archive.source().version(),
            index: hash.finalize().into(),
        }
    }
}

impl Slot {
    pub(super) fn new(item: Item, part: Part, directory: Part) -> Self {
        Self {
            item,
            part,
            directory,
            files: AtomicUsize::new(0),
            is_stale: AtomicBool::new(false),
            asks: false,
            is_directory: AtomicBool::new(false),
            inner: Mutex::new(Inner {
                phase: Phase::Closed,
                is_ahead: false,
                fingerprint: None,
                sums: Sums::default(),
            }),
        }
    }

    /// The same for one that takes the place of an archive that has changed.
    pub(super) fn asking(mut self) -> Self {
        self.asks = true;
        self
    }

    /// A program uses it. Begins to open it if it is closed. Returns what the program finds, and whether this is a step of a
    /// walk: the archive was closed, or opened ahead.
    pub(super) fn touch(
        &self,
        now: Instant,
        trace: &Trace,
        open: impl FnOnce(OpenRequest) -> BoxFuture<'static, Outcome>,
    ) -> (Touched, bool) {
        let mut inner = self.inner.lock();
        let was_ahead = std::mem::take(&mut inner.is_ahead);
        let touched = match &mut inner.phase {
            Phase::Open { volume, used } => {
                *used = now;
                Touched::Open(volume.clone())
            }
            Phase::Opening {
                opening, urgency, ..
            } => {
                // It may have been begun ahead.
                urgency.raise();
                Touched::Opening {
                    opening: opening.clone(),
                    is_new: false,
                }
            }
            Phase::Failed { error, until, .. } if now < *until => Touched::Failed(error.clone()),
            // Its numbers are those of the entries that it had before.
            Phase::Failed { .. } | Phase::Closed if self.is_stale() => {
                return (Touched::Failed(Arc::new(Unopened::Changed)), false);
            }
            Phase::Failed { .. } | Phase::Closed => {
                let opening = self.begin(&mut inner, Priority::Demand, trace, open);
                let is_new = true;
                return (Touched::Opening { opening, is_new }, true);
            }
        };
        (touched, was_ahead)
    }

    /// Begins to open the archive ahead of a program if it is closed; the caller must run what this returns. An archive
    /// that failed is not tried again, and a stale one is never opened.
    pub(super) fn open_ahead(
        &self,
        trace: &Trace,
        open: impl FnOnce(OpenRequest) -> BoxFuture<'static, Outcome>,
    ) -> Option<Opening> {
        let mut inner = self.inner.lock();
        let is_closed = matches!(inner.phase, Phase::Closed) && !self.is_stale();
        is_closed.then(|| self.begin(&mut inner, Priority::Prefetch, trace, open))
    }

    fn begin(
        &self,
        inner: &mut Inner,
        priority: Priority,
        trace: &Trace,
        open: impl FnOnce(OpenRequest) -> BoxFuture<'static, Outcome>,
    ) -> Opening {
        let after = match &inner.phase {
            Phase::Failed { pause, .. } => Some(*pause),
            _ => None,
        };
        let urgency = Urgency::from(priority);
        let opening = open(OpenRequest {
            urgency: urgency.clone(),
            asks: self.asks || after.is_some(),
            trace: trace.of_archive(self.item.name()),
        });
        let opening = opening.shared();
        inner.is_ahead = priority == Priority::Prefetch;
        inner.sums.opened += 1;
        inner.phase = Phase::Opening {
            opening: opening.clone(),
            urgency,
            after,
        };
        opening
    }

    /// Records that the archive is open. If it differs from what it was at the last opening, marks the slot as stale
    /// and returns [`Unopened::Changed`]. Requests then wait until the caller has called [`set_closed`](Self::set_closed).
    pub(super) fn opened(&self, volume: &Arc<Volume>, now: Instant) -> Result<(), Unopened> {
        // Computed without the lock. Most archives are opened once.
        let was = self.inner.lock().fingerprint.take();
        if let Some(was) = was {
            let is = Fingerprint::of(volume);
            if is != was {
                self.set_stale();
                return Err(Unopened::Changed);
            }
        }
        self.inner.lock().phase = Phase::Open {
            volume: volume.clone(),
            used: now,
        };
        Ok(())
    }

    /// Records that the attempt to open it has ended, and that it is not open.
    pub(super) fn set_closed(&self) {
        self.inner.lock().phase = Phase::Closed;
    }

    /// Records that it could not be opened. Returns for how long it is not tried again.
    pub(super) fn failed(&self, error: &Arc<Unopened>, now: Instant) -> Duration {
        let mut inner = self.inner.lock();
        let last = match &inner.phase {
            Phase::Opening { after, .. } => *after,
            _ => None,
        };
        let pause = last.map_or(FIRST_PAUSE, |pause| (2 * pause).min(LONGEST_PAUSE));
        inner.phase = Phase::Failed {
            error: error.clone(),
            pause,
            until: now + pause,
        };
        pause
    }

    /// Closes it if nobody has used it since `before`, and nobody uses it now. Files that are open are no
    /// hindrance: the next read opens it again. Adds what it did to `past`. Returns whether it is closed.
    pub(super) fn close_unused(&self, before: Instant, past: &Past) -> bool {
        let volume = {
            let inner = self.inner.lock();
            match &inner.phase {
                Phase::Open { volume, used } => {
                    // New uses begin under the lock, so this number does not grow.
                    if *used > before || Arc::strong_count(volume) > 1 {
                        return false;
                    }
                    // The reader knows which open files may have got wrong bytes. Once closed, it would give them
                    // the right ones, as if nothing had happened.
                    if self.files.load(Relaxed) > 0 && volume.archive().moment() > 0 {
                        return false;
                    }
                    volume.clone()
                }
                Phase::Opening { .. } => return false,
                Phase::Closed | Phase::Failed { .. } => return true,
            }
        };
        // Computed without the lock, and kept before it is closed: who opens it again compares with it.
        let fingerprint = Fingerprint::of(&volume);
        let mut past = past.lock();
        let mut inner = self.inner.lock();
        match &inner.phase {
            // Unless somebody has used it meanwhile. One of these is `volume`.
            Phase::Open { volume, used } if *used <= before && Arc::strong_count(volume) <= 2 => {}
            Phase::Open { .. } | Phase::Opening { .. } => return false,
            Phase::Closed | Phase::Failed { .. } => return true,
        }
        inner.fingerprint = Some(fingerprint);
        inner.phase = Phase::Closed;
        let status = volume.archive().status();
        inner.sums.add(&status);
        past.add(&volume, &status);
        drop((inner, past));
        volume.close();
        true
    }

    /// Closes it, and fails all reads that wait.
    pub(super) fn close(&self) {
        // Without the lock: the decoder is closed, too.
        if let Some(volume) = self.volume() {
            volume.close();
        }
    }

    /// When it was used last, if it is open.
    pub(super) fn used(&self) -> Option<Instant> {
        match &self.inner.lock().phase {
            Phase::Open { used, .. } => Some(*used),
            _ => None,
        }
    }

    /// Whether what is there now is another archive than before.
    pub(super) fn is_stale(&self) -> bool {
        self.is_stale.load(Relaxed)
    }

    /// Records that the archive has changed on its server. Returns whether that was not known.
    pub(super) fn set_stale(&self) -> bool {
        !self.is_stale.swap(true, Relaxed)
    }

    pub(super) fn is_directory(&self) -> bool {
        self.is_directory.load(Relaxed)
    }

    pub(super) fn set_directory(&self, is_directory: bool) {
        self.is_directory.store(is_directory, Relaxed);
    }

    pub(super) fn file_opened(&self) {
        self.files.fetch_add(1, Relaxed);
    }

    /// A program has closed a file of it. Returns whether others are open.
    pub(super) fn file_closed(&self) -> bool {
        self.files.fetch_sub(1, Relaxed) > 1
    }

    /// Whether files of it are open, or something is read.
    pub(super) fn is_in_use(&self) -> bool {
        self.files.load(Relaxed) > 0
            || match &self.inner.lock().phase {
                Phase::Open { volume, .. } => Arc::strong_count(volume) > 1,
                Phase::Opening { .. } => true,
                Phase::Closed | Phase::Failed { .. } => false,
            }
    }

    /// What can be told of it without opening it.
    pub(super) fn status(&self) -> ArchiveStatus {
        let inner = self.inner.lock();
        let mut sums = inner.sums.clone();
        let (state, error, open) = match &inner.phase {
            Phase::Closed => (State::Closed, None, None),
            Phase::Opening { .. } => (State::Opening, None, None),
            Phase::Open { volume, .. } => (State::Open, None, Some(volume.clone())),
            Phase::Failed { error, .. } => (State::Failed, Some(error.to_string()), None),
        };
        drop(inner);
        if let Some(volume) = &open {
            sums.add(&volume.archive().status());
        }
        ArchiveStatus {
            name: self.item.name().to_owned(),
            source: self.item.location().shown().1,
            state,
            error,
            entries: open.map(|volume| volume.archive().index().len() as u64),
            files_open: self.files.load(Relaxed) as u64,
            sums,
        }
    }

    /// The archive, if it is open. Does not count as use.
    pub(super) fn volume(&self) -> Option<Arc<Volume>> {
        match &self.inner.lock().phase {
            Phase::Open { volume, .. } => Some(volume.clone()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::Location;

    #[test]
    fn an_archive_that_has_changed_is_not_opened_under_its_old_numbers() {
        let item = Item::new("a", Location::Url("http://h/a".to_owned())).expect("a name");
        let slot = Slot::new(item, Part::of("a", "http://h/a", 0), Part::ROOT);
        slot.set_stale();
        let trace = Trace::default();
        let not_opened = |_: OpenRequest| -> BoxFuture<'static, Outcome> {
            unreachable!("it must not be opened")
        };
        let (touched, is_step) = slot.touch(Instant::now(), &trace, not_opened);
        let is_changed = matches!(&touched, Touched::Failed(error) if **error == Unopened::Changed);
        assert!(is_changed && !is_step);
        assert!(slot.open_ahead(&trace, not_opened).is_none());
    }
}
