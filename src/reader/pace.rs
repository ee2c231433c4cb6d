//! How much to have in flight: measured, not configured.
//!
//! To keep a link busy, as many bytes must be under way as it carries in the time that one part
//! takes from request to last byte. That time and the rates are measured; the window is somewhat
//! more than what they call for, so that it grows as long as growing makes the rate grow, and
//! stops there.
//!
//! A link is found out as TCP and BBR do it: at first, for every byte that comes two more are put
//! under way, which multiplies them with every round trip, until the rate has not grown for a while.

use std::time::Duration;

use tokio::time::Instant;

use super::ahead::FIRST_WINDOW;

/// Bounds of one GET in bytes. Below, requests cost more than they bring; above, an abandoned one
/// wastes too much.
const PART: std::ops::RangeInclusive<u64> = (512 << 10)..=(8 << 20);

/// While nothing is known but the latency, a reader who has waited for two reads in line gets under
/// way what a link of this rate carries in a round trip, in bytes a second. Less where a connection
/// turned out to be so slow that all together cannot carry that.
const FIRST_RATE: f64 = 480e6;

/// But not more than this, in bytes, and not less.
const FIRST_WINDOWS: std::ops::RangeInclusive<u64> = (8 << 20)..=(64 << 20);

/// How much faster than measured a connection may be that had to share the link.
const SHARED: f64 = 1.5;

/// A window need not be smaller than this, in bytes.
const LEAST_CAP: u64 = 4 << 20;

/// While the link is found out, at most so many times as much is put under way as the measured rate
/// calls for. That rate is one or two doublings old.
const LEAP: f64 = 3.0;

/// While the link is found out, so many bytes more are put under way for each that comes. With 1,
/// which is what TCP does, most of a short read over a long link is over before the link is full.
const GROWTH_A_BYTE: u64 = 2;

/// How much more than the measured rate calls for is put under way from then on: parts do not come
/// evenly, and there must be room to notice that the link has become faster.
const GAIN: f64 = 1.5;

/// How many times what is under way a walk that is alone may be ahead of its reader. Parts end in
/// another order than they are read: while the reader waits for one, those behind it that have come must
/// not keep others from being asked for, or all would end at once and the link be idle for a round trip.
const AHEAD: f64 = 2.0;

/// Whoever is faster than what is fetched for it has had to wait within this time,
const LATELY: Duration = Duration::from_millis(250);

/// or within so many round trips, if that is longer.
const LATELY_IN_TRIPS: f64 = 8.0;

/// Walks that share the link look so many parts ahead at the least.
const PARTS_AHEAD: u64 = 2;

/// The window holds at most so many times what all connections fetch at once.
const AT_ONCE: f64 = 1.5;

/// Parts are so long that all connections together could carry this many times the measured rate.
const HEADROOM: f64 = 2.0;

/// The same where parts follow each other without a pause: the shorter they are, the sooner come those
/// that the reader waits for, and the fewer in vain when it stops.
const HEADROOM_WITHOUT_PAUSE: f64 = 1.1;

/// By how much a rate must exceed the best so far to count as growth,
const GROWTH: f64 = 1.25;

/// and after how many spans without growth the link is found out.
const SPANS_WITHOUT_GROWTH: u32 = 3;

/// Rates are taken over spans of this length, or of one and a half round trips if that is longer:
/// what was put under way must have had the time to arrive.
const SPAN: Duration = Duration::from_millis(100);

/// What comes within this share of a round trip came at once, and tells nothing of a connection. One
/// that is so fast need not be known better.
const AT_ONCE_WITHIN: f64 = 0.1;

/// How much a part counts beside those before it.
const LEARN: f64 = 0.1;

/// A link that carries this share of its highest rate is full.
const FULL: f64 = 0.9;

/// Where a connection carries nothing for a round trip before each part: with long parts, much is
/// under way that a reader who stops will not want. For a read of `n` bytes over `c` connections, the
/// bytes lost are `n / part` times what one carries in a round trip, and `c / 2` parts: least where
/// the part is the root of the former times `2 n / c`. This is that for 256 MiB over 16.
const BALANCE: f64 = (32 << 20) as f64;

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
    /// How many bytes came in all.
    came: u64,
    /// Parts are multiples of so many bytes.
    granule: f64,
    /// Whether connections need not be idle for a round trip between parts.
    pub(super) without_pause: bool,
    /// How many parts may be in flight at once.
    connections: f64,
    /// For how many bytes there is memory.
    memory: f64,
    /// While the link is being found out.
    start: Option<Start>,
}

