//! Estimates the bandwidth-delay product of one connection to a server: what it carries in a round trip.
//! It tells when to send the next request, and how many connections are worth it.

use std::time::Duration;

/// Shorter answers, in bytes, are not measured: they arrive in one burst, which says nothing about the rate.
const MIN_ANSWER: u64 = 256 * 1024;

/// Bytes that arrive within this share of a round trip had already been buffered.
const BUFFERED_WITHIN: f64 = 0.1;

/// A server whose usual latency is above this is not near, even if it once answered from a cache at once.
const FAR: Duration = Duration::from_millis(40);

/// A server with a round trip of at most this is near: on this machine or next to it.
const NEAR: Duration = Duration::from_micros(900);

/// The number of connections to a near server, unless each carries less than [`SLOW`] bytes a second. Six times
/// [`SLOW`] is more than gigabit Ethernet carries, so more connections would only cost CPU and memory.
const FEW: usize = 6;
const SLOW: f64 = 25e6;

/// The weight of a new rate in the average.
const RATE_WEIGHT: f64 = 0.2;

/// The estimate for one server.
#[derive(Debug, Default)]
pub(super) struct BandwidthDelay {
    /// From a request to its answer's first byte, in seconds; near the lower end of what was seen.
    latency: f64,
    /// The shortest of these times.
    shortest: Option<Duration>,
    /// Bytes a second of one connection, whether the connection or the link limits it.
    rate: f64,
}

impl BandwidthDelay {
    /// Whether an answer has begun.
    pub(super) fn has_answer(&self) -> bool {
        self.shortest.is_some()
    }

    /// Records that an answer began this long after its request. `is_pipelined`: the request was sent
    /// while another answer came.
    pub(super) fn answered(&mut self, after: Duration, is_pipelined: bool) {
        self.shortest = Some(self.shortest.map_or(after, |least| least.min(after)));
        let seen = after.as_secs_f64();
        // A pipelined request waits for its turn, so it only bounds the latency from above.
        if self.latency > 0.0 && is_pipelined && seen > self.latency {
            return;
        }
        let weight = if seen < self.latency { 0.5 } else { 0.05 };
        self.latency = match self.latency {
            0.0 => seen,
            known => known + (seen - known) * weight,
        };
    }

    /// Records that `bytes` of an answer arrived within `took`, not counting those that came with its
    /// head.
    pub(super) fn received(&mut self, bytes: u64, took: Duration) {
        let took = took.as_secs_f64();
        if bytes < MIN_ANSWER || took <= self.latency * BUFFERED_WITHIN {
            return;
        }
        let seen = bytes as f64 / took;
        self.rate = match self.rate {
            0.0 => seen,
            // Averages the times rather than the rates: a burst's rate has no upper bound.
            known => 1.0 / (1.0 / known + (1.0 / seen - 1.0 / known) * RATE_WEIGHT),
        };
    }

    /// The round-trip time: the shortest latency, or the usual one if that is so long that the server must
    /// be far away from what it serves.
    fn round_trip(&self) -> Option<Duration> {
        let usual = Duration::from_secs_f64(self.latency);
        if usual > FAR {
            Some(usual)
        } else {
            self.shortest
        }
    }

    /// The bandwidth-delay product in bytes; 0 while it is not known. The next request may be sent when
    /// at most this many bytes of an answer are still to come.
    pub(super) fn bytes(&self) -> u64 {
        (self.rate * self.latency) as u64
    }

    /// How many connections, of at most `most`, are worth it.
    pub(super) fn connections(&self, most: usize) -> usize {
        let is_near = self.round_trip().is_some_and(|trip| trip <= NEAR);
        let is_slow = self.rate > 0.0 && self.rate < SLOW;
        if is_near && !is_slow {
            most.min(FEW)
        } else {
            most
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn is_rate_times_latency_without_bursts_and_queueing() {
        let mut bdp = BandwidthDelay::default();
        assert_eq!(bdp.bytes(), 0, "nothing is known");
        bdp.answered(100 * MS, false);
        assert_eq!(bdp.bytes(), 0);
        assert_eq!(bdp.round_trip(), Some(100 * MS));
        bdp.received(1_000_000, 100 * MS);
        assert_eq!(bdp.bytes(), 1_000_000);
        // Bursts, short answers and queued requests change nothing.
        bdp.received(1_000_000, MS);
        bdp.received(1000, 500 * MS);
        bdp.answered(400 * MS, true);
        assert_eq!(bdp.bytes(), 1_000_000);
        for _ in 0..50 {
            bdp.answered(50 * MS, true);
            bdp.received(1_000_000, 50 * MS);
        }
        assert!(bdp.bytes().abs_diff(1_000_000) < 10_000);
    }

    #[test]
    fn one_cached_answer_does_not_make_a_server_near() {
        let mut bdp = BandwidthDelay::default();
        assert_eq!(bdp.round_trip(), None);
        bdp.answered(2 * MS, false);
        bdp.answered(3 * MS, false);
        assert_eq!(bdp.round_trip(), Some(2 * MS));
        for _ in 0..10 {
            bdp.answered(300 * MS, false);
        }
        assert!(bdp.round_trip() > Some(40 * MS));
    }

    /// Sixteen connections to a near server cost CPU and memory on both sides and brought nothing that six
    /// did not, except where each of them is slow.
    #[test]
    fn a_near_server_gets_few_connections_unless_they_are_slow() {
        let link = |trip: Duration, rate: u64| {
            let mut bdp = BandwidthDelay::default();
            bdp.answered(trip, false);
            bdp.received(rate, 1000 * MS);
            bdp
        };
        assert_eq!(BandwidthDelay::default().connections(16), 16, "unknown");
        let near = MS / 4;
        assert_eq!(link(near, 0).connections(16), FEW, "the rate is unknown");
        assert_eq!(link(near, 100_000_000).connections(16), FEW);
        assert_eq!(link(near, 100_000_000).connections(2), 2, "at most all");
        assert_eq!(link(near, 20_000_000).connections(16), 16, "slow");
        assert_eq!(link(MS, 100_000_000).connections(16), 16, "far");
    }
}
