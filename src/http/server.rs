//! What is known of one server: its connections, which request uses which of them, and how it behaves.
//!
//! A connection carries one answer at a time. But the next request may be sent while the end of an answer
//! still comes (pipelining; RFC 9112, section 9.3.2). If it is sent a round trip before that end, its
//! answer follows without a pause. Therefore the two halves of a connection are handed over separately: a
//! [`Loan`] has the writing half at once, and the reading half when its turn comes.
//!
//! [`ServerState`] is plain data: it has no lock, no task and no clock. [`Pool`](super::pool::Pool) puts it
//! behind one lock and tells it the time. This is what it knows, and what changes it:
//!
//! | Known | Changed by |
//! |---|---|
//! | connections: idle, busy, being opened | [`take`](ServerState::take), [`announce`](ServerState::announce), the end of an attempt to connect, the end of a loan, time |
//! | requests that wait for a connection | `take`; a connection that becomes free or cannot be made |
//! | whether requests may be pipelined | answers to pipelined requests, their loss, time |
//! | latency, rate of a connection | the beginning and the end of answers |
//! | whether connections stay open | the end of answers |

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::bandwidth_delay::BandwidthDelay;
use super::connection::{BlobId, Busy, Idle, Loan, Turn, UNKNOWN};
use super::pipelining::Pipelining;
use crate::source::Urgency;

/// What a request needs a connection for.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    /// The blob of which the request asks a part, if the request may be pipelined.
    pub(super) blob: Option<BlobId>,
    pub(super) urgency: Urgency,
}

/// What a waiting request is given: a connection, or why none could be made.
pub(super) type Grant<R, W, E> = Result<Loan<R, W>, E>;

/// What is known of one server. `R` is the reading half of a connection, `W` the writing half, and `E` the
/// error if none could be made.
pub(super) struct ServerState<R, W, E> {
    /// Connections that carry nothing, the newest last.
    idle: Vec<Idle<R, W>>,
    busy: Vec<Busy<R, W>>,
    /// How many connections are being opened.
    opening: usize,
    /// Whether to close connections that are being opened, unless a request waits for them.
    unwanted: bool,
    /// Requests that wait for a connection, in order of arrival. Demand goes before read-ahead, and what is urgent may
    /// change meanwhile.
    waiting: VecDeque<Waiter<R, W, E>>,
    tickets: u64,
    /// How many connections may be busy at once.
    max_busy: usize,
    pub(super) pipelining: Pipelining,
    pub(super) link: BandwidthDelay,
    /// Whether the server has kept a connection open after an answer. A server that closes connections may
    /// also serve only one at a time, and would wait for a request on an idle one.
    pub(super) is_persistent: bool,
    /// Whether a task closes idle connections.
    has_closer: bool,
    /// When an answer began last.
    last_answer: Option<Instant>,
}

/// A request that waits for a connection.
struct Waiter<R, W, E> {
    claim: Claim,
    sender: oneshot::Sender<Grant<R, W, E>>,
}

/// What there is for a request.
pub(super) enum Taken<R, W, E> {
    Loan(Loan<R, W>),
    /// The first connection that becomes free. If the sender is dropped, ask again.
    Wait(oneshot::Receiver<Grant<R, W, E>>),
    /// A connection must be made, and is counted as being opened. Then ask again.
    Open,
}

impl<R, W, E> Default for ServerState<R, W, E> {
    fn default() -> Self {
        Self {
            idle: Vec::new(),
            busy: Vec::new(),
            opening: 0,
            unwanted: false,
            waiting: VecDeque::new(),
            tickets: 0,
            max_busy: 1,
            pipelining: Pipelining::default(),
            link: BandwidthDelay::default(),
            is_persistent: false,
            has_closer: false,
            last_answer: None,
        }
    }
}