#[derive(Debug)]
struct Start {
    window: u64,
    best_rate: f64,
    spans_without_growth: u32,
}

impl Pace {
    /// For a link that nothing is known of; `connections` parts may be in flight at once, in
    /// `memory` bytes.
    pub(super) fn new(connections: usize, memory: u64, now: Instant) -> Self {
        Self {
            latency: 0.0,
            connection_rate: 0.0,
            total_rate: 0.0,
            span_start: now,
            span_bytes: 0,
            came: 0,
            granule: 1.0,
            without_pause: false,
            connections: connections.max(1) as f64,
            memory: memory as f64,
            start: Some(Start {
                window: *FIRST_WINDOWS.start(),
                best_rate: 0.0,
                spans_without_growth: 0,
            }),
        }
    }

    /// A request got its first byte; `is_early`: it was sent while another answer came.
    pub(super) fn first_byte(&mut self, after: Duration, is_early: bool) {
        let seen = after.as_secs_f64();
        // What may have waited for its turn tells no more than that a round trip is not longer.
        if is_early && seen > self.latency {
            return;
        }
        // Queues on the way add to the time but not to what the link needs: lean to the low side.
        let weight = if seen < self.latency { 0.5 } else { 0.05 };
        self.latency = match self.latency {
            0.0 => seen,
            known => known + (seen - known) * weight,
        };
    }

    /// Parts come in multiples of so many bytes.
    pub(super) fn comes_in(&mut self, granule: u64) {
        self.granule = granule.max(1) as f64;
    }

    /// So many parts may be in flight at once.
    pub(super) fn goes_over(&mut self, connections: usize) {
        self.connections = connections.max(1) as f64;
    }

    /// How many bytes came in all, on whatever connection.
    pub(super) fn came(&self) -> u64 {
        self.came
    }

    /// `bytes` of a part came within `took`, on one connection, and `all` on all of them. The first
    /// of its bytes do not count: the time begins when they are there.
    pub(super) fn part_done(&mut self, bytes: u64, took: Duration, all: u64) {
        if bytes < FIRST_WINDOW / 2 {
            return; // too short to tell a rate from a burst
        }
        if took.as_secs_f64() < self.latency * AT_ONCE_WITHIN {
            return; // from a disk, or over several connections: it had come before it was given
        }
        let took = took.as_secs_f64().max(1e-4);
        let seen = bytes as f64 / took;
        // Where connections share a link that is full, each is slower than it could be: that says
        // nothing, or the more is under way, the more would seem to be called for. That one is
        // faster than was known says something, if it was for long enough to be no burst.
        let is_full = all as f64 / took > FULL * self.total_rate;
        let counts = !is_full || seen > self.connection_rate && took > self.latency;
        self.connection_rate = match self.connection_rate {
            0.0 => seen,
            // The mean of times, not of rates: those of bursts have no bound.
            known if counts => 1.0 / (1.0 / known + (1.0 / seen - 1.0 / known) * LEARN),
            known => known,
        };
    }

    /// Bytes came, on whatever connection, when `in_flight` bytes more were under way.
    pub(super) fn arrived(&mut self, bytes: u64, in_flight: u64, now: Instant) {
        self.span_bytes += bytes;
        self.came += bytes;
        let first_window = self.first_window();
        if let Some(start) = &mut self.start
            && in_flight + bytes >= start.window / 2
        {
            start.window = start.window.max(first_window) + GROWTH_A_BYTE * bytes;
        }
        let span = now.saturating_duration_since(self.span_start);
        let full = self.span();
        if span < full {
            return;
        }
        let seen = self.span_bytes as f64 / span.as_secs_f64();
        self.total_rate = seen.max(self.total_rate * FADE);
        // A long span was idle: it says nothing of what the link can do.
        if let (Some(start), true) = (&mut self.start, span < 3 * full) {
            match seen > start.best_rate * GROWTH {
                true => (start.best_rate, start.spans_without_growth) = (seen, 0),
                false => start.spans_without_growth += 1,
            }
            if start.spans_without_growth >= SPANS_WITHOUT_GROWTH {
                self.start = None;
            }
        }
        (self.span_start, self.span_bytes) = (now, 0);
    }

