//! Who has which connection to a server.
//!
//! A connection carries one answer at a time. But the next request may be sent while the end of an
//! answer still comes (pipelining; RFC 9112, section 9.3.2): sent a round trip earlier, its answer
//! follows without a pause. So a connection has two halves that go from hand to hand. Whoever gets a
//! connection has a [`Lease`] of it: the writing half at once, the reading half when it is its turn.
//!
//! Not every server can be trusted with that. Before one has answered such a request it is a trial, on
//! which not much time is spent; a server that fails twice in a row is not asked so again.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::lease::Lease;
use crate::source::Priority;
use crate::source::sync::{Mutex, MutexGuard};

/// How long a connection is kept that was never used. Servers give up on one that carries no
/// request after 5 to 60 seconds; whether this one has is looked at before it is used.
pub(super) const SHELF_LIFE: Duration = Duration::from_secs(20);

/// How long one is kept that has served. Servers keep it for 5 to 75 seconds.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// So many requests in a row that were sent early and not answered tell that a server loses them.
const STRIKES: u32 = 2;

/// A network that breaks takes all connections along, and each of them more than one request. So a
/// server that had answered such requests is not blamed for what fails within this time of the first
/// one, in which it gets no more of them;
const SHAKEN_FOR: Duration = Duration::from_secs(1);

/// but if it fails again so soon, it does not answer all of them.
const SHAKEN_AGAIN: Duration = Duration::from_secs(60);

/// What a connection still has to bring, in bytes, while that is not known.
pub(super) const UNKNOWN: u64 = u64::MAX;

/// The connections to one server, of which `R` is the half to read from, `W` the half to write to, and
/// `E` why one could not be made. Cheap to clone; all clones are one.
pub(super) struct Pool<R, W, E>(Arc<Mutex<Shelf<R, W, E>>>);

pub(super) struct Shelf<R, W, E> {
    /// Those that carry nothing, the newest last.
    pub(super) idle: Vec<Idle<R, W>>,
    pub(super) busy: Vec<Busy<R, W>>,
    pub(super) opening: usize,
    /// Those being opened are to be closed if no request waits for them.
    pub(super) unwanted: bool,
    /// Requests that wait for one: those for which somebody waits before those that read ahead, and
    /// then first come first served.
    pub(super) waiting: VecDeque<Waiter<R, W, E>>,
    pub(super) early: Early,
    pub(super) strikes: u32,
    /// When the server failed last that had been trusted.
    pub(super) shaken: Option<Instant>,
    pub(super) tickets: u64,
    /// How many may carry something at once.
    pub(super) most: usize,
}

pub(super) struct Idle<R, W> {
    pub(super) reader: R,
    pub(super) writer: W,
    pub(super) since: Instant,
    pub(super) has_served: bool,
}

impl<R, W> Idle<R, W> {
    /// One that carries nothing from now on.
    pub(super) fn now((reader, writer): (R, W), has_served: bool) -> Self {
        Self {
            reader,
            writer,
            since: Instant::now(),
            has_served,
        }
    }
}

pub(super) struct Busy<R, W> {
    /// Whose answer comes.
    pub(super) front: u64,
    /// What that is an answer of; `None` if no request may be sent early behind it.
    pub(super) line: Option<Line>,
    /// What of that has not come, in bytes.
    pub(super) left: u64,
    /// Between requests.
    pub(super) writer: Option<W>,
    /// Whose request has been sent behind it.
    pub(super) next: Option<(u64, oneshot::Sender<R>)>,
    /// An answer will come that nobody wants any more.
    pub(super) is_spoiled: bool,
}

/// Whether requests may be sent while an answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Early {
    Untried,
    Proven,
    Refused,
}

/// What is asked for parts of: one URL. Only behind an answer of the same one is a request sent early.
/// Should a server mix the two up, each tells by its range which it is.
pub(super) type Line = u64;

/// What a connection is wanted for, and how urgently.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    /// What the request is for a part of, if it may be sent early.
    pub(super) line: Option<Line>,
    pub(super) priority: Priority,
}

/// Who waits for a connection.
pub(super) struct Waiter<R, W, E> {
    claim: Claim,
    sender: oneshot::Sender<Given<R, W, E>>,
}

/// What whoever waits is given.
type Given<R, W, E> = Result<Lease<R, W, E>, E>;

