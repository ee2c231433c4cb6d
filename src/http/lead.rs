//! How early a request may be sent: what a connection brings in a round trip.

use std::time::Duration;

/// Answers of fewer bytes do not tell a rate from a burst.
const TELLING: u64 = 256 * 1024;

/// What comes within this share of a round trip had come before it was looked at.
const AT_ONCE_WITHIN: f64 = 0.1;

/// A server that mostly takes so long to answer is not near, though it may have had something at hand.
const FAR: Duration = Duration::from_millis(40);

/// How much an answer counts beside those before it.
const LEARN: f64 = 0.2;

/// What was measured of the connections to a server.
#[derive(Debug, Default)]
pub(super) struct Lead {
    /// From a request to its answer's first byte, in seconds; the lower side of what was seen.
    latency: f64,
    /// The least that was seen of that.
    round_trip: Option<Duration>,
    /// Bytes a second of one connection, as they are, be it for the connection or for the link.
    rate: f64,
}

impl Lead {
    /// An answer began so long after its request. `is_early`: that was sent while another answer came.
    pub(super) fn answered(&mut self, after: Duration, is_early: bool) {
        self.round_trip = Some(self.round_trip.map_or(after, |least| least.min(after)));
        let seen = after.as_secs_f64();
        // What waited for its turn tells no more than that a round trip is not longer.
        if self.latency > 0.0 && is_early && seen > self.latency {
            return;
        }
        let weight = if seen < self.latency { 0.5 } else { 0.05 };
        self.latency = match self.latency {
            0.0 => seen,
            known => known + (seen - known) * weight,
        };
    }

    /// So many bytes of an answer came within `took`, after those that came first.
    pub(super) fn came(&mut self, bytes: u64, took: Duration) {
        let took = took.as_secs_f64();
        if bytes < TELLING || took <= self.latency * AT_ONCE_WITHIN {
            return;
        }
        let seen = bytes as f64 / took;
        self.rate = match self.rate {
            0.0 => seen,
            // The mean of times, not of rates: those of bursts have no bound.
            known => 1.0 / (1.0 / known + (1.0 / seen - 1.0 / known) * LEARN),
        };
    }

    /// The shortest time from a request to its answer's first byte: what a round trip takes, but for a
    /// server that is mostly so much slower that it has to be far away from what it serves.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        let mostly = Duration::from_secs_f64(self.latency);
        match mostly > FAR {
            true => Some(mostly),
            false => self.round_trip,
        }
    }

    /// A request may be sent when no more than so many bytes of an answer are still to come.
    pub(super) fn bytes(&self) -> u64 {
        (self.rate * self.latency) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn it_is_what_a_connection_brings_in_a_round_trip() {
        let mut lead = Lead::default();
        assert_eq!(lead.bytes(), 0, "nothing is known");
        lead.answered(100 * MS, false);
        assert_eq!(lead.bytes(), 0);
        assert_eq!(lead.round_trip(), Some(100 * MS));
        lead.came(1_000_000, 100 * MS);
        assert_eq!(lead.bytes(), 1_000_000);
        // Bursts, slivers and turns that were waited for change nothing.
        lead.came(1_000_000, MS);
        lead.came(1000, 500 * MS);
        lead.answered(400 * MS, true);
        assert_eq!(lead.bytes(), 1_000_000);
        for _ in 0..50 {
            lead.answered(50 * MS, true);
            lead.came(1_000_000, 50 * MS);
        }
        assert!(lead.bytes().abs_diff(1_000_000) < 10_000);
    }

    #[test]
    fn a_server_is_not_near_for_one_answer_that_it_had_at_hand() {
        let mut lead = Lead::default();
        assert_eq!(lead.round_trip(), None);
        lead.answered(2 * MS, false);
        lead.answered(3 * MS, false);
        assert_eq!(lead.round_trip(), Some(2 * MS));
        for _ in 0..10 {
            lead.answered(300 * MS, false);
        }
        assert!(lead.round_trip() > Some(40 * MS));
    }
}
