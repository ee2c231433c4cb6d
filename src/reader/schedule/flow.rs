//! Flow control: how many bytes to keep in flight, in requests of what length, and how far ahead of
//! its reader a stream may fetch.
//!
//! A link is busy when its bandwidth-delay product is in flight. At first that is unknown, so flow
//! control begins with a slow start, as TCP does: each byte that arrives allows two more, until the
//! rate stops growing. From then on it keeps somewhat more in flight than the measured rate needs.
//! The excess lets a rate that could be higher show itself.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::link::LinkEstimate;

/// Half of the smallest window of a sequential stream, in bytes: two read-ahead requests of the
/// kernel. The first request of a stream also has at least this length.
pub(super) const FIRST_WINDOW: u64 = 256 * 1024;

/// Bounds of the length of a request, in bytes. Shorter requests cost more than they bring. Longer
/// ones waste too much when they are cancelled.
const REQUEST: RangeInclusive<u64> = (512 << 10)..=(8 << 20);

/// While only the latency is known, the window is the bandwidth-delay product of a link of this
/// rate, in bytes a second, or less if connections turn out to be slow.
const INITIAL_RATE: f64 = 480e6;

/// Bounds of the window while only the latency is known, in bytes.
const INITIAL_WINDOW: RangeInclusive<u64> = (8 << 20)..=(64 << 20);

/// A connection that shares the link may be faster than measured by this factor.
const SHARED: f64 = 1.5;

/// The smallest bound of the bytes in flight, in bytes.
const MIN_IN_FLIGHT: u64 = 4 << 20;

/// During slow start, the bytes in flight are at most this multiple of what the measured rate needs.
/// That rate is one or two doublings old.
const SLOW_START_LIMIT: f64 = 3.0;

/// During slow start, the window grows by this many bytes for each byte that arrives. With 1, as in
/// TCP, most of a short read over a long link is over before the link is full.
const SLOW_START_GROWTH: u64 = 2;

/// During slow start, a rate counts as growth if it exceeds the best rate so far by this factor.
const GROWTH: f64 = 1.25;

/// Slow start ends after this many spans without growth.
const SPANS_WITHOUT_GROWTH: u32 = 3;

/// After slow start, the bytes in flight are this multiple of what the measured rate needs: requests
/// do not end evenly, and a link that has become faster must be able to show it.
const GAIN: f64 = 1.5;

/// The bytes in flight are at most this multiple of what all connections fetch at once.
const QUEUED: f64 = 1.5;

/// The window of a single stream is this multiple of the bytes in flight. Requests end in another
/// order than they are read. Without the rest of the window, requests that have ended would block
/// new ones while the reader waits for an earlier one; then all would end together, and the link
/// would be idle for a round trip.
const WINDOW: f64 = 2.0;

/// Streams that share the link have windows of at least this many requests.
const MIN_REQUESTS_AHEAD: u64 = 2;

/// Without pipelining, requests are long enough for all connections together to carry this multiple of the
/// measured rate.
const HEADROOM: f64 = 2.0;

/// [`HEADROOM`] with pipelining. Shorter requests bring bytes that a reader waits for sooner, and waste
/// less when it stops.
const PIPELINED_HEADROOM: f64 = 1.1;

/// Without pipelining, a connection is idle for a round trip before each request. Longer requests
/// lose fewer round trips, but waste more when the reader stops. A read of `n` bytes over `c`
/// connections loses `n / length` times the bandwidth-delay product of a connection, and `c / 2`
/// times the length. The sum is smallest if the length is the root of that product times `2 n / c`.
/// This is `2 n / c` for 256 MiB over 16 connections.
const BALANCE: f64 = (32 << 20) as f64;

/// A stream shares the link if its reader had to wait within this time.
const STALLED_WITHIN: Duration = Duration::from_millis(250);

/// On long links, a stream shares the link if its reader had to wait within this many round trips.
const STALLED_WITHIN_ROUND_TRIPS: f64 = 8.0;

/// A large read that has to wait multiplies a small window by this factor.
const LEAP: u64 = 8;

/// [`LEAP`] with pipelining. Requests can be short then, so a reader that stops wastes less.
const PIPELINED_LEAP: u64 = 24;

