//! How a source is best used.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Error;

/// What a source knows about how it is best used. A decorator that differs in some fields takes the others from
/// the source below: `Hints { received, ..inner.hints() }`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Hints {
    /// The length of the units that the source stores whole, in bytes. If reads end at multiples of it, no two
    /// reads look up the same unit. `None` if all ends are alike.
    pub stored_unit: Option<u64>,
    /// How many concurrent reads are worth it. `None` if there is no limit, or if none is known.
    pub concurrency: Option<usize>,
    /// How many bytes before the end of a read the next one should begin, so that its bytes follow without a
    /// pause: its request is pipelined on the same connection. `None` if a read uses its connection until it
    /// ends.
    pub pipelined_within: Option<u64>,
    /// How many bytes have arrived in all, including unverified ones. `None` if bytes are given out as they
    /// arrive. It serves to measure the link.
    pub received: Option<u64>,
    /// How many bytes have arrived but are not given out yet, because they are not verified.
    pub unverified: u64,
    /// The last error.
    pub trouble: Option<Trouble>,
}

/// An error that a source hides while it retries. It explains why a read that timed out got no bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Trouble {
    /// The error. Shared, because hints are read often.
    pub error: Arc<Error>,
    /// When it happened. If it still lasts: now.
    pub at: Instant,
}

impl Trouble {
    /// An error that happened at `at`.
    pub fn new(error: Error, at: Instant) -> Self {
        let error = Arc::new(error);
        Self { error, at }
    }
}

impl Hints {
    /// The hints about reads that are spread over two sources.
    pub fn spread(self, other: Self) -> Self {
        Self {
            // Units of different lengths have few ends in common.
            stored_unit: self
                .stored_unit
                .filter(|_| self.stored_unit == other.stored_unit),
            // There is no limit if one of the two has none.
            concurrency: self.concurrency.zip(other.concurrency).map(|(a, b)| a + b),
            // A source that cannot pipeline lets an early request wait, hardly longer than a later one.
            pipelined_within: self.pipelined_within.max(other.pipelined_within),
            received: self.received.zip(other.received).map(|(a, b)| a + b),
            unverified: self.unverified + other.unverified,
            trouble: self.trouble.or(other.trouble),
        }
    }

    /// The preferred end of a read near `end`, at or behind it.
    pub fn preferred_end(&self, end: u64) -> u64 {
        match self.stored_unit {
            Some(unit) => end.next_multiple_of(unit),
            None => end,
        }
    }

    /// The last error, if it happened within this time.
    pub fn trouble_within(&self, time: Duration) -> Option<&Error> {
        let trouble = self.trouble.as_ref()?;
        (trouble.at.elapsed() <= time).then_some(&*trouble.error)
    }
}
