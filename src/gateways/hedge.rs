//! Decides when to hedge a request: after which delay, and how often. Pure.

use std::time::Duration;

/// The percentile is taken over this many answers: enough for a 95th percentile, and few enough to follow a
/// link that changes.
const SAMPLES: usize = 64;

/// The delay for a member that has never answered. A gateway that must fetch the content first takes about
/// this long.
const DEFAULT_DELAY: Duration = Duration::from_secs(1);

/// The shortest delay. A shorter pause need not be the member's fault: this machine may be busy, or a packet was lost,
/// which Linux sends again within 200 ms.
const MIN_DELAY: Duration = Duration::from_millis(150);

/// The longest delay. A member that is usually slower is hedged each time.
const MAX_DELAY: Duration = Duration::from_secs(5);

/// The latest times to the first byte.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    seen: Vec<Duration>,
    next: usize,
}

impl Latencies {
    pub(super) fn add(&mut self, seen: Duration) {
        match self.seen.get_mut(self.next) {
            Some(oldest) => *oldest = seen,
            None => self.seen.push(seen),
        }
        self.next = (self.next + 1) % SAMPLES;
    }

    /// After this time without bytes, a request is hedged: the 95th percentile, within limits.
    pub(super) fn delay(&self) -> Duration {
        if self.seen.is_empty() {
            return DEFAULT_DELAY;
        }
        let mut sorted = self.seen.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * 95).div_ceil(100) - 1;
        sorted[at].clamp(MIN_DELAY, MAX_DELAY)
    }
}

/// The share of requests that may be hedged. More would be load that makes everything slower.
const SHARE: f64 = 0.05;

/// How many hedges can be saved up.
const MAX_SAVED: f64 = 4.0;

/// Counts requests, and the hedges that they allow.
#[derive(Debug)]
pub(super) struct Budget(f64);

impl Budget {
    /// Begins with one hedge, because a user waits for the first requests.
    pub(super) fn new() -> Self {
        Self(1.0)
    }

    /// Records a request.
    pub(super) fn request(&mut self) {
        self.0 = (self.0 + SHARE).min(MAX_SAVED);
    }

    /// Takes a hedge; false if there is none.
    pub(super) fn take(&mut self) -> bool {
        let has_one = self.0 >= 1.0;
        if has_one {
            self.0 -= 1.0;
        }
        has_one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_delay_is_the_95th_percentile_of_recent_latencies() {
        let mut seen = Latencies::default();
        assert_eq!(seen.delay(), DEFAULT_DELAY);
        seen.add(ms(2));
        assert_eq!(seen.delay(), MIN_DELAY);
        for i in 1..=100 {
            seen.add(ms(1000 + i));
        }
        // The 61st of the last 64, which are 1037..=1100 ms.
        assert_eq!(seen.delay(), ms(1097));
        for _ in 0..SAMPLES {
            seen.add(Duration::from_secs(60));
        }
        assert_eq!(seen.delay(), MAX_DELAY);
    }

    #[test]
    fn hedges_are_one_in_twenty() {
        let mut budget = Budget::new();
        let mut taken = 0;
        for _ in 0..1000 {
            budget.request();
            taken += u32::from(budget.take());
        }
        assert!((50..=51).contains(&taken), "{taken}");
        for _ in 0..1000 {
            budget.request();
        }
        let saved = (0..10).filter(|_| budget.take()).count();
        assert_eq!(saved, 4);
    }
}