/// Connections, and the requests that wait for them.
impl<R, W, E> ServerState<R, W, E> {
    /// Takes a connection for a request. In this order: an idle one; if the request may be pipelined, one
    /// on which an answer for the same blob is nearly over; a new one.
    ///
    /// Of at most `most` connections, those that are [worth it](BandwidthDelay::connections) are busy at
    /// once, and those that were busy before this limit became smaller.
    pub(super) fn take(&mut self, most: usize, claim: Claim, now: Instant) -> Taken<R, W, E> {
        self.max_busy = self.link.connections(most);
        self.close_expired(now);
        self.waiting.retain(|waiter| !waiter.sender.is_closed());
        // The limit may have grown since others came. They go first.
        while self.can_serve_waiter()
            && let Some(idle) = self.take_idle()
        {
            self.offer(idle, now);
        }
        let priority = claim.urgency.priority();
        let first = self.first_waiter().map(|at| &self.waiting[at].claim);
        if first.is_none_or(|first| first.urgency.priority() < priority) {
            if self.busy.len() < self.max_busy
                && let Some(idle) = self.take_idle()
            {
                return Taken::Loan(self.lend(idle, claim.blob, now));
            }
            let blob = claim.blob;
            if let Some(loan) = blob.and_then(|blob| self.lend_pipelined(blob, now)) {
                return Taken::Loan(loan);
            }
        }
        let made = self.busy.len() + self.opening;
        if self.waiting.len() >= self.opening && made < self.max_busy {
            self.opening += 1;
            self.unwanted = false;
            return Taken::Open;
        }
        let (sender, receiver) = oneshot::channel();
        self.waiting.push_back(Waiter { claim, sender });
        Taken::Wait(receiver)
    }

    /// Counts connections as being opened that no request waits for yet, until there are `up_to` in all.
    /// Returns how many must be made.
    pub(super) fn announce(&mut self, up_to: usize, now: Instant) -> usize {
        let (idle, busy, opening) = self.count(now);
        let lacking = up_to.saturating_sub(idle + busy + opening);
        self.opening += lacking;
        self.unwanted &= lacking == 0;
        lacking
    }

    /// Adds a connection that was counted as being opened.
    pub(super) fn opened(&mut self, halves: (R, W), now: Instant) {
        self.opening -= 1;
        self.offer(Idle::new(halves, false, now), now);
    }

    /// Records that a connection that was counted as being opened will not come. With an error, the first
    /// waiting request gets it; all others ask again.
    pub(super) fn not_opened(&mut self, error: Option<E>) {
        self.opening -= 1;
        let mut grant = error.map(Err);
        while let Some(error) = grant
            && let Some(waiter) = self.take_waiter()
        {
            // If the request was given up, the error goes to the next one.
            grant = waiter.sender.send(error).err();
        }
        self.wake_all();
    }

    /// How many connections are idle, busy, and being opened.
    pub(super) fn count(&mut self, now: Instant) -> (usize, usize, usize) {
        self.close_expired(now);
        (self.idle.len(), self.busy.len(), self.opening)
    }

    /// Makes the caller the task that calls [`close_idle`](Self::close_idle) every
    /// [`IDLE_TIMEOUT`](super::connection::IDLE_TIMEOUT); false if there is one.
    pub(super) fn begin_to_close_idle(&mut self) -> bool {
        !std::mem::replace(&mut self.has_closer, true)
    }

    /// Closes idle connections that have timed out. Returns whether the task is still needed.
    pub(super) fn close_idle(&mut self, now: Instant) -> bool {
        self.has_closer = self.count(now) != (0, 0, 0);
        self.has_closer
    }

    /// Closes idle connections, and those being opened as soon as they are made, unless the server is known
    /// to keep connections open.
    pub(super) fn close_unless_persistent(&mut self) {
        if !self.is_persistent {
            self.unwanted = true;
            self.idle.clear();
        }
    }

    /// Closes connections that have carried nothing since before `then`: a request that was sent over another of them
    /// then gets no answer, so the network may have lost them all. An answer that came since says that it has not.
    pub(super) fn close_if_silent_since(&mut self, then: Instant) {
        if self.last_answer.is_none_or(|answer| answer < then) {
            self.idle.retain(|idle| idle.since >= then);
        }
    }

    /// Closes idle connections that have timed out.
    fn close_expired(&mut self, now: Instant) {
        self.idle.retain(|idle| !idle.is_expired(now));
    }

    /// The request that gets the next connection.
    fn first_waiter(&self) -> Option<usize> {
        let priority = |at: &usize| Reverse(self.waiting[*at].claim.urgency.priority());
        (0..self.waiting.len()).min_by_key(priority)
    }

    fn take_waiter(&mut self) -> Option<Waiter<R, W, E>> {
        self.waiting.remove(self.first_waiter()?)
    }

    /// Whether a request waits and one more connection may be busy.
    fn can_serve_waiter(&self) -> bool {
        !self.waiting.is_empty() && self.busy.len() < self.max_busy
    }

