//! The use of a connection of the [pool](super::pool), for one request and its answer.

use std::time::Duration;

use tokio::sync::oneshot;

use super::pool::{Early, Idle, Pool, Shelf, UNKNOWN};

/// So long after it was made a connection is as good as new.
const FRESH: Duration = Duration::from_secs(1);

/// The use of a connection for one request and its answer. Dropped in the middle, it closes it.
pub(super) struct Lease<R, W, E> {
    pool: Pool<R, W, E>,
    ticket: u64,
    reader: Turn<R>,
    writer: Option<W>,
    may_be_stale: bool,
    is_early: bool,
    /// Whether the server has shown nothing yet by which it could be trusted with it.
    is_trial: bool,
    is_begun: bool,
    /// It was given back otherwise.
    is_over: bool,
}

/// Whose turn it is to read.
enum Turn<R> {
    Now(R),
    Later(oneshot::Receiver<R>),
    Over,
}

/// The answer before on a connection was cut, or nobody wanted it any more: nothing of one's own can
/// come there.
#[derive(Debug)]
pub(super) struct Moved;

impl<R, W, E> Lease<R, W, E> {
    /// The use of a connection that carries nothing.
    pub(super) fn of_idle(pool: &Pool<R, W, E>, ticket: u64, idle: Idle<R, W>) -> Self {
        Self {
            pool: pool.clone(),
            ticket,
            reader: Turn::Now(idle.reader),
            writer: Some(idle.writer),
            may_be_stale: idle.has_served || idle.since.elapsed() > FRESH,
            is_early: false,
            is_trial: false,
            is_begun: false,
            is_over: false,
        }
    }

    /// The use of one over which another answer comes: its half to write to, and where the other one
    /// will come from.
    pub(super) fn early(
        pool: &Pool<R, W, E>,
        ticket: u64,
        (turn, writer): (oneshot::Receiver<R>, Option<W>),
        is_trial: bool,
    ) -> Self {
        Self {
            pool: pool.clone(),
            ticket,
            reader: Turn::Later(turn),
            writer,
            may_be_stale: true,
            is_early: true,
            is_trial,
            is_begun: false,
            is_over: false,
        }
    }

    /// Whether the server may have closed the connection meanwhile, having seen nothing on it.
    pub(super) fn may_be_stale(&self) -> bool {
        self.may_be_stale
    }

    /// Whether the request is sent while another's answer comes.
    pub(super) fn is_early(&self) -> bool {
        self.is_early
    }

    /// Whether the server has not answered any of this kind yet.
    pub(super) fn is_trial(&self) -> bool {
        self.is_trial
    }

    /// To write the request. `None` once that was [written](Self::written).
    pub(super) fn writer(&mut self) -> Option<&mut W> {
        self.is_begun = true;
        self.writer.as_mut()
    }

    /// All of the request has gone.
    pub(super) fn written(&mut self) {
        let mut shelf = self.pool.shelf();
        let writer = self.writer.take();
        if let Some(busy) = shelf.followed_by(self.ticket) {
            busy.writer = writer;
        } else if let Some(at) = shelf.at(self.ticket) {
            shelf.busy[at].writer = writer;
        }
    }

    /// Waits until the answer before has come, if there is one.
    pub(super) async fn turn(&mut self) -> Result<(), Moved> {
        if let Turn::Later(turn) = &mut self.reader {
            self.reader = match turn.await {
                Ok(reader) => Turn::Now(reader),
                Err(_) => Turn::Over,
            };
        }
        match self.reader {
            Turn::Now(_) => Ok(()),
            _ => Err(Moved),
        }
    }

    /// To read the answer; `None` before it is one's [turn](Self::turn).
    pub(super) fn reader(&mut self) -> Option<&mut R> {
        match &mut self.reader {
            Turn::Now(reader) => Some(reader),
            _ => None,
        }
    }

    /// So many bytes of the answer are still to come, and then the connection can carry another one.
    /// If they are no more than `lead`, its request may be sent.
    pub(super) fn still_comes(&self, left: u64, lead: u64) {
        let mut shelf = self.pool.shelf();
        if let Some(at) = shelf.at(self.ticket) {
            shelf.busy[at].left = left;
            if left <= lead {
                self.pool.offer_early(&mut shelf, lead);
            }
        }
    }

    /// The server has answered what was sent early, and rightly.
    pub(super) fn was_answered(&self) {
        if self.is_early {
            let mut shelf = self.pool.shelf();
            shelf.strikes = 0;
            if shelf.early != Early::Refused {
                shelf.early = Early::Proven;
            }
        }
    }

    /// What was sent early was not answered, though it was its turn.
    pub(super) fn was_lost(&self) {
        if self.is_early {
            self.pool.shelf().struck();
        }
    }

    /// The answer broke off. A server that closes a connection over which something has come that it did
    /// not expect takes along what it had sent.
    pub(super) fn broke_off(&self) {
        let mut shelf = self.pool.shelf();
        let at = shelf.at(self.ticket);
        if at.is_some_and(|at| shelf.busy[at].next.is_some()) {
            shelf.struck();
        }
    }

    /// Closes the connection.
    pub(super) fn close(mut self) {
        self.is_begun = true;
    }

    /// All of the answer has come, and the connection can carry another one.
    pub(super) fn done(mut self) {
        let pool = self.pool.clone();
        let mut shelf = pool.shelf();
        let Turn::Now(reader) = std::mem::replace(&mut self.reader, Turn::Over) else {
            return;
        };
        let Some(at) = shelf.at(self.ticket) else {
            return;
        };
        if shelf.busy[at].is_spoiled {
            return;
        }
        if let Some((ticket, next)) = shelf.busy[at].next.take() {
            (shelf.busy[at].front, shelf.busy[at].left) = (ticket, UNKNOWN);
            // Who does not wait any more says so to the pool.
            drop(next.send(reader));
            return;
        }
        if let Some(writer) = shelf.busy.swap_remove(at).writer {
            pool.offer(&mut shelf, Idle::now((reader, writer), true));
        }
    }

    /// Nothing was sent, and this lease is over. Returns the connection if it carries nothing.
    pub(super) fn withdraw(&mut self, shelf: &mut Shelf<R, W, E>) -> Option<Idle<R, W>> {
        self.is_over = true;
        if let Some(busy) = shelf.followed_by(self.ticket) {
            (busy.next, busy.writer) = (None, self.writer.take());
            return None;
        }
        let at = shelf.at(self.ticket)?;
        shelf.busy.swap_remove(at);
        let reader = match std::mem::replace(&mut self.reader, Turn::Over) {
            Turn::Now(reader) => reader,
            Turn::Later(mut turn) => turn.try_recv().ok()?,
            Turn::Over => return None,
        };
        Some(Idle::now((reader, self.writer.take()?), self.may_be_stale))
    }
}

impl<R, W, E> Drop for Lease<R, W, E> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let pool = self.pool.clone();
        let mut shelf = pool.shelf();
        if !self.is_begun {
            match self.withdraw(&mut shelf) {
                Some(idle) => pool.offer(&mut shelf, idle),
                None => shelf.room(),
            }
            return;
        }
        if let Some(busy) = shelf.followed_by(self.ticket) {
            busy.is_spoiled = true;
        } else if let Some(at) = shelf.at(self.ticket) {
            // With it goes whoever's turn is next.
            shelf.busy.swap_remove(at);
            shelf.room();
        }
    }
}
