//! The state of a pool: which connections there are, and which requests wait for one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::pipelining::Pipelining;
use crate::source::Priority;

/// How long a connection is kept that was never used. Servers close one that carries no request after
/// 5 to 60 seconds. The client checks for that before it uses the connection.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a connection is kept that has served a request. Servers keep it for 5 to 75 seconds.
const SERVED_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Stands for the unread bytes of an answer whose length is not known yet.
pub(super) const UNKNOWN: u64 = u64::MAX;

/// The connections to one server. `R` is the reading half of a connection, `W` the writing half, and `G`
/// what a waiting request is given.
pub(super) struct PoolState<R, W, G> {
    /// Connections that carry nothing, the newest last.
    pub(super) idle: Vec<Idle<R, W>>,
    pub(super) busy: Vec<Busy<R, W>>,
    /// How many connections are being opened.
    pub(super) opening: usize,
    /// Whether to close connections that are being opened, unless a request waits for them.
    pub(super) unwanted: bool,
    /// Requests that wait for a connection: demand before read-ahead, then in order of arrival.
    pub(super) waiting: VecDeque<Waiter<G>>,
    pub(super) pipelining: Pipelining,
    tickets: u64,
    /// How many connections may be busy at once.
    pub(super) max_busy: usize,
}

/// A connection that carries nothing.
pub(super) struct Idle<R, W> {
    pub(super) reader: R,
    pub(super) writer: W,
    pub(super) since: Instant,
    pub(super) has_served: bool,
}

impl<R, W> Idle<R, W> {
    /// A connection that is idle from now on.
    pub(super) fn now((reader, writer): (R, W), has_served: bool) -> Self {
        Self {
            reader,
            writer,
            since: Instant::now(),
            has_served,
        }
    }
}

/// A connection that carries a request or an answer.
pub(super) struct Busy<R, W> {
    /// The ticket of the lease that reads.
    pub(super) front: u64,
    /// The blob that the answer is a part of; `None` if no request may be pipelined behind it.
    pub(super) blob: Option<BlobId>,
    /// How many bytes of the answer are still to come.
    pub(super) left: u64,
    /// Present while no request is being written.
    pub(super) writer: Option<W>,
    /// The ticket of the lease whose request is pipelined behind the answer, and where to send it the
    /// reading half.
    pub(super) next: Option<(u64, oneshot::Sender<R>)>,
    /// Whether a request was given up after it was sent, so that its answer comes unasked.
    pub(super) is_spoiled: bool,
}

/// Identifies a blob, which is one URL. A request is pipelined only behind an answer for the same blob: if
/// a server mixes the two answers up, their ranges tell them apart.
pub(super) type BlobId = u64;

/// What a request needs a connection for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    /// The blob of which the request asks a part, if the request may be pipelined.
    pub(super) blob: Option<BlobId>,
    pub(super) priority: Priority,
}

/// A request that waits for a connection.
pub(super) struct Waiter<G> {
    pub(super) claim: Claim,
    pub(super) sender: oneshot::Sender<G>,
}

impl<R, W, G> Default for PoolState<R, W, G> {
    fn default() -> Self {
        Self {
            idle: Vec::new(),
            busy: Vec::new(),
            opening: 0,
            unwanted: false,
            waiting: VecDeque::new(),
            pipelining: Pipelining::default(),
            tickets: 0,
            max_busy: 1,
        }
    }
}

impl<R, W, G> PoolState<R, W, G> {
    pub(super) fn new_ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// Closes idle connections that have timed out.
    pub(super) fn close_expired(&mut self) {
        self.idle.retain(|idle| {
            let limit = if idle.has_served {
                SERVED_IDLE_TIMEOUT
            } else {
                IDLE_TIMEOUT
            };
            idle.since.elapsed() < limit
        });
    }

    /// Whether a request waits and one more connection may be busy.
    pub(super) fn can_serve_waiter(&self) -> bool {
        !self.waiting.is_empty() && self.busy.len() < self.max_busy
    }

    /// Takes the connection that has served last: its congestion window has grown (RFC 5681), and the
    /// server is known to keep it. If none has served, takes the oldest.
    pub(super) fn take_idle(&mut self) -> Option<Idle<R, W>> {
        let last = self.idle.iter().rposition(|idle| idle.has_served);
        let at = last.unwrap_or(0);
        (at < self.idle.len()).then(|| self.idle.remove(at))
    }

    /// The index of the busy connection whose answer the lease with this ticket reads.
    pub(super) fn read_by(&self, ticket: u64) -> Option<usize> {
        self.busy.iter().position(|busy| busy.front == ticket)
    }

    /// The busy connection on which the request with this ticket is pipelined.
    pub(super) fn followed_by(&mut self, ticket: u64) -> Option<&mut Busy<R, W>> {
        let is_next = |busy: &&mut Busy<R, W>| {
            let next = busy.next.as_ref();
            next.is_some_and(|(next, _)| *next == ticket)
        };
        self.busy.iter_mut().find(is_next)
    }

    /// Makes all waiting requests ask again, because there is room for another connection.
    pub(super) fn wake_all(&mut self) {
        self.waiting.clear();
    }
}
