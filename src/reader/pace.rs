//! How much to have in flight: measured, not configured.
//!
//! To keep a link busy, as many bytes must be under way as it carries in the time that one part
//! takes from request to last byte. That time and the rates are measured; the window is somewhat
//! more than what they call for, so that it grows as long as growing makes the rate grow, and
//! stops there.
//!
//! A link is found out as TCP and BBR do it: at first twice what the measured rate calls for is
//! put under way, which doubles it with every turn, until the rate has not grown for a while.

use std::time::{Duration, Instant};

use super::ahead::FIRST_WINDOW;

/// Bounds of one GET in bytes. Below, requests cost more than they bring; above, an abandoned one
/// wastes too much.
const PART: std::ops::RangeInclusive<u64> = (512 << 10)..=(8 << 20);

/// While nothing is known, the window may grow to this many bytes: what a hundred megabytes a
/// second carry in a sixth of a second. A reader has by then waited for several reads in line.
const FIRST_CAP: u64 = 16 << 20;

/// A window need not be smaller than this, in bytes.
const LEAST_CAP: u64 = 4 << 20;

/// How much more to have in flight than the measured rate calls for, while the link is found out...
const GAIN_AT_START: f64 = 2.0;

/// ...and from then on: room to notice that it has become faster.
const GAIN: f64 = 1.3;

/// By how much a rate must exceed the best so far to count as growth,
const GROWTH: f64 = 1.25;

/// and after how many spans without growth the link is found out.
const SPANS_WITHOUT_GROWTH: u32 = 3;

/// Rates are taken over spans of this length, or of one and a half round trips if that is longer:
/// what was put under way must have had the time to arrive.
const SPAN: Duration = Duration::from_millis(100);

/// A part spends at most this many times the latency on its way. By then a connection loses a
/// fifth of its time between parts, and longer ones only keep a reader waiting.
const LATENCIES: f64 = 4.0;

/// A measured rate counts for about this many spans, then fades: links change.
const FADE: f64 = 0.97;

/// What has been measured of a link.
#[derive(Debug)]
pub(super) struct Pace {
    /// Time from request to first byte, in seconds; the lower side of what was seen.
    latency: f64,
    /// Bytes a second of one connection while it carries a part.
    connection_rate: f64,
    /// Bytes a second of all together: the highest of late.
    total_rate: f64,
    span_start: Instant,
    span_bytes: u64,
    /// How many parts may be in flight at once.
    connections: f64,
    /// While the link is being found out: the best rate so far, and for how many spans it has not
    /// grown.
    start: Option<(f64, u32)>,
}

impl Pace {
    /// For a link that nothing is known of; `connections` parts may be in flight at once.
    pub(super) fn new(connections: usize, now: Instant) -> Self {
        Self {
            latency: 0.0,
            connection_rate: 0.0,
            total_rate: 0.0,
            span_start: now,
            span_bytes: 0,
            connections: connections.max(1) as f64,
            start: Some((0.0, 0)),
        }
    }

    /// A request got its first byte.
    pub(super) fn first_byte(&mut self, after: Duration) {
        let seen = after.as_secs_f64();
        // Queues on the way add to the time but not to what the link needs: lean to the low side.
        let weight = if seen < self.latency { 0.5 } else { 0.05 };
        self.latency = match self.latency {
            0.0 => seen,
            known => known + (seen - known) * weight,
        };
    }

    /// A part of `bytes` came within `took`, counted from its first byte.
    pub(super) fn part_done(&mut self, bytes: u64, took: Duration) {
        if bytes < FIRST_WINDOW {
            return; // too short to tell a rate from a burst
        }
        let seen = bytes as f64 / took.as_secs_f64().max(1e-4);
        self.connection_rate = match self.connection_rate {
            0.0 => seen,
            known => known + (seen - known) * 0.2,
        };
    }

