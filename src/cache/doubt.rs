//! What of a blob has turned out to be wrong once, in this process.
//!
//! Whoever gave it may give it again before it is put aside, and who reads knows how to go from one
//! giver to the next. So from then on such a range is neither read from disk nor kept, as if there
//! were no cache; the next mount begins anew.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// More ranges than this are not remembered one by one: then all is in doubt.
const MOST: usize = 256;

/// Ranges in doubt.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// Nearly always there is none.
    is_any: AtomicBool,
    ranges: Mutex<Vec<Range<u64>>>,
}

impl Doubt {
    /// `range` was wrong.
    pub(super) fn add(&self, range: &Range<u64>) {
        let mut ranges = self.ranges();
        super::block::insert(&mut ranges, range.clone());
        if ranges.len() > MOST {
            ranges.clear();
            ranges.push(0..u64::MAX);
        }
        self.is_any.store(true, Relaxed);
    }

    /// The first part of `range` that is in doubt.
    pub(super) fn first(&self, range: &Range<u64>) -> Option<Range<u64>> {
        if !self.is_any.load(Relaxed) {
            return None;
        }
        let ranges = self.ranges();
        let mut parts = ranges
            .iter()
            .map(|doubt| doubt.start.max(range.start)..doubt.end.min(range.end));
        parts.find(|part| !part.is_empty())
    }

    fn ranges(&self) -> MutexGuard<'_, Vec<Range<u64>>> {
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubts_add_up() {
        let doubt = Doubt::default();
        assert_eq!(doubt.first(&(0..u64::MAX)), None);
        doubt.add(&(10..20));
        doubt.add(&(30..40));
        assert_eq!(doubt.first(&(0..10)), None);
        assert_eq!(doubt.first(&(0..100)), Some(10..20));
        assert_eq!(doubt.first(&(15..17)), Some(15..17));
        assert_eq!(doubt.first(&(20..35)), Some(30..35));
        for i in 0..300 {
            doubt.add(&(1000 * i..1000 * i + 1));
        }
        assert_eq!(doubt.first(&(50..60)), Some(50..60));
    }
}
