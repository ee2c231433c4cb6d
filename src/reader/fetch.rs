//! One part: a range asked of the source, and its bytes put where they belong as they come.

use std::ops::Range;

use futures_util::StreamExt;
use tokio::time::Instant;

use super::ahead::WalkId;
use super::error::Error;
use super::ledger::{Blocks, Ledger, Part};
use super::line::Line;
use crate::source::{self, Chunk, Priority};

impl Line {
    /// Begins to fetch `range` in a task of its own.
    pub(super) fn start(
        &self,
        ledger: &mut Ledger,
        range: Range<u64>,
        priority: Priority,
        walk: Option<WalkId>,
        blocks: Blocks,
    ) {
        self.0.counters.asked();
        log::trace!(
            "asking for bytes {}-{} ({priority:?})",
            range.start,
            range.end - 1
        );
        // It may have to wait until the end of another one has come.
        let is_early = ledger.in_flight() >= self.at_once();
        let id = ledger.begin_part(Part {
            left: range.clone(),
            priority,
            walk,
            has_begun: false,
            abort: None,
        });
        let line = self.clone();
        let task = self.0.runtime.spawn(async move {
            let mut ending = Ending {
                line: &line,
                id,
                result: Some(line.broken(&range, range.start, "the task that fetched it failed")),
            };
            ending.result = line
                .run_part(id, range, priority, is_early, walk, blocks)
                .await
                .err();
            drop(ending);
            line.refill(walk);
        });
        ledger.set_task(id, task.abort_handle());
    }

    /// Bytes have come, or a connection has become free: there may be room for more of the walk.
    fn refill(&self, walk: Option<WalkId>) {
        if let Some(walk) = walk {
            self.fill_window(&mut self.ledger(), walk);
        }
    }

    /// Fetches one part into its blocks, waking waiters as their bytes come.
    async fn run_part(
        &self,
        id: u64,
        range: Range<u64>,
        priority: Priority,
        is_early: bool,
        walk: Option<WalkId>,
        blocks: Blocks,
    ) -> Result<(), Error> {
        let asked = Instant::now();
        let (mut first_byte, mut was_kept) = (None, true);
        let mut at = range.start;
        let mut stream = self.0.source.read(range.clone(), priority);
        // To the end of the stream, not of the bytes: the end is when a connection is free again.
        while let Some(chunk) = stream.next().await {
            let chunk = chunk?;
            was_kept &= chunk.origin.is_kept();
            if first_byte.is_none() {
                if !was_kept {
                    self.0.counters.latencies.add(asked.elapsed());
                }
                let mut ledger = self.ledger();
                ledger.pace.first_byte(asked.elapsed(), is_early);
                first_byte = Some((Instant::now(), chunk.range().end, ledger.pace.came()));
            }
            at = self.place(id, &range, at, chunk, &blocks)?;
            self.refill(walk);
        }
        if at != range.end {
            return Err(self.broken(&range, at, "the source ended too early"));
        }
        if was_kept {
            self.0.counters.was_kept();
        }
        if let Some((since, counted_from, came)) = first_byte {
            let bytes = range.end - counted_from;
            let pace = &mut self.ledger().pace;
            pace.part_done(bytes, since.elapsed(), pace.came() - came);
        }
        Ok(())
    }

    /// Puts a chunk into its blocks; returns where the next one must begin.
    fn place(
        &self,
        id: u64,
        range: &Range<u64>,
        at: u64,
        chunk: Chunk,
        blocks: &Blocks,
    ) -> Result<u64, Error> {
        let came = chunk.range();
        if came.start != at || came.end > range.end {
            return Err(self.broken(range, at, "the source gave other bytes than asked for"));
        }
        for block in blocks {
            block.fill(chunk.offset, &chunk.bytes, &chunk.origin);
        }
        self.0.counters.came(came.end - came.start, &chunk.origin);
        let source = &self.0.source;
        let (received, on_trial) = (source.received(), source.unverified());
        self.ledger().arrived(id, &came, received, on_trial);
        Ok(came.end)
    }

    /// A source that does not keep its contract; a bug, but not one that may become file content.
    fn broken(&self, range: &Range<u64>, at: u64, what: &str) -> Error {
        Error::Source(source::Error::BadAnswer {
            origin: source::Origin::new("source"),
            range: range.clone(),
            what: format!("{what}, at byte {at}"),
        })
    }
}

/// Takes a part out of the books when its task ends, be it by a panic.
struct Ending<'a> {
    line: &'a Line,
    id: u64,
    result: Option<Error>,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let result = self.result.take().map_or(Ok(()), Err);
        self.line.ledger().end_part(self.id, result);
    }
}
