//! One read, from whoever gives it.
//!
//! An attempt is a request to one member. Usually there is one; a second is made beside it when the
//! first keeps silent for longer than its member usually does, and the one that gives bytes first
//! goes on alone. When an attempt fails, the next member goes on from where the bytes ended.

use std::ops::Range;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::poll_fn;
use futures_util::stream;
use tokio::time::Instant;

use super::health::{MEANINGFUL, Want};
use super::most_hopeful;
use super::roster::Roster;
use crate::source::Pass;
use crate::source::{Chunk, ChunkStream, Error, Priority, Result};

/// Asks one member, by its number, for a range.
pub(super) type Ask = Arc<dyn Fn(usize, Range<u64>) -> ChunkStream + Send + Sync>;

/// How many bytes before the end of its answer a member, by its number, can be asked for more.
pub(super) type EarlyBy = Arc<dyn Fn(usize) -> u64 + Send + Sync>;

/// A read that is under way.
pub(super) struct Reading {
    roster: Arc<Roster>,
    ask: Ask,
    early_by: EarlyBy,
    want: Want,
    priority: Priority,
    /// What has not been given out.
    left: Range<u64>,
    /// The newest last.
    attempts: Vec<Attempt>,
    /// Who has been asked since bytes came last.
    tried: Vec<usize>,
    /// One hedge a read.
    hedged: bool,
    errors: Vec<Error>,
}

struct Attempt {
    roster: Arc<Roster>,
    index: usize,
    stream: ChunkStream,
    /// What it has not brought yet.
    left: Range<u64>,
    since: Instant,
    begun: bool,
    /// How long its bytes have been waited for, while somebody did.
    waited: Duration,
    /// Bytes since then.
    fresh: u64,
    /// Its member was found silent, or it was decided to go on waiting.
    judged: bool,
    /// Held until its member can be asked for more.
    pass: Option<Pass>,
}

impl Attempt {
    fn next_judgement(&self) -> Duration {
        self.roster.delay(self.index).saturating_sub(self.waited)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.roster
            .ended(self.index, self.left.end - self.left.start);
    }
}

/// What one round of waiting brought.
enum Event {
    /// Of which attempt, and what; `None` is its end.
    Item(usize, Option<Result<Chunk>>),
    /// The newest attempt has been silent for long.
    Slow,
}

/// A raw block, of at most `whole`, from whoever of the roster gives it: `ask` asks one of them for
/// it, and gives it in one chunk.
pub(super) fn block_reading(roster: Arc<Roster>, ask: Ask, whole: Range<u64>) -> ChunkStream {
    let early_by: EarlyBy = Arc::new(|_| 0);
    Reading::new(roster, ask, early_by, Want::Block, whole, Priority::Demand).into_stream()
}

impl Reading {
    pub(super) fn new(
        roster: Arc<Roster>,
        ask: Ask,
        early_by: EarlyBy,
        want: Want,
        range: Range<u64>,
        priority: Priority,
    ) -> Self {
        Self {
            roster,
            ask,
            early_by,
            want,
            priority,
            left: range,
            attempts: Vec::new(),
            tried: Vec::new(),
            hedged: false,
            errors: Vec::new(),
        }
    }

