//! Finds out how many connections to a near server are worth it.
//!
//! Connections beyond what the link can use cost CPU on both sides: reading 256 MiB from loopback took a
//! tenth longer over 16 connections than over six. Only a trial shows how many a link can use. Over a long
//! round trip the trial takes longer than it saves, so all connections are used there.
//!
//! Over a short round trip the probe starts with a few connections and doubles them for as long as that
//! raises throughput by half. If it does not, the link is saturated. The probe then settles for the number
//! that carries the throughput of the link at the rate each connection had before the doubling.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// The longest round trip of a server that is probed.
const NEAR: Duration = Duration::from_millis(4);

/// How many connections the probe starts with.
const FEW: usize = 6;

/// Throughput is measured over this time or over [`SPAN_IN_TRIPS`] round trips, whichever is longer. A
/// pause of the same length comes before it, in which connections are made and earlier requests end.
const SPAN: Duration = Duration::from_millis(20);
const SPAN_IN_TRIPS: u32 = 8;

/// A measurement counts only if the average number of busy connections is within these shares of the
/// number that is tried. With fewer, the reader limits the throughput. With more, earlier requests have not
/// ended.
const BUSY: RangeInclusive<f64> = 0.75..=1.25;

/// If twice the connections carry at least this many times as much, the probe doubles them again.
const GROWTH: f64 = 1.5;

/// How many connections to use for each that is needed.
const MARGIN: f64 = 1.1;

/// At this rate of each connection, in bytes a second, more connections hardly help. The first trial is
/// put off by [`PATIENCE`] then, because a trial costs something, too.
const FAST: f64 = 60e6;
const PATIENCE: Duration = Duration::from_secs(1);

/// The probe starts again after this time, because links change.
const VALID_FOR: Duration = Duration::from_secs(15);

/// A state machine that is fed with what arrives.
#[derive(Debug)]
pub(super) struct ConcurrencyProbe {
    /// How many connections to use now.
    limit: usize,
    state: State,
    /// How many were tried before, and their throughput in bytes a second.
    before: Option<(usize, f64)>,
    /// Whether the first trial was put off.
    was_put_off: bool,
}

#[derive(Debug)]
enum State {
    /// The next measurement begins after this time.
    Next(Duration),
    Measuring(Span),
    /// The probe settled at this time.
    Settled(Instant),
}

/// What arrived since `since`.
#[derive(Debug)]
struct Span {
    since: Instant,
    bytes: u64,
    chunks: usize,
    /// The sum, over all chunks, of the connections that were busy.
    busy: usize,
}

impl Default for ConcurrencyProbe {
    fn default() -> Self {
        Self {
            limit: FEW,
            state: State::Next(Duration::ZERO),
            before: None,
            was_put_off: false,
        }
    }
}

impl ConcurrencyProbe {
    /// How many connections, of at most `most`, to use with this round-trip time.
    pub(super) fn limit(&self, most: usize, round_trip: Option<Duration>) -> usize {
        match round_trip {
            Some(round_trip) if round_trip <= NEAR => most.min(self.limit),
            _ => most,
        }
    }

    /// Whether [`received`](Self::received) needs to be called.
    pub(super) fn is_active(&self, round_trip: Duration, now: Instant) -> bool {
        let is_settled = match self.state {
            State::Settled(at) => now.saturating_duration_since(at) < VALID_FOR,
            _ => false,
        };
        round_trip <= NEAR && !is_settled
    }

    /// Records that `bytes` arrived while `busy` connections, of at most `most`, were in use.
    pub(super) fn received(
        &mut self,
        bytes: u64,
        (busy, most): (usize, usize),
        round_trip: Duration,
        now: Instant,
    ) {
        if !self.is_active(round_trip, now) {
            return;
        }
        let length = SPAN.max(SPAN_IN_TRIPS * round_trip);
        let span = match &mut self.state {
            State::Measuring(span) => span,
            State::Next(after) => {
                let since = now + length.max(*after);
                self.state = State::Measuring(Span {
                    since,
                    bytes: 0,
                    chunks: 0,
                    busy: 0,
                });
                return;
            }
            State::Settled(_) => {
                *self = Self {
                    // The last probe found more connections useful.
                    was_put_off: self.limit > FEW,
                    ..Self::default()
                };
                return;
            }
        };
        let took = now.saturating_duration_since(span.since);
        if took.is_zero() {
            return;
        }
        span.bytes += bytes;
        span.chunks += 1;
        span.busy += busy;
        if took < length {
            return;
        }
        let rate = span.bytes as f64 / took.as_secs_f64();
        let busy = span.busy as f64 / span.chunks as f64;
        let tried = self.limit.min(most);
        self.state = State::Next(Duration::ZERO);
        // A span that took much longer was partly idle, and does not tell what the link can do.
        if BUSY.contains(&(busy / tried as f64)) && took < 3 * length {
            self.measured(tried, most, rate, now);
        }
    }