/// What [`Pool::take`] has for whoever wants a connection.
pub(super) enum Taken<R, W, E> {
    Lease(Lease<R, W, E>),
    /// The first that is free. Should the other end be dropped, ask again.
    Wait(oneshot::Receiver<Given<R, W, E>>),
    /// Nobody makes one yet: make one, and then ask again.
    Open(Opening<R, W, E>),
}

/// Says that a connection is being made, for as long as it lives.
pub(super) struct Opening<R, W, E>(Option<Pool<R, W, E>>);

impl<R, W, E> Clone for Pool<R, W, E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R, W, E> Default for Pool<R, W, E> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Shelf {
            idle: Vec::new(),
            busy: Vec::new(),
            opening: 0,
            unwanted: false,
            waiting: VecDeque::new(),
            early: Early::Untried,
            strikes: 0,
            shaken: None,
            tickets: 0,
            most: 1,
        })))
    }
}

impl<R, W, E> Pool<R, W, E> {
    /// A connection for a request: one that carries nothing; or, if it is for a line, one of which no
    /// more than `lead` bytes of an answer of the same are still to come; or a new one. No more than `most`
    /// carry something at once, those aside that did before that became less.
    pub(super) fn take(&self, most: usize, lead: u64, claim: Claim) -> Taken<R, W, E> {
        let mut shelf = self.shelf();
        shelf.most = most;
        shelf.sweep();
        shelf.waiting.retain(|waiter| !waiter.sender.is_closed());
        // There may be more of them than when others came, who go first.
        while shelf.has_room_for_some()
            && let Some(idle) = shelf.take_idle()
        {
            self.offer(&mut shelf, idle);
        }
        let is_before = |other: &Waiter<R, W, E>| other.claim.priority >= claim.priority;
        if !shelf.waiting.front().is_some_and(is_before) {
            if shelf.busy.len() < most
                && let Some(idle) = shelf.take_idle()
            {
                return Taken::Lease(self.lend(&mut shelf, idle, claim.line));
            }
            let line = claim.line;
            if let Some(lease) = line.and_then(|line| self.lend_early(&mut shelf, lead, line)) {
                return Taken::Lease(lease);
            }
        }
        let made = shelf.busy.len() + shelf.opening;
        if shelf.waiting.len() >= shelf.opening && made < most {
            shelf.opening += 1;
            shelf.unwanted = false;
            return Taken::Open(Opening(Some(self.clone())));
        }
        let (sender, receiver) = oneshot::channel();
        let at = shelf.waiting.partition_point(is_before);
        shelf.waiting.insert(at, Waiter { claim, sender });
        Taken::Wait(receiver)
    }

    /// Announces connections that nobody waits for yet, until there are `up_to` in all.
    pub(super) fn announce(&self, up_to: usize) -> Vec<Opening<R, W, E>> {
        let mut shelf = self.shelf();
        shelf.sweep();
        let made = shelf.idle.len() + shelf.busy.len() + shelf.opening;
        let lacking = up_to.saturating_sub(made);
        shelf.opening += lacking;
        shelf.unwanted &= lacking == 0;
        (0..lacking).map(|_| Opening(Some(self.clone()))).collect()
    }

    /// How many connections carry nothing, carry something, and are being made.
    pub(super) fn count(&self) -> (usize, usize, usize) {
        let mut shelf = self.shelf();
        shelf.sweep();
        (shelf.idle.len(), shelf.busy.len(), shelf.opening)
    }

    /// Closes those that carry nothing, and those being made when they are.
    pub(super) fn clear(&self) {
        let mut shelf = self.shelf();
        shelf.unwanted = true;
        shelf.idle.clear();
    }

    /// Whether requests may be sent while an answer comes, as far as is known.
    pub(super) fn allows_early(&self) -> bool {
        self.shelf().allows_early()
    }

    /// Never again sends a request while an answer comes.
    pub(super) fn refuse_early(&self) {
        self.shelf().early = Early::Refused;
    }

    fn lend(
        &self,
        shelf: &mut Shelf<R, W, E>,
        idle: Idle<R, W>,
        line: Option<Line>,
    ) -> Lease<R, W, E> {
        let ticket = shelf.ticket();
        shelf.busy.push(Busy {
            front: ticket,
            line,
            left: UNKNOWN,
            writer: None,
            next: None,
            is_spoiled: false,
        });
        Lease::of_idle(self, ticket, idle)
    }

