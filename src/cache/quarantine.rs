//! Ranges of a blob whose bytes were wrong in this process.
//!
//! Until the process ends, a wrong range is neither read from disk nor written to it: the server that gave
//! the wrong bytes may give them again before it is suspended.

use std::ops::Range;

use parking_lot::Mutex;

use crate::ranges::RangeSet;

/// With more ranges than this, the whole blob is in quarantine.
const MAX_RANGES: usize = 256;

/// Ranges in quarantine.
#[derive(Debug, Default)]
pub(super) struct Quarantine(Mutex<RangeSet>);

impl Quarantine {
    /// Adds a range that was wrong.
    pub(super) fn add(&self, range: &Range<u64>) {
        let mut ranges = self.0.lock();
        ranges.insert(range.clone());
        if ranges.len() > MAX_RANGES {
            ranges.insert(0..u64::MAX);
        }
    }

    /// The first part of `range` that is in quarantine.
    pub(super) fn first(&self, range: &Range<u64>) -> Option<Range<u64>> {
        self.0.lock().first_in(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_add_up() {
        let quarantine = Quarantine::default();
        assert_eq!(quarantine.first(&(0..u64::MAX)), None);
        quarantine.add(&(10..20));
        quarantine.add(&(30..40));
        assert_eq!(quarantine.first(&(0..10)), None);
        assert_eq!(quarantine.first(&(0..100)), Some(10..20));
        assert_eq!(quarantine.first(&(15..17)), Some(15..17));
        assert_eq!(quarantine.first(&(20..35)), Some(30..35));
        for i in 0..300 {
            quarantine.add(&(1000 * i..1000 * i + 1));
        }
        assert_eq!(quarantine.first(&(50..60)), Some(50..60));
    }
}
