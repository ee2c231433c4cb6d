//! How long requests take to their first byte: a histogram that is written to without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Each power of two is divided into so many buckets, as a power of two itself: no percentile is off
/// by more than an eighth.
const STEPS_LOG2: u32 = 3;

/// For times from a microsecond to more than an hour.
const BUCKETS: usize = 32 << STEPS_LOG2;

/// Times in buckets that grow with them.
#[derive(Debug)]
pub(super) struct Latencies([AtomicU64; BUCKETS]);

impl Default for Latencies {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; BUCKETS])
    }
}

impl Latencies {
    /// Counts one.
    pub(super) fn add(&self, took: Duration) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        self.0[bucket(micros)].fetch_add(1, Relaxed);
    }

    /// The times that these parts (0..1) of all took at the most; zero while there is none.
    pub(super) fn percentiles<const N: usize>(&self, parts: [f64; N]) -> [Duration; N] {
        let counts: Vec<u64> = self.0.iter().map(|count| count.load(Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        parts.map(|part| {
            // The first one of all at the least, and never beyond the last.
            let rank = ((all as f64 * part).ceil() as u64).max(1);
            let mut seen = 0;
            let at = counts.iter().position(|count| {
                seen += count;
                seen >= rank
            });
            at.map_or(Duration::ZERO, |at| {
                Duration::from_micros(highest(at).into())
            })
        })
    }
}

/// The bucket that a time belongs to: those below `2 << STEPS_LOG2` have one each.
fn bucket(micros: u32) -> usize {
    let log2 = micros.max(1).ilog2();
    let shift = log2.saturating_sub(STEPS_LOG2);
    ((shift as usize) << STEPS_LOG2) + (micros >> shift) as usize
}

/// The longest time of a bucket, in microseconds.
fn highest(at: usize) -> u32 {
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
            let high = highest(at);
            assert!(high >= micros, "{micros} is in a bucket up to {high}");
            assert!(
                u64::from(high) <= u64::from(micros) * 9 / 8,
                "{micros}: {high}"
            );
            assert!(at == 0 || highest(at - 1) < micros, "{micros}");
        }
    }

    #[test]
    fn percentiles() {
        let latencies = Latencies::default();
        assert_eq!(latencies.percentiles([0.5, 0.99]), [Duration::ZERO; 2]);
        for ms in 1..=1000 {
            latencies.add(Duration::from_millis(ms));
        }
        let found = latencies.percentiles([0.0, 0.5, 0.99, 1.0]);
        for (found, right) in found.iter().zip([1, 500, 990, 1000]) {
            let found = found.as_micros() as f64 / 1e3;
            let right = f64::from(right);
            assert!(
                (right..=right * 1.125).contains(&found),
                "{found} ms for {right}"
            );
        }
        latencies.add(Duration::from_secs(1 << 40));
        assert!(latencies.percentiles([1.0])[0] > Duration::from_secs(4000));
    }
}
