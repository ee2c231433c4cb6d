//! The connections to a server, and which request uses which of them.
//!
//! A connection carries one answer at a time. But the next request may be sent while the end of an answer
//! still comes (pipelining; RFC 9112, section 9.3.2). If it is sent a round trip before that end, its
//! answer follows without a pause. Therefore the two halves of a connection are handed over separately: a
//! [`Lease`] has the writing half at once, and the reading half when its turn comes.
//!
//! [`Pipelining`](super::pipelining::Pipelining) decides whether a server can be trusted with that.

use tokio::sync::oneshot;

use super::lease::{Grant, Lease, Lender};
use super::pool_state::{Claim, Idle, Waiter};

/// The connections to one server. `R` is the reading half of a connection, `W` the writing half, and `E`
/// the error if none could be made. Clones share them.
pub(super) struct Pool<R, W, E>(Lender<R, W, E>);

/// What [`Pool::take`] has for a request.
pub(super) enum Taken<R, W, E> {
    Lease(Lease<R, W, E>),
    /// The first connection that becomes free. If the sender is dropped, ask again.
    Wait(oneshot::Receiver<Grant<R, W, E>>),
    /// No connection is being made yet: make one, then ask again.
    Open(Opening<R, W, E>),
}

/// Counts a connection as being made for as long as it lives.
pub(super) struct Opening<R, W, E>(Option<Lender<R, W, E>>);

impl<R, W, E> Clone for Pool<R, W, E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R, W, E> Default for Pool<R, W, E> {
    fn default() -> Self {
        Self(Lender::default())
    }
}

impl<R, W, E> Pool<R, W, E> {
    /// Takes a connection for a request. In this order: an idle one; if the request may be pipelined, one
    /// with at most `bdp` bytes of an answer for the same blob to come; a new one.
    ///
    /// At most `max_busy` connections are busy at once, except those that were busy before the limit
    /// became smaller.
    pub(super) fn take(&self, max_busy: usize, bdp: u64, claim: Claim) -> Taken<R, W, E> {
        let lender = &self.0;
        let mut state = lender.state();
        state.max_busy = max_busy;
        state.close_expired();
        state.waiting.retain(|waiter| !waiter.sender.is_closed());
        // The limit may have grown since others came. They go first.
        while state.can_serve_waiter()
            && let Some(idle) = state.take_idle()
        {
            lender.offer(&mut state, idle);
        }
        let is_before = |other: &Waiter<_>| other.claim.priority >= claim.priority;
        if !state.waiting.front().is_some_and(is_before) {
            if state.busy.len() < max_busy
                && let Some(idle) = state.take_idle()
            {
                return Taken::Lease(lender.lend(&mut state, idle, claim.blob));
            }
            let blob = claim.blob;
            if let Some(lease) = blob.and_then(|blob| lender.lend_pipelined(&mut state, bdp, blob))
            {
                return Taken::Lease(lease);
            }
        }
        let made = state.busy.len() + state.opening;
        if state.waiting.len() >= state.opening && made < max_busy {
            state.opening += 1;
            state.unwanted = false;
            return Taken::Open(Opening(Some(lender.clone())));
        }
        let (sender, receiver) = oneshot::channel();
        let at = state.waiting.partition_point(is_before);
        state.waiting.insert(at, Waiter { claim, sender });
        Taken::Wait(receiver)
    }

    /// Announces connections that no request waits for yet, until there are `up_to` in all.
    pub(super) fn announce(&self, up_to: usize) -> Vec<Opening<R, W, E>> {
        let mut state = self.0.state();
        state.close_expired();
        let made = state.idle.len() + state.busy.len() + state.opening;
        let lacking = up_to.saturating_sub(made);
        state.opening += lacking;
        state.unwanted &= lacking == 0;
        (0..lacking)
            .map(|_| Opening(Some(self.0.clone())))
            .collect()
    }

    /// How many connections are idle, busy, and being made.
    pub(super) fn count(&self) -> (usize, usize, usize) {
        let mut state = self.0.state();
        state.close_expired();
        (state.idle.len(), state.busy.len(), state.opening)
    }