    /// Of the connections whose answers are nearly over, the one with the least to come.
    fn lend_early(
        &self,
        shelf: &mut Shelf<R, W, E>,
        lead: u64,
        line: Line,
    ) -> Option<Lease<R, W, E>> {
        if !shelf.allows_early() {
            return None;
        }
        let ticket = shelf.ticket();
        let is_ready = |busy: &&mut Busy<R, W>| {
            busy.line == Some(line)
                && busy.left <= lead
                && !busy.is_spoiled
                && busy.next.is_none()
                && busy.writer.is_some()
        };
        let ready = shelf.busy.iter_mut().filter(is_ready);
        let busy = ready.min_by_key(|busy| busy.left)?;
        let writer = busy.writer.take();
        let (sender, turn) = oneshot::channel();
        busy.next = Some((ticket, sender));
        let is_trial = shelf.early == Early::Untried;
        Some(Lease::early(self, ticket, (turn, writer), is_trial))
    }

    /// A connection carries nothing: somebody may wait for it.
    pub(super) fn offer(&self, shelf: &mut Shelf<R, W, E>, mut idle: Idle<R, W>) {
        while shelf.has_room_for_some()
            && let Some(waiter) = shelf.waiting.pop_front()
        {
            let lease = self.lend(shelf, idle, waiter.claim.line);
            match waiter.sender.send(Ok(lease)) {
                Err(Ok(mut unwanted)) => match unwanted.withdraw(shelf) {
                    Some(back) => idle = back,
                    None => return,
                },
                _ => return,
            }
        }
        if !shelf.unwanted || idle.has_served {
            shelf.idle.push(idle);
        }
    }

    /// An answer is nearly over: somebody may wait for that. Who cannot be early is not overtaken, or
    /// no connection might ever be free for it.
    pub(super) fn offer_early(&self, shelf: &mut Shelf<R, W, E>, lead: u64) {
        while let Some(line) = shelf.waiting.front().and_then(|waiter| waiter.claim.line) {
            let Some(lease) = self.lend_early(shelf, lead, line) else {
                return;
            };
            let waiter = shelf.waiting.pop_front();
            let unwanted = waiter.and_then(|waiter| waiter.sender.send(Ok(lease)).err());
            if let Some(Ok(mut unwanted)) = unwanted {
                unwanted.withdraw(shelf);
            }
        }
    }

    pub(super) fn shelf(&self) -> MutexGuard<'_, Shelf<R, W, E>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R, W, E> Shelf<R, W, E> {
    fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// Closes what has been kept for too long.
    fn sweep(&mut self) {
        self.idle.retain(|idle| {
            let limit = if idle.has_served {
                KEPT_FOR
            } else {
                SHELF_LIFE
            };
            idle.since.elapsed() < limit
        });
    }

    /// Whether somebody waits, and one more may carry something.
    fn has_room_for_some(&self) -> bool {
        !self.waiting.is_empty() && self.busy.len() < self.most
    }

    /// The one that has served last: what it may send at once has grown (RFC 5681), and it is known to
    /// be kept. Else the first that was made.
    fn take_idle(&mut self) -> Option<Idle<R, W>> {
        let last = self.idle.iter().rposition(|idle| idle.has_served);
        let at = last.unwrap_or(0);
        (at < self.idle.len()).then(|| self.idle.remove(at))
    }

    pub(super) fn at(&self, ticket: u64) -> Option<usize> {
        self.busy.iter().position(|busy| busy.front == ticket)
    }

    /// What this one's answer comes behind.
    pub(super) fn followed_by(&mut self, ticket: u64) -> Option<&mut Busy<R, W>> {
        let is_next = |busy: &&mut Busy<R, W>| {
            let next = busy.next.as_ref();
            next.is_some_and(|(next, _)| *next == ticket)
        };
        self.busy.iter_mut().find(is_next)
    }

    /// There is room for a connection: whoever waits looks again.
    pub(super) fn room(&mut self) {
        self.waiting.clear();
    }

    fn allows_early(&self) -> bool {
        self.early != Early::Refused && !self.was_shaken_within(SHAKEN_FOR)
    }