    pub(super) fn into_stream(self) -> ChunkStream {
        stream::try_unfold(self, |mut reading| async move {
            let next = reading.next().await?;
            Ok(next.map(|chunk| (chunk, reading)))
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<Chunk>> {
        loop {
            if self.attempts.is_empty() {
                self.start().await?;
            }
            match self.wait().await {
                Event::Slow if self.left.is_empty() => return Ok(None),
                Event::Slow => self.judge_newest(),
                Event::Item(at, Some(Ok(chunk))) => {
                    if let Some(chunk) = self.take(at, chunk) {
                        return Ok(Some(chunk));
                    }
                }
                Event::Item(at, None) => {
                    let attempt = &self.attempts[at];
                    if self.want == Want::Block || attempt.left.is_empty() {
                        self.roster.served(attempt.index, self.want);
                    }
                    return Ok(None);
                }
                // The last byte had come; what broke afterwards does not matter.
                Event::Item(_, Some(Err(_))) if self.left.is_empty() => return Ok(None),
                Event::Item(at, Some(Err(error))) => self.give_up(at, error),
            }
        }
    }

    /// Asks the best of those that have not been asked, waiting for a free pass if need be.
    async fn start(&mut self) -> Result<()> {
        let bytes = self.left.end - self.left.start;
        let (turn, ready) = self
            .roster
            .turn(self.want, bytes, self.priority, &self.tried);
        let Some(&first) = turn.first() else {
            let errors = std::mem::take(&mut self.errors);
            return Err(most_hopeful(errors).unwrap_or_else(|| self.roster.refusal(self.want)));
        };
        let free = turn[..ready.max(1)]
            .iter()
            .find_map(|at| Some((*at, self.roster.try_pass(*at)?)));
        let (index, pass) = match free {
            Some(found) => found,
            None => (first, self.roster.pass(first, self.priority).await),
        };
        self.launch(index, pass, false);
        Ok(())
    }

    fn launch(&mut self, index: usize, pass: Pass, is_hedge: bool) {
        let range = self.left.clone();
        self.roster.asked(index, range.end - range.start, is_hedge);
        self.tried.push(index);
        self.attempts.push(Attempt {
            roster: self.roster.clone(),
            index,
            stream: (self.ask)(index, range.clone()),
            left: range,
            since: Instant::now(),
            begun: false,
            waited: Duration::ZERO,
            fresh: 0,
            judged: false,
            pass: Some(pass),
        });
    }

    /// Waits for whatever comes first.
    async fn wait(&mut self) -> Event {
        let entered = Instant::now();
        let newest = self.attempts.last();
        let pause = newest.map_or(Duration::ZERO, Attempt::next_judgement);
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
            .unwrap_or(Event::Slow);
        let waited = entered.elapsed();
        for attempt in &mut self.attempts {
            attempt.waited += waited;
        }
        event
    }

    /// Bytes have come: notes it, and returns those that are new.
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
        if !std::mem::replace(&mut attempt.begun, true) {
            self.roster.began(attempt.index, attempt.since.elapsed());
        }
        self.roster.came(attempt.index, bytes);
        attempt.left.start = came.end;
        attempt.fresh += bytes;
        let left = attempt.left.end - attempt.left.start;
        if attempt.pass.is_some() && left <= (self.early_by)(attempt.index) {
            attempt.pass = None;
        }
        if attempt.fresh >= MEANINGFUL || attempt.left.is_empty() {
            (attempt.fresh, attempt.waited, attempt.judged) = (0, Duration::ZERO, false);
            self.go_on_alone(at);
        }
        if came.end <= self.left.start && bytes > 0 {
            return None; // another attempt had brought them
        }
        let known = self.left.start.saturating_sub(came.start).min(bytes);
        chunk.bytes = chunk.bytes.slice(known as usize..);
        chunk.offset += known;
        self.left.start = self.left.start.max(came.end);
        Some(chunk)
    }

    /// The attempt that gives bytes is the one to keep.
    fn go_on_alone(&mut self, at: usize) {
        let index = self.attempts[at].index;
        if !self.errors.is_empty() {
            let for_all = self.errors.iter().any(is_no_answer);
            self.roster.stepped_in(index, self.want, for_all);
            // Of no note if nobody had done better: then it is the error itself that says so.
            for error in self.errors.drain(..) {
                if let Error::Forged { origin, .. } = error {
                    log::warn!(
                        "{origin} is put aside: it gave a block that does not match its CID"
                    );
                }
            }
        }
        for (other, loser) in self.attempts.iter().enumerate() {
            if other != at && !loser.begun {
                // It would have taken longer still.
                self.roster.began(loser.index, loser.since.elapsed());
            }
        }
        let kept = self.attempts.swap_remove(at);
        self.attempts.clear();
        self.attempts.push(kept);
        self.tried.clear();
        self.tried.push(index);
    }

    fn give_up(&mut self, at: usize, error: Error) {
        let attempt = self.attempts.remove(at);
        self.roster.failed(attempt.index, &error, self.want);
        self.errors.push(error);
    }

    /// The newest attempt has brought nothing for as long as hardly any of its member's does. If
    /// the member is silent altogether, it has failed; if not, this request may be the unlucky
    /// one, and is hedged if that is in the budget.
    fn judge_newest(&mut self) {
        let bytes = self.left.end - self.left.start;
        let (turn, ready) = self
            .roster
            .turn(self.want, bytes, self.priority, &self.tried);
        let Some(newest) = self.attempts.last_mut() else {
            return;
        };
        newest.waited = Duration::ZERO;
        let (index, silent_for) = (newest.index, newest.since.elapsed());
        if !newest.judged && self.roster.finds_silent(index, self.want) {
            // Nobody may be free yet; then it is judged again.
            if let Some((next, pass)) = first_free(&self.roster, &turn) {
                newest.judged = true;
                self.errors.push(Error::Timeout {
                    origin: self.roster.name(index).clone(),
                    after: silent_for,
                });
                self.launch(next, pass, false);
            }
            return;
        }
        if !self.hedged
            && ready > 0
            && let Some((next, pass)) = first_free(&self.roster, &turn[..ready])
            && self.roster.may_hedge()
        {
            self.hedged = true;
            self.launch(next, pass, true);
        }
    }
}

/// Whether an error says nothing of what was asked for: a server that cannot be reached, breaks off or
/// forges does so whatever it is asked for.
fn is_no_answer(error: &Error) -> bool {
    matches!(
        error,
        Error::Unreachable { .. }
            | Error::NoNetwork { .. }
            | Error::Timeout { .. }
            | Error::Cut { .. }
            | Error::Forged { .. }
    )
}

fn first_free(roster: &Roster, turn: &[usize]) -> Option<(usize, Pass)> {
    turn.iter()
        .find_map(|at| Some((*at, roster.try_pass(*at)?)))
}
