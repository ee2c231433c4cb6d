//! The state machine itself: events, and the actions that follow from them.
//!
//! Demand goes before read-ahead: a read first drafts requests for its own missing bytes, and only
//! when those are in flight does its stream read ahead. Read-ahead also leaves connections and memory
//! free for demand.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use super::draft::{Aligned, AlignedDemand, AlignedReadAhead, DemandDraft, Draft, ReadAheadDraft};
use super::flow::{FlowControl, Growth};
use super::memory::{DEMAND_SHARE, Memory, READ_SHARE};
use super::reads::{Failures, ReadId, WaitingReads, Wake};
use super::requests::{FirstChunk, InFlight, RequestId, Requests};
use super::stream::StreamId;
use super::streams::Streams;
use crate::reader::block::{Block, Blocks, blocks_of, missing};
use crate::reader::counters::StreamStatus;
use crate::reader::error::Error;
use crate::reader::pool::{BLOCK, Grant, Pool};
use crate::reader::ranges::{len, overlap, overlaps};
use crate::source::{self, Priority};

/// Connections that read-ahead leaves free, so that a demand read need not wait for one.
const DEMAND_CONNECTIONS: usize = 2;

/// How far ahead of a reader its files should be known, in windows: the window may grow before the
/// next file is announced.
const HORIZON: u64 = 4;

/// What the scheduler may use.
#[derive(Debug, Clone, Copy)]
pub(in crate::reader) struct Limits {
    /// Buffers in the pool.
    pub(in crate::reader) buffers: usize,
    /// Requests at once.
    pub(in crate::reader) connections: usize,
}

/// What the source says of itself at the time of an event.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::reader) struct Hints {
    /// [`at_once`](crate::source::Source::at_once)
    pub(in crate::reader) concurrency: Option<usize>,
    /// [`early_by`](crate::source::Source::early_by)
    pub(in crate::reader) pipelined_within: Option<u64>,
    /// [`received`](crate::source::Source::received)
    pub(in crate::reader) received: Option<u64>,
    /// [`on_trial`](crate::source::Source::on_trial)
    pub(in crate::reader) unverified: u64,
}

/// What the executor must do.
#[derive(Debug)]
pub(in crate::reader) enum Action {
    Start(Request),
    Cancel(RequestId),
    Wake(ReadId, Wake),
    /// To be made with the scheduler unlocked.
    Call(SourceCall),
}

/// A call to the source.
#[derive(Debug)]
pub(in crate::reader) enum SourceCall {
    /// Have connections made for this many requests.
    Connect(usize),
    /// Align a draft and pass it to [`Scheduler::aligned`].
    Align(Draft),
}

/// A request to start. Its bytes belong into the blocks.
#[derive(Debug)]
pub(in crate::reader) struct Request {
    pub(in crate::reader) id: RequestId,
    pub(in crate::reader) range: Range<u64>,
    pub(in crate::reader) priority: Priority,
    pub(in crate::reader) blocks: Blocks,
}

/// A read, from its first event to its last.
#[derive(Debug)]
pub(in crate::reader) struct Read {
    range: Range<u64>,
    /// The verification units of the range.
    unit: Range<u64>,
    /// The end of the file that is read.
    limit: u64,
    /// Known once the read is recorded in its stream: only the first attempt is.
    stream: Option<StreamId>,
}

impl Read {
    pub(in crate::reader) fn new(range: Range<u64>, unit: Range<u64>, limit: u64) -> Self {
        Self {
            range,
            unit,
            limit,
            stream: None,
        }
    }

    pub(in crate::reader) fn range(&self) -> &Range<u64> {
        &self.range
    }
}

/// How far a read has come.
#[derive(Debug)]
pub(in crate::reader) enum Progress {
    /// All bytes are in these blocks.
    Ready(Blocks),
    /// [`Action::Wake`] will tell when they are.
    Waiting(ReadId, Blocks),
    /// Repeat the read with a grant for this many buffers.
    NeedsMemory(usize),
    Failed(Error),
}

/// The state of the reader.
pub(in crate::reader) struct Scheduler {
    streams: Streams,
    requests: Requests,
    reads: WaitingReads,
    failures: Failures,
    memory: Memory,
    flow: FlowControl,
    connections: usize,
    hints: Hints,
    now: Instant,
    is_closed: bool,
    actions: Vec<Action>,
}

