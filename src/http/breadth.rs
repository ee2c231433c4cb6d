//! How many connections to a server are worth it, where there is time to try that out.
//!
//! Those that a link has no use for cost CPU on both sides: over 16 from loopback, 256 MiB took a tenth
//! longer than over six. How many it has use for shows only by trying. Over a long way that takes longer
//! than it saves, and all are used. Where round trips are short, what is read comes over a few at first,
//! then over twice as many, for as long as that makes the rate grow as much. Where it does not, the link
//! carries no more, and as many are enough as carry that at the rate which each had when they were fewer.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// Where a round trip takes longer, there is no time to try.
const NEAR: Duration = Duration::from_millis(4);

/// With so many it begins.
const FEW: usize = 6;

/// A rate is taken over a span of this length,
const SPAN: Duration = Duration::from_millis(20);

/// or of so many round trips, if that is longer; and after as long a time, in which connections are made
/// and what was under way before comes.
const SPAN_IN_TRIPS: u32 = 8;

/// It counts if, on the average, about as many connections as are to be measured carried something, by
/// these shares of them. Where fewer did, it is whoever reads that holds it down; where more did, those
/// that there were before are not done.
const IN_USE: RangeInclusive<f64> = 0.75..=1.25;

/// If twice as many carry so many times as much, more may carry still more.
const GROWTH: f64 = 1.5;

/// How many times as many are used as are called for.
const MARGIN: f64 = 1.1;

/// Connections that carry so many bytes a second each are hardly held down by anything that more of them
/// would help against. To try it costs something, too,
const FAST: f64 = 60e6;

/// and is put off for so long.
const PATIENCE: Duration = Duration::from_secs(1);

/// It is tried anew after so long: links change.
const ANEW_AFTER: Duration = Duration::from_secs(15);

/// How many connections are worth it.
#[derive(Debug)]
pub(super) struct Breadth {
    now: usize,
    state: State,
    /// How many were tried before, and what they carried, in bytes a second.
    before: Option<(usize, f64)>,
    /// Whether to try more was put off.
    was_patient: bool,
}

#[derive(Debug)]
enum State {
    /// What so many carry is to be measured, not before so long.
    Next(Duration),
    Measuring(Span),
    /// It was found out, at that time.
    Found(Instant),
}

/// What came since some time.
#[derive(Debug)]
struct Span {
    since: Instant,
    bytes: u64,
    pieces: usize,
    /// How many connections carried something when each of the pieces came, added up.
    in_use: usize,
}

impl Default for Breadth {
    fn default() -> Self {
        Self {
            now: FEW,
            state: State::Next(Duration::ZERO),
            before: None,
            was_patient: false,
        }
    }
}

impl Breadth {
    /// How many are worth it, of so many that there may be, if a round trip takes so long.
    pub(super) fn of(&self, most: usize, round_trip: Option<Duration>) -> usize {
        match round_trip {
            Some(round_trip) if round_trip <= NEAR => most.min(self.now),
            _ => most,
        }
    }

    /// Whether it is to be told what comes.
    pub(super) fn listens(&self, round_trip: Duration, now: Instant) -> bool {
        let is_found = match self.state {
            State::Found(at) => now.saturating_duration_since(at) < ANEW_AFTER,
            _ => false,
        };
        round_trip <= NEAR && !is_found
    }

