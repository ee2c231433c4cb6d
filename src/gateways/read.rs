//! One read from several members.
//!
//! An attempt is a request to one member. Usually there is one. If it stalls for longer than is usual for its
//! member, a second attempt starts (a hedge), and the one that gives bytes first continues alone. When an
//! attempt fails, the next member continues where the bytes ended. If no attempt brings the bytes that a program
//! waits for, each member is asked once more, one after the other, while the earlier attempts go on.

use std::ops::Range;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::poll_fn;
use futures_util::stream;
use tokio::time::Instant;

use super::health::{MIN_PROGRESS, Want};
use super::set::GatewaySet;
use crate::source::{Chunk, ChunkStream, Error, Pass, Priority, Result};

/// If a program has waited this long for a read without bytes, each member may be asked once more: one that failed or
/// stalled may have recovered, and a new request goes over another connection. The earlier requests go on, because a
/// gateway may need this long to find the content. Of the new requests only one is under way at a time. It gives way
/// to the next one after this time.
const OVERDUE: Duration = Duration::from_secs(5);

/// The same if its member is silent on all requests.
const OVERDUE_AND_SILENT: Duration = Duration::from_secs(1);

/// Asks the member of this index for a range.
pub(super) type Ask = Arc<dyn Fn(usize, Range<u64>) -> ChunkStream + Send + Sync>;

/// The [`pipelined_within`](crate::source::Hints::pipelined_within) of the member of this index, in bytes.
pub(super) type PipelineWindow = Arc<dyn Fn(usize) -> u64 + Send + Sync>;

/// A read that is under way.
pub(super) struct GatewayRead {
    set: Arc<GatewaySet>,
    ask: Ask,
    window: PipelineWindow,
    want: Want,
    priority: Priority,
    /// The bytes that were not given out yet.
    left: Range<u64>,
    /// The newest last.
    attempts: Vec<Attempt>,
    /// How long the caller has waited since the last bytes came.
    waited: Duration,
    /// The members that were asked since the last bytes came, or since all were to be asked once more.
    tried: Vec<usize>,
    /// Whether the members were to be asked once more since the last bytes came.
    has_asked_again: bool,
    /// Whether a member was asked in place of a silent one since the last bytes came.
    has_replaced_silent: bool,
    /// Whether the read has had its one hedge.
    has_hedged: bool,
    /// Why attempts have failed since the last bytes came.
    errors: Vec<Error>,
}

struct Attempt {
    set: Arc<GatewaySet>,
    index: usize,
    stream: ChunkStream,
    /// The bytes that it has not brought yet.
    left: Range<u64>,
    since: Instant,
    has_begun: bool,
    /// How long the caller has waited since its last bytes or its last stall.
    waited: Duration,
    /// Bytes that came since `waited` was reset.
    fresh: u64,
    /// Whether it was started because the read was [`OVERDUE`]. Only the newest attempt can be.
    is_overdue: bool,
    /// Held until its member can take the next request.
    pass: Option<Pass>,
}

impl Attempt {
    fn time_until_stall(&self) -> Duration {
        self.set.delay(self.index).saturating_sub(self.waited)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.set.ended(self.index, self.left.end - self.left.start);
    }
}

/// The result of waiting.
enum Event {
    /// The attempt, and what it brought; `None` is its end.
    Item(usize, Option<Result<Chunk>>),
    /// The newest attempt has stalled.
    Stalled,
}

/// Reads a raw block of at most the size of `whole`. `ask` asks one member for it and gives one chunk.
pub(super) fn read_block(set: Arc<GatewaySet>, ask: Ask, whole: Range<u64>) -> ChunkStream {
    let window: PipelineWindow = Arc::new(|_| 0);
    GatewayRead::new(set, ask, window, Want::Block, whole, Priority::Demand).into_stream()
}

impl GatewayRead {
    pub(super) fn new(
        set: Arc<GatewaySet>,
        ask: Ask,
        window: PipelineWindow,
        want: Want,
        range: Range<u64>,
        priority: Priority,
    ) -> Self {
        Self {
            set,
            ask,
            window,
            want,
            priority,
            left: range,
            attempts: Vec::new(),
            waited: Duration::ZERO,
            tried: Vec::new(),
            has_asked_again: false,
            has_replaced_silent: false,
            has_hedged: false,
            errors: Vec::new(),
        }
    }

