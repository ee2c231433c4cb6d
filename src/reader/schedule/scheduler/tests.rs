//! The state machine alone, with a source that does what it is told.

use std::time::Duration;

use super::*;
use crate::reader::bound::Bound;
use crate::reader::pool::Pool;
use crate::reader::schedule::Boundaries;
use crate::source::{self, Origin};

const KB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const FILE: u64 = 1 << 30;

/// A scheduler, and all that it has asked for.
struct Machine {
    scheduler: Scheduler,
    now: Instant,
    hints: Hints,
    /// Length of the verification units, in bytes.
    unit: u64,
    /// Connections that the source has.
    ready: usize,
    in_flight: Vec<Request>,
    cancelled: Vec<Range<u64>>,
    woken: Vec<(ReadId, Wake)>,
    connections: usize,
}

impl Machine {
    fn new(buffers: usize) -> Self {
        let now = Instant::now();
        Self {
            scheduler: Scheduler::new(
                Arc::new(Bound::new(Pool::new(buffers, u64::MAX))).join(),
                8,
                now,
            ),
            now,
            hints: Hints::default(),
            unit: 1,
            ready: 1,
            in_flight: Vec::new(),
            cancelled: Vec::new(),
            woken: Vec::new(),
            connections: 0,
        }
    }

    fn unit(&self, range: Range<u64>) -> Range<u64> {
        range.start / self.unit * self.unit..range.end.next_multiple_of(self.unit)
    }

    /// An event, with everything that follows from it.
    fn event<T>(&mut self, event: impl FnOnce(&mut Scheduler) -> T) -> T {
        self.scheduler.observe(self.now, self.hints.clone());
        let result = event(&mut self.scheduler);
        loop {
            let actions = self.scheduler.take_actions();
            if actions.is_empty() {
                return result;
            }
            for action in actions {
                match action {
                    Action::Start(request) => self.in_flight.push(request),
                    Action::Cancel(id) => {
                        let at = self.in_flight.iter().position(|r| r.id == id);
                        let at = at.expect("a request in flight");
                        self.cancelled.push(self.in_flight.remove(at).range);
                    }
                    Action::Wake(read, wake) => self.woken.push((read, wake)),
                    Action::Call(SourceCall::Connect(connections)) => {
                        self.connections = connections;
                    }
                    Action::Call(SourceCall::Align(mut draft)) => {
                        let source = Boundaries {
                            unit: &|range| self.unit(range),
                            preferred_end: &|end| end,
                        };
                        match &mut draft {
                            Draft::Demand(draft) => draft.align(&source, self.ready),
                            Draft::ReadAhead(draft) => draft.align(&source),
                        }
                        self.scheduler.aligned(draft);
                    }
                }
            }
        }
    }

    fn read(&mut self, range: Range<u64>) -> Progress {
        let unit = self.unit(range.clone());
        let mut read = begin(range, unit);
        self.event(|scheduler| scheduler.read(&mut read, None))
    }

    /// A read that must wait.
    fn wait(&mut self, range: Range<u64>) -> ReadId {
        match self.read(range) {
            Progress::Waiting(read, _) => read,
            other => panic!("{other:?}"),
        }
    }

    /// All bytes of the oldest request come.
    fn answer(&mut self) {
        let request = self.in_flight.remove(0);
        let bytes = vec![7; len(&request.range) as usize];
        for block in &request.blocks {
            block.fill(request.range.start, &bytes, &Origin::new("test"));
        }
        self.event(|scheduler| scheduler.arrived(request.id, &request.range, false));
        self.event(|scheduler| scheduler.ended(request.id, Ok(())));
    }

    /// The oldest request fails.
    fn fail(&mut self, error: source::Error) {
        let request = self.in_flight.remove(0);
        self.event(|scheduler| scheduler.ended(request.id, Err(error.into())));
    }

    fn ranges(&self) -> Vec<Range<u64>> {
        self.in_flight.iter().map(|r| r.range.clone()).collect()
    }

    /// What the read was told, if anything.
    fn told(&self, read: ReadId) -> Option<&Wake> {
        let woken = self.woken.iter().find(|(id, _)| *id == read);
        woken.map(|(_, wake)| wake)
    }