    /// Closes idle connections, and those being made as soon as they are made.
    pub(super) fn clear(&self) {
        let mut state = self.0.state();
        state.unwanted = true;
        state.idle.clear();
    }

    /// Whether requests may be pipelined, as far as is known.
    pub(super) fn allows_pipelining(&self) -> bool {
        self.0.state().pipelining.is_allowed()
    }

    /// Stops pipelining to this server for good.
    pub(super) fn refuse_pipelining(&self) {
        self.0.state().pipelining.refuse();
    }
}

impl<R, W, E> Opening<R, W, E> {
    /// Adds the connection that was made.
    pub(super) fn made(mut self, reader: R, writer: W) {
        if let Some(lender) = self.0.take() {
            let mut state = lender.state();
            state.opening -= 1;
            lender.offer(&mut state, Idle::now((reader, writer), false));
        }
    }

    /// Tells the first waiting request why the connection could not be made.
    pub(super) fn failed(self, error: E) {
        let Some(lender) = &self.0 else { return };
        let mut state = lender.state();
        let mut error = Err(error);
        while let Some(waiter) = state.waiting.pop_front() {
            match waiter.sender.send(error) {
                Err(unheard @ Err(_)) => error = unheard,
                _ => break,
            }
        }
    }
}

impl<R, W, E> Drop for Opening<R, W, E> {
    fn drop(&mut self) {
        if let Some(lender) = self.0.take() {
            let mut state = lender.state();
            state.opening -= 1;
            state.wake_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Priority;

    /// On a fresh mount, demand reads once queued behind all read-ahead as long as there were fewer
    /// connections than requests: that cost one to three round trips.
    #[test]
    fn demand_gets_a_connection_before_readahead() {
        let pool = Pool::<(), (), ()>::default();
        let take = |priority| {
            let blob = None;
            pool.take(1, 0, Claim { blob, priority })
        };
        let waits = |priority| match take(priority) {
            Taken::Wait(waiting) => waiting,
            _ => panic!("there is only one connection"),
        };
        let Taken::Open(opening) = take(Priority::Prefetch) else {
            panic!("there is none yet");
        };
        let mut ahead = waits(Priority::Prefetch);
        let mut demand = [(); 2].map(|()| waits(Priority::Demand));
        opening.made((), ());
        for at in 0..2 {
            let mut got = demand.iter_mut().map(|waiting| waiting.try_recv().ok());
            let lease = got.nth(at).flatten().expect("its turn");
            assert!(got.all(|later| later.is_none()), "one connection");
            assert!(ahead.try_recv().is_err(), "it can wait");
            drop(lease);
        }
        assert!(ahead.try_recv().is_ok());
    }

    #[test]
    fn idle_connections_are_unused_while_the_limit_is_reached() {
        let pool = Pool::<(), (), ()>::default();
        for opening in pool.announce(4) {
            opening.made((), ());
        }
        let take = |max_busy, priority| {
            let blob = None;
            pool.take(max_busy, 0, Claim { blob, priority })
        };
        let lease = |taken| match taken {
            Taken::Lease(lease) => lease,
            _ => panic!("some are idle"),
        };
        let waits = |taken| match taken {
            Taken::Wait(waiting) => waiting,
            _ => panic!("the limit is reached"),
        };
        let three = [(); 3].map(|()| lease(take(3, Priority::Prefetch)));
        let mut ahead = waits(take(1, Priority::Prefetch));
        let mut demand = waits(take(1, Priority::Demand));
        let [first, second, third] = three;
        drop((first, second));
        assert!(
            demand.try_recv().is_err(),
            "one is busy, and one is the limit"
        );
        drop(third);
        let demand = demand.try_recv().expect("its turn");
        assert!(ahead.try_recv().is_err());
        let _behind = waits(take(2, Priority::Prefetch));
        assert!(ahead.try_recv().is_ok(), "the limit is two now");
        assert_eq!(pool.count(), (2, 2, 0));
        drop(demand);
    }
}
