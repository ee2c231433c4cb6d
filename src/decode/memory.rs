//! The memory of codecs of all archives, within one bound.
//!
//! A codec counts its memory before it takes it: most of it is the window or dictionary that a header asks for. If the
//! bound has no room, walks that rest are dropped, those that have rested longest first. If that does not suffice, the
//! codec waits until others end or rest. A codec holds nothing while it waits, so that two never wait for each other.
//!
//! The bytes of small entries that are being decoded have a bound of their own. Their codecs wait for memory while they
//! hold these bytes; a codec never waits for these bytes while it holds memory.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::workers::Turn;

/// Memory is counted in units of this many bytes.
const UNIT: u64 = 1024;

/// The most room that a small entry needs while it is decoded, for its stored and its plain bytes together.
pub(super) const LARGEST_ROOM: u64 = 2 << 20;

/// The most walks that rest, over all entries of all archives.
const RESTING: usize = 8;

/// The memory that codecs may take together.
pub struct Memory {
    codecs: Part,
    small: Part,
    /// How many codecs wait.
    waiting: AtomicUsize,
    /// Walks that rest, those that have rested longest first.
    resting: Mutex<VecDeque<Resting>>,
    on_change: Box<dyn Fn(&Memory) + Send + Sync>,
}

/// A part of the memory.
struct Part {
    units: Arc<Semaphore>,
    bound: u64,
}

/// Room for the bytes of a small entry.
pub(super) struct Room {
    memory: Arc<Memory>,
    held: Option<OwnedSemaphorePermit>,
}

/// An entry whose walks may rest.
pub(super) trait Rests: Send + Sync {
    /// Drops a walk if it rests.
    fn drop_walk(&self, number: u64);
}

/// A walk that rests.
pub(super) struct Resting {
    pub(super) number: u64,
    pub(super) entry: Weak<dyn Rests>,
}

/// What one codec holds of the [`Memory`].
pub struct Share {
    memory: Arc<Memory>,
    waits: Waits,
    /// What is counted besides what the codec takes, in bytes.
    besides: u64,
    held: Option<OwnedSemaphorePermit>,
}

/// How a codec waits for memory.
enum Waits {
    /// It fails instead.
    Not,
    /// On a thread that may block, as long as this is set. Then it fails instead.
    OnThread(Arc<AtomicBool>),
    /// While another codec has the core, until the archive is closed. Then it fails.
    Giving(Turn, CancellationToken),
}

impl Part {
    fn of(bound: u64) -> Self {
        let units = usize::try_from(bound / UNIT).unwrap_or(usize::MAX);
        Self {
            units: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))),
            bound,
        }
    }

    fn held(&self) -> u64 {
        let free = self.units.available_permits() as u64 * UNIT;
        self.bound.saturating_sub(free)
    }
}

impl Memory {
    /// Memory of at most `bound` bytes.
    pub fn new(bound: u64) -> Arc<Self> {
        Self::with(bound, 0, |_| ())
    }