    /// Over what time rates are taken.
    fn span(&self) -> Duration {
        SPAN.max(Duration::from_secs_f64(1.5 * self.latency))
    }

    /// How large the window may be while nothing is known but the latency.
    fn first_window(&self) -> u64 {
        let rate = match self.connection_rate {
            0.0 => FIRST_RATE,
            known => FIRST_RATE.min(SHARED * self.connections * known),
        };
        ((rate * self.latency) as u64).clamp(*FIRST_WINDOWS.start(), *FIRST_WINDOWS.end())
    }

    /// What one connection carries in a round trip, in bytes; 0 while that is not known.
    fn trip(&self) -> f64 {
        self.connection_rate * self.latency
    }

    /// How many bytes one GET should ask for.
    pub(super) fn part(&self) -> u64 {
        let most = match self.trip() {
            0.0 => f64::MAX,
            // The request for the next one is on its way while such a part comes.
            trip if self.without_pause => trip,
            trip => (BALANCE * trip).sqrt(),
        };
        let most = most.min(self.memory / self.connections);
        let part = match &self.start {
            // What fills the window over all connections; up to twice as much where they would
            // else wait for longer than they carry something.
            Some(start) => {
                let share = self.flight() as f64 / self.connections;
                let part = self.trip().clamp(share, 2.0 * share);
                // Once the rate has stopped growing, the link is probably full.
                match self.without_pause && start.spans_without_growth > 0 {
                    true => part.min(self.part_without_pause(start.best_rate)),
                    false => part,
                }
            }
            None if self.without_pause => self.part_without_pause(self.total_rate),
            // With n connections of rate r each busy p/r out of latency + p/r, the total is
            // n*p / (latency + p/r), solved for p.
            None => {
                let wanted = HEADROOM * self.total_rate;
                let idle = self.connections - wanted / self.connection_rate.max(1.0);
                match idle > 0.0 {
                    true => wanted * self.latency / idle,
                    false => most,
                }
            }
        };
        let part = (part.min(most) as u64).clamp(*PART.start(), *PART.end()) as f64;
        ((part / self.granule).round().max(1.0) * self.granule) as u64
    }

    /// How many bytes make a part that all connections carry `rate` with, if each carries one in every
    /// round trip.
    fn part_without_pause(&self, rate: f64) -> f64 {
        HEADROOM_WITHOUT_PAUSE * rate * self.latency / self.connections
    }

    /// How many bytes to have under way.
    pub(super) fn flight(&self) -> u64 {
        let called_for = |rate: f64, part: u64| {
            let part_time = match self.connection_rate {
                0.0 => self.latency,
                connection => self.latency + part as f64 / connection,
            };
            rate * part_time
        };
        match &self.start {
            Some(start) => {
                // Of the span that goes on, at least this is known.
                let rate = self.span_bytes as f64 / self.span().as_secs_f64();
                let called_for = called_for(rate.max(self.total_rate), *PART.start());
                start
                    .window
                    .min((LEAP * called_for) as u64)
                    .max(self.first_window())
            }
            None => {
                let part = self.part() as f64;
                let called_for = GAIN * called_for(self.total_rate, self.part());
                // More than all connections can fetch at once would only wait: a part each, and
                // without a pause most of the one behind it.
                let early = if self.without_pause {
                    self.trip().min(part)
                } else {
                    0.0
                };
                let held = AT_ONCE * self.connections * (part + early);
                (called_for.min(held) as u64).max(LEAST_CAP)
            }
        }
    }

    /// Within what time whoever shares the link has had to wait.
    pub(super) fn lately(&self) -> Duration {
        LATELY.max(Duration::from_secs_f64(LATELY_IN_TRIPS * self.latency))
    }

    /// How far ahead of its reader each of the walks should look, in bytes, of which so many go on and
    /// so many starve. Those that are faster leave memory to the others, which would else fetch no more
    /// than what is waited for. Those that starve share the link: with a window for all of it, each
    /// would have fetched so much in vain when it stops.
    pub(super) fn window_of(&self, (going, starving): (usize, usize)) -> u64 {
        let of_memory = self.memory / going.max(1) as f64;
        let of_link = self.share_of(starving).max(PARTS_AHEAD * self.part());
        of_link.min(self.window()).min(of_memory as u64)
    }

