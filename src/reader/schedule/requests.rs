//! The requests that are in flight: what each of them still has to bring, and for which stream.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use super::link::LinkEstimate;
use super::stream::StreamId;
use crate::ranges::{len, overlaps, without};
use crate::source::Priority;

/// Identifies a request to the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RequestId(u64);

/// A request in flight.
#[derive(Debug)]
pub(super) struct InFlight {
    /// What has not come yet.
    pub(super) left: Range<u64>,
    pub(super) priority: Priority,
    /// The stream that it reads ahead for.
    pub(super) stream: Option<StreamId>,
    /// Whether it may have to wait behind another request.
    is_pipelined: bool,
    since: Instant,
    first: Option<FirstChunk>,
}

/// The beginning of an answer.
#[derive(Debug)]
struct FirstChunk {
    at: Instant,
    /// Where the chunk ends.
    end: u64,
    /// Bytes that had arrived before it, on all connections.
    total_arrived: u64,
}

impl InFlight {
    /// Records that `range` has come. Measures the latency of the link if it is the first chunk.
    pub(super) fn arrived(
        &mut self,
        range: &Range<u64>,
        is_local: bool,
        link: &mut LinkEstimate,
        now: Instant,
    ) {
        self.left.start = range.end;
        if self.first.is_none() {
            let after = now.saturating_duration_since(self.since);
            link.first_byte(after, self.is_pipelined, is_local);
            self.first = Some(FirstChunk {
                at: now,
                end: range.end,
                total_arrived: link.total_arrived,
            });
        }
    }

    /// Measures the rate of its connection, after the request has ended with all its bytes.
    pub(super) fn finished(&self, link: &mut LinkEstimate, now: Instant) {
        if let Some(first) = &self.first {
            let took = now.saturating_duration_since(first.at);
            let all = link.total_arrived - first.total_arrived;
            link.transferred(self.left.end - first.end, took, all);
        }
    }
}

/// All requests in flight.
#[derive(Debug, Default)]
pub(super) struct Requests {
    in_flight: BTreeMap<RequestId, InFlight>,
    last_id: u64,
}

impl Requests {
    pub(super) fn add(
        &mut self,
        range: Range<u64>,
        priority: Priority,
        stream: Option<StreamId>,
        is_pipelined: bool,
        now: Instant,
    ) -> RequestId {
        self.last_id += 1;
        let id = RequestId(self.last_id);
        let request = InFlight {
            left: range,
            priority,
            stream,
            is_pipelined,
            since: now,
            first: None,
        };
        self.in_flight.insert(id, request);
        id
    }

    /// The request that was added last.
    pub(super) fn last_id(&self) -> RequestId {
        RequestId(self.last_id)
    }

    pub(super) fn get(&mut self, id: RequestId) -> Option<&mut InFlight> {
        self.in_flight.get_mut(&id)
    }

    pub(super) fn remove(&mut self, id: RequestId) -> Option<InFlight> {
        self.in_flight.remove(&id)
    }

    /// Removes the requests that match, and returns them.
    pub(super) fn remove_if(
        &mut self,
        mut matches: impl FnMut(&InFlight) -> bool,
    ) -> Vec<(RequestId, InFlight)> {
        let found = self
            .in_flight
            .iter()
            .filter(|(_, request)| matches(request));
        let found: Vec<RequestId> = found.map(|(id, _)| *id).collect();
        let removed = found.into_iter();
        let removed = removed.filter_map(|id| Some((id, self.in_flight.remove(&id)?)));
        removed.collect()
    }

    /// Number of requests in flight.
    pub(super) fn count(&self) -> usize {
        self.in_flight.len()
    }

    /// Number of bytes in flight.
    pub(super) fn bytes(&self) -> u64 {
        self.in_flight.values().map(|r| len(&r.left)).sum()
    }

    /// The parts of `ranges` that are not in flight.
    pub(super) fn not_requested(&self, mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
        for request in self.in_flight.values() {
            if ranges.iter().any(|range| overlaps(range, &request.left)) {
                let pieces = ranges.into_iter();
                ranges = pieces.flat_map(|r| without(r, &request.left)).collect();
            }
        }
        ranges
    }

    /// Number of requests that occupy a connection. An answer with at most `pipelined_within` bytes left does not:
    /// the next request can be sent behind it.
    pub(super) fn connections(&self, pipelined_within: u64) -> usize {
        let ends_soon = |r: &&InFlight| r.first.is_some() && len(&r.left) <= pipelined_within;
        let requests = self.in_flight.values();
        requests.filter(|request| !ends_soon(request)).count()
    }

    /// Whether read-ahead of a stream may have more bytes in flight. All requests together may have
    /// `limit` bytes in flight, and each stream may have its share of that, whatever the others have.
    /// `unverified` bytes have come already.
    pub(super) fn have_room_for(&self, stream: StreamId, limit: u64, unverified: u64) -> bool {
        if self.bytes().saturating_sub(unverified) < limit {
            return true;
        }
        let (mut own, mut others) = (0, Vec::new());
        for request in self.in_flight.values() {
            match request.stream {
                Some(of) if of == stream => own += len(&request.left),
                Some(of) if !others.contains(&of) => others.push(of),
                _ => {}
            }
        }
        own < limit / (others.len() as u64 + 1)
    }
}
