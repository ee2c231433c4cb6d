//! The [state of a server](super::server) behind one lock, and guards that give back what they hold.
//!
//! Tells the state the time, by tokio's clock.

use std::sync::{Arc, PoisonError};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::connection::{Loan, Turn};
use super::server::{Claim, Grant, ServerState, Taken};
use crate::source::sync::{Mutex, MutexGuard};

/// The connections to one server. `R` is the reading half of a connection, `W` the writing half, and `E`
/// the error if none could be made. Clones share them.
pub(super) struct Pool<R, W, E>(Arc<Mutex<ServerState<R, W, E>>>);

impl<R, W, E> Clone for Pool<R, W, E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R, W, E> Default for Pool<R, W, E> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(ServerState::default())))
    }
}

impl<R, W, E> Pool<R, W, E> {
    /// Locks the state.
    pub(super) fn state(&self) -> MutexGuard<'_, ServerState<R, W, E>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection for a request, and waits for one if necessary. See [`ServerState::take`]. `open`
    /// begins to make a connection.
    ///
    /// # Errors
    /// If the connection that the request waited for could not be made.
    pub(super) async fn lease(
        &self,
        most: usize,
        claim: &Claim,
        open: impl Fn(Opening<R, W, E>),
    ) -> Result<Lease<R, W, E>, E> {
        loop {
            let taken = self.state().take(most, claim.clone(), Instant::now());
            match taken {
                Taken::Loan(loan) => return Ok(Lease::new(self, loan)),
                Taken::Open => open(Opening::new(self)),
                Taken::Wait(grant) => {
                    let pool = self.clone();
                    if let Some(granted) = (Waiting { pool, grant }).granted().await {
                        return granted;
                    }
                }
            }
        }
    }

    /// See [`ServerState::announce`].
    pub(super) fn announce(&self, up_to: usize) -> Vec<Opening<R, W, E>> {
        let lacking = self.state().announce(up_to, Instant::now());
        (0..lacking).map(|_| Opening::new(self)).collect()
    }
}

/// Counts a connection as being opened for as long as it lives.
pub(super) struct Opening<R, W, E>(Option<Pool<R, W, E>>);

impl<R, W, E> Opening<R, W, E> {
    fn new(pool: &Pool<R, W, E>) -> Self {
        Self(Some(pool.clone()))
    }

    /// Adds the connection that was made.
    pub(super) fn made(mut self, reader: R, writer: W) {
        if let Some(pool) = self.0.take() {
            pool.state().opened((reader, writer), Instant::now());
        }
    }

    /// Tells the first waiting request why the connection could not be made.
    pub(super) fn failed(mut self, error: E) {
        if let Some(pool) = self.0.take() {
            pool.state().not_opened(Some(error));
        }
    }
}

impl<R, W, E> Drop for Opening<R, W, E> {
    fn drop(&mut self) {
        if let Some(pool) = self.0.take() {
            pool.state().not_opened(None);
        }
    }
}

/// A request that waits for a connection. Dropping it gives back a connection that was just granted.
struct Waiting<R, W, E> {
    pool: Pool<R, W, E>,
    grant: oneshot::Receiver<Grant<R, W, E>>,
}

impl<R, W, E> Waiting<R, W, E> {
    /// What the request is given; `None` if it has to ask again.
    async fn granted(mut self) -> Option<Result<Lease<R, W, E>, E>> {
        let granted = (&mut self.grant).await.ok()?;
        Some(granted.map(|loan| Lease::new(&self.pool, loan)))
    }
}

impl<R, W, E> Drop for Waiting<R, W, E> {
    fn drop(&mut self) {
        self.grant.close();
        if let Ok(Ok(loan)) = self.grant.try_recv() {
            drop(Lease::new(&self.pool, loan));
        }
    }
}

/// The use of a connection for one request and its answer. Dropping it before the answer has ended closes
/// the connection.
pub(super) struct Lease<R, W, E> {
    pool: Pool<R, W, E>,
    pub(super) loan: Loan<R, W>,
    /// Whether something may have been sent.
    is_begun: bool,
}

impl<R, W, E> Lease<R, W, E> {
    fn new(pool: &Pool<R, W, E>, loan: Loan<R, W>) -> Self {
        Self {
            pool: pool.clone(),
            loan,
            is_begun: false,
        }
    }

    /// The half to write the request to; `None` after [`written`](Self::written).
    pub(super) fn writer(&mut self) -> Option<&mut W> {
        self.is_begun = true;
        self.loan.writer.as_mut()
    }

    /// Says that the whole request was sent.
    pub(super) fn written(&mut self) {
        self.pool.state().written(&mut self.loan);
    }

    /// Waits until the answer before this one has come, if there is one, and takes the half to read from. `None` if that
    /// answer was cut or given up, so that this request gets no answer here.
    pub(super) async fn turn(&mut self) -> Option<R> {
        match std::mem::replace(&mut self.loan.reader, Turn::Never) {
            Turn::Now(reader) => Some(reader),
            Turn::Later(turn) => turn.await.ok(),
            Turn::Never => None,
        }
    }

    /// See [`ServerState::still_comes`].
    pub(super) fn still_comes(&self, left: u64) -> bool {
        let mut state = self.pool.state();
        state.still_comes(&self.loan, left, Instant::now())
    }

    /// Says that the answer is the right one.
    pub(super) fn was_answered(&self) {
        self.pool.state().was_answered(&self.loan);
    }

    /// Says that no answer came, though it was this request's turn.
    pub(super) fn was_lost(&self) {
        self.pool.state().was_lost(&self.loan, Instant::now());
    }

    /// See [`ServerState::broke_off`].
    pub(super) fn broke_off(&self) {
        self.pool.state().broke_off(&self.loan, Instant::now());
    }

    /// Closes the connection.
    pub(super) fn close(mut self) {
        self.is_begun = true;
    }

    /// Says that the whole answer has come and that the connection can be used again.
    pub(super) fn done(mut self, reader: R) {
        self.loan.reader = Turn::Now(reader);
        self.pool.state().done(&mut self.loan, Instant::now());
    }
}

impl<R, W, E> Drop for Lease<R, W, E> {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        if self.is_begun {
            state.given_up(&self.loan);
        } else {
            state.unused(&mut self.loan, Instant::now());
        }
    }
}