    /// Memory of at most `codecs` bytes, and `small` bytes for small entries. `on_change` is called when some was taken or
    /// given back.
    pub(super) fn with(
        codecs: u64,
        small: u64,
        on_change: impl Fn(&Memory) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            codecs: Part::of(codecs),
            small: Part::of(small),
            waiting: AtomicUsize::new(0),
            resting: Mutex::default(),
            on_change: Box::new(on_change),
        })
    }

    /// A share, which is empty yet. While `may_wait` is set, its codec waits on its thread, which must be one of a tokio
    /// runtime. Otherwise it fails if it would have to wait.
    pub fn share_while(self: &Arc<Self>, may_wait: Arc<AtomicBool>) -> Share {
        self.share_with(Waits::OnThread(may_wait))
    }

    /// A share, which is empty yet. Its codec fails if it would have to wait.
    pub fn share_at_once(self: &Arc<Self>) -> Share {
        self.share_with(Waits::Not)
    }

    /// A share, which is empty yet. Its codec gives its core away while it waits, and fails once `closed` is cancelled.
    /// `besides`: what the codec's caller holds as long as the codec has memory, in bytes.
    pub(super) fn share_of(
        self: &Arc<Self>,
        turn: Turn,
        closed: CancellationToken,
        besides: u64,
    ) -> Share {
        let mut share = self.share_with(Waits::Giving(turn, closed));
        share.besides = besides;
        share
    }

    fn share_with(self: &Arc<Self>, waits: Waits) -> Share {
        Share {
            memory: self.clone(),
            waits,
            besides: 0,
            held: None,
        }
    }

    /// Waits for room for the bytes of a small entry, at most [`LARGEST_ROOM`].
    pub(super) async fn room(self: &Arc<Self>, bytes: u64) -> Room {
        let units = self.small.units.clone();
        let held = units.acquire_many_owned(units_of(bytes)).await.ok();
        self.room_of(held)
    }

    /// Room for the bytes of a small entry, if it is free.
    pub(super) fn try_room(self: &Arc<Self>, bytes: u64) -> Option<Room> {
        let units = self.small.units.clone();
        let held = units.try_acquire_many_owned(units_of(bytes)).ok()?;
        Some(self.room_of(Some(held)))
    }

    fn room_of(self: &Arc<Self>, held: Option<OwnedSemaphorePermit>) -> Room {
        (self.on_change)(self);
        Room {
            memory: self.clone(),
            held,
        }
    }

    /// The most that one codec may take, in bytes.
    pub fn most(&self) -> u64 {
        self.codecs.bound / UNIT * UNIT
    }

    /// What codecs and small entries hold, in bytes.
    pub(super) fn held(&self) -> u64 {
        self.codecs.held() + self.small.held()
    }

    /// A walk rests: its codec may be dropped when others need its memory.
    pub(super) fn rests(&self, walk: Resting) {
        let mut resting = self.resting.lock();
        // It has rested before, and went on since.
        resting.retain(|other| {
            other.number != walk.number || !Weak::ptr_eq(&other.entry, &walk.entry)
        });
        resting.push_back(walk);
        let excess = resting.len() > RESTING;
        drop(resting);
        if excess || self.waiting.load(SeqCst) > 0 {
            self.drop_longest_resting();
        }
    }

    fn drop_longest_resting(&self) -> bool {
        let longest = self.resting.lock().pop_front();
        let Some(Resting { number, entry, .. }) = longest else {
            return false;
        };
        if let Some(entry) = entry.upgrade() {
            entry.drop_walk(number);
        }
        true
    }

    fn take(&self, bytes: u64, waits: &Waits) -> Result<OwnedSemaphorePermit, Error> {
        let too_much = |allowed| Error::TooMuchMemory {
            needs: bytes,
            allowed,
        };
        if bytes > self.most() {
            return Err(too_much(self.codecs.bound));
        }
        let units = || self.codecs.units.clone();
        let at_once = || units().try_acquire_many_owned(units_of(bytes)).ok();
        if let Some(held) = at_once() {
            return Ok(held);
        }
        let may_wait = match waits {
            Waits::Not => false,
            // Looked at only now: if another codec has the memory, it was cleared before that codec took it.
            Waits::OnThread(may_wait) => may_wait.load(SeqCst),
            Waits::Giving(..) => true,
        };
        if !may_wait {
            return Err(too_much(self.codecs.bound - self.codecs.held()));
        }
        self.waiting.fetch_add(1, SeqCst);
        let mut held = None;
        while held.is_none() && self.drop_longest_resting() {
            held = at_once();
        }
        let held = held.or_else(|| {
            let later = units().acquire_many_owned(units_of(bytes));
            match waits {
                Waits::Giving(turn, closed) => {
                    let later = closed.run_until_cancelled(later);
                    turn.wait_for(later)?.ok()
                }
                // The semaphore is never closed.
                Waits::OnThread(_) | Waits::Not => Handle::current().block_on(later).ok(),
            }
        });
        self.waiting.fetch_sub(1, SeqCst);
        held.ok_or(Error::Cancelled)
    }
}