    /// Takes the connection that has served last: its congestion window has grown (RFC 5681), and the
    /// server is known to keep it. If none has served, takes the oldest.
    fn take_idle(&mut self) -> Option<Idle<R, W>> {
        let last = self.idle.iter().rposition(|idle| idle.has_served);
        let at = last.unwrap_or(0);
        (at < self.idle.len()).then(|| self.idle.remove(at))
    }

    /// Gives an idle connection to the first waiting request, or keeps it.
    fn offer(&mut self, mut idle: Idle<R, W>, now: Instant) {
        while self.can_serve_waiter()
            && let Some(waiter) = self.take_waiter()
        {
            let loan = self.lend(idle, waiter.claim.blob, now);
            let Err(Ok(mut unwanted)) = waiter.sender.send(Ok(loan)) else {
                return;
            };
            match self.withdraw(&mut unwanted, now) {
                Some(back) => idle = back,
                None => return,
            }
        }
        if !self.unwanted || idle.has_served {
            self.idle.push(idle);
        }
    }

    /// Gives waiting requests the chance to be pipelined. A request that cannot be pipelined is not
    /// overtaken, or no connection might ever become idle for it.
    fn offer_pipelined(&mut self, now: Instant) {
        while let Some(at) = self.first_waiter()
            && let Some(blob) = self.waiting[at].claim.blob
        {
            let Some(loan) = self.lend_pipelined(blob, now) else {
                return;
            };
            let waiter = self.waiting.remove(at);
            let unwanted = waiter.and_then(|waiter| waiter.sender.send(Ok(loan)).err());
            if let Some(Ok(mut unwanted)) = unwanted {
                self.withdraw(&mut unwanted, now);
            }
        }
    }

    /// Makes all waiting requests ask again, because there is room for another connection.
    fn wake_all(&mut self) {
        self.waiting.clear();
    }
}

/// Loans.
impl<R, W, E> ServerState<R, W, E> {
    fn new_ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    fn lend(&mut self, idle: Idle<R, W>, blob: Option<BlobId>, now: Instant) -> Loan<R, W> {
        let ticket = self.new_ticket();
        self.busy.push(Busy {
            front: ticket,
            blob,
            left: UNKNOWN,
            writer: None,
            next: None,
            is_spoiled: false,
        });
        Loan {
            ticket,
            may_be_stale: idle.may_be_stale(now),
            reader: Turn::Now(idle.reader),
            writer: Some(idle.writer),
            is_pipelined: false,
            is_trial: false,
        }
    }

    /// Lends a busy connection on which an answer for the same blob is nearly over: the one with the fewest
    /// bytes to come.
    fn lend_pipelined(&mut self, blob: BlobId, now: Instant) -> Option<Loan<R, W>> {
        let window = self.pipeline_window(now)?;
        let ticket = self.new_ticket();
        let is_ready = |busy: &&mut Busy<R, W>| {
            busy.blob == Some(blob)
                && busy.left <= window
                && !busy.is_spoiled
                && busy.next.is_none()
                && busy.writer.is_some()
        };
        let ready = self.busy.iter_mut().filter(is_ready);
        let busy = ready.min_by_key(|busy| busy.left)?;
        let writer = busy.writer.take();
        let (sender, turn) = oneshot::channel();
        busy.next = Some((ticket, sender));
        Some(Loan {
            ticket,
            reader: Turn::Later(turn),
            writer,
            may_be_stale: true,
            is_pipelined: true,
            is_trial: self.pipelining.is_trial(),
        })
    }

    /// The index of the busy connection whose answer the loan with this ticket reads.
    fn read_by(&self, ticket: u64) -> Option<usize> {
        self.busy.iter().position(|busy| busy.front == ticket)
    }

    /// The busy connection on which the request with this ticket is pipelined.
    fn followed_by(&mut self, ticket: u64) -> Option<&mut Busy<R, W>> {
        let is_next = |busy: &&mut Busy<R, W>| {
            let next = busy.next.as_ref();
            next.is_some_and(|(next, _)| *next == ticket)
        };
        self.busy.iter_mut().find(is_next)
    }

    /// Records that the whole request was sent.
    pub(super) fn written(&mut self, loan: &mut Loan<R, W>) {
        let writer = loan.writer.take();
        if let Some(busy) = self.followed_by(loan.ticket) {
            busy.writer = writer;
        } else if let Some(at) = self.read_by(loan.ticket) {
            self.busy[at].writer = writer;
        }
    }