    /// Reads from the beginning of the file, one mebibyte after the other. Each answer takes a while.
    fn read_in_sequence(&mut self, reads: Range<u64>) {
        for n in reads {
            while let Progress::Waiting(..) = self.read(n * MIB..(n + 1) * MIB) {
                self.now += Duration::from_millis(20);
                self.answer();
            }
        }
    }
}

fn begin(range: Range<u64>, unit: Range<u64>) -> Read {
    Read {
        range,
        unit,
        limit: FILE,
        stream: None,
    }
}

#[test]
fn a_read_in_memory_is_ready_and_requests_nothing() {
    let mut machine = Machine::new(64);
    let read = machine.wait(0..64 * KB);
    // The first request of a stream is larger than the read.
    assert_eq!(machine.ranges(), std::slice::from_ref(&(0..256 * KB)));
    assert_eq!(machine.in_flight[0].priority, Priority::Demand);
    machine.answer();
    assert_eq!(machine.told(read), Some(&Wake::Ready));
    assert!(matches!(machine.read(0..64 * KB), Progress::Ready(_)));
    assert_eq!(machine.in_flight.len(), 0);
}

#[test]
fn a_byte_in_flight_is_not_requested_again() {
    let mut machine = Machine::new(64);
    let first = machine.wait(0..64 * KB);
    let second = machine.wait(32 * KB..320 * KB);
    let ranges = machine.ranges();
    assert_eq!(ranges[..2], [0..256 * KB, 256 * KB..ranges[1].end]);
    assert!(
        ranges.windows(2).all(|r| r[0].end <= r[1].start),
        "{ranges:?}"
    );
    machine.answer();
    assert_eq!(machine.told(first), Some(&Wake::Ready));
    assert_eq!(machine.told(second), None);
    machine.answer();
    assert_eq!(machine.told(second), Some(&Wake::Ready));
}

/// Between a draft and its alignment, another read may request the same bytes.
#[test]
fn a_draft_does_not_request_what_others_have_requested_meanwhile() {
    let mut machine = Machine::new(64);
    machine
        .scheduler
        .observe(machine.now, machine.hints.clone());
    let mut reads = Vec::new();
    for range in [0..600 * KB, 300 * KB..900 * KB] {
        let mut read = begin(range.clone(), range);
        reads.push(machine.scheduler.read(&mut read, None));
    }
    // Both drafts are aligned only now.
    machine.event(|_| ());
    let mut ranges = machine.ranges();
    ranges.sort_by_key(|r| r.start);
    assert!(
        ranges.windows(2).all(|r| r[0].end <= r[1].start),
        "{ranges:?}"
    );
    while !machine.in_flight.is_empty() && machine.woken.len() < 2 {
        machine.answer();
    }
    for read in reads {
        assert!(matches!(read, Progress::Waiting(id, _) if machine.told(id) == Some(&Wake::Ready)));
    }
}

#[test]
fn a_large_read_is_split_over_the_connections_that_are_ready() {
    let mut machine = Machine::new(64);
    machine.ready = 3;
    machine.wait(0..MIB);
    assert_eq!(
        machine
            .in_flight
            .iter()
            .filter(|r| r.priority == Priority::Demand)
            .count(),
        3
    );
    let mut units = Machine::new(64);
    (units.ready, units.unit) = (3, 512 * KB);
    units.wait(100..600 * KB);
    assert_eq!(units.ranges()[..2], [0..512 * KB, 512 * KB..1024 * KB]);
}

#[test]
fn demand_is_requested_before_read_ahead_and_read_ahead_leaves_connections_free() {
    let mut machine = Machine::new(512);
    machine.read_in_sequence(0..8);
    assert_eq!(machine.connections, 8);
    // The reader has found a window's worth in memory, so it is not stalled.
    let read_ahead = machine.in_flight.len();
    assert!(
        machine
            .in_flight
            .iter()
            .all(|r| r.priority == Priority::Prefetch)
    );
    assert!((1..=8).contains(&read_ahead), "{read_ahead}");
    let before = machine.in_flight.len();
    machine.wait(FILE / 2..FILE / 2 + 64 * KB);
    let next = &machine.in_flight[before];
    assert_eq!(
        (next.range.start, next.priority),
        (FILE / 2, Priority::Demand)
    );
}

