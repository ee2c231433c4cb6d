//! When to ask a second one: how long is long for a member, and how often it may be done.
//!
//! Pure; nothing here looks at a clock.

use std::time::Duration;

/// How many answers the percentile is taken over: enough that one in twenty means something, few
/// enough to follow a link that changes.
const SAMPLES: usize = 64;

/// How long is long for a member that has never answered. Content that a gateway must fetch first
/// takes about that.
const UNKNOWN: Duration = Duration::from_secs(1);

/// Below this a pause is as likely our own machine's, or one lost packet (Linux repeats it after
/// 200 ms at the earliest, but mostly finds out sooner), as the member's.
const SHORTEST: Duration = Duration::from_millis(150);

/// A member that is as slow as that by habit is not worth more patience.
const LONGEST: Duration = Duration::from_secs(5);

/// Times to the first byte, of late.
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

    /// After how long a second one is asked: the 95th percentile, within reason.
    pub(super) fn delay(&self) -> Duration {
        if self.seen.is_empty() {
            return UNKNOWN;
        }
        let mut sorted = self.seen.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * 95).div_ceil(100) - 1;
        sorted[at].clamp(SHORTEST, LONGEST)
    }
}

/// What share of requests may be asked twice: more would be load that makes everything slower.
const SHARE: f64 = 0.05;

/// How many hedges may be saved up.
const SAVED: f64 = 4.0;

/// Counts requests, and the hedges they pay for.
#[derive(Debug)]
pub(super) struct Budget(f64);

impl Budget {
    /// With one hedge to begin with: the first requests are those somebody waits for.
    pub(super) fn new() -> Self {
        Self(1.0)
    }

    pub(super) fn request(&mut self) {
        self.0 = (self.0 + SHARE).min(SAVED);
    }

    /// Takes one hedge out, if there is one.
    pub(super) fn take(&mut self) -> bool {
        let has = self.0 >= 1.0;
        if has {
            self.0 -= 1.0;
        }
        has
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_delay_is_the_95th_percentile_of_late() {
        let mut seen = Latencies::default();
        assert_eq!(seen.delay(), UNKNOWN);
        seen.add(ms(2));
        assert_eq!(seen.delay(), SHORTEST);
        for i in 1..=100 {
            seen.add(ms(1000 + i));
        }
        // Of 1037..=1100 ms, the last 64: the 61st.
        assert_eq!(seen.delay(), ms(1097));
        for _ in 0..SAMPLES {
            seen.add(Duration::from_secs(60));
        }
        assert_eq!(seen.delay(), LONGEST);
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