    /// Records that `left` bytes of the answer are still to come, after which the connection can be used
    /// again. Returns whether the answer is nearly over: the next request may then be sent.
    pub(super) fn still_comes(&mut self, loan: &Loan<R, W>, left: u64, now: Instant) -> bool {
        let is_nearly_over = left <= self.pipeline_window(now).unwrap_or(0);
        if let Some(at) = self.read_by(loan.ticket) {
            self.busy[at].left = left;
            if is_nearly_over {
                self.offer_pipelined(now);
            }
        }
        is_nearly_over
    }

    /// Records that the answer is the right one.
    pub(super) fn was_answered(&mut self, loan: &Loan<R, W>) {
        if loan.is_pipelined {
            self.pipelining.succeeded();
        }
    }

    /// Records that no answer came, though it was this request's turn.
    pub(super) fn was_lost(&mut self, loan: &Loan<R, W>, now: Instant) {
        if loan.is_pipelined {
            self.pipelining.failed(now);
        }
    }

    /// Records that the answer broke off. If a request was pipelined behind it, that may be the cause: a
    /// server that closes a connection with unread bytes on it discards what it had sent.
    pub(super) fn broke_off(&mut self, loan: &Loan<R, W>, now: Instant) {
        let at = self.read_by(loan.ticket);
        if at.is_some_and(|at| self.busy[at].next.is_some()) {
            self.pipelining.failed(now);
        }
    }

    /// Takes back a connection whose whole answer has come and that can be used again.
    pub(super) fn done(&mut self, loan: &mut Loan<R, W>, now: Instant) {
        self.is_persistent = true;
        let Turn::Now(reader) = std::mem::replace(&mut loan.reader, Turn::Never) else {
            return;
        };
        let Some(at) = self.read_by(loan.ticket) else {
            return;
        };
        if self.busy[at].is_spoiled {
            return;
        }
        if let Some((ticket, next)) = self.busy[at].next.take() {
            (self.busy[at].front, self.busy[at].left) = (ticket, UNKNOWN);
            // If nobody listens, the next loan is being given back.
            drop(next.send(reader));
            return;
        }
        if let Some(writer) = self.busy.swap_remove(at).writer {
            self.offer(Idle::new((reader, writer), true, now), now);
        }
    }

    /// Takes back a connection over which nothing was sent.
    pub(super) fn unused(&mut self, loan: &mut Loan<R, W>, now: Instant) {
        match self.withdraw(loan, now) {
            Some(idle) => self.offer(idle, now),
            None => self.wake_all(),
        }
    }

    /// Ends a loan over which something was sent, and closes its connection, unless [`done`](Self::done)
    /// has taken it back.
    pub(super) fn given_up(&mut self, loan: &Loan<R, W>) {
        if let Some(busy) = self.followed_by(loan.ticket) {
            busy.is_spoiled = true;
        } else if let Some(at) = self.read_by(loan.ticket) {
            // This also drops the sender that a pipelined request waits for.
            self.busy.swap_remove(at);
            self.wake_all();
        }
    }

    /// Ends a loan over which nothing was sent. Returns the connection if it carries nothing.
    fn withdraw(&mut self, loan: &mut Loan<R, W>, now: Instant) -> Option<Idle<R, W>> {
        if let Some(busy) = self.followed_by(loan.ticket) {
            (busy.next, busy.writer) = (None, loan.writer.take());
            return None;
        }
        let at = self.read_by(loan.ticket)?;
        self.busy.swap_remove(at);
        let reader = match std::mem::replace(&mut loan.reader, Turn::Never) {
            Turn::Now(reader) => reader,
            Turn::Later(mut turn) => turn.try_recv().ok()?,
            Turn::Never => return None,
        };
        let halves = (reader, loan.writer.take()?);
        Some(Idle::new(halves, loan.may_be_stale, now))
    }
}

/// How the server behaves.
impl<R, W, E> ServerState<R, W, E> {
    /// The next request may be sent on a connection when at most this many bytes of an answer are still to
    /// come; `None` if this server gets no pipelined requests.
    pub(super) fn pipeline_window(&self, now: Instant) -> Option<u64> {
        let is_allowed = self.is_persistent && self.pipelining.is_allowed(now);
        is_allowed.then(|| self.link.bytes())
    }

    /// Records that an answer began `now`, this long after its request.
    pub(super) fn answered(&mut self, after: Duration, is_pipelined: bool, now: Instant) {
        self.last_answer = Some(now);
        self.link.answered(after, is_pipelined);
    }
}

#[cfg(test)]
mod tests;
