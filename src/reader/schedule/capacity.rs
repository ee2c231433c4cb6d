//! How many requests may be in flight: depends on the number of connections, and on the hints of the source.

use crate::source::Hints;

/// Connections that read-ahead leaves free, so that a demand read need not wait for one.
const DEMAND_CONNECTIONS: usize = 2;

/// Bounds of the number of requests.
#[derive(Debug)]
pub(super) struct Capacity {
    connections: usize,
    /// How many readers share the connections for read-ahead.
    pub(super) readers: usize,
    /// What the source said of itself at the last event.
    pub(super) hints: Hints,
}

impl Capacity {
    /// The capacity of one reader that has all of these connections.
    pub(super) fn new(connections: usize) -> Self {
        Self {
            connections,
            readers: 1,
            hints: Hints::default(),
        }
    }

    /// How many requests are worth it at once.
    pub(super) fn requests(&self) -> usize {
        let hint = self.hints.concurrency.unwrap_or(self.connections);
        hint.min(self.connections)
    }

    /// How many requests may be in flight when read-ahead adds one. Read-ahead of a stalled reader may
    /// use all connections: its bytes are what the reader will wait for next.
    pub(super) fn read_ahead(&self, is_stalled: bool) -> usize {
        let share = |connections: usize| connections.div_ceil(self.readers);
        if is_stalled {
            return share(self.requests());
        }
        let connections = self.connections.saturating_sub(DEMAND_CONNECTIONS);
        share(connections.max(1).min(self.requests()))
    }

    /// How many connections will be needed soon, while `in_flight` requests are in flight.
    pub(super) fn connections_soon(&self, in_flight: usize, is_sequential: bool) -> usize {
        if is_sequential {
            self.requests()
        } else {
            (2 * in_flight).max(2).min(self.requests())
        }
    }
}
