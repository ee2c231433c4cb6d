//! How much to have in flight: measured, not configured.
//!
//! To keep a link busy, as many bytes must be under way as it carries in the time that one part
//! takes from request to last byte. That time and the rates are measured; the window is somewhat
//! more than what they call for, so that it grows as long as growing makes the rate grow, and
//! stops there.

use std::time::{Duration, Instant};

use super::ahead::FIRST_WINDOW;

/// Bounds of one GET in bytes. Below, requests cost more than they bring; above, an abandoned one
/// wastes too much.
const PART: std::ops::RangeInclusive<u64> = (512 << 10)..=(8 << 20);

/// Before anything is known, the window may grow to this many bytes.
const INITIAL_WINDOW: u64 = 4 << 20;

/// How much more to have in flight than the measured rate calls for: room to find a higher rate.
const HEADROOM: f64 = 1.4;

/// Rates are taken over spans of this length.
const SPAN: Duration = Duration::from_millis(100);

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
}

impl Pace {
    pub(super) fn new(connections: usize, now: Instant) -> Self {
        Self {
            latency: 0.0,
            connection_rate: 0.0,
            total_rate: 0.0,
            span_start: now,
            span_bytes: 0,
            connections: connections as f64,
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
        if span < SPAN {
            return;
        }
        let seen = self.span_bytes as f64 / span.as_secs_f64();
        self.total_rate = seen.max(self.total_rate * FADE);
        (self.span_start, self.span_bytes) = (now, 0);
    }

    /// How many bytes one GET should ask for.
    pub(super) fn part(&self) -> u64 {
        if self.connection_rate == 0.0 || self.latency == 0.0 {
            return *PART.start();
        }
        // With n connections of rate r each busy p/r out of latency + p/r, the total is
        // n*p / (latency + p/r). Solved for p, with some connections left for demand.
        let (total, spare) = (self.total_rate, self.connections * 0.75);
        let busy = total / self.connection_rate;
        let part = if busy < spare * 0.8 {
            total * self.latency / (spare - busy)
        } else {
            8.0 * self.connection_rate * self.latency
        };
        let part = part.max(self.connection_rate * self.latency * 0.8);
        (part as u64).clamp(*PART.start(), *PART.end())
    }

    /// How far ahead of its reader a walk should look, in bytes.
    pub(super) fn window(&self) -> u64 {
        if self.connection_rate == 0.0 {
            return INITIAL_WINDOW;
        }
        let part_time = self.latency + self.part() as f64 / self.connection_rate;
        let in_flight = (self.total_rate * part_time * HEADROOM) as u64;
        in_flight.max(INITIAL_WINDOW)
    }
}