/// How streams use the link now.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    /// Streams whose readers go on. They share the memory.
    pub(super) streams: usize,
    /// Those among them whose readers had to wait lately. They share the link.
    pub(super) stalled: usize,
}

/// How a stream's window may grow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Growth {
    /// The largest window, in bytes.
    pub(super) max_window: u64,
    /// The factor for a large read that has to wait, while the window is small.
    pub(super) leap: u64,
}

/// Derives windows and request lengths from the estimate of the link.
#[derive(Debug)]
pub(super) struct FlowControl {
    pub(super) link: LinkEstimate,
    /// Bytes that can be verified on their own. Requests are multiples of it.
    unit: f64,
    /// Whether a request can be sent before the previous answer on its connection is complete.
    is_pipelined: bool,
    /// How many read-ahead requests may be in flight.
    connections: f64,
    /// Memory for read-ahead, in bytes.
    memory: f64,
    slow_start: Option<SlowStart>,
}

#[derive(Debug)]
struct SlowStart {
    window: u64,
    best_rate: f64,
    spans_without_growth: u32,
}

impl FlowControl {
    /// Begins a slow start. Read-ahead may use `memory` bytes.
    pub(super) fn new(memory: u64, now: Instant) -> Self {
        Self {
            link: LinkEstimate::new(now),
            unit: 1.0,
            is_pipelined: false,
            connections: 1.0,
            memory: memory as f64,
            slow_start: Some(SlowStart {
                window: *INITIAL_WINDOW.start(),
                best_rate: 0.0,
                spans_without_growth: 0,
            }),
        }
    }

    /// Sets how many bytes read-ahead may use.
    pub(super) fn set_memory(&mut self, memory: u64) {
        self.memory = memory as f64;
    }

    /// Sets the length of the units that are verified on their own, in bytes.
    pub(super) fn set_unit(&mut self, unit: u64) {
        self.unit = unit.max(1) as f64;
    }

    /// Sets how many read-ahead requests may be in flight, and whether they can be pipelined.
    pub(super) fn set_connections(&mut self, connections: usize, is_pipelined: bool) {
        self.connections = connections.max(1) as f64;
        self.is_pipelined = is_pipelined;
    }

    /// `passed_on` bytes came while `in_flight` bytes were still to come. `source_received`: see
    /// [`LinkEstimate::arrived`].
    pub(super) fn arrived(
        &mut self,
        passed_on: u64,
        source_received: Option<u64>,
        in_flight: u64,
        now: Instant,
    ) {
        let bytes = self.link.arrived(passed_on, source_received);
        let initial = self.initial_window();
        let span = self.link.end_span(now);
        let Some(start) = &mut self.slow_start else {
            return;
        };
        if in_flight + bytes >= start.window / 2 {
            start.window = start.window.max(initial) + SLOW_START_GROWTH * bytes;
        }
        if let Some(span) = span.filter(|span| !span.was_idle) {
            if span.rate > start.best_rate * GROWTH {
                (start.best_rate, start.spans_without_growth) = (span.rate, 0);
            } else {
                start.spans_without_growth += 1;
            }
            if start.spans_without_growth >= SPANS_WITHOUT_GROWTH {
                self.slow_start = None;
            }
        }
    }

    /// The window while only the latency is known, in bytes.
    fn initial_window(&self) -> u64 {
        let connection = self.link.connection_rate();
        let known = connection.map_or(INITIAL_RATE, |rate| SHARED * self.connections * rate);
        let window = (known.min(INITIAL_RATE) * self.link.latency) as u64;
        window.clamp(*INITIAL_WINDOW.start(), *INITIAL_WINDOW.end())
    }

    /// How many bytes one request should ask for.
    pub(super) fn request_len(&self) -> u64 {
        let max = match self.link.connection_bdp() {
            0.0 => f64::MAX,
            bdp if self.is_pipelined => bdp,
            bdp => (BALANCE * bdp).sqrt(),
        };
        let max = max.min(self.memory / self.connections);
        let len = match &self.slow_start {
            Some(start) => {
                // The share of a connection in the window, or up to twice as much if the connection
                // would otherwise be idle for longer than it carries something.
                let share = self.in_flight() as f64 / self.connections;
                let len = self.link.connection_bdp().clamp(share, 2.0 * share);
                // Once the rate has stopped growing, the link is probably saturated.
                if self.is_pipelined && start.spans_without_growth > 0 {
                    len.min(self.pipelined_len(start.best_rate))
                } else {
                    len
                }
            }
            None if self.is_pipelined => self.pipelined_len(self.link.total_rate),
            None => self.sequential_len(HEADROOM * self.link.total_rate, max),
        };
        let len = (len.min(max) as u64).clamp(*REQUEST.start(), *REQUEST.end()) as f64;
        ((len / self.unit).round().max(1.0) * self.unit) as u64
    }

