//! What has been measured of the link: latency, the rate of a connection, the rate of all together.
//!
//! This is the reader's only estimate of the link. Flow control derives everything from it, and the
//! status of a mount shows its latencies.

use std::time::{Duration, Instant};

use crate::reader::counters::Status;
use crate::reader::latency::Latencies;

/// Rates are measured over spans of this length, or of one and a half round trips if that is longer:
/// the answers to what was requested need the time to arrive.
const SPAN: Duration = Duration::from_millis(100);

/// Decay of the total rate at each span, because links change. A maximum counts for about 30 spans.
const DECAY: f64 = 0.97;

/// Transfers shorter than this, in bytes, do not measure a rate: they may have come in one burst.
const MIN_SAMPLE: u64 = 128 << 10;

/// A transfer that took less than this share of a round trip came from a disk, or over several
/// connections before it was passed on. It does not measure a connection.
const BURST: f64 = 0.1;

/// Weight of a new transfer in the average rate of a connection.
const SMOOTHING: f64 = 0.1;

/// A link that carries this share of its highest rate is saturated.
const SATURATED: f64 = 0.9;

/// Measurements of a link.
#[derive(Debug)]
pub(super) struct LinkEstimate {
    /// From a request to its first byte, in seconds. Near the lowest value that was seen.
    pub(super) latency: f64,
    /// Bytes a second of one connection during a transfer; 0 while unknown.
    connection_rate: f64,
    /// Bytes a second of all connections together: the maximum of recent spans.
    pub(super) total_rate: f64,
    span_start: Instant,
    span_bytes: u64,
    /// Bytes that have arrived since the beginning.
    pub(super) total_arrived: u64,
    /// [`Hints::received`](crate::source::Hints::received) at the last arrival.
    source_received: u64,
    latencies: Latencies,
}

/// The rate of a span that is over.
pub(super) struct Span {
    /// Bytes a second.
    pub(super) rate: f64,
    /// Whether the span was much longer than intended: the link was idle in it.
    pub(super) was_idle: bool,
}

impl LinkEstimate {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            latency: 0.0,
            connection_rate: 0.0,
            total_rate: 0.0,
            span_start: now,
            span_bytes: 0,
            total_arrived: 0,
            source_received: 0,
            latencies: Latencies::default(),
        }
    }

    /// Records that a request got its first byte. `is_pipelined`: it may have waited behind another answer.
    /// `is_local`: the byte was stored on this machine.
    pub(super) fn first_byte(&mut self, after: Duration, is_pipelined: bool, is_local: bool) {
        if !is_local {
            self.latencies.add(after);
        }
        let seen = after.as_secs_f64();
        // A request that waited only shows that a round trip takes no longer.
        if is_pipelined && seen > self.latency {
            return;
        }
        // Queues on the way delay a byte, but do not increase what the link can hold. So an increase
        // has little weight.
        let weight = if seen < self.latency { 0.5 } else { 0.05 };
        self.latency = match self.latency {
            0.0 => seen,
            known => known + (seen - known) * weight,
        };
    }

    /// Records that `bytes` of one transfer came within `took`, during which `all` bytes came over all
    /// connections. `took` begins with the first chunk, so `bytes` do not include it.
    pub(super) fn transferred(&mut self, bytes: u64, took: Duration, all: u64) {
        let took = took.as_secs_f64();
        if bytes < MIN_SAMPLE || took < self.latency * BURST {
            return;
        }
        let took = took.max(1e-4);
        let seen = bytes as f64 / took;
        // Connections that share a saturated link are slower than they could be. Taken as their
        // rate, this would ask for longer requests, which slow them down further. A higher rate than
        // known counts, if it lasted for more than a burst.
        let is_saturated = all as f64 / took > SATURATED * self.total_rate;
        let counts = !is_saturated || seen > self.connection_rate && took > self.latency;
        self.connection_rate = match self.connection_rate {
            0.0 => seen,
            // The mean of times per byte: rates of bursts have no upper bound.
            known if counts => 1.0 / (1.0 / known + (1.0 / seen - 1.0 / known) * SMOOTHING),
            known => known,
        };
    }

    /// `passed_on` bytes came. `source_received` is the source's own count of received bytes, if it
    /// passes them on later than they arrive. Returns the number of bytes that have newly arrived.
    pub(super) fn arrived(&mut self, passed_on: u64, source_received: Option<u64>) -> u64 {
        let bytes = source_received.map_or(passed_on, |received| {
            received.saturating_sub(self.source_received)
        });
        self.source_received = self.source_received.max(source_received.unwrap_or(0));
        self.span_bytes += bytes;
        self.total_arrived += bytes;
        bytes
    }

    /// Ends the span if it is long enough.
    pub(super) fn end_span(&mut self, now: Instant) -> Option<Span> {
        let took = now.saturating_duration_since(self.span_start);
        let full = self.span();
        if took < full {
            return None;
        }
        let rate = self.span_bytes as f64 / took.as_secs_f64();
        self.total_rate = rate.max(self.total_rate * DECAY);
        (self.span_start, self.span_bytes) = (now, 0);
        let was_idle = took >= 3 * full;
        Some(Span { rate, was_idle })
    }

    fn span(&self) -> Duration {
        SPAN.max(Duration::from_secs_f64(1.5 * self.latency))
    }

    /// Bytes a second of one connection; `None` while unknown.
    pub(super) fn connection_rate(&self) -> Option<f64> {
        (self.connection_rate > 0.0).then_some(self.connection_rate)
    }

    /// The latency in seconds, and the likely rate of all connections in bytes a second; `assumed` if none was measured.
    pub(super) fn likely(&self, assumed: f64) -> (f64, f64) {
        // The reads so far may not have used all connections. Together they carry at least four times as much as one.
        let several = self.connection_rate().map_or(assumed, |rate| 4.0 * rate);
        (self.latency, self.total_rate.max(several))
    }

    /// Bytes a second of all connections together, counting what has come in the current span.
    pub(super) fn current_rate(&self) -> f64 {
        let so_far = self.span_bytes as f64 / self.span().as_secs_f64();
        so_far.max(self.total_rate)
    }

    /// The bandwidth-delay product of one connection, in bytes; 0 while unknown.
    pub(super) fn connection_bdp(&self) -> f64 {
        self.connection_rate * self.latency
    }

    /// Bytes that must be in flight to sustain `rate` with requests of `request_len` bytes: what
    /// comes in the time from a request to its last byte.
    pub(super) fn in_flight_for(&self, rate: f64, request_len: u64) -> f64 {
        let transfer = self
            .connection_rate()
            .map_or(0.0, |r| request_len as f64 / r);
        rate * (self.latency + transfer)
    }

    /// The times from a request to a server to its first byte.
    pub(super) fn add_to(&self, status: &mut Status) {
        status.median_latency = self.latencies.percentile(0.5);
        status.p99_latency = self.latencies.percentile(0.99);
        status.request_times = self.latencies.timing();
    }
}
