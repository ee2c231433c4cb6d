//! How many bytes a second a member gives.

use std::time::Duration;

use tokio::time::Instant;

/// Rates are taken over spans of this length in which something was on its way.
const SPAN: Duration = Duration::from_millis(100);

/// What comes all in less is also measured if it is so many bytes and takes so long, from the first
/// byte on: one part of a fast gateway, asked alone to find out whether it is fast. Less says more
/// of buffers on the way than of a link.
const ALONE: u64 = 256 << 10;
const ALONE_TAKES: Duration = Duration::from_millis(5);

/// A measured rate fades by this a span, so that a link that became slower is found out.
const FADE: f64 = 0.98;

/// The rate of all parts of a member together: the highest of late.
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
    /// When the first bytes came, and how many bytes came after them.
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
    /// Bytes a second, once that is known.
    pub(super) fn get(&self) -> Option<f64> {
        self.known
    }

    /// A request was sent.
    pub(super) fn asked(&mut self, now: Instant) {
        if self.in_flight == 0 {
            self.span = Some(Span::new(now));
        }
        self.in_flight += 1;
    }

    /// Bytes came.
    pub(super) fn came(&mut self, bytes: u64, now: Instant) {
        let span = self.span.get_or_insert_with(|| Span::new(now));
        span.bytes += bytes;
        match &mut span.first {
            None => span.first = Some((now, 0)),
            Some((_, after)) => *after += bytes,
        }
        let (sum, took) = (span.bytes, now.saturating_duration_since(span.start));
        if took >= SPAN {
            self.seen(sum, took);
            self.span = Some(Span::new(now));
        }
    }

    /// A request has ended, however.
    pub(super) fn ended(&mut self, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let span = self.span.take_if(|_| self.in_flight == 0);
        let Some((first, bytes)) = span.and_then(|span| span.first) else {
            return;
        };
        let took = now.saturating_duration_since(first);
        if bytes >= ALONE && took >= ALONE_TAKES {
            self.seen(bytes, took);
        }
    }

    fn seen(&mut self, bytes: u64, took: Duration) {
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
    fn it_is_that_of_all_parts_together() {
        let (now, mut rate) = (Instant::now(), Rate::default());
        rate.asked(now);
        rate.asked(now);
        for i in 1..=100 {
            rate.came(50_000, now + ms(10 * i));
        }
        let known = rate.get().expect("measured");
        assert!((4.5e6..5.6e6).contains(&known), "{known}");
        // Slower, and that is found out.
        for i in 101..=3000 {
            rate.came(5000, now + ms(10 * i));
        }
        let known = rate.get().expect("measured");
        assert!((0.45e6..0.6e6).contains(&known), "{known}");
    }

    /// The story that this guards against: a part of a megabyte that came within 71 ms, 50 of them
    /// for the round trip, was too short to be measured. So a gateway that was tried one part at a
    /// time could never show that it was the faster one.
    #[test]
    fn one_part_of_a_fast_one_is_enough() {
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

    /// Whatever fits into a buffer on the way comes at once.
    #[test]
    fn small_answers_say_nothing() {
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
