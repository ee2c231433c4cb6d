//! The use of a connection of the [pool](super::pool) for one request and its answer, and who gets it next.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::pool_state::{BlobId, Busy, Idle, PoolState, UNKNOWN};
use crate::source::sync::{Mutex, MutexGuard};

/// A connection that was made within this time is taken for new: the server has not closed it yet.
const FRESH: Duration = Duration::from_secs(1);

/// What a waiting request is given: a lease, or why no connection could be made.
pub(super) type Grant<R, W, E> = Result<Lease<R, W, E>, E>;

/// The state of the pool that a lender lends from.
pub(super) type State<R, W, E> = PoolState<R, W, Grant<R, W, E>>;

/// Lends the connections to one server. Clones share them.
pub(super) struct Lender<R, W, E>(Arc<Mutex<State<R, W, E>>>);

impl<R, W, E> Clone for Lender<R, W, E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R, W, E> Default for Lender<R, W, E> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(PoolState::default())))
    }
}

impl<R, W, E> Lender<R, W, E> {
    pub(super) fn state(&self) -> MutexGuard<'_, State<R, W, E>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends an idle connection.
    pub(super) fn lend(
        &self,
        state: &mut State<R, W, E>,
        idle: Idle<R, W>,
        blob: Option<BlobId>,
    ) -> Lease<R, W, E> {
        let ticket = state.new_ticket();
        state.busy.push(Busy {
            front: ticket,
            blob,
            left: UNKNOWN,
            writer: None,
            next: None,
            is_spoiled: false,
        });
        Lease {
            lender: self.clone(),
            ticket,
            reader: Turn::Now(idle.reader),
            writer: Some(idle.writer),
            may_be_stale: idle.has_served || idle.since.elapsed() > FRESH,
            is_pipelined: false,
            is_trial: false,
            is_begun: false,
            is_over: false,
        }
    }

    /// Lends a busy connection on which at most `bdp` bytes of an answer for the same blob are still to
    /// come: the one with the fewest.
    pub(super) fn lend_pipelined(
        &self,
        state: &mut State<R, W, E>,
        bdp: u64,
        blob: BlobId,
    ) -> Option<Lease<R, W, E>> {
        if !state.pipelining.is_allowed() {
            return None;
        }
        let ticket = state.new_ticket();
        let is_ready = |busy: &&mut Busy<R, W>| {
            busy.blob == Some(blob)
                && busy.left <= bdp
                && !busy.is_spoiled
                && busy.next.is_none()
                && busy.writer.is_some()
        };
        let ready = state.busy.iter_mut().filter(is_ready);
        let busy = ready.min_by_key(|busy| busy.left)?;
        let writer = busy.writer.take();
        let (sender, turn) = oneshot::channel();
        busy.next = Some((ticket, sender));
        Some(Lease {
            lender: self.clone(),
            ticket,
            reader: Turn::Later(turn),
            writer,
            may_be_stale: true,
            is_pipelined: true,
            is_trial: state.pipelining.is_trial(),
            is_begun: false,
            is_over: false,
        })
    }

    /// Gives an idle connection to the first waiting request, or keeps it.
    pub(super) fn offer(&self, state: &mut State<R, W, E>, mut idle: Idle<R, W>) {
        while state.can_serve_waiter()
            && let Some(waiter) = state.waiting.pop_front()
        {
            let lease = self.lend(state, idle, waiter.claim.blob);
            match waiter.sender.send(Ok(lease)) {
                Err(Ok(mut unwanted)) => match unwanted.withdraw(state) {
                    Some(back) => idle = back,
                    None => return,
                },
                _ => return,
            }
        }
        if !state.unwanted || idle.has_served {
            state.idle.push(idle);
        }
    }

    /// Gives waiting requests the chance to be pipelined. A request that cannot be pipelined is not
    /// overtaken, or no connection might ever become idle for it.
    fn offer_pipelined(&self, state: &mut State<R, W, E>, bdp: u64) {
        while let Some(blob) = state.waiting.front().and_then(|waiter| waiter.claim.blob) {
            let Some(lease) = self.lend_pipelined(state, bdp, blob) else {
                return;
            };
            let waiter = state.waiting.pop_front();
            let unwanted = waiter.and_then(|waiter| waiter.sender.send(Ok(lease)).err());
            if let Some(Ok(mut unwanted)) = unwanted {
                unwanted.withdraw(state);
            }
        }
    }
}

/// The use of a connection for one request and its answer. Dropping it before the answer has ended closes
/// the connection.
pub(super) struct Lease<R, W, E> {
    lender: Lender<R, W, E>,
    ticket: u64,
    reader: Turn<R>,
    writer: Option<W>,
    may_be_stale: bool,
    is_pipelined: bool,
    is_trial: bool,
    /// Whether something may have been sent.
    is_begun: bool,
    /// Whether the connection was given back already.
    is_over: bool,
}

/// When a lease may read.
enum Turn<R> {
    Now(R),
    Later(oneshot::Receiver<R>),
    Never,
}

/// The answer before this one on the connection was cut or given up, so this request gets no answer here.
#[derive(Debug)]
pub(super) struct NoTurn;

