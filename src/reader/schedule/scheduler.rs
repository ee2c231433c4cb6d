//! The state machine itself: events, and the actions that follow from them.
//!
//! Demand goes before read-ahead: a read first drafts requests for its own missing bytes, and only
//! when those are in flight does its stream read ahead. Read-ahead also leaves connections and memory
//! free for demand.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use super::capacity::Capacity;
use super::draft::{Demand, Draft, ReadAhead};
use super::event::{Action, Progress, Read, Request, SourceCall};
use super::flow::{FlowControl, Growth};
use super::memory::Memory;
use super::reads::{Failures, ReadId, WaitingReads, Wake, failed_range};
use super::requests::{RequestId, Requests};
use super::stream::StreamId;
use super::streams::Streams;
use crate::ranges::{RangeSet, len, overlap, overlaps};
use crate::reader::block::{Block, Blocks, blocks_of, missing};
use crate::reader::bound::Share;
use crate::reader::counters::Status;
use crate::reader::error::Error;
use crate::reader::pool::Grant;
use crate::source::{Hints, Priority};

/// How far ahead of a reader its files should be known, in windows: the window may grow before the
/// next file is announced.
const HORIZON: u64 = 4;

/// The state of the reader.
pub(crate) struct Scheduler {
    streams: Streams,
    requests: Requests,
    reads: WaitingReads,
    failures: Failures,
    memory: Memory,
    flow: FlowControl,
    capacity: Capacity,
    now: Instant,
    is_closed: bool,
    actions: Vec<Action>,
}

impl Scheduler {
    /// The state of a reader that may use its share of a memory bound, and this many connections.
    pub(crate) fn new(share: Arc<Share>, connections: usize, now: Instant) -> Self {
        let memory = Memory::new(share);
        Self {
            streams: Streams::default(),
            requests: Requests::default(),
            reads: WaitingReads::default(),
            failures: Failures::default(),
            flow: FlowControl::new(memory.for_read_ahead(), now),
            memory,
            capacity: Capacity::new(connections),
            now,
            is_closed: false,
            actions: Vec::new(),
        }
    }

    /// Sets the time of the next event, and what the source says at that time.
    pub(crate) fn observe(&mut self, now: Instant, hints: Hints) {
        self.now = now;
        self.capacity.readers = self.memory.touch();
        self.flow.set_memory(self.memory.for_read_ahead());
        let is_pipelined = hints.pipelined_within.is_some();
        self.capacity.hints = hints;
        let connections = self.capacity.read_ahead(false);
        self.flow.set_connections(connections, is_pipelined);
    }

    /// How many buffers read-ahead has lacked since the last call.
    pub(crate) fn take_lacking(&mut self) -> Option<usize> {
        self.memory.lacking.take()
    }

    /// The actions that follow from the events so far, to be carried out in this order.
    pub(crate) fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// Event: a read begins, or is repeated with memory for it, or because its request failed.
    pub(crate) fn read(&mut self, read: &mut Read, grant: Option<Grant>) -> Progress {
        if read.stream.is_none()
            && let Some(blocks) = self.read_from_memory(&read.range, read.limit)
        {
            return Progress::Ready(blocks);
        }
        if self.is_closed {
            return Progress::Failed(Error::Closed);
        }
        let blocks = match self.memory.claim(&read.unit, grant) {
            Ok(blocks) => blocks,
            Err(lacking) => {
                self.make_room(lacking);
                return Progress::NeedsMemory(lacking);
            }
        };
        if let Some(error) = self.failures.recent(&read.range, self.now) {
            return Progress::Failed(error);
        }
        let stream = match read.stream {
            Some(stream) => stream,
            None => self.note(&read.range, read.limit, true),
        };
        read.stream = Some(stream);
        let in_unit = missing(&blocks, &read.unit);
        let in_range = in_unit.iter().map(|gap| overlap(gap, &read.range));
        let in_range: RangeSet = in_range.collect();
        let gaps = self.requests.not_requested(in_unit);
        if gaps.is_empty() {
            self.read_ahead(stream);
        } else {
            self.demand(stream, read, gaps, blocks.clone());
        }
        if in_range.is_empty() {
            self.memory.keep_read(&blocks);
            return Progress::Ready(blocks);
        }
        let id = self.reads.add(read.range.clone(), in_range, blocks.clone());
        self.release_read(stream);
        Progress::Waiting(id, blocks)
    }

