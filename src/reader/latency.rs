//! A histogram of times.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Each power of two is divided into `1 << STEPS_LOG2` buckets, so percentiles are at most an eighth too large.
const STEPS_LOG2: u32 = 3;

/// Enough for times from a microsecond to more than an hour.
const BUCKETS: usize = 32 << STEPS_LOG2;

/// The bounds of [`Timing::within`], as powers of two of a microsecond: 64 µs to 67 s. At these bounds
/// the buckets end exactly.
const BOUNDS_LOG2: [u32; 19] = [
    6, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
];

/// Counts of times, in buckets whose width grows with the time. Any number of threads may add to it.
#[derive(Debug)]
pub struct Latencies {
    counts: [AtomicU64; BUCKETS],
    /// The sum of all times, in microseconds.
    sum: AtomicU64,
}

/// The times of a [`Latencies`] at one moment.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Timing {
    /// How many there are.
    pub count: u64,
    /// Their sum, in seconds.
    pub sum: f64,
    /// For each bound in seconds, how many times are at most that long.
    pub within: Vec<(f64, u64)>,
}

impl Timing {
    /// Adds other times, which are counted up to the same bounds.
    pub fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        if self.within.is_empty() {
            self.within.clone_from(&other.within);
            return;
        }
        for ((_, known), (_, more)) in self.within.iter_mut().zip(&other.within) {
            *known += more;
        }
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            counts: [const { AtomicU64::new(0) }; BUCKETS],
            sum: AtomicU64::new(0),
        }
    }
}

impl Latencies {
    /// Adds a time.
    pub fn add(&self, took: Duration) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        self.counts[bucket(micros)].fetch_add(1, Relaxed);
        self.sum.fetch_add(u64::from(micros), Relaxed);
    }

    /// The percentile: at least this `fraction` (0..1) of all times are at most this long. Zero if nothing was counted.
    pub fn percentile(&self, fraction: f64) -> Duration {
        let counts = self.counts();
        let all: u64 = counts.iter().sum();
        let rank = ((all as f64 * fraction).ceil() as u64).max(1);
        let mut seen = 0;
        let at = counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        at.map_or(Duration::ZERO, |at| {
            Duration::from_micros(longest(at).into())
        })
    }

    /// The distribution of all times so far.
    pub fn timing(&self) -> Timing {
        let counts = self.counts();
        let within = BOUNDS_LOG2.map(|bound| {
            let end = bucket(1 << bound);
            let seconds = f64::from(1u32 << bound) / 1e6;
            (seconds, counts[..end].iter().sum())
        });
        Timing {
            count: counts.iter().sum(),
            sum: self.sum.load(Relaxed) as f64 / 1e6,
            within: within.to_vec(),
        }
    }

    fn counts(&self) -> [u64; BUCKETS] {
        std::array::from_fn(|at| self.counts[at].load(Relaxed))
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
        let latencies = Latencies::default();
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

    #[test]
    fn distribution_counts_each_time_below_its_bound() {
        let latencies = Latencies::default();
        for micros in [0, 63, 64, 1023, 1024, 3_000_000, 90_000_000] {
            latencies.add(Duration::from_micros(micros));
        }
        let timing = latencies.timing();
        let within = |bound: f64| {
            let found = timing.within.iter().find(|(le, _)| *le == bound);
            found.map(|(_, count)| *count)
        };
        assert_eq!(within(0.000064), Some(2));
        assert_eq!(within(0.001024), Some(4));
        assert_eq!(within(0.002048), Some(5));
        assert_eq!(within(4.194304), Some(6));
        assert_eq!(within(67.108864), Some(6));
        assert_eq!(timing.count, 7);
        assert!((timing.sum - 93.002174).abs() < 1e-9, "{}", timing.sum);
        assert!(timing.within.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
    }
}
