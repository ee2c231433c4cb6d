//! The line, readable: any range of a blob, fetched once, held within a bound.
//!
//! A read of bytes that are there is a copy. A read of others asks for what is neither there nor
//! on its way, and is answered as soon as its own bytes have come, in the middle of a block and of
//! a request. What a reader will want next is fetched ahead (`ahead.rs`), as much of it as the link
//! can use (`pace.rs`) and memory allows (`pool.rs`).

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ahead::WalkId;
use super::ask::ahead_connections;
use super::block::{BLOCK, Block, blocks_of};
use super::counters::{Counters, Status};
use super::error::Error;
use super::ledger::{Blocks, Ledger, Wake};
use super::pool::{Grant, Pool};
use crate::source::{self, Opened, Source};

/// How to read a line.
#[derive(Debug, Clone)]
pub struct LineOptions {
    /// The most memory that blocks may take, in bytes.
    pub memory: u64,
    /// A read that has not got its bytes by then fails.
    pub timeout: Duration,
    /// How many ranges may come at once, as many as there are connections.
    pub connections: usize,
}

impl LineOptions {
    /// Below this much memory, in bytes, a single large read could not be held.
    pub const MIN_MEMORY: u64 = 16 << 20;
}

impl Default for LineOptions {
    fn default() -> Self {
        Self {
            memory: 128 << 20,
            timeout: Duration::from_secs(60),
            connections: 16,
        }
    }
}

/// What share of the memory is for what was read: one in so many. The kernel keeps a copy of that
/// anyway; and a walk must not wait for memory that only holds its own past.
const KEPT: u64 = 8;

/// How many windows ahead a reader's way is planned.
const HORIZON: u64 = 4;

/// What share of the memory read-ahead leaves free for demand.
const RESERVED: u64 = 8;

/// A blob that can be read at any place. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Line(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) source: Arc<dyn Source>,
    size: u64,
    pub(super) options: LineOptions,
    pub(super) runtime: Handle,
    pool: Pool,
    /// Buffers that read-ahead leaves free for demand.
    reserve: usize,
    /// What was read, least recently used first out. Holding a block here keeps it alive; finding
    /// it goes through the ledger, where those on their way are as well.
    kept: Cache<u64, Arc<Block>>,
    ledger: Mutex<Ledger>,
    pub(super) counters: Counters,
    closed: CancellationToken,
}

impl Line {
    /// Opens the source, and keeps the `tail` last bytes if they came along. Must be called within
    /// a tokio runtime, which then runs all fetching.
    pub async fn open(
        source: Arc<dyn Source>,
        tail: u64,
        options: LineOptions,
    ) -> Result<Self, source::Error> {
        let opened = source.open(tail).await?;
        let memory = options.memory.max(LineOptions::MIN_MEMORY);
        let buffers = (memory / BLOCK) as usize;
        let kept = Cache::builder()
            // By recency alone: the default policy would turn away blocks that are new, and those
            // are what is read next.
            .max_capacity(buffers as u64 / KEPT)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        let line = Self(Arc::new(Inner {
            source,
            size: opened.size,
            runtime: Handle::current(),
            pool: Pool::new(buffers),
            reserve: buffers / RESERVED as usize,
            kept,
            ledger: Mutex::new(Ledger::new(
                ahead_connections(options.connections),
                memory - memory / KEPT - memory / RESERVED,
            )),
            counters: Counters::default(),
            closed: CancellationToken::new(),
            options,
        }));
        line.keep_tail(opened).await;
        Ok(line)
    }

    /// Length of the blob in bytes.
    pub fn size(&self) -> u64 {
        self.0.size
    }

    /// Reads `range` into `out` if all of it is in memory; else leaves `out` alone and returns
    /// false. Never waits. `limit`: where on the line the file being read ends; read-ahead goes no
    /// further, but to what was said by [`expect_next`](Self::expect_next).
    pub fn try_read(&self, range: &Range<u64>, limit: u64, out: &mut Vec<u8>) -> bool {
        let Ok(blocks) = self.ledger().find(range) else {
            return false;
        };
        let before = out.len();
        if !blocks.iter().all(|block| block.copy_to(range, out)) {
            out.truncate(before);
            return false;
        }
        self.look_ahead(range, limit);
        self.keep(blocks);
        true
    }

