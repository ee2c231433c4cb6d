//! The shape of a link, for the tests' links and for those of the benches.

use std::time::Duration;

/// The shape of a link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// The round trip.
    pub rtt: Duration,
    /// Bytes a second of one connection.
    pub connection: f64,
    /// Bytes a second of all together.
    pub total: f64,
}

impl Shape {
    /// A round trip in milliseconds, and rates in MB/s.
    pub fn new(rtt_ms: u64, connection: f64, total: f64) -> Self {
        Self {
            rtt: Duration::from_millis(rtt_ms),
            connection: connection * 1e6,
            total: total * 1e6,
        }
    }

    /// The least seconds that this takes over 16 connections: round trips that wait for each other,
    /// and bytes.
    pub fn limit(&self, trips: f64, bytes: u64) -> f64 {
        let rate = self.total.min(self.connection * 16.0);
        self.rtt.as_secs_f64() * trips + bytes as f64 / rate
    }
}
