//! The memory bound of a reader, or of several readers that share it.
//!
//! One list has the blocks that were read last, whichever reader read them. Memory for read-ahead and connections are
//! divided among the readers that read ahead now. If a read waits for memory, its reader takes some from the readers
//! that were used longest ago.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::Mutex;

use super::block::Block;
use super::pool::{BLOCK, Pool};
use super::recent::Recent;

/// One block in this many is for bytes that were read. The kernel has a copy of them, and a stream must not wait for
/// memory that holds what it has read already.
const READ_SHARE: usize = 8;

/// The least memory, in bytes: with less, a single large read could not be held.
pub(super) const LEAST: u64 = 16 << 20;

/// A reader counts as reading ahead if something has happened to it within this time, in milliseconds.
const ACTIVE_WITHIN: u64 = 1000;

/// The readers that read ahead are counted at most this often, in milliseconds.
const COUNT_INTERVAL: u64 = 50;

/// Memory for the content of several archives.
#[derive(Debug, Clone)]
pub struct SharedMemory(pub(super) Arc<Bound>);

impl SharedMemory {
    /// A bound of this many bytes, or of [`ReaderOptions::MIN_MEMORY`](super::ReaderOptions::MIN_MEMORY) if that
    /// is more. `read_ahead`: the most bytes that are fetched ahead of all readers together.
    pub fn new(memory: u64, read_ahead: u64) -> Self {
        let buffers = memory.max(LEAST) / BLOCK;
        Self(Arc::new(Bound::new(Pool::new(
            buffers as usize,
            read_ahead,
        ))))
    }
}

/// A reader, and the number of a block.
type Key = (u64, u64);

/// The readers that share a bound.
type Members = Vec<(Weak<Share>, Weak<dyn Member>)>;

/// A memory bound.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(super) pool: Pool,
    /// The blocks that were read last.
    recent: Mutex<Recent<Key, Arc<Block>>>,
    members: Mutex<Members>,
    /// Times in this file are milliseconds since then.
    started: Instant,
    next_share: AtomicU64,
    /// How many readers read ahead.
    active: AtomicUsize,
    /// When they were counted.
    counted_at: AtomicU64,
}

/// A reader that shares a bound.
pub(crate) trait Member: Send + Sync + std::fmt::Debug {
    /// Gives up memory until this many buffers are free, or until nothing is left to give up.
    fn give_up(self: Arc<Self>, buffers: usize);
}

/// The part of a bound that one reader has.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) bound: Arc<Bound>,
    id: u64,
    /// When the reader was used last.
    used: AtomicU64,
    /// Whether it holds bytes that were fetched ahead.
    holds: AtomicBool,
}

impl Bound {
    pub(crate) fn new(pool: Pool) -> Self {
        Self {
            recent: Mutex::default(),
            pool,
            members: Mutex::default(),
            started: Instant::now(),
            next_share: AtomicU64::new(0),
            active: AtomicUsize::new(1),
            counted_at: AtomicU64::new(0),
        }
    }

    /// Adds a reader.
    pub(crate) fn join(self: &Arc<Self>) -> Arc<Share> {
        Arc::new(Share {
            bound: self.clone(),
            id: self.next_share.fetch_add(1, Relaxed),
            used: AtomicU64::new(0),
            holds: AtomicBool::new(false),
        })
    }

    /// Sets the member that gives up memory of `share` when other readers need it.
    pub(super) fn add(&self, share: &Arc<Share>, member: Weak<dyn Member>) {
        let mut members = self.members.lock();
        members.retain(|(share, _)| share.strong_count() > 0);
        members.push((Arc::downgrade(share), member));
    }

    fn now(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

impl Share {
    /// Records that this reader is used now. `holds`: it has bytes that were fetched ahead.
    pub(crate) fn touch(&self, holds: bool) {
        self.used.store(self.bound.now(), Relaxed);
        self.holds.store(holds, Relaxed);
    }

    /// Does something that does not count as a use of this reader.
    pub(super) fn uncounted<T>(&self, act: impl FnOnce() -> T) -> T {
        let used = self.used.load(Relaxed);
        let done = act();
        self.used.store(used, Relaxed);
        done
    }

    /// How many readers read ahead now, this one included.
    pub(crate) fn readers(&self) -> usize {
        let bound = &self.bound;
        let now = bound.now();
        if now.saturating_sub(bound.counted_at.load(Relaxed)) >= COUNT_INTERVAL {
            bound.counted_at.store(now, Relaxed);
            let members = bound.members.lock();
            let shares = members.iter().filter_map(|(share, _)| share.upgrade());
            let is_active = |share: &Arc<Share>| {
                let since = now.saturating_sub(share.used.load(Relaxed));
                share.holds.load(Relaxed) && since < ACTIVE_WITHIN
            };
            bound
                .active
                .store(shares.filter(is_active).count(), Relaxed);
        }
        bound.active.load(Relaxed).max(1)
    }

    /// Asks other readers for memory until this many buffers are free, beginning with the reader that was used longest
    /// ago. `only_idle`: asks only readers that are not active. Must be called without a lock.
    pub(super) fn take_from_others(&self, buffers: usize, only_idle: bool) {
        let now = self.bound.now();
        let mut others: Vec<_> = {
            let members = self.bound.members.lock();
            let known = members.iter().filter_map(|(share, member)| {
                let (share, member) = (share.upgrade()?, member.upgrade()?);
                Some((share.used.load(Relaxed), share.id, member))
            });
            known.filter(|(_, id, _)| *id != self.id).collect()
        };
        others.sort_by_key(|(used, id, _)| (*used, *id));
        for (used, _, member) in others {
            let is_idle = now.saturating_sub(used) >= ACTIVE_WITHIN;
            if self.bound.pool.available() >= buffers || only_idle && !is_idle {
                return;
            }
            member.give_up(buffers);
        }
    }

    /// Keeps a block that was read. If there are too many, drops the block that was read longest ago.
    pub(crate) fn keep_read(&self, block: &Arc<Block>) {
        let most = self.bound.pool.total() / READ_SHARE;
        let mut recent = self.bound.recent.lock();
        recent.insert((self.id, block.number()), block.clone());
        while recent.len() > most {
            recent.remove_oldest();
        }
    }

    /// Lets go of a block that was read.
    pub(crate) fn drop_read(&self, number: u64) {
        self.bound.recent.lock().remove((self.id, number));
    }

    /// Lets go of all that this reader has read.
    pub(crate) fn drop_all_read(&self) {
        let is_own = |(reader, _): &Key| *reader == self.id;
        self.bound.recent.lock().remove_all(is_own);
    }

    /// The bytes that read-ahead of this reader may use, if `reserve` buffers stay free.
    pub(crate) fn for_read_ahead(&self, reserve: usize) -> u64 {
        let pool = &self.bound.pool;
        let free = (pool.total() - pool.total() / READ_SHARE - reserve) as u64 * BLOCK;
        free.min(pool.read_ahead()) / self.readers() as u64
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.drop_all_read();
    }
}