    /// Reads `range`, which may be at most an eighth of the memory bound. `limit` as in
    /// [`try_read`](Self::try_read).
    pub async fn read(&self, range: Range<u64>, limit: u64) -> Result<Vec<u8>, Error> {
        let mut out = Vec::with_capacity((range.end - range.start) as usize);
        if self.try_read(&range, limit, &mut out) {
            return Ok(out);
        }
        if range.start > range.end || range.end > self.0.size {
            let size = self.0.size;
            return Err(source::Error::OutOfBlob { range, size }.into());
        }
        let after = self.0.options.timeout;
        let waiting = tokio::time::timeout(after, self.fetch_into(&range, limit, &mut out));
        let result = tokio::select! {
            () = self.0.closed.cancelled() => Err(Error::Closed),
            result = waiting => result.unwrap_or_else(|_| {
                let error = self.missed(range.clone());
                self.ledger().remember_failure(range.clone(), error.clone());
                Err(error)
            }),
        };
        let blocks = result.inspect_err(|_| self.0.counters.error())?;
        self.keep(blocks);
        Ok(out)
    }

    /// The error of a read whose deadline has passed.
    pub(super) fn missed(&self, range: Range<u64>) -> Error {
        let after = self.0.options.timeout;
        Error::Deadline {
            range,
            after,
            trouble: self.0.source.trouble(after),
        }
    }

    /// Ends all fetching; reads that wait fail with [`Error::Closed`], and so do later ones.
    pub fn close(&self) {
        self.0.closed.cancel();
        self.ledger().close();
    }

    /// Drops what is held of `range`, and gives its memory back to the system.
    pub(super) fn let_go(&self, range: &Range<u64>) {
        for number in blocks_of(range) {
            self.0.kept.invalidate(&number);
        }
        self.0.kept.run_pending_tasks();
        self.0.pool.trim();
    }

    /// Counts bytes that a reader got; `from_memory`: at once.
    pub(super) fn count_read(&self, bytes: usize, from_memory: bool) {
        self.0.counters.read(bytes as u64, from_memory);
    }

    /// What has been done so far.
    pub fn status(&self) -> Status {
        let (streams, in_flight) = {
            let ledger = self.ledger();
            (ledger.walks.streams(), ledger.in_flight())
        };
        let memory = (self.0.pool.used(), self.0.pool.limit());
        self.0.counters.status(memory, streams, in_flight)
    }

    /// Says that whoever reads within `here` of the line will go on with these ranges, in this
    /// order; they are fetched ahead as its walk comes near. `is_new`: forget what was said before.
    /// False if nobody is known to read there.
    pub(super) fn expect_next(
        &self,
        here: &Range<u64>,
        is_new: bool,
        ranges: &[Range<u64>],
    ) -> bool {
        let mut ledger = self.ledger();
        let max_window = ledger.window(Instant::now());
        let walk = ledger.walks.extend(here, is_new, ranges, max_window);
        if let Some(walk) = walk {
            self.fill_window(&mut ledger, walk);
        }
        walk.is_some()
    }

    /// How far ahead of a reader its way should be known, in bytes: further than it is worth looking
    /// now, since that may become more before the reader has told where it is again.
    pub(super) fn horizon(&self) -> u64 {
        HORIZON * self.ledger().pace.window()
    }

    /// Waits for `range` and copies it. Bytes that have come stay while their block is held, unless
    /// they are forgotten (`recall.rs`); then they are waited for again.
    async fn fetch_into(
        &self,
        range: &Range<u64>,
        limit: u64,
        out: &mut Vec<u8>,
    ) -> Result<Blocks, Error> {
        loop {
            let blocks = self.fetch(range, limit).await?;
            out.clear();
            if blocks.iter().all(|block| block.copy_to(range, out)) {
                return Ok(blocks);
            }
        }
    }

    /// Waits until all of `range` is in memory, asking for what nobody has asked for yet.
    async fn fetch(&self, range: &Range<u64>, limit: u64) -> Result<Blocks, Error> {
        let granule = self.0.source.verification_unit(range.clone());
        let mut walk = None;
        loop {
            let blocks = self.blocks_for(&granule).await;
            let (woken, read) = {
                let mut ledger = self.ledger();
                if let Some(error) = ledger.recent_failure(range) {
                    return Err(error);
                }
                // One read is one step of its walk, however often it looks again.
                let id = *walk.get_or_insert_with(|| self.note(&mut ledger, range, limit, true));
                self.ask(&mut ledger, id, range, &granule, &blocks);
                self.fill_window(&mut ledger, id);
                if blocks.iter().all(|block| block.has(range)) {
                    return Ok(blocks);
                }
                let woken = ledger.wait(range.clone(), blocks.clone());
                (woken, ledger.unpin_read(id))
            };
            self.keep(read);
            match woken.await {
                Ok(Wake::Ready) => return Ok(blocks),
                Ok(Wake::Again) => {}
                Ok(Wake::Failed(error)) => return Err(error),
                // The ledger drops a waiter only with the line itself.
                Err(_) => return Err(Error::Closed),
            }
        }
    }

