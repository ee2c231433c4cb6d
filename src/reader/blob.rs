//! A blob, readable: any range of it, each byte fetched once, within a bound on memory.
//!
//! A read of bytes in memory is a copy. Any other read is answered as soon as its own bytes have
//! come, in the middle of a request if need be. The scheduler (`schedule/`) decides what to request
//! for it and ahead of it.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::block::{Blocks, blocks_of};
use super::bound::{LEAST, SharedMemory};
use super::counters::{Outcome, Status};
use super::error::Error;
use super::executor::{Attempt, Executor};
use super::pool::BLOCK;
use super::schedule::{Read, Wake};
use super::trace::Trace;
use super::watch::Watch;
use crate::archive::Index;
use crate::source::{self, Opened, Origin, Priority, Source};

/// How to read a blob.
#[derive(Debug, Clone)]
pub struct ReaderOptions {
    /// Bound of the memory for content, in bytes.
    pub memory: u64,
    /// A read that has not got its bytes within this time fails.
    pub timeout: Duration,
    /// How many requests may be in flight: the number of connections.
    pub connections: usize,
    /// Memory that several readers share, instead of `memory`. They share the connections, too, if their sources
    /// do.
    pub shared: Option<SharedMemory>,
    /// The most bytes that are fetched ahead of all readers together. With 0, only what is read is fetched;
    /// else each sequential reader gets at least 512 KiB.
    pub read_ahead: u64,
    /// Is told how far the walk over a tar has come.
    pub watch: Watch,
    /// Where reads and requests are added while somebody watches.
    pub trace: Trace,
}

impl ReaderOptions {
    /// The least memory, in bytes: with less, a single large read could not be held.
    pub const MIN_MEMORY: u64 = LEAST;
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self {
            memory: 128 << 20,
            timeout: Duration::from_secs(60),
            connections: 16,
            shared: None,
            read_ahead: u64::MAX,
            watch: Watch::default(),
            trace: Trace::default(),
        }
    }
}

/// A blob that can be read anywhere. Cheap to clone; all clones share their state.
#[derive(Clone)]
pub struct BlobReader {
    executor: Arc<Executor>,
    size: u64,
    timeout: Duration,
    closed: CancellationToken,
    connections: usize,
}

impl BlobReader {
    /// Opens the source, and keeps the last `tail` bytes if they came along. Must be called within a
    /// tokio runtime, which then runs all requests.
    pub async fn open(
        source: Arc<dyn Source>,
        tail: u64,
        options: ReaderOptions,
    ) -> Result<Self, source::Error> {
        let opened = source.open(tail).await?;
        let own = || SharedMemory::new(options.memory, options.read_ahead);
        let SharedMemory(bound) = options.shared.unwrap_or_else(own);
        let blob = Self {
            executor: Executor::new(source, &bound, options.connections, options.trace),
            size: opened.size,
            timeout: options.timeout,
            closed: CancellationToken::new(),
            connections: options.connections,
        };
        blob.keep_tail(opened);
        Ok(blob)
    }

    /// Length of the blob in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends `range` to `out` if all of it is in memory; otherwise leaves `out` alone and returns
    /// false. Never waits. `limit`: where in the blob the file being read ends. Read-ahead goes no
    /// further, except to files that were announced.
    pub fn try_read(&self, range: &Range<u64>, limit: u64, out: &mut Vec<u8>) -> bool {
        let blocks = (self.executor).event(|scheduler| scheduler.read_from_memory(range, limit));
        blocks.is_some_and(|blocks| copy(&blocks, range, out))
    }