    /// Bytes came while so many connections, of at most `most`, carried something.
    pub(super) fn came(
        &mut self,
        bytes: u64,
        (in_use, most): (usize, usize),
        round_trip: Duration,
        now: Instant,
    ) {
        if !self.listens(round_trip, now) {
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
                    pieces: 0,
                    in_use: 0,
                });
                return;
            }
            State::Found(_) => {
                *self = Self {
                    // More were worth it the last time.
                    was_patient: self.now > FEW,
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
        span.pieces += 1;
        span.in_use += in_use;
        if took < length {
            return;
        }
        let rate = span.bytes as f64 / took.as_secs_f64();
        let in_use = span.in_use as f64 / span.pieces as f64;
        let tried = self.now.min(most);
        self.state = State::Next(Duration::ZERO);
        // A long span was idle: it says nothing of what the link can do.
        if IN_USE.contains(&(in_use / tried as f64)) && took < 3 * length {
            self.tried(tried, most, rate, now);
        }
    }

    /// So many, of at most `most`, carried `rate`.
    fn tried(&mut self, tried: usize, most: usize, rate: f64, now: Instant) {
        let megabytes = rate / 1e6;
        log::debug!("{tried} connections at once carry {megabytes:.0} MB/s");
        if self.before.is_none() && !self.was_patient && rate > FAST * tried as f64 {
            (self.was_patient, self.state) = (true, State::Next(PATIENCE));
            return;
        }
        let enough = self.before.and_then(|(fewer, before)| {
            let grew = rate / before;
            (grew < GROWTH).then(|| (fewer as f64 * grew * MARGIN).ceil() as usize)
        });
        self.before = Some((tried, rate));
        self.now = match enough {
            Some(enough) => enough.clamp(FEW.min(tried), tried),
            None => (2 * tried).max(FEW),
        };
        if enough.is_some() || tried >= most {
            self.state = State::Found(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 16;
    const MS: Duration = Duration::from_millis(1);

    /// Reads for so long over a link, as many at once as are worth it, in pieces of 64 KiB, with
    /// `wanted` of them at the most. The rates are those of a connection and of all together, in bytes
    /// a second. Returns how many there were at once in the end.
    fn read(
        breadth: &mut Breadth,
        (connection, total): (f64, f64),
        wanted: usize,
        (from, to): (Duration, Duration),
        begun: Instant,
    ) -> usize {
        let mut at = from;
        while at < to {
            let in_use = breadth.of(MOST, Some(MS)).min(wanted);
            let rate = total.min(connection * in_use as f64);
            at += Duration::from_secs_f64(65536.0 / rate);
            breadth.came(65536, (in_use, MOST), MS, begun + at);
        }
        breadth.of(MOST, Some(MS))
    }

    fn after_a_second(connection: f64, total: f64) -> usize {
        let span = (Duration::ZERO, 1000 * MS);
        let mut breadth = Breadth::default();
        read(
            &mut breadth,
            (connection, total),
            MOST,
            span,
            Instant::now(),
        )
    }

    #[test]
    fn as_many_are_used_as_carry_what_the_link_carries() {
        assert_eq!(after_a_second(10e6, 1000e6), MOST);
        assert_eq!(after_a_second(50e6, 800e6), MOST);
        assert_eq!(after_a_second(50e6, 400e6), 9, "eight carry it");
        assert_eq!(after_a_second(50e6, 300e6), 7, "six do");
        assert_eq!(after_a_second(118e6, 118e6), 7, "one does");
        assert_eq!(after_a_second(2e6, 1000e6), MOST);
    }

    #[test]
    fn over_a_long_way_all_are_used() {
        let breadth = Breadth::default();
        assert_eq!(breadth.of(MOST, None), MOST);
        assert_eq!(breadth.of(MOST, Some(10 * MS)), MOST);
        assert_eq!(breadth.of(MOST, Some(MS)), FEW);
        assert_eq!(breadth.of(2, Some(MS)), 2, "no more than there may be");
    }

    #[test]
    fn where_each_is_fast_more_are_tried_later() {
        let (mut breadth, begun) = (Breadth::default(), Instant::now());
        let link = (200e6, 2400e6);
        let first = (Duration::ZERO, 500 * MS);
        assert_eq!(read(&mut breadth, link, MOST, first, begun), FEW);
        let then = (500 * MS, 2000 * MS);
        assert_eq!(read(&mut breadth, link, MOST, then, begun), 14);
    }

    #[test]
    fn it_is_tried_anew_and_an_idle_reader_tells_nothing() {
        let (mut breadth, begun) = (Breadth::default(), Instant::now());
        let span = |from: u32, to: u32| (from * 1000 * MS, to * 1000 * MS);
        let (slow, fast) = ((100e6, 100e6), (50e6, 800e6));
        assert_eq!(read(&mut breadth, slow, 3, span(0, 5), begun), FEW);
        assert_eq!(read(&mut breadth, slow, MOST, span(5, 6), begun), 7);
        assert_eq!(read(&mut breadth, fast, MOST, span(6, 15), begun), 7);
        assert_eq!(read(&mut breadth, fast, MOST, span(15, 23), begun), MOST);
        // One piece a second: what came within it is no rate.
        let mut breadth = Breadth::default();
        for second in 0..10 {
            let now = begun + 1000 * MS * second;
            breadth.came(65536, (FEW, MOST), MS, now);
        }
        assert_eq!((breadth.now, breadth.before), (FEW, None));
    }
}
