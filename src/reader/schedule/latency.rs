//! A histogram of the time from a request to its first byte.

use std::time::Duration;

/// Each power of two is divided into this many buckets (as a power of two), so percentiles are at
/// most an eighth too large.
const STEPS_LOG2: u32 = 3;

/// Enough for times from a microsecond to more than an hour.
const BUCKETS: usize = 32 << STEPS_LOG2;

/// Counts of times, in buckets whose width grows with the time.
#[derive(Debug)]
pub(super) struct Latencies([u64; BUCKETS]);

impl Default for Latencies {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl Latencies {
    pub(super) fn add(&mut self, took: Duration) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        self.0[bucket(micros)] += 1;
    }

    /// The time within which `fraction` (0..1) of all requests got their first byte. Zero if nothing
    /// was counted.
    pub(super) fn percentile(&self, fraction: f64) -> Duration {
        let all: u64 = self.0.iter().sum();
        let rank = ((all as f64 * fraction).ceil() as u64).max(1);
        let mut seen = 0;
        let at = self.0.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        at.map_or(Duration::ZERO, |at| {
            Duration::from_micros(longest(at).into())
        })
    }
}

/// The bucket of a time. Times below `2 << STEPS_LOG2` have a bucket each.
fn bucket(micros: u32) -> usize {
    let log2 = micros.max(1).ilog2();
    let shift = log2.saturating_sub(STEPS_LOG2);
    ((shift as usize) << STEPS_LOG2) + (micros >> shift) as usize
}

/// The longest time of a bucket, in microseconds.
fn longest(at: usize) -> u32 {
    let steps = 1 << STEPS_LOG2;
    let shift = (at / steps).saturating_sub(1);
    let low = ((at - shift * steps) as u64) << shift;
    u32::try_from(low + (1 << shift) - 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_a_bucket_that_fits_it() {
        let powers = (0..32).map(|i| 1u32 << i);
        let times = powers.flat_map(|p| [p - 1, p, p + p / 3]);
        for micros in times.chain([u32::MAX]) {
            let at = bucket(micros);
            assert!(at < BUCKETS, "{micros}");
            let high = longest(at);
            assert!(high >= micros, "{micros} is in a bucket up to {high}");
            assert!(
                u64::from(high) <= u64::from(micros) * 9 / 8,
                "{micros}: {high}"
            );
            assert!(at == 0 || longest(at - 1) < micros, "{micros}");
        }
    }

    #[test]
    fn percentiles_are_at_most_an_eighth_too_large() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentile(0.5), Duration::ZERO);
        for ms in 1..=1000 {
            latencies.add(Duration::from_millis(ms));
        }
        for (fraction, exact) in [(0.0, 1.0), (0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = latencies.percentile(fraction).as_micros() as f64 / 1e3;
            assert!(
                (exact..=exact * 1.125).contains(&found),
                "{found} ms for {exact}"
            );
        }
        latencies.add(Duration::from_secs(1 << 40));
        assert!(latencies.percentile(1.0) > Duration::from_secs(4000));
    }
}