    /// Evaluates that `tried` connections, of at most `most`, carry `rate`.
    fn measured(&mut self, tried: usize, most: usize, rate: f64, now: Instant) {
        let megabytes = rate / 1e6;
        log::debug!("{tried} connections carry {megabytes:.0} MB/s");
        if self.before.is_none() && !self.was_put_off && rate > FAST * tried as f64 {
            (self.was_put_off, self.state) = (true, State::Next(PATIENCE));
            return;
        }
        let enough = self.before.and_then(|(fewer, before)| {
            let grew = rate / before;
            (grew < GROWTH).then(|| (fewer as f64 * grew * MARGIN).ceil() as usize)
        });
        self.before = Some((tried, rate));
        self.limit = match enough {
            Some(enough) => enough.clamp(FEW.min(tried), tried),
            None => (2 * tried).max(FEW),
        };
        if enough.is_some() || tried >= most {
            self.state = State::Settled(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 16;
    const MS: Duration = Duration::from_millis(1);

    /// Simulates a read from `from` to `to` in chunks of 64 KiB, over the connections that the probe
    /// allows but at most `wanted`. The rates of one connection and of all together are in bytes a second.
    /// Returns the probe's limit at the end.
    fn read(
        probe: &mut ConcurrencyProbe,
        (connection, total): (f64, f64),
        wanted: usize,
        (from, to): (Duration, Duration),
        begun: Instant,
    ) -> usize {
        let mut at = from;
        while at < to {
            let busy = probe.limit(MOST, Some(MS)).min(wanted);
            let rate = total.min(connection * busy as f64);
            at += Duration::from_secs_f64(65536.0 / rate);
            probe.received(65536, (busy, MOST), MS, begun + at);
        }
        probe.limit(MOST, Some(MS))
    }

    fn after_a_second(connection: f64, total: f64) -> usize {
        let span = (Duration::ZERO, 1000 * MS);
        let mut probe = ConcurrencyProbe::default();
        read(&mut probe, (connection, total), MOST, span, Instant::now())
    }

    #[test]
    fn settles_for_the_connections_that_saturate_the_link() {
        assert_eq!(after_a_second(10e6, 1000e6), MOST);
        assert_eq!(after_a_second(50e6, 800e6), MOST);
        assert_eq!(after_a_second(50e6, 400e6), 9, "eight carry it");
        assert_eq!(after_a_second(50e6, 300e6), 7, "six do");
        assert_eq!(after_a_second(118e6, 118e6), 7, "one does");
        assert_eq!(after_a_second(2e6, 1000e6), MOST);
    }

    #[test]
    fn a_long_round_trip_uses_all() {
        let probe = ConcurrencyProbe::default();
        assert_eq!(probe.limit(MOST, None), MOST);
        assert_eq!(probe.limit(MOST, Some(10 * MS)), MOST);
        assert_eq!(probe.limit(MOST, Some(MS)), FEW);
        assert_eq!(probe.limit(2, Some(MS)), 2, "at most all");
    }

    #[test]
    fn fast_connections_put_the_first_trial_off() {
        let (mut probe, begun) = (ConcurrencyProbe::default(), Instant::now());
        let link = (200e6, 2400e6);
        let first = (Duration::ZERO, 500 * MS);
        assert_eq!(read(&mut probe, link, MOST, first, begun), FEW);
        let then = (500 * MS, 2000 * MS);
        assert_eq!(read(&mut probe, link, MOST, then, begun), 14);
    }

    #[test]
    fn starts_again_after_a_while_and_ignores_idle_readers() {
        let (mut probe, begun) = (ConcurrencyProbe::default(), Instant::now());
        let span = |from: u32, to: u32| (from * 1000 * MS, to * 1000 * MS);
        let (slow, fast) = ((100e6, 100e6), (50e6, 800e6));
        assert_eq!(read(&mut probe, slow, 3, span(0, 5), begun), FEW);
        assert_eq!(read(&mut probe, slow, MOST, span(5, 6), begun), 7);
        assert_eq!(read(&mut probe, fast, MOST, span(6, 15), begun), 7);
        assert_eq!(read(&mut probe, fast, MOST, span(15, 23), begun), MOST);
        // One chunk a second does not tell the rate of the link.
        let mut probe = ConcurrencyProbe::default();
        for second in 0..10 {
            let now = begun + 1000 * MS * second;
            probe.received(65536, (FEW, MOST), MS, now);
        }
        assert_eq!((probe.limit, probe.before), (FEW, None));
    }
}