fn units_of(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

impl Share {
    /// The most that its codec may take, in bytes.
    pub(super) fn most(&self) -> u64 {
        self.memory.most().saturating_sub(self.besides)
    }

    /// Gives back what the codec held, and takes this many bytes. Must be called before the codec takes the memory,
    /// and after it has dropped what it had.
    ///
    /// # Errors
    /// [`Error::TooMuchMemory`] if that is more than all codecs may take together.
    pub fn take(&mut self, bytes: u64) -> Result<(), Error> {
        self.held = None;
        let all = bytes.saturating_add(self.besides);
        self.held = Some(self.memory.take(all, &self.waits)?);
        (self.memory.on_change)(&self.memory);
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.held = None;
        (self.memory.on_change)(&self.memory);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.held = None;
        (self.memory.on_change)(&self.memory);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    struct Entry(Mutex<Vec<Share>>);

    impl Rests for Entry {
        fn drop_walk(&self, number: u64) {
            let place = number as usize;
            drop(self.0.lock().remove(place));
        }
    }

    fn waiting_share(memory: &Arc<Memory>) -> Share {
        memory.share_while(Arc::new(AtomicBool::new(true)))
    }

    #[test]
    fn a_share_beyond_the_bound_is_refused() {
        let memory = Memory::new(1 << 20);
        let mut share = waiting_share(&memory);
        share.take(1 << 20).unwrap();
        assert_eq!(memory.held(), 1 << 20);
        let (needs, allowed) = ((1 << 20) + 1, 1 << 20);
        let refused = Err(Error::TooMuchMemory { needs, allowed });
        assert_eq!(share.take(needs), refused);
        assert_eq!(memory.held(), 0, "the share was given back");
        share.take(1 << 20).unwrap();
        let refused = Error::TooMuchMemory {
            needs: 5,
            allowed: 0,
        };
        assert_eq!(memory.share_at_once().take(5), Err(refused));
    }

    /// `verify` feeds entries that share their bytes in turn. One of them waited for the memory of another, which got no
    /// bytes meanwhile.
    #[test]
    fn a_codec_that_may_no_longer_wait_fails_instead() {
        let memory = Memory::new(1 << 20);
        let may_wait = Arc::new(AtomicBool::new(true));
        let mut first = memory.share_while(may_wait.clone());
        first.take(300_000).unwrap();
        may_wait.store(false, SeqCst);
        let mut second = memory.share_at_once();
        second.take(900_000).expect_err("the first holds some");
        second.take(700_000).unwrap();
        let refused = first.take(500_000);
        assert!(
            matches!(refused, Err(Error::TooMuchMemory { .. })),
            "{refused:?}"
        );
    }

    #[test]
    fn a_walk_that_rests_makes_room() {
        let memory = Memory::new(1 << 20);
        let mut share = waiting_share(&memory);
        share.take(900_000).expect("there is room");
        let entry: Arc<Entry> = Arc::new(Entry(Mutex::new(vec![share])));
        let weak: Weak<Entry> = Arc::downgrade(&entry);
        memory.rests(Resting {
            number: 0,
            entry: weak,
        });
        waiting_share(&memory).take(900_000).expect("there is room");
        assert!(entry.0.lock().is_empty());
    }

    #[test]
    fn a_codec_waits_until_another_ends() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let memory = Memory::new(1 << 20);
        let mut first = waiting_share(&memory);
        first.take(900_000).expect("there is room");
        let waits = runtime.spawn_blocking({
            let memory = memory.clone();
            move || waiting_share(&memory).take(900_000)
        });
        while memory.waiting.load(SeqCst) == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        drop(first);
        assert_eq!(runtime.block_on(waits).unwrap(), Ok(()));
        assert_eq!(memory.held(), 0);
    }
}
