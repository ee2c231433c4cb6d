//! Measures how many bytes a second a member gives.

use std::time::Duration;

use tokio::time::Instant;

/// Rates are measured over spans of this length in which a request was under way.
const SPAN: Duration = Duration::from_millis(100);

/// An answer within a shorter span is measured too, from its first byte on, if it has at least these bytes
/// and takes at least this time. So a single request shows that a gateway is fast. Anything shorter measures
/// buffers on the way rather than the link.
const MIN_BYTES: u64 = 256 << 10;
const MIN_TIME: Duration = Duration::from_millis(5);

/// A known rate shrinks by this factor each span. So a slower link is noticed.
const FADE: f64 = 0.98;

/// The rate of all requests to a member together: the highest recent one.
#[derive(Debug, Default)]
pub(super) struct Rate {
    known: Option<f64>,
    in_flight: usize,
    span: Option<Span>,
}

#[derive(Debug)]
struct Span {
    start: Instant,
    bytes: u64,
    /// When the first bytes came, and how many bytes came after those.
    first: Option<(Instant, u64)>,
}

impl Span {
    fn new(start: Instant) -> Self {
        Self {
            start,
            bytes: 0,
            first: None,
        }
    }
}

impl Rate {
    /// Bytes a second; `None` while nothing was measured.
    pub(super) fn get(&self) -> Option<f64> {
        self.known
    }

    /// Records that a request was sent.
    pub(super) fn asked(&mut self, now: Instant) {
        if self.in_flight == 0 {
            self.span = Some(Span::new(now));
        }
        self.in_flight += 1;
    }

    /// Records that bytes came.
    pub(super) fn came(&mut self, bytes: u64, now: Instant) {
        let span = self.span.get_or_insert_with(|| Span::new(now));
        span.bytes += bytes;
        match &mut span.first {
            None => span.first = Some((now, 0)),
            Some((_, after)) => *after += bytes,
        }
        let (sum, took) = (span.bytes, now.saturating_duration_since(span.start));
        if took >= SPAN {
            self.measured(sum, took);
            self.span = Some(Span::new(now));
        }
    }

    /// Records that a request has ended, for any reason.
    pub(super) fn ended(&mut self, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let span = self.span.take_if(|_| self.in_flight == 0);
        let Some((first, bytes)) = span.and_then(|span| span.first) else {
            return;
        };
        let took = now.saturating_duration_since(first);
        if bytes >= MIN_BYTES && took >= MIN_TIME {
            self.measured(bytes, took);
        }
    }

    fn measured(&mut self, bytes: u64, took: Duration) {
        let seen = bytes as f64 / took.as_secs_f64();
        self.known = Some(seen.max(self.known.map_or(0.0, |known| known * FADE)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn counts_all_requests_together() {
        let (now, mut rate) = (Instant::now(), Rate::default());
        rate.asked(now);
        rate.asked(now);
        for i in 1..=100 {
            rate.came(50_000, now + ms(10 * i));
        }
        let known = rate.get().expect("measured");
        assert!((4.5e6..5.6e6).contains(&known), "{known}");
        // The link becomes slower.
        for i in 101..=3000 {
            rate.came(5000, now + ms(10 * i));
        }
        let known = rate.get().expect("measured");
        assert!((0.45e6..0.6e6).contains(&known), "{known}");
    }

    /// A megabyte that came within 71 ms, 50 of them for the round trip, was too short to be measured. So a
    /// gateway that was tried with one request at a time could never show that it was the faster one.
    #[test]
    fn one_request_measures_a_fast_gateway() {
        let (now, mut rate) = (Instant::now(), Rate::default());
        for i in 0..100 {
            rate.asked(now + ms(1000 * i));
            for k in 0..=16 {
                rate.came(1 << 16, now + ms(1000 * i + 50 + k));
            }
            rate.ended(now + ms(1000 * i + 66));
            let known = rate.get().expect("measured");
            assert!((60e6..70e6).contains(&known), "{known}");
        }
    }

    /// Bytes that fit into a buffer on the way arrive at once.
    #[test]
    fn short_answers_are_not_measured() {
        let (now, mut rate) = (Instant::now(), Rate::default());
        for bytes in [1000, 200_000, 10 << 20] {
            rate.asked(now);
            rate.came(bytes, now + ms(50));
            rate.came(bytes, now + ms(51));
            rate.ended(now + ms(51));
            assert_eq!(rate.get(), None, "{bytes} bytes");
        }
    }
}