impl<R, W, E> Lease<R, W, E> {
    /// Whether the server may have closed the connection before it saw the request.
    pub(super) fn may_be_stale(&self) -> bool {
        self.may_be_stale
    }

    /// Whether the request is sent while another answer comes.
    pub(super) fn is_pipelined(&self) -> bool {
        self.is_pipelined
    }

    /// Whether the request is pipelined to a server that has not answered a pipelined request yet.
    pub(super) fn is_trial(&self) -> bool {
        self.is_trial
    }

    /// The half to write the request to; `None` after [`written`](Self::written).
    pub(super) fn writer(&mut self) -> Option<&mut W> {
        self.is_begun = true;
        self.writer.as_mut()
    }

    /// Says that the whole request was sent.
    pub(super) fn written(&mut self) {
        let mut state = self.lender.state();
        let writer = self.writer.take();
        if let Some(busy) = state.followed_by(self.ticket) {
            busy.writer = writer;
        } else if let Some(at) = state.read_by(self.ticket) {
            state.busy[at].writer = writer;
        }
    }

    /// Waits until the answer before this one has come, if there is one.
    pub(super) async fn turn(&mut self) -> Result<(), NoTurn> {
        if let Turn::Later(turn) = &mut self.reader {
            self.reader = match turn.await {
                Ok(reader) => Turn::Now(reader),
                Err(_) => Turn::Never,
            };
        }
        match self.reader {
            Turn::Now(_) => Ok(()),
            _ => Err(NoTurn),
        }
    }

    /// The half to read the answer from; `None` before the lease's [turn](Self::turn).
    pub(super) fn reader(&mut self) -> Option<&mut R> {
        match &mut self.reader {
            Turn::Now(reader) => Some(reader),
            _ => None,
        }
    }

    /// Says that `left` bytes of the answer are still to come, after which the connection can be used
    /// again. If they are at most `bdp`, the next request may be sent.
    pub(super) fn still_comes(&self, left: u64, bdp: u64) {
        let mut state = self.lender.state();
        if let Some(at) = state.read_by(self.ticket) {
            state.busy[at].left = left;
            if left <= bdp {
                self.lender.offer_pipelined(&mut state, bdp);
            }
        }
    }

    /// Says that the answer is the right one.
    pub(super) fn was_answered(&self) {
        if self.is_pipelined {
            self.lender.state().pipelining.succeeded();
        }
    }

    /// Says that no answer came, though it was this request's turn.
    pub(super) fn was_lost(&self) {
        if self.is_pipelined {
            self.lender.state().pipelining.failed();
        }
    }

    /// Says that the answer broke off. If a request was pipelined behind it, that may be the cause: a
    /// server that closes a connection with unread bytes on it discards what it had sent.
    pub(super) fn broke_off(&self) {
        let mut state = self.lender.state();
        let at = state.read_by(self.ticket);
        if at.is_some_and(|at| state.busy[at].next.is_some()) {
            state.pipelining.failed();
        }
    }

    /// Closes the connection.
    pub(super) fn close(mut self) {
        self.is_begun = true;
    }

    /// Says that the whole answer has come and that the connection can be used again.
    pub(super) fn done(mut self) {
        let lender = self.lender.clone();
        let mut state = lender.state();
        let Turn::Now(reader) = std::mem::replace(&mut self.reader, Turn::Never) else {
            return;
        };
        let Some(at) = state.read_by(self.ticket) else {
            return;
        };
        if state.busy[at].is_spoiled {
            return;
        }
        if let Some((ticket, next)) = state.busy[at].next.take() {
            (state.busy[at].front, state.busy[at].left) = (ticket, UNKNOWN);
            // If the next lease was dropped, its Drop has told the pool or will.
            drop(next.send(reader));
            return;
        }
        if let Some(writer) = state.busy.swap_remove(at).writer {
            lender.offer(&mut state, Idle::now((reader, writer), true));
        }
    }

    /// Ends a lease over which nothing was sent. Returns the connection if it carries nothing.
    fn withdraw(&mut self, state: &mut State<R, W, E>) -> Option<Idle<R, W>> {
        self.is_over = true;
        if let Some(busy) = state.followed_by(self.ticket) {
            (busy.next, busy.writer) = (None, self.writer.take());
            return None;
        }
        let at = state.read_by(self.ticket)?;
        state.busy.swap_remove(at);
        let reader = match std::mem::replace(&mut self.reader, Turn::Never) {
            Turn::Now(reader) => reader,
            Turn::Later(mut turn) => turn.try_recv().ok()?,
            Turn::Never => return None,
        };
        Some(Idle::now((reader, self.writer.take()?), self.may_be_stale))
    }
}

impl<R, W, E> Drop for Lease<R, W, E> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let lender = self.lender.clone();
        let mut state = lender.state();
        if !self.is_begun {
            match self.withdraw(&mut state) {
                Some(idle) => lender.offer(&mut state, idle),
                None => state.wake_all(),
            }
            return;
        }
        if let Some(busy) = state.followed_by(self.ticket) {
            busy.is_spoiled = true;
        } else if let Some(at) = state.read_by(self.ticket) {
            // This also drops the sender that a pipelined request waits for.
            state.busy.swap_remove(at);
            state.wake_all();
        }
    }
}