#[test]
fn read_ahead_covers_each_byte_once_and_in_order() {
    let mut machine = Machine::new(512);
    machine.read_in_sequence(0..64);
    let ranges = machine.ranges();
    assert!(
        ranges.windows(2).all(|r| r[0].end == r[1].start),
        "{ranges:?}"
    );
}

#[test]
fn no_more_requests_than_the_source_can_use() {
    let mut machine = Machine::new(512);
    machine.hints.concurrency = Some(2);
    machine.read_in_sequence(0..16);
    assert!(machine.in_flight.len() <= 2, "{:?}", machine.ranges());
}

/// Bytes that have come and are not verified yet do not count as in flight.
#[test]
fn unverified_bytes_leave_room_for_requests() {
    let mut requests = Requests::default();
    for range in [0..4 * MIB, 4 * MIB..8 * MIB] {
        let stream = Some(StreamId(1));
        requests.add(range, Priority::Prefetch, stream, false, Instant::now());
    }
    assert!(!requests.have_room_for(StreamId(1), 8 * MIB, 0));
    assert!(requests.have_room_for(StreamId(1), 8 * MIB, 1));
    // Another stream has its share, whatever the first one has.
    assert!(requests.have_room_for(StreamId(2), 8 * MIB, 0));
}

#[test]
fn a_seek_cancels_read_ahead_after_a_pause() {
    let mut machine = Machine::new(512);
    machine.read_in_sequence(0..8);
    let before = machine.ranges();
    assert!(!before.is_empty());
    machine.now += Duration::from_millis(50);
    machine.wait(FILE / 2..FILE / 2 + KB);
    assert_eq!(
        machine.cancelled,
        [],
        "readers that share a file come back sooner"
    );
    machine.now += Duration::from_millis(60);
    machine.wait(FILE / 4..FILE / 4 + KB);
    assert_eq!(machine.cancelled, before);
    // What is requested for the new places stays.
    assert_eq!(machine.in_flight.len(), 2);
}

#[test]
fn read_ahead_that_a_read_waits_for_is_not_cancelled() {
    let mut machine = Machine::new(512);
    machine.read_in_sequence(0..8);
    let awaited = machine.in_flight[0].range.clone();
    let read = machine.wait(awaited.start..awaited.start + KB);
    machine.now += Duration::from_secs(5);
    machine.wait(FILE / 2..FILE / 2 + KB);
    assert!(machine.ranges().contains(&awaited));
    machine.answer();
    assert_eq!(machine.told(read), Some(&Wake::Ready));
}

#[test]
fn a_failed_read_ahead_request_lets_the_read_ask_again() {
    let mut machine = Machine::new(512);
    machine.read_in_sequence(0..8);
    let range = machine.in_flight[0].range.clone();
    let read = machine.wait(range.start..range.start + KB);
    machine.fail(not_found());
    assert_eq!(machine.told(read), Some(&Wake::Again));
    machine.wait(range.start..range.start + KB);
    let demand = machine
        .in_flight
        .iter()
        .find(|r| r.range.start == range.start);
    assert_eq!(demand.map(|r| r.priority), Some(Priority::Demand));
}

#[test]
fn memory_held_for_streams_is_given_to_a_read() {
    let mut machine = Machine::new(64);
    machine.read_in_sequence(0..8);
    while !machine.in_flight.is_empty() {
        machine.answer();
    }
    // Its stream holds what it has fetched ahead, all but the reserve.
    let mut made_room = 0;
    for n in 0..20 {
        let range = FILE / 2 + n * MIB..FILE / 2 + n * MIB + KB;
        if let Progress::NeedsMemory(1) = machine.read(range.clone()) {
            made_room += 1;
            machine.wait(range);
        }
    }
    assert_eq!(machine.in_flight.len(), 20);
    assert!(made_room > 0);
}