    /// How far ahead of its reader a walk that is alone should look, in bytes.
    pub(super) fn window(&self) -> u64 {
        self.share_of(1)
    }

    /// The same for one of so many walks that share the link. What keeps it busy while one of them
    /// waits for a part is what the others fetch: so what each is ahead for that, they share as well.
    fn share_of(&self, walks: usize) -> u64 {
        let walks = walks.max(1) as f64;
        let ahead = match self.start {
            Some(_) => 1.0,
            None => 1.0 + (AHEAD - 1.0) / walks,
        };
        (ahead * self.flight() as f64 / walks) as u64
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
            let parts = (pace.flight() as f64 / part).clamp(1.0, pace.connections);
            rate = (parts * part / time).min(total);
            pace.first_byte(Duration::from_secs_f64(latency), false);
            // Where the link is full, they share it.
            let time_of_part = (parts * part / rate - latency).max(part / connection);
            let all = (rate * time_of_part) as u64;
            pace.part_done(part as u64, Duration::from_secs_f64(time_of_part), all);
            now += 0.02;
            let (bytes, in_flight) = ((rate * 0.02) as u64, (parts * part) as u64);
            pace.arrived(bytes, in_flight, start + Duration::from_secs_f64(now));
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
            let mut pace = Pace::new(14, 80 << 20, Instant::now());
            let link = format!("{latency} s, {connection:.0e} B/s each, {total:.0e} in all");
            let rate = run(&mut pace, latency, connection, total, 3.0);
            let most = total.min(14.0 * connection);
            assert!(rate > 0.8 * most, "{link}: {rate:.2e}");
            let time = latency + pace.part() as f64 / connection;
            let needed = (total * time) as u64;
            // Where connections share a full link, how fast each could be does not show: then
            // there may be more than is called for, up to what all of them hold.
            let held = 14 * pace.part() * 3 / 2;
            let bound = (needed * 5 / 2).max(held).max(LEAST_CAP);
            let (flight, window) = (pace.flight(), pace.window());
            assert!(flight <= bound, "{link}: {flight} for {needed}");
            assert!(window as f64 <= AHEAD * flight as f64, "{link}: {window}");
        }
    }

    /// Where fourteen parts share a link that four could fill, each is slow. Taken for slow connections,
    /// they called for longer parts, and more of them at once, which were slower still.
    #[test]
    fn a_full_link_does_not_make_connections_seem_slow() {
        let [early, late] = [3.0, 60.0].map(|seconds| {
            let mut pace = Pace::new(14, 80 << 20, Instant::now());
            run(&mut pace, 0.05, 25e6, 100e6, seconds);
            (pace.part(), pace.flight())
        });
        assert!(
            late.0 <= early.0 * 11 / 10 && late.1 <= early.1 * 11 / 10,
            "{early:?}, {late:?}"
        );
    }

    #[test]
    fn walks_that_starve_share_the_link_and_all_share_the_memory() {
        let mut pace = Pace::new(14, 80 << 20, Instant::now());
        run(&mut pace, 0.05, 25e6, 100e6, 3.0);
        let all = pace.window();
        assert_eq!(pace.window_of((0, 0)), all);
        assert_eq!(pace.window_of((1, 1)), all);
        // Players do not take away from who copies.
        assert_eq!(pace.window_of((3, 1)), all.min((80 << 20) / 3));
        // What they are ahead so that the link stays busy, they share as well.
        let (flight, least) = (pace.flight(), PARTS_AHEAD * pace.part());
        assert_eq!(all, 2 * flight);
        let near = |window: u64, wanted: u64| window.abs_diff(wanted) <= 1;
        assert!(near(pace.window_of((2, 2)), flight * 3 / 4));
        assert!(near(pace.window_of((3, 3)), flight * 4 / 9));
        assert!(near(pace.window_of((8, 8)), (flight * 9 / 64).max(least)));
        assert_eq!(pace.window_of((40, 40)), (80 << 20) / 40);
    }

    #[test]
    fn an_idle_link_tells_nothing() {
        let mut pace = Pace::new(14, 80 << 20, Instant::now());
        let start = Instant::now();
        for second in 1..60 {
            pace.arrived(4096, 0, start + Duration::from_secs(second));
        }
        assert!(pace.start.is_some());
    }
}