    /// Reads `range`, which may be at most an eighth of the memory bound. `limit`: see
    /// [`try_read`](Self::try_read).
    pub async fn read(&self, range: Range<u64>, limit: u64) -> Result<Vec<u8>, Error> {
        if range.start > range.end || range.end > self.size {
            let size = self.size;
            return Err(source::Error::OutOfBlob { range, size }.into());
        }
        let mut out = Vec::new();
        let unit = self.source().verification_unit(range.clone());
        let mut read = Read {
            range: range.clone(),
            unit,
            limit,
            stream: None,
        };
        let first = self.executor.attempt(&mut read, None);
        if let Attempt::Ready(blocks) = &first
            && copy(blocks, &range, &mut out)
        {
            return Ok(out);
        }
        let finished = self.finish(&mut read, first, &mut out);
        let result = tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(Error::Closed),
            result = tokio::time::timeout(self.timeout, finished) => {
                result.unwrap_or_else(|_| Err(self.timed_out(range)))
            }
        };
        result.inspect_err(|_| self.executor.counters.error())?;
        Ok(out)
    }

    /// Takes half of the memory out of the bound for another use, for good. What readers hold of it now, they give back as
    /// they read. Returns its bytes.
    pub(super) fn take_out(&self) -> u64 {
        let executor = &self.executor;
        let half = executor.pool().total() / 2;
        // Bytes that were fetched ahead for readers that do nothing can be fetched again.
        executor.share.take_from_others(half, true);
        executor.pool().take_out(half);
        half as u64 * BLOCK
    }

    /// Ends all requests. Reads that wait fail with [`Error::Closed`], and so do later ones.
    pub fn close(&self) {
        self.closed.cancel();
        self.executor.event(|scheduler| scheduler.close());
    }

    /// What has been done so far.
    pub fn status(&self) -> Status {
        let executor = &self.executor;
        let mut status = executor.counters.status();
        executor.look(|scheduler| scheduler.add_to(&mut status));
        let (total, free) = (executor.pool().total(), executor.pool().available());
        status.memory_used = (total - free) as u64 * BLOCK;
        status.memory_limit = total as u64 * BLOCK;
        status.bytes_unread = executor.pool().unread();
        status
    }

    pub(super) fn trace(&self) -> &Trace {
        &self.executor.trace
    }

    /// Sets the index of the archive in the blob. Only the first call counts.
    pub(super) fn set_index(&self, index: Arc<Index>) {
        let _ = self.executor.index.set(index);
    }

    pub(super) fn source(&self) -> &Arc<dyn Source> {
        &self.executor.source
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.executor.runtime
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The error of a read whose deadline has passed.
    pub(super) fn missed_deadline(&self, range: Range<u64>) -> Error {
        let after = self.timeout;
        Error::Deadline {
            range,
            after,
            trouble: self.source().hints().trouble_within(after).cloned(),
        }
    }

    /// Counts bytes that a reader got. `from_memory`: without waiting.
    pub(super) fn count_read(&self, bytes: usize, from_memory: bool) {
        self.executor.counters.read(bytes, from_memory);
    }

    /// Announces that the reader within `here` will go on with these ranges, in this order, after
    /// those announced before or, if `is_new`, instead of them. Returns false if no reader is known
    /// there.
    pub(super) fn expect_next(
        &self,
        here: &Range<u64>,
        is_new: bool,
        ranges: &[Range<u64>],
    ) -> bool {
        (self.executor).event(|scheduler| scheduler.expect(here, is_new, ranges))
    }

    /// How far ahead of a reader its files should be announced, in bytes.
    pub(super) fn horizon(&self) -> u64 {
        self.executor.look(|scheduler| scheduler.horizon())
    }

    /// The number of requests that may be in flight.
    pub(super) fn connections(&self) -> usize {
        self.connections
    }

    /// What is known of the link: seconds from a request to its first byte, and bytes a second of all connections
    /// together; `assumed` if no rate was measured.
    pub(super) fn link(&self, assumed: f64) -> (f64, f64) {
        self.executor.look(|scheduler| scheduler.link(assumed))
    }

    /// Drops what was read of `range`, and gives its memory back to the system.
    pub(super) fn drop_read(&self, range: &Range<u64>) {
        let (share, pool) = (&self.executor.share, self.executor.pool());
        blocks_of(range).for_each(|number| share.drop_read(number));
        pool.trim();
    }

    /// Returns `Ok` if all of `range` is in memory and agreed with its checksum, and otherwise the
    /// origins of what is in memory.
    pub(super) fn check_origins(&self, range: &Range<u64>) -> Result<(), Vec<Origin>> {
        let blocks = self.blocks(range);
        let is_complete = blocks.len() == blocks_of(range).count();
        if is_complete && blocks.iter().all(|block| block.is_checked(range)) {
            return Ok(());
        }
        Err(self.origins(range))
    }

    /// The origins of what is in memory of `range`.
    pub(super) fn origins(&self, range: &Range<u64>) -> Vec<Origin> {
        let mut origins = Vec::new();
        for block in &self.blocks(range) {
            block.origins(range, &mut origins);
        }
        origins
    }

    /// Records that `range` agreed with its checksum. This is kept with the bytes: when they leave
    /// memory and are fetched anew, they must be checked anew.
    pub(super) fn set_checked(&self, range: &Range<u64>) {
        for block in self.blocks(range) {
            block.set_checked(range);
        }
    }

    /// Forgets `range`, for which `origins` gave wrong bytes. They are not asked for it again while
    /// there are others.
    pub(super) fn reject(&self, range: &Range<u64>, origins: &[Origin]) {
        for origin in origins {
            self.source().reject(origin, range.clone());
        }
        (self.executor).event(|scheduler| scheduler.forget(range));
    }

    fn blocks(&self, range: &Range<u64>) -> Blocks {
        self.executor.look(|scheduler| scheduler.blocks(range))
    }

    /// Repeats a read until its bytes are in `out`. Bytes may be forgotten after they have come;
    /// then they are waited for again.
    async fn finish(
        &self,
        read: &mut Read,
        first: Attempt,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let mut attempt = first;
        loop {
            let mut grant = None;
            match attempt {
                Attempt::Ready(blocks) if copy(&blocks, &read.range, out) => return Ok(()),
                Attempt::Ready(_) => {}
                Attempt::Waiting(waiting, blocks) => match waiting.woken().await {
                    Wake::Ready if copy(&blocks, &read.range, out) => return Ok(()),
                    Wake::Ready | Wake::Again => {}
                    Wake::Failed(error) => return Err(error),
                },
                // No block is held meanwhile: two reads that each held half of what both need would
                // wait for each other.
                Attempt::NeedsMemory(buffers) => {
                    let executor = &self.executor;
                    executor.share.take_from_others(buffers, false);
                    grant = Some(executor.pool().grant(buffers).await);
                }
                Attempt::Failed(error) => return Err(error),
            }
            attempt = self.executor.attempt(read, grant);
        }
    }

    fn timed_out(&self, range: Range<u64>) -> Error {
        let error = self.missed_deadline(range.clone());
        (self.executor).event(|scheduler| scheduler.timed_out(range, error.clone()));
        error
    }

    fn keep_tail(&self, opened: Opened) {
        let Some(tail) = opened.tail else { return };
        let executor = &self.executor;
        let blocks = executor.event(|scheduler| scheduler.claim(&tail.range()));
        for block in blocks.unwrap_or_default() {
            block.fill(tail.offset, &tail.bytes, &tail.origin);
        }
        let counters = &executor.counters;
        counters.requested();
        let outcome = if tail.origin.is_kept() {
            Outcome::Local
        } else {
            Outcome::Served
        };
        counters.ended(Priority::Demand, outcome);
        counters.arrived(tail.bytes.len(), &tail.origin);
    }
}

/// Appends `range` to `out` if all its bytes are present; otherwise leaves `out` alone.
fn copy(blocks: &Blocks, range: &Range<u64>, out: &mut Vec<u8>) -> bool {
    let before = out.len();
    // Only now, so that a read takes no memory before its bytes have come.
    out.reserve((range.end - range.start) as usize);
    let is_complete = blocks.iter().all(|block| block.copy_to(range, out));
    if !is_complete {
        out.truncate(before);
    }
    is_complete
}