impl Scheduler {
    pub(in crate::reader) fn new(pool: Pool, limits: Limits, now: Instant) -> Self {
        let buffers = limits.buffers;
        let for_read_ahead = buffers - buffers / READ_SHARE - buffers / DEMAND_SHARE;
        Self {
            streams: Streams::default(),
            requests: Requests::default(),
            reads: WaitingReads::default(),
            failures: Failures::default(),
            memory: Memory::new(pool, buffers),
            flow: FlowControl::new(for_read_ahead as u64 * BLOCK, now),
            connections: limits.connections,
            hints: Hints::default(),
            now,
            is_closed: false,
            actions: Vec::new(),
        }
    }

    /// Sets the time of the next event, and what the source says at that time.
    pub(in crate::reader) fn observe(&mut self, now: Instant, hints: Hints) {
        (self.now, self.hints) = (now, hints);
        let connections = self.read_ahead_connections();
        let is_pipelined = hints.pipelined_within.is_some();
        self.flow.set_connections(connections, is_pipelined);
    }

    /// The actions that follow from the events so far, in the order in which they must be carried
    /// out.
    pub(in crate::reader) fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// Event: a read begins, or is repeated with memory for it, or because its request failed.
    pub(in crate::reader) fn read(&mut self, read: &mut Read, grant: Option<Grant>) -> Progress {
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
        let mut missing = missing(&blocks, &read.unit);
        let gaps = self.requests.not_requested(missing.clone());
        if gaps.is_empty() {
            self.read_ahead(stream);
        } else {
            self.demand(stream, read, gaps, blocks.clone());
        }
        missing
            .iter_mut()
            .for_each(|gap| *gap = overlap(gap, &read.range));
        missing.retain(|gap| !gap.is_empty());
        if missing.is_empty() {
            self.memory.keep_read(&blocks);
            return Progress::Ready(blocks);
        }
        let id = self.reads.add(read.range.clone(), missing, blocks.clone());
        self.release_read(stream);
        Progress::Waiting(id, blocks)
    }

    /// Event: a read begins that is only wanted if all its bytes are in memory.
    pub(in crate::reader) fn read_from_memory(
        &mut self,
        range: &Range<u64>,
        limit: u64,
    ) -> Option<Blocks> {
        let blocks = self.memory.find_filled(range)?;
        let stream = self.note(range, limit, false);
        self.read_ahead(stream);
        self.release_read(stream);
        self.memory.keep_read(&blocks);
        Some(blocks)
    }

    /// Event: a read that waited was woken or cancelled.
    pub(in crate::reader) fn read_ended(&mut self, read: ReadId) {
        if let Some(blocks) = self.reads.ended(read) {
            self.memory.keep_read(&blocks);
        }
    }

    /// Event: a read of `range` did not end in time. Others fail at once for a short while.
    pub(in crate::reader) fn timed_out(&mut self, range: Range<u64>, error: Error) {
        self.failures.add(range, error, self.now);
    }

    /// Event: a draft has been aligned.
    pub(in crate::reader) fn aligned(&mut self, aligned: Aligned) {
        match aligned {
            Aligned::Demand(demand) => self.start_demand(demand),
            Aligned::ReadAhead(read_ahead) => self.start_read_ahead(read_ahead),
        }
    }

    /// Event: `range` of a request has come and is in its blocks. `is_local`: it was stored on this
    /// machine.
    pub(in crate::reader) fn arrived(&mut self, id: RequestId, range: &Range<u64>, is_local: bool) {
        let Some(request) = self.requests.get(id) else {
            return;
        };
        request.left.start = range.end;
        if request.first.is_none() {
            let after = self.now.saturating_duration_since(request.since);
            self.flow
                .link
                .first_byte(after, request.is_pipelined, is_local);
            request.first = Some(FirstChunk {
                at: self.now,
                end: range.end,
                total_arrived: self.flow.link.total_arrived(),
            });
        }
        let stream = request.stream;
        let in_flight = self.requests.bytes().saturating_sub(self.hints.unverified);
        let received = self.hints.received;
        self.flow.arrived(len(range), received, in_flight, self.now);
        for read in self.reads.arrived(range) {
            self.actions.push(Action::Wake(read, Wake::Ready));
        }
        if let Some(stream) = stream {
            self.read_ahead(stream);
        }
    }