#[test]
fn closing_cancels_requests_wakes_reads_and_starts_nothing() {
    let mut machine = Machine::new(512);
    machine.read_in_sequence(0..4);
    let read = machine.wait(FILE / 2..FILE / 2 + KB);
    machine.event(Scheduler::close);
    assert_eq!(machine.in_flight.len(), 0);
    assert_eq!(machine.told(read), Some(&Wake::Failed(Error::Closed)));
    let progress = machine.read(FILE / 4..FILE / 4 + KB);
    assert!(matches!(progress, Progress::Failed(Error::Closed)));
    assert_eq!(machine.in_flight.len(), 0);
}

#[test]
fn forgotten_bytes_are_requested_anew() {
    let mut machine = Machine::new(64);
    machine.wait(0..256 * KB);
    machine.answer();
    machine.event(|scheduler| scheduler.forget(&(100..200)));
    machine.wait(0..KB);
    assert!(
        machine.ranges().contains(&(100..200)),
        "{:?}",
        machine.ranges()
    );
    // A request in flight may bring the same wrong bytes.
    let read = machine.wait(100..200);
    machine.event(|scheduler| scheduler.forget(&(150..160)));
    assert_eq!(machine.told(read), Some(&Wake::Again));
    assert!(machine.cancelled.contains(&(100..200)));
}

fn not_found() -> source::Error {
    source::Error::NotFound {
        origin: Origin::new("test"),
    }
}

fn forged(range: Range<u64>) -> source::Error {
    let origin = Origin::new("test");
    source::Error::Forged { origin, range }
}

/// Three reads wait for bytes of one request of four verification units, of which `came` bytes have
/// come when it fails. Returns what each read is told, and which units fail at once from then on.
fn after(came: u64, error: source::Error) -> (Vec<&'static str>, Vec<u64>) {
    let mut machine = Machine::new(64);
    machine.unit = 4 * MIB;
    let reads = [MIB - 10..MIB, MIB..MIB + 10, 2 * MIB..2 * MIB + 10];
    let reads = reads.map(|range| machine.wait(range));
    assert_eq!(machine.ranges()[0], 0..4 * MIB);
    let request = &machine.in_flight[0];
    for block in &request.blocks {
        block.fill(0, &vec![7; came as usize], &Origin::new("test"));
    }
    let id = request.id;
    machine.event(|scheduler| scheduler.arrived(id, &(0..came), false));
    machine.woken.retain(|(_, wake)| *wake != Wake::Ready);
    machine.fail(error);
    let told = reads.map(|read| match machine.told(read) {
        Some(Wake::Ready) => "ready",
        Some(Wake::Again) => "again",
        Some(Wake::Failed(_)) => "failed",
        None => "nothing",
    });
    let now = machine.now;
    let failed = (0..4).filter(|unit| {
        // The first byte of a unit and its last one are as good as all of it.
        let (first, last) = (unit * MIB, (unit + 1) * MIB - 1);
        let ends = [first..first + 1, last..last + 1, first..last + 1];
        let failures = &mut machine.scheduler.failures;
        let failed = ends.map(|range| failures.recent(&range, now).is_some());
        assert!(failed.iter().all(|is| *is == failed[0]), "unit {unit}");
        failed[0]
    });
    (told.to_vec(), failed.collect())
}

/// A request of many verification units, one of which was forged, failed as a whole for a while: a
/// wrong bit took megabytes around it along.
#[test]
fn only_the_forged_bytes_of_a_request_fail() {
    let told = after(0, forged(MIB..2 * MIB));
    assert_eq!(told, (vec!["again", "failed", "again"], vec![1]));
    // If the beginning of the unit came before, what has not come fails.
    let told = after(MIB, forged(MIB / 2..2 * MIB));
    assert_eq!(told, (vec!["nothing", "failed", "again"], vec![1]));
}

#[test]
fn all_bytes_of_a_request_fail_if_the_error_names_none() {
    let told = after(0, not_found());
    assert_eq!(told, (vec!["failed"; 3], vec![0, 1, 2, 3]));
    // A range elsewhere, such as one within a raw block, names none.
    let told = after(MIB, forged(0..1000));
    assert_eq!(told, (vec!["nothing", "failed", "failed"], vec![1, 2, 3]));
}
