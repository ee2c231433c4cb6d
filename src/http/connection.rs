//! A connection as the [state of a server](super::server) keeps it: idle, busy, or lent to a request.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long a connection is kept that was never used. Servers close one that carries no request after
/// 5 to 60 seconds. The client checks for that before it uses the connection.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a connection is kept that has served a request. Servers keep it for 5 to 75 seconds.
pub(super) const SERVED_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection younger than this is taken for open: servers do not close one so soon.
pub(super) const FRESH: Duration = Duration::from_secs(1);

/// Stands for the unread bytes of an answer whose length is not known yet.
pub(super) const UNKNOWN: u64 = u64::MAX;

/// Identifies a blob, which is one URL. A request is pipelined only behind an answer for the same blob: if
/// a server mixes the two answers up, their ranges tell them apart.
pub(super) type BlobId = u64;

/// A connection that carries nothing.
pub(super) struct Idle<R, W> {
    pub(super) reader: R,
    pub(super) writer: W,
    pub(super) since: Instant,
    pub(super) has_served: bool,
}

impl<R, W> Idle<R, W> {
    /// A connection that is idle from now on.
    pub(super) fn new((reader, writer): (R, W), has_served: bool, now: Instant) -> Self {
        Self {
            reader,
            writer,
            since: now,
            has_served,
        }
    }

    /// Whether the connection must be closed.
    pub(super) fn is_expired(&self, now: Instant) -> bool {
        let limit = if self.has_served {
            SERVED_IDLE_TIMEOUT
        } else {
            IDLE_TIMEOUT
        };
        now.saturating_duration_since(self.since) >= limit
    }

    /// Whether the server may have closed the connection already.
    pub(super) fn may_be_stale(&self, now: Instant) -> bool {
        self.has_served || now.saturating_duration_since(self.since) > FRESH
    }
}

/// A connection that carries a request or an answer.
pub(super) struct Busy<R, W> {
    /// The ticket of the loan that reads.
    pub(super) front: u64,
    /// The blob that the answer is a part of; `None` if no request may be pipelined behind it.
    pub(super) blob: Option<BlobId>,
    /// How many bytes of the answer are still to come.
    pub(super) left: u64,
    /// Present while no request is being written.
    pub(super) writer: Option<W>,
    /// The ticket of the loan whose request is pipelined behind the answer, and where to send it the
    /// reading half.
    pub(super) next: Option<(u64, oneshot::Sender<R>)>,
    /// Whether a request was given up after it was sent. Its answer still comes.
    pub(super) is_spoiled: bool,
}

/// The use of a connection for one request and its answer.
pub(super) struct Loan<R, W> {
    pub(super) ticket: u64,
    pub(super) reader: Turn<R>,
    pub(super) writer: Option<W>,
    /// Whether the server may have closed the connection before it saw the request.
    pub(super) may_be_stale: bool,
    /// Whether the request is sent while another answer comes.
    pub(super) is_pipelined: bool,
    /// Whether the request is pipelined to a server that has not answered a pipelined request yet.
    pub(super) is_trial: bool,
}

/// When a loan may read.
pub(super) enum Turn<R> {
    Now(R),
    Later(oneshot::Receiver<R>),
    /// The loan has given its reading half back, or never gets one.
    Never,
}