    /// The length with which all connections carry `rate` if each answers one request per round
    /// trip.
    fn pipelined_len(&self, rate: f64) -> f64 {
        PIPELINED_HEADROOM * rate * self.link.latency / self.connections
    }

    /// The length with which all connections carry `rate` if each is idle for a round trip before
    /// each request; `max` if no length is enough.
    fn sequential_len(&self, rate: f64, max: f64) -> f64 {
        // `n` connections of rate `r` that are busy for `len/r` out of `latency + len/r` carry
        // `n * len / (latency + len/r)`. Solved for `len`.
        let connection = self.link.connection_rate().unwrap_or(0.0).max(1.0);
        let idle = self.connections - rate / connection;
        if idle > 0.0 {
            rate * self.link.latency / idle
        } else {
            max
        }
    }

    /// How many bytes to keep in flight.
    pub(super) fn in_flight(&self) -> u64 {
        if let Some(start) = &self.slow_start {
            let rate = self.link.current_rate();
            let needed = self.link.in_flight_for(rate, *REQUEST.start());
            let limit = (SLOW_START_LIMIT * needed) as u64;
            return start.window.min(limit).max(self.initial_window());
        }
        let len = self.request_len();
        let needed = GAIN * self.link.in_flight_for(self.link.total_rate, len);
        // More than all connections can fetch at once would only wait. That is a request each and,
        // with pipelining, most of the next one.
        let next = if self.is_pipelined {
            self.link.connection_bdp().min(len as f64)
        } else {
            0.0
        };
        let carried = QUEUED * self.connections * (len as f64 + next);
        (needed.min(carried) as u64).max(MIN_IN_FLIGHT)
    }

    /// A stream is stalled if its reader had to wait within this time.
    pub(super) fn stalled_within(&self) -> Duration {
        let trips = Duration::from_secs_f64(STALLED_WITHIN_ROUND_TRIPS * self.link.latency);
        STALLED_WITHIN.max(trips)
    }

    /// How the window of each stream may grow under this load. Streams whose readers do not wait
    /// leave memory to the others. Streams whose readers wait share the link: if each had a window
    /// for all of it, each would waste that much when it stops.
    pub(super) fn growth(&self, load: Load) -> Growth {
        let of_memory = self.memory / load.streams.max(1) as f64;
        let least = MIN_REQUESTS_AHEAD * self.request_len();
        let of_link = self.share_of(load.stalled).max(least).min(self.window());
        Growth {
            max_window: of_link.min(of_memory as u64),
            leap: if self.is_pipelined {
                PIPELINED_LEAP
            } else {
                LEAP
            },
        }
    }

    /// How far ahead of its reader a single stream may fetch, in bytes.
    pub(super) fn window(&self) -> u64 {
        self.share_of(1)
    }