    /// Event: a read begins that is only wanted if all its bytes are in memory.
    pub(crate) fn read_from_memory(&mut self, range: &Range<u64>, limit: u64) -> Option<Blocks> {
        let blocks = self.memory.find_filled(range)?;
        let stream = self.note(range, limit, false);
        self.read_ahead(stream);
        self.release_read(stream);
        self.memory.keep_read(&blocks);
        Some(blocks)
    }

    /// Event: a read that waited has ended without being woken.
    pub(crate) fn read_cancelled(&mut self, read: ReadId) {
        self.reads.remove(read);
    }

    /// Event: a read of `range` did not end in time. Others fail at once for a short while.
    pub(crate) fn timed_out(&mut self, range: Range<u64>, error: Error) {
        self.failures.add(range, error, self.now);
    }

    /// Event: a draft has been aligned.
    pub(crate) fn aligned(&mut self, draft: Draft) {
        match draft {
            Draft::Demand(demand) => self.start_demand(demand),
            Draft::ReadAhead(read_ahead) => self.start_read_ahead(read_ahead),
        }
    }

    /// Event: `range` of a request has come and is in its blocks. `is_local`: it was stored on this
    /// machine.
    pub(crate) fn arrived(&mut self, id: RequestId, range: &Range<u64>, is_local: bool) {
        let Some(request) = self.requests.get(id) else {
            return;
        };
        request.arrived(range, is_local, &mut self.flow.link, self.now);
        let stream = request.stream;
        let hints = &self.capacity.hints;
        let in_flight = self.requests.bytes().saturating_sub(hints.unverified);
        (self.flow).arrived(len(range), hints.received, in_flight, self.now);
        for (read, blocks) in self.reads.arrived(range) {
            self.memory.keep_read(&blocks);
            self.actions.push(Action::Wake(read, Wake::Ready));
        }
        if let Some(stream) = stream {
            self.read_ahead(stream);
        }
    }

    /// Event: a request has ended, with all its bytes or with an error.
    pub(crate) fn ended(&mut self, id: RequestId, result: Result<(), Error>) {
        let Some(request) = self.requests.remove(id) else {
            return;
        };
        match (result, request.priority) {
            (Ok(()), _) => request.finished(&mut self.flow.link, self.now),
            (Err(error), Priority::Demand) => {
                let bad = failed_range(&request.left, &error);
                self.wake(&request.left, |read| {
                    if overlaps(read, &bad) {
                        Wake::Failed(error.clone())
                    } else {
                        Wake::Again
                    }
                });
                self.failures.add(bad, error, self.now);
            }
            // The source tries less hard for read-ahead than for a reader that waits.
            (Err(_), Priority::Prefetch) => self.wake(&request.left, |_| Wake::Again),
        }
        if let Some(stream) = request.stream {
            self.read_ahead(stream);
        }
    }

    /// Event: the reader within `here` will go on with `extents`, in this order, after those
    /// announced before or, if `is_new`, instead of them. Returns false if no reader is known there.
    pub(crate) fn expect(
        &mut self,
        here: &Range<u64>,
        is_new: bool,
        extents: &[Range<u64>],
    ) -> bool {
        let max_window = self.growth().max_window;
        let stream = self.streams.expect(here, is_new, extents, max_window);
        if let Some(stream) = stream {
            self.read_ahead(stream);
        }
        stream.is_some()
    }

    /// Event: the bytes of `range` are wrong. They are requested anew when they are read.
    pub(crate) fn forget(&mut self, range: &Range<u64>) {
        let cancelled = self.requests.remove_if(|r| overlaps(&r.left, range));
        for (id, request) in cancelled {
            self.actions.push(Action::Cancel(id));
            self.wake(&request.left, |_| Wake::Again);
        }
        for block in self.blocks(range) {
            block.forget(range);
        }
    }

    /// Event: bytes of `range` have come without a request. Returns blocks for them, if there is
    /// memory.
    pub(crate) fn claim(&mut self, range: &Range<u64>) -> Option<Blocks> {
        let blocks = self.memory.claim(range, None).ok()?;
        self.memory.keep_read(&blocks);
        Some(blocks)
    }