    /// Takes note of a read as a step of a walk.
    fn note(&self, ledger: &mut Ledger, range: &Range<u64>, limit: u64, waits: bool) -> WalkId {
        let now = Instant::now();
        let max_window = ledger.window(now);
        let step = ledger.walks.note(range, limit, waits, max_window, now);
        self.forget(ledger, step.forgotten);
        if step.is_new && waits {
            ledger.give_up_for(step.walk);
        }
        step.walk
    }

    /// Notes a read that was answered from memory, and fetches ahead of it.
    fn look_ahead(&self, range: &Range<u64>, limit: u64) {
        let read = {
            let mut ledger = self.ledger();
            let id = self.note(&mut ledger, range, limit, false);
            self.fill_window(&mut ledger, id);
            ledger.unpin_read(id)
        };
        self.keep(read);
    }

    /// The blocks of `range` if memory can be spared for them without touching the reserve.
    pub(super) fn spare_blocks(&self, ledger: &mut Ledger, range: &Range<u64>) -> Option<Blocks> {
        let lacking = match ledger.find(range) {
            Ok(blocks) => return Some(blocks),
            Err(lacking) => lacking,
        };
        let grant = self.0.pool.try_grant(lacking, self.0.reserve).or_else(|| {
            drop(ledger.let_go_of_left());
            self.0.pool.try_grant(lacking, self.0.reserve)
        });
        let mut grant = grant?;
        ledger.find_or_make(range, |number| Some(Block::new(number, grant.take()?)))
    }

    /// The blocks of `range`, waiting for memory if need be.
    async fn blocks_for(&self, range: &Range<u64>) -> Blocks {
        let mut grant: Option<Grant> = None;
        loop {
            let lacking = {
                let mut ledger = self.ledger();
                let made = ledger.find_or_make(range, |number| {
                    Some(Block::new(number, grant.as_mut()?.take()?))
                });
                if let Some(blocks) = made {
                    return blocks;
                }
                // Nothing is held while waiting for memory: two reads that each hold half of what
                // both need would wait for each other.
                drop(grant.take());
                ledger.find(range).err().unwrap_or(1)
            };
            grant = Some(match self.0.pool.try_grant(lacking, 0) {
                Some(grant) => grant,
                None => {
                    self.make_room(lacking);
                    self.0.pool.grant(lacking).await
                }
            });
        }
    }

    /// Makes room for so many blocks: walks give up what they fetched ahead, those that nobody has
    /// heard of for longest first, and if that is not enough, what was read is let go. What then
    /// still lacks is held by parts being cancelled and by reads that will end.
    fn make_room(&self, blocks: usize) {
        while self.0.pool.available() < blocks {
            let mut ledger = self.ledger();
            match ledger.walks.forget_oldest() {
                Some(walk) => drop(ledger.end_walk(walk)),
                None => {
                    drop(ledger);
                    self.0.kept.invalidate_all();
                    self.0.kept.run_pending_tasks();
                    return;
                }
            }
        }
    }

    fn forget(&self, ledger: &mut Ledger, walk: Option<WalkId>) {
        if let Some(walk) = walk {
            drop(ledger.end_walk(walk));
        }
    }

    /// Keeps blocks that were read, instead of those read longest ago.
    fn keep(&self, blocks: Blocks) {
        let mut is_new = false;
        for block in blocks {
            let kept = self.0.kept.get(&block.number());
            if !kept.is_some_and(|kept| Arc::ptr_eq(&kept, &block)) {
                self.0.kept.insert(block.number(), block);
                is_new = true;
            }
        }
        if is_new {
            // The cache evicts when it finds the time; the bound on memory wants it now.
            self.0.kept.run_pending_tasks();
        }
    }

    async fn keep_tail(&self, opened: Opened) {
        let Some(tail) = opened.tail else { return };
        let blocks = self.blocks_for(&tail.range()).await;
        for block in &blocks {
            block.fill(tail.offset, &tail.bytes, &tail.origin);
        }
        self.0.counters.asked();
        self.0.counters.came(tail.bytes.len() as u64, &tail.origin);
        self.keep(blocks);
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Poisoned means that a panic broke off a change of the books. It is one request's error
        // (mount catches it); every entry in the ledger is made whole before the next begins.
        (self.0.ledger.lock()).unwrap_or_else(PoisonError::into_inner)
    }
}