    pub(super) fn into_stream(self) -> ChunkStream {
        stream::try_unfold(self, |mut read| async move {
            let next = read.next().await?;
            Ok(next.map(|chunk| (chunk, read)))
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<Chunk>> {
        loop {
            if self.attempts.is_empty() {
                self.start().await?;
            }
            match self.wait().await {
                Event::Stalled if self.left.is_empty() => return Ok(None),
                Event::Stalled => self.handle_stall(),
                Event::Item(at, Some(Ok(chunk))) => {
                    if let Some(chunk) = self.take(at, chunk) {
                        return Ok(Some(chunk));
                    }
                }
                Event::Item(at, None) => {
                    let attempt = &self.attempts[at];
                    if self.want == Want::Block || attempt.left.is_empty() {
                        self.set.served(attempt.index, self.want);
                    }
                    return Ok(None);
                }
                // All bytes have come, so the error does not matter.
                Event::Item(_, Some(Err(_))) if self.left.is_empty() => return Ok(None),
                Event::Item(at, Some(Err(error))) => self.give_up(at, error),
            }
        }
    }

    /// Asks the best member that was not asked yet. Waits for a pass if none is free.
    async fn start(&mut self) -> Result<()> {
        if self.want == Want::Data
            && self.tried.is_empty()
            && let Some(error) = self.set.paused_error()
        {
            return Err(error);
        }
        let (candidates, available) = self.candidates();
        let Some(&first) = candidates.first() else {
            let errors = std::mem::take(&mut self.errors);
            return Err(self.set.final_error(errors, self.want));
        };
        let (index, pass) = match first_free(&self.set, &candidates[..available.max(1)]) {
            Some(found) => found,
            None => (first, self.set.pass(first, self.priority).await),
        };
        self.launch(index, pass, false);
        Ok(())
    }

    fn launch(&mut self, index: usize, pass: Pass, is_hedge: bool) {
        let range = self.left.clone();
        self.set.asked(index, range.end - range.start, is_hedge);
        self.tried.push(index);
        self.attempts.push(Attempt {
            set: self.set.clone(),
            index,
            stream: (self.ask)(index, range.clone()),
            left: range,
            since: Instant::now(),
            has_begun: false,
            waited: Duration::ZERO,
            fresh: 0,
            is_overdue: false,
            pass: Some(pass),
        });
    }

    /// Waits for the first event.
    async fn wait(&mut self) -> Event {
        let entered = Instant::now();
        let newest = self.attempts.last();
        let pause = newest.map_or(Duration::ZERO, Attempt::time_until_stall);
        let attempts = &mut self.attempts;
        let item = poll_fn(|context| {
            for (at, attempt) in attempts.iter_mut().enumerate() {
                if let Poll::Ready(item) = attempt.stream.poll_next_unpin(context) {
                    return Poll::Ready(Event::Item(at, item));
                }
            }
            Poll::Pending
        });
        let event = tokio::time::timeout(pause, item)
            .await
            .unwrap_or(Event::Stalled);
        let waited = entered.elapsed();
        self.waited += waited;
        for attempt in &mut self.attempts {
            attempt.waited += waited;
        }
        event
    }

    /// Records a chunk, and returns the part of it that is new.
    fn take(&mut self, at: usize, mut chunk: Chunk) -> Option<Chunk> {
        let attempt = &mut self.attempts[at];
        let came = chunk.range();
        if came.start != attempt.left.start || came.end > attempt.left.end {
            let error = Error::BadAnswer {
                origin: chunk.origin,
                range: self.left.clone(),
                what: "other bytes than asked for".into(),
            };
            self.give_up(at, error);
            return None;
        }
        let bytes = came.end - came.start;
        if !std::mem::replace(&mut attempt.has_begun, true) {
            self.set.began(attempt.index, attempt.since.elapsed());
        }
        self.set.came(attempt.index, bytes);
        attempt.left.start = came.end;
        attempt.fresh += bytes;
        let left = attempt.left.end - attempt.left.start;
        if attempt.pass.is_some() && left <= (self.window)(attempt.index) {
            attempt.pass = None;
        }
        if attempt.fresh >= MIN_PROGRESS || attempt.left.is_empty() {
            (attempt.fresh, attempt.waited) = (0, Duration::ZERO);
            self.continue_alone(at);
        }
        if came.end <= self.left.start && bytes > 0 {
            return None; // Another attempt had brought these bytes.
        }
        let known = self.left.start.saturating_sub(came.start).min(bytes);
        chunk.bytes = chunk.bytes.slice(known as usize..);
        chunk.offset += known;
        self.left.start = self.left.start.max(came.end);
        Some(chunk)
    }

    /// Drops all attempts except the one at `at`, which gives bytes.
    fn continue_alone(&mut self, at: usize) {
        let index = self.attempts[at].index;
        let has_replaced_silent = std::mem::take(&mut self.has_replaced_silent);
        if has_replaced_silent || !self.errors.is_empty() {
            let for_all = has_replaced_silent || self.errors.iter().any(concerns_all_requests);
            self.set.took_over(index, self.want, for_all);
            // If no other member does better, the read's own error tells it.
            for error in self.errors.drain(..) {
                if let Error::Forged { origin, .. } = error {
                    log::warn!(
                        "{origin} is suspended: it gave a block that does not match its CID"
                    );
                }
            }
        }
        for (other, loser) in self.attempts.iter().enumerate() {
            if other != at && !loser.has_begun {
                // Its latency is at least this long.
                self.set.began(loser.index, loser.since.elapsed());
            }
        }
        let mut kept = self.attempts.swap_remove(at);
        kept.is_overdue = false;
        self.attempts.clear();
        self.attempts.push(kept);
        self.tried.clear();
        self.tried.push(index);
        (self.waited, self.has_asked_again) = (Duration::ZERO, false);
    }

    fn give_up(&mut self, at: usize, error: Error) {
        let attempt = self.attempts.remove(at);
        self.set.failed(attempt.index, &error, self.want);
        self.errors.push(error);
    }

    /// The members to ask next, and how many of them are available.
    fn candidates(&self) -> (Vec<usize>, usize) {
        let bytes = self.left.end - self.left.start;
        let (set, tried) = (&self.set, &self.tried);
        set.candidates(self.want, bytes, self.priority, tried)
    }

    /// Handles a stall of the newest attempt. If its member is silent on all requests, it has failed and
    /// another one is asked. If not, this request is hedged if the budget allows it.
    fn handle_stall(&mut self) {
        let Some(newest) = self.attempts.last_mut() else {
            return;
        };
        let (index, silent_for) = (newest.index, std::mem::take(&mut newest.waited));
        let is_silent = self.set.finds_silent(index, self.want, silent_for);
        if self.priority == Priority::Demand && self.waited >= OVERDUE {
            return self.handle_overdue(is_silent);
        }
        let (candidates, available) = self.candidates();
        if is_silent {
            // If no member is free, the next stall tries again.
            if let Some((next, pass)) = first_free(&self.set, &candidates) {
                self.has_replaced_silent = true;
                self.launch(next, pass, false);
            }
        } else if !self.has_hedged
            && let Some((next, pass)) = first_free(&self.set, &candidates[..available])
            && self.set.may_hedge()
        {
            self.has_hedged = true;
            self.launch(next, pass, true);
        }
    }

    /// Asks the next member because the read is overdue. `is_silent`: the newest attempt's member is.
    fn handle_overdue(&mut self, is_silent: bool) {
        let patience = if is_silent {
            OVERDUE_AND_SILENT
        } else {
            OVERDUE
        };
        let newest = self.attempts.last();
        if newest.is_some_and(|newest| newest.is_overdue && newest.since.elapsed() < patience) {
            return;
        }
        let (mut candidates, _) = self.candidates();
        if candidates.is_empty() && !self.has_asked_again {
            self.has_asked_again = true;
            self.tried.clear();
            (candidates, _) = self.candidates();
        }
        if let Some((next, pass)) = first_free(&self.set, &candidates) {
            self.attempts.retain(|attempt| !attempt.is_overdue);
            self.has_replaced_silent |= is_silent;
            self.launch(next, pass, !is_silent);
            if let Some(newest) = self.attempts.last_mut() {
                newest.is_overdue = true;
            }
        }
    }
}

/// Whether an error concerns all requests to the server: one that cannot be reached, breaks off or forges does so for
/// data and for blocks.
fn concerns_all_requests(error: &Error) -> bool {
    matches!(
        error,
        Error::Unreachable { .. }
            | Error::Untrusted { .. }
            | Error::NoNetwork { .. }
            | Error::Timeout { .. }
            | Error::Cut { .. }
            | Error::Forged { .. }
    )
}

fn first_free(set: &GatewaySet, candidates: &[usize]) -> Option<(usize, Pass)> {
    candidates
        .iter()
        .find_map(|at| Some((*at, set.try_pass(*at)?)))
}