    /// Event: the reader is closed.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
        let cancelled = self.requests.remove_if(|_| true).into_iter();
        let cancelled = cancelled.map(|(id, _)| Action::Cancel(id));
        self.actions.extend(cancelled);
        for read in self.reads.remove_all() {
            let closed = Wake::Failed(Error::Closed);
            self.actions.push(Action::Wake(read, closed));
        }
        self.memory.release_all();
    }

    /// The blocks of `range` that are in memory.
    pub(crate) fn blocks(&self, range: &Range<u64>) -> Vec<Arc<Block>> {
        let numbers = blocks_of(range);
        numbers.filter_map(|n| self.memory.block(n)).collect()
    }

    /// How far ahead of a reader its files should be announced, in bytes.
    pub(crate) fn horizon(&self) -> u64 {
        HORIZON * self.flow.window()
    }

    /// The likely latency and rate of the link, as [`LinkEstimate::likely`] has them.
    pub(crate) fn link(&self, assumed: f64) -> (f64, f64) {
        self.flow.link.likely(assumed)
    }

    /// What is known of the link, the requests and the streams.
    pub(crate) fn add_to(&self, status: &mut Status) {
        status.requests_in_flight = self.requests.count();
        self.flow.link.add_to(status);
        status.streams = self.streams.status();
    }

    /// Records a read in its stream. If it begins a new one, streams that it replaces end.
    fn note(&mut self, range: &Range<u64>, limit: u64, waits: bool) -> StreamId {
        let growth = self.growth();
        let noted = self.streams.note(range, limit, waits, growth, self.now);
        if let Some(displaced) = noted.displaced {
            self.end_stream(displaced);
        }
        if noted.is_new && waits {
            // What has come for an abandoned stream stays until the memory is needed.
            let waiting = self.reads.ranges();
            let abandoned = (self.streams).abandon_for(noted.stream, &waiting, self.now);
            for stream in abandoned {
                self.cancel_read_ahead(stream);
            }
        }
        noted.stream
    }

    /// Drafts requests for the bytes of a read that are neither in memory nor in flight.
    fn demand(&mut self, stream: StreamId, read: &Read, ranges: Vec<Range<u64>>, blocks: Blocks) {
        let request_len = self.flow.request_len();
        let state = self.streams.get(stream);
        let is_sequential = state.as_ref().is_some_and(|state| state.is_sequential());
        // A request for whole verification units brings more than the read wants as it is.
        let end = ranges.last().map(|range| range.end);
        let is_plain = read.unit == read.range && end == Some(read.range.end);
        let state = state.filter(|_| is_plain);
        let in_flight = self.requests.count() + ranges.len() - 1;
        let draft = Draft::Demand(Demand {
            stream,
            ranges,
            blocks,
            extension: state.map(|state| state.demand(&read.range, request_len)),
            connections: self.capacity.connections_soon(in_flight, is_sequential),
            capacity: self.capacity.requests(),
            in_flight,
            made_after: self.requests.last_id(),
        });
        self.call(SourceCall::Align(draft));
    }

    fn start_demand(&mut self, demand: Demand) {
        let stream = demand.stream;
        let (mut ranges, mut blocks) = (demand.ranges, demand.blocks);
        let end = ranges.last().map_or(0, |range| range.end);
        if self.requests.last_id() != demand.made_after {
            let missing = ranges.iter().flat_map(|range| missing(&blocks, range));
            ranges = self.requests.not_requested(missing.collect());
        }
        let extension = demand.extension;
        let extra = end..extension.map_or(end, |wanted| wanted.range.end.max(end));
        if !extra.is_empty()
            && let Some(last) = ranges.last_mut().filter(|last| last.end == end)
            && let Some(more) = claim_spare(&mut self.memory, &mut self.streams, &extra)
            && let free = self.requests.not_requested(missing(&more, &extra))
            && let Some(free) = free.first().filter(|free| free.start == end)
        {
            last.end = free.end;
            blocks.extend(more.iter().cloned());
            self.memory.hold(stream, more);
        }
        if let Some(state) = self.streams.get(stream) {
            state.set_requested_to(ranges.last().map_or(end, |last| last.end));
        }
        for range in ranges {
            self.start(range, Priority::Demand, None, blocks.clone());
        }
        self.connect(stream);
        self.read_ahead(stream);
    }

    /// Drafts the next read-ahead request of a stream, if its window, the connections and the link
    /// have room for one.
    fn read_ahead(&mut self, stream: StreamId) {
        let request_len = self.flow.request_len();
        if let Some(connections) = self.room_for_read_ahead(stream)
            && let Some(state) = self.streams.get(stream)
            && let Some(wanted) = state.next_request(request_len, connections)
        {
            let draft = Draft::ReadAhead(ReadAhead {
                stream,
                request: wanted.range.clone(),
                wanted,
                unit: 1,
            });
            self.call(SourceCall::Align(draft));
        }
    }

    fn start_read_ahead(&mut self, read_ahead: ReadAhead) {
        let (stream, request) = (read_ahead.stream, read_ahead.request);
        let wanted = read_ahead.wanted.range;
        let state = self.streams.get(stream);
        if !state.is_some_and(|state| state.is_next(&wanted)) {
            // An event has moved the stream on since the draft.
            return self.read_ahead(stream);
        }
        self.flow.set_unit(read_ahead.unit);
        if self.room_for_read_ahead(stream).is_none() {
            return;
        }
        let Some(blocks) = claim_spare(&mut self.memory, &mut self.streams, &request) else {
            return;
        };
        for gap in self.requests.not_requested(missing(&blocks, &request)) {
            self.start(gap, Priority::Prefetch, Some(stream), blocks.clone());
        }
        if let Some(state) = self.streams.get(stream) {
            let requested = wanted.start..wanted.end.min(request.end);
            state.set_requested(&requested, request.end);
        }
        self.memory.hold(stream, blocks);
        self.connect(stream);
        self.read_ahead(stream);
    }

    /// How many requests may be in flight, if read-ahead of this stream may add one now.
    fn room_for_read_ahead(&mut self, stream: StreamId) -> Option<usize> {
        let is_stalled = self.streams.get(stream)?.is_stalled();
        let connections = self.capacity.read_ahead(is_stalled);
        let hints = &self.capacity.hints;
        let in_use = (self.requests).connections(hints.pipelined_within.unwrap_or(0));
        let limit = self.flow.in_flight();
        let has_room = !self.is_closed
            && in_use < connections
            && (self.requests).have_room_for(stream, limit, hints.unverified);
        has_room.then_some(connections)
    }

    fn start(
        &mut self,
        range: Range<u64>,
        priority: Priority,
        stream: Option<StreamId>,
        blocks: Blocks,
    ) {
        if self.is_closed {
            return;
        }
        let is_pipelined = self.requests.count() >= self.capacity.requests();
        let now = self.now;
        let id = (self.requests).add(range.clone(), priority, stream, is_pipelined, now);
        self.actions.push(Action::Start(Request {
            id,
            range,
            priority,
            blocks,
        }));
    }

    /// Has connections made for what will probably be requested next.
    fn connect(&mut self, stream: StreamId) {
        let state = self.streams.get(stream);
        let is_sequential = state.is_some_and(|state| state.is_sequential());
        let in_flight = self.requests.count();
        let connections = self.capacity.connections_soon(in_flight, is_sequential);
        self.call(SourceCall::Connect(connections));
    }

    fn growth(&self) -> Growth {
        let load = self.streams.load(self.flow.stalled_within(), self.now);
        self.flow.growth(load)
    }

    /// Event: this reader or another one needs memory for this many blocks. Streams give up what was fetched for them,
    /// beginning with the stream that was read longest ago. If that is not enough, all blocks that were read are dropped. Any others are still in use by
    /// requests that are being cancelled, and by reads that will end.
    pub(crate) fn make_room(&mut self, blocks: usize) {
        while !self.memory.has_free(blocks) {
            match self.streams.remove_oldest() {
                Some(stream) => self.end_stream(stream),
                None => return self.memory.drop_all_read(),
            }
        }
    }

    fn end_stream(&mut self, stream: StreamId) {
        self.cancel_read_ahead(stream);
        self.memory.release(stream);
    }

    /// Cancels read-ahead of a stream, but not requests that a read waits for.
    fn cancel_read_ahead(&mut self, stream: StreamId) {
        let waiting = self.reads.ranges();
        let cancelled = self.requests.remove_if(|request| {
            request.stream == Some(stream)
                && request.priority == Priority::Prefetch
                && !waiting.iter().any(|range| overlaps(range, &request.left))
        });
        let cancelled = cancelled.into_iter().map(|(id, _)| Action::Cancel(id));
        self.actions.extend(cancelled);
    }

    fn release_read(&mut self, stream: StreamId) {
        if let Some(state) = self.streams.get(stream) {
            let will_read = |range: &Range<u64>| state.will_read(range);
            self.memory.release_read(stream, will_read);
        }
    }

    fn call(&mut self, call: SourceCall) {
        self.actions.push(Action::Call(call));
    }

    /// Wakes the reads that touch `range`.
    fn wake(&mut self, range: &Range<u64>, reason: impl Fn(&Range<u64>) -> Wake) {
        for (id, read) in self.reads.remove_in(range) {
            self.actions.push(Action::Wake(id, reason(&read)));
        }
    }
}

fn claim_spare(memory: &mut Memory, streams: &mut Streams, range: &Range<u64>) -> Option<Blocks> {
    let is_over = |stream| streams.get(stream).is_none_or(|s| s.is_abandoned);
    memory.claim_spare(range, is_over)
}

#[cfg(test)]
mod tests;