    /// Event: a request has ended, with all its bytes or with an error.
    pub(in crate::reader) fn ended(&mut self, id: RequestId, result: Result<(), Error>) {
        let Some(request) = self.requests.remove(id) else {
            return;
        };
        match (result, request.priority) {
            (Ok(()), _) => {
                if let Some(first) = request.first {
                    let took = self.now.saturating_duration_since(first.at);
                    let all = self.flow.link.total_arrived() - first.total_arrived;
                    let bytes = request.left.end - first.end;
                    self.flow.link.transferred(bytes, took, all);
                }
            }
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
    pub(in crate::reader) fn expect(
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
    pub(in crate::reader) fn forget(&mut self, range: &Range<u64>) {
        let cancelled = self.requests.remove_if(|r| overlaps(&r.left, range));
        for (id, request) in cancelled {
            self.actions.push(Action::Cancel(id));
            self.wake(&request.left, |_| Wake::Again);
        }
        for block in self.blocks(range) {
            block.forget(range);
        }
    }

    /// Event: nobody will read `range` again.
    pub(in crate::reader) fn drop_read(&mut self, range: &Range<u64>) {
        self.memory.drop_read(range);
    }

    /// Event: bytes of `range` have come without a request. Returns blocks for them, if there is
    /// memory.
    pub(in crate::reader) fn claim(&mut self, range: &Range<u64>) -> Option<Blocks> {
        let blocks = self.memory.claim(range, None).ok()?;
        self.memory.keep_read(&blocks);
        Some(blocks)
    }

    /// Event: the reader is closed.
    pub(in crate::reader) fn close(&mut self) {
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
    pub(in crate::reader) fn blocks(&self, range: &Range<u64>) -> Vec<Arc<Block>> {
        let numbers = blocks_of(range);
        numbers.filter_map(|n| self.memory.block(n)).collect()
    }

    /// How far ahead of a reader its files should be announced, in bytes.
    pub(in crate::reader) fn horizon(&self) -> u64 {
        HORIZON * self.flow.window()
    }

    /// Number of requests in flight.
    pub(in crate::reader) fn in_flight(&self) -> usize {
        self.requests.count()
    }

    /// The streams, the one that was read last first.
    pub(in crate::reader) fn streams(&self) -> Vec<StreamStatus> {
        self.streams.status()
    }

    /// The time within which `fraction` of the requests to servers got their first byte.
    pub(in crate::reader) fn latency(&self, fraction: f64) -> std::time::Duration {
        self.flow.link.percentile(fraction)
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

    /// Drafts requests for the bytes of a read that nobody has requested.
    fn demand(&mut self, stream: StreamId, read: &Read, gaps: Vec<Range<u64>>, blocks: Blocks) {
        let request_len = self.flow.request_len();
        // A request for whole verification units brings more than the read wants as it is.
        let is_plain =
            read.unit == read.range && gaps.last().map(|g| g.end) == Some(read.range.end);
        let state = self.streams.get(stream).filter(|_| is_plain);
        let extension = state.map(|state| state.demand(&read.range, request_len));
        let in_flight = self.requests.count() + gaps.len() - 1;
        let draft = Draft::Demand(DemandDraft {
            stream,
            gaps,
            blocks,
            extension,
            connections: self.connections_soon(stream, in_flight),
            concurrency: self.concurrency(),
            in_flight,
            made_after: self.requests.last_id(),
        });
        self.call(SourceCall::Align(draft));
    }

    fn start_demand(&mut self, demand: AlignedDemand) {
        let AlignedDemand {
            stream,
            ranges,
            mut blocks,
            ..
        } = demand;
        let end = ranges.last().map_or(0, |range| range.end);
        let mut ranges = if self.requests.last_id() == demand.made_after {
            ranges
        } else {
            // Others have requested something meanwhile.
            let missing = ranges.iter().flat_map(|range| missing(&blocks, range));
            self.requests.not_requested(missing.collect())
        };
        let extra = end..demand.extended_to.max(end);
        if !extra.is_empty()
            && let Some(last) = ranges.last_mut()
            && last.end == end
            && let Some(more) = claim_spare(&mut self.memory, &mut self.streams, &extra)
            && let free = self.requests.not_requested(missing(&more, &extra))
            && let Some(free) = free.first()
            && free.start == end
        {
            last.end = free.end;
            blocks.extend(more.iter().cloned());
            self.memory.hold(stream, more);
        }
        let requested_to = ranges.last().map_or(end, |last| last.end);
        for range in ranges {
            self.start(range, Priority::Demand, None, blocks.clone());
        }
        if let Some(stream) = self.streams.get(stream) {
            stream.set_requested_to(requested_to);
        }
        self.connect(stream);
        self.read_ahead(stream);
    }

    /// Drafts the next read-ahead request of a stream, if its window, the connections and the link
    /// have room for one.
    fn read_ahead(&mut self, stream: StreamId) {
        let Some(connections) = self.room_for_read_ahead(stream) else {
            return;
        };
        let request_len = self.flow.request_len();
        let state = self.streams.get(stream);
        if let Some(wanted) = state.and_then(|s| s.next_request(request_len, connections)) {
            let draft = Draft::ReadAhead(ReadAheadDraft { stream, wanted });
            self.call(SourceCall::Align(draft));
        }
    }

    /// How many connections may be used, if one of them is free for read-ahead of this stream.
    fn room_for_read_ahead(&mut self, stream: StreamId) -> Option<usize> {
        if self.is_closed {
            return None;
        }
        // What is fetched ahead of a reader that waits is what it will wait for next.
        let connections = if self.streams.get(stream)?.is_stalled() {
            self.concurrency()
        } else {
            self.read_ahead_connections()
        };
        let within = self.hints.pipelined_within.unwrap_or(0);
        let (limit, unverified) = (self.flow.in_flight(), self.hints.unverified);
        let has_room = self.requests.connections(within) < connections
            && self.requests.have_room_for(stream, limit, unverified);
        has_room.then_some(connections)
    }

    fn start_read_ahead(&mut self, aligned: AlignedReadAhead) {
        let AlignedReadAhead {
            stream,
            wanted,
            request,
            unit,
        } = aligned;
        let state = self.streams.get(stream);
        if !state.is_some_and(|state| state.is_next(&wanted)) {
            // An event has moved the stream on since the draft.
            return self.read_ahead(stream);
        }
        if self.room_for_read_ahead(stream).is_none() {
            return;
        }
        self.flow.set_unit(unit);
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
        let id = self.requests.add(InFlight {
            left: range.clone(),
            priority,
            stream,
            is_pipelined: self.requests.count() >= self.concurrency(),
            since: self.now,
            first: None,
        });
        self.actions.push(Action::Start(Request {
            id,
            range,
            priority,
            blocks,
        }));
    }

    /// Has connections made for what will probably be requested next.
    fn connect(&mut self, stream: StreamId) {
        let connections = self.connections_soon(stream, self.requests.count());
        self.call(SourceCall::Connect(connections));
    }

    fn connections_soon(&mut self, stream: StreamId, in_flight: usize) -> usize {
        let concurrency = self.concurrency();
        let state = self.streams.get(stream);
        if state.is_some_and(|state| state.is_sequential()) {
            concurrency
        } else {
            (2 * in_flight).max(2).min(concurrency)
        }
    }

    /// How many requests are worth it at once.
    fn concurrency(&self) -> usize {
        let hint = self.hints.concurrency.unwrap_or(self.connections);
        hint.min(self.connections)
    }

    /// How many connections read-ahead of a reader that does not wait may use.
    fn read_ahead_connections(&self) -> usize {
        let connections = self.connections.saturating_sub(DEMAND_CONNECTIONS);
        connections.max(1).min(self.concurrency())
    }

    fn growth(&self) -> Growth {
        let load = self.streams.load(self.flow.stalled_within(), self.now);
        self.flow.growth(load)
    }

    /// Makes room for this many blocks. Streams give up what was fetched for them, the one that was
    /// read longest ago first. If that is not enough, what was read is dropped. What still lacks is
    /// in use by requests that are being cancelled, and by reads that will end.
    fn make_room(&mut self, blocks: usize) {
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
    memory.claim_spare(range, |stream| {
        streams
            .get(stream)
            .is_none_or(|stream| stream.is_abandoned())
    })
}

/// The part of a failed request that cannot be had. If the error names the bytes that are wrong, the
/// others may be right.
fn failed_range(left: &Range<u64>, error: &Error) -> Range<u64> {
    match error {
        Error::Source(source::Error::Forged { range, .. }) if overlaps(range, left) => {
            overlap(range, left)
        }
        _ => left.clone(),
    }
}

#[cfg(test)]
mod tests;