    /// The window of one of several streams that share the link. While the reader of one waits for a
    /// request, the others keep the link busy. So they also share what a window has beyond the bytes
    /// in flight.
    fn share_of(&self, streams: usize) -> u64 {
        let streams = streams.max(1) as f64;
        let beyond = if self.slow_start.is_some() {
            0.0
        } else {
            (WINDOW - 1.0) / streams
        };
        ((1.0 + beyond) * self.in_flight() as f64 / streams) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow() -> FlowControl {
        let mut flow = FlowControl::new(80 << 20, Instant::now());
        flow.set_connections(14, false);
        flow
    }

    /// Runs `flow` for some seconds over a link that carries what is in flight, up to its limits.
    /// Returns the rate at the end, in bytes a second.
    fn run(flow: &mut FlowControl, latency: f64, connection: f64, total: f64, seconds: f64) -> f64 {
        let start = Instant::now();
        let (mut now, mut rate) = (0.0, 0.0);
        while now < seconds {
            let len = flow.request_len() as f64;
            let time = latency + len / connection;
            let requests = (flow.in_flight() as f64 / len).clamp(1.0, flow.connections);
            rate = (requests * len / time).min(total);
            let first_byte = Duration::from_secs_f64(latency);
            flow.link.first_byte(first_byte, false, false);
            // Requests share a saturated link.
            let transfer = (requests * len / rate - latency).max(len / connection);
            let all = (rate * transfer) as u64;
            let took = Duration::from_secs_f64(transfer);
            flow.link.transferred(len as u64, took, all);
            now += 0.02;
            let (bytes, in_flight) = ((rate * 0.02) as u64, (requests * len) as u64);
            let at = start + Duration::from_secs_f64(now);
            flow.arrived(bytes, None, in_flight, at);
        }
        rate
    }

    #[test]
    fn fills_a_link_and_keeps_little_more_in_flight_than_it_needs() {
        for (latency, connection, total) in [
            (0.01, 10e6, 100e6),
            (0.05, 25e6, 100e6),
            (0.1, 50e6, 300e6),
            (0.2, 50e6, 300e6),
            (0.05, 2e6, 20e6),
        ] {
            let mut flow = flow();
            let link = format!("{latency} s, {connection:.0e} B/s each, {total:.0e} in all");
            let rate = run(&mut flow, latency, connection, total, 3.0);
            let max = total.min(14.0 * connection);
            assert!(rate > 0.8 * max, "{link}: {rate:.2e}");
            let time = latency + flow.request_len() as f64 / connection;
            let needed = (total * time) as u64;
            // Connections that share a saturated link do not show how fast each could be. So there
            // may be more than needed, up to what all of them hold.
            let held = 14 * flow.request_len() * 3 / 2;
            let bound = (needed * 5 / 2).max(held).max(MIN_IN_FLIGHT);
            let (in_flight, window) = (flow.in_flight(), flow.window());
            assert!(in_flight <= bound, "{link}: {in_flight} for {needed}");
            assert!(
                window as f64 <= WINDOW * in_flight as f64,
                "{link}: {window}"
            );
        }
    }

    /// Fourteen requests share a link that four could fill, so each is slow. Flow control took them
    /// for slow connections and made requests longer, which slowed each down further.
    #[test]
    fn a_saturated_link_does_not_make_connections_seem_slow() {
        let [early, late] = [3.0, 60.0].map(|seconds| {
            let mut flow = flow();
            run(&mut flow, 0.05, 25e6, 100e6, seconds);
            (flow.request_len(), flow.in_flight())
        });
        assert!(
            late.0 <= early.0 * 11 / 10 && late.1 <= early.1 * 11 / 10,
            "{early:?}, {late:?}"
        );
    }

    #[test]
    fn stalled_streams_share_the_link_and_all_streams_share_the_memory() {
        let mut flow = flow();
        run(&mut flow, 0.05, 25e6, 100e6, 3.0);
        let window = |streams, stalled| flow.growth(Load { streams, stalled }).max_window;
        let all = flow.window();
        assert_eq!(window(0, 0), all);
        assert_eq!(window(1, 1), all);
        // Players do not reduce the window of a copy.
        assert_eq!(window(3, 1), all.min((80 << 20) / 3));
        let (in_flight, least) = (flow.in_flight(), MIN_REQUESTS_AHEAD * flow.request_len());
        assert_eq!(all, 2 * in_flight);
        let is_near = |window: u64, expected: u64| window.abs_diff(expected) <= 1;
        assert!(is_near(window(2, 2), in_flight * 3 / 4));
        assert!(is_near(window(3, 3), in_flight * 4 / 9));
        assert!(is_near(window(8, 8), (in_flight * 9 / 64).max(least)));
        assert_eq!(window(40, 40), (80 << 20) / 40);
    }

    #[test]
    fn an_idle_link_does_not_end_slow_start() {
        let mut flow = flow();
        let start = Instant::now();
        for second in 1..60 {
            flow.arrived(4096, None, 0, start + Duration::from_secs(second));
        }
        assert!(flow.slow_start.is_some());
    }
}