    /// Bytes came, on whatever connection.
    pub(super) fn arrived(&mut self, bytes: u64, now: Instant) {
        self.span_bytes += bytes;
        let span = now.saturating_duration_since(self.span_start);
        let full = SPAN.max(Duration::from_secs_f64(1.5 * self.latency));
        if span < full {
            return;
        }
        let seen = self.span_bytes as f64 / span.as_secs_f64();
        self.total_rate = seen.max(self.total_rate * FADE);
        // A long span was idle: it says nothing of what the link can do.
        if let (Some((best, spans)), true) = (&mut self.start, span < 3 * full) {
            match seen > *best * GROWTH {
                true => (*best, *spans) = (seen, 0),
                false => *spans += 1,
            }
            if *spans >= SPANS_WITHOUT_GROWTH {
                self.start = None;
            }
        }
        (self.span_start, self.span_bytes) = (now, 0);
    }

    /// How many bytes one GET should ask for.
    pub(super) fn part(&self) -> u64 {
        let part = match self.start {
            // What fills the window over all connections.
            Some(_) => self.window() as f64 / self.connections,
            // With n connections of rate r each busy p/r out of latency + p/r, the total is
            // n*p / (latency + p/r), solved for p.
            None => {
                let idle = self.connections - self.total_rate / self.connection_rate.max(1.0);
                let most = LATENCIES * self.connection_rate * self.latency;
                match idle > 0.0 {
                    true => (self.total_rate * self.latency / idle).min(most),
                    false => most,
                }
            }
        };
        (part as u64).clamp(*PART.start(), *PART.end())
    }

    /// How far ahead of its reader a walk should look, in bytes.
    pub(super) fn window(&self) -> u64 {
        let (gain, least, part) = match self.start {
            Some(_) => (GAIN_AT_START, FIRST_CAP, *PART.start()),
            None => (GAIN, LEAST_CAP, self.part()),
        };
        if self.connection_rate == 0.0 {
            return least;
        }
        let part_time = self.latency + part as f64 / self.connection_rate;
        let in_flight = (self.total_rate * part_time * gain) as u64;
        in_flight.max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link that carries what is in flight, up to its limit: what a window of `pace` makes of it
    /// in so many seconds. Returns the rate at the end, in bytes a second.
    fn run(pace: &mut Pace, latency: f64, connection: f64, total: f64, seconds: f64) -> f64 {
        let start = Instant::now();
        let (mut now, mut rate) = (0.0, 0.0);
        while now < seconds {
            let part = pace.part() as f64;
            let time = latency + part / connection;
            let parts = (pace.window() as f64 / part).clamp(1.0, pace.connections);
            rate = (parts * part / time).min(total);
            pace.first_byte(Duration::from_secs_f64(latency));
            pace.part_done(part as u64, Duration::from_secs_f64(part / connection));
            now += 0.02;
            pace.arrived((rate * 0.02) as u64, start + Duration::from_secs_f64(now));
        }
        rate
    }

    #[test]
    fn finds_out_what_a_link_carries_and_asks_for_no_more() {
        for (latency, connection, total) in [
            (0.01, 10e6, 100e6),
            (0.05, 25e6, 100e6),
            (0.1, 50e6, 300e6),
            (0.2, 50e6, 300e6),
            (0.05, 2e6, 20e6),
        ] {
            let mut pace = Pace::new(14, Instant::now());
            let link = format!("{latency} s, {connection:.0e} B/s each, {total:.0e} in all");
            let rate = run(&mut pace, latency, connection, total, 3.0);
            let most = total.min(14.0 * connection);
            assert!(rate > 0.8 * most, "{link}: {rate:.2e}");
            let time = latency + pace.part() as f64 / connection;
            let needed = (total * time) as u64;
            let bound = (needed * 3 / 2).max(LEAST_CAP);
            assert!(
                pace.window() <= bound,
                "{link}: {} for {needed}",
                pace.window()
            );
        }
    }

    #[test]
    fn an_idle_link_tells_nothing() {
        let mut pace = Pace::new(14, Instant::now());
        let start = Instant::now();
        for second in 1..60 {
            pace.arrived(4096, start + Duration::from_secs(second));
        }
        assert!(pace.start.is_some());
    }
}