    fn was_shaken_within(&self, time: Duration) -> bool {
        self.shaken.is_some_and(|at| at.elapsed() < time)
    }

    /// A request that was sent early was not answered.
    pub(super) fn struck(&mut self) {
        match self.early {
            Early::Refused => {}
            _ if self.was_shaken_within(SHAKEN_FOR) => {}
            Early::Proven if self.was_shaken_within(SHAKEN_AGAIN) => self.early = Early::Refused,
            Early::Proven => {
                (self.early, self.strikes) = (Early::Untried, 0);
                self.shaken = Some(Instant::now());
            }
            Early::Untried => {
                self.strikes += 1;
                if self.strikes >= STRIKES {
                    self.early = Early::Refused;
                }
            }
        }
    }
}

impl<R, W, E> Opening<R, W, E> {
    /// It was made.
    pub(super) fn made(mut self, reader: R, writer: W) {
        if let Some(pool) = self.0.take() {
            let mut shelf = pool.shelf();
            shelf.opening -= 1;
            pool.offer(&mut shelf, Idle::now((reader, writer), false));
        }
    }

    /// It could not be made: whoever counted on it is told.
    pub(super) fn failed(self, error: E) {
        let Some(pool) = &self.0 else { return };
        let mut shelf = pool.shelf();
        let mut error = Err(error);
        while let Some(waiter) = shelf.waiting.pop_front() {
            match waiter.sender.send(error) {
                Err(unheard @ Err(_)) => error = unheard,
                _ => break,
            }
        }
    }
}

impl<R, W, E> Drop for Opening<R, W, E> {
    fn drop(&mut self) {
        if let Some(pool) = self.0.take() {
            let mut shelf = pool.shelf();
            shelf.opening -= 1;
            shelf.room();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who waited for bytes stood behind all that was read ahead, as long as there were fewer
    /// connections than requests let through: on a fresh mount, one round trip or three.
    #[test]
    fn who_is_waited_for_goes_first() {
        let pool = Pool::<(), (), ()>::default();
        let take = |priority| {
            let line = None;
            pool.take(1, 0, Claim { line, priority })
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
    fn what_carries_nothing_waits_until_more_are_worth_it() {
        let pool = Pool::<(), (), ()>::default();
        for opening in pool.announce(4) {
            opening.made((), ());
        }
        let take = |most, priority| {
            let line = None;
            pool.take(most, 0, Claim { line, priority })
        };
        let lease = |taken| match taken {
            Taken::Lease(lease) => lease,
            _ => panic!("some carry nothing"),
        };
        let waits = |taken| match taken {
            Taken::Wait(waiting) => waiting,
            _ => panic!("more are not worth it"),
        };
        let three = [(); 3].map(|()| lease(take(3, Priority::Prefetch)));
        let mut ahead = waits(take(1, Priority::Prefetch));
        let mut demand = waits(take(1, Priority::Demand));
        let [first, second, third] = three;
        drop((first, second));
        assert!(demand.try_recv().is_err(), "one is enough, and is there");
        drop(third);
        let demand = demand.try_recv().expect("its turn");
        assert!(ahead.try_recv().is_err());
        let _behind = waits(take(2, Priority::Prefetch));
        assert!(ahead.try_recv().is_ok(), "two are worth it now");
        assert_eq!(pool.count(), (2, 2, 0));
        drop(demand);
    }

    /// All connections break when a machine wakes up or changes its network: once that had a server
    /// asked one thing at a time for as long as it was mounted.
    #[test]
    fn a_network_that_breaks_is_not_the_servers_failure() {
        let pool = Pool::<(), (), ()>::default();
        let mut shelf = pool.shelf();
        let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds));
        let mut break_off = |last: Option<Instant>| {
            (shelf.early, shelf.shaken) = (Early::Proven, last);
            for _ in 0..16 {
                shelf.struck();
            }
            assert!(!shelf.allows_early(), "for a while");
            shelf.shaken = ago(2);
            shelf.allows_early()
        };
        assert!(break_off(None));
        assert!(break_off(ago(120)), "another one, later");
        assert!(!break_off(ago(10)), "again and again");
        shelf.early = Early::Untried;
        shelf.struck();
        assert!(shelf.allows_early());
        shelf.struck();
        assert!(!shelf.allows_early(), "who never answered one");
    }
}
