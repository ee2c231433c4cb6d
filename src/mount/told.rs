//! Which failures the log has told.
//!
//! One read of a program that fails is several requests of the kernel: its read-ahead is cut into
//! several, and after an error it asks again for the page that was wanted. Each request fails by
//! itself, for the same cause or for one that follows from it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::fs::Ino;

/// Requests of one failing read fail within this time of each other: the reader lets a range that
/// failed fail at once for a second, and the kernel asks again for the page at once. A program that
/// tries again and again is told of in the log this often.
const TOGETHER: Duration = Duration::from_secs(5);

/// Beyond this many files all are forgotten: then some are told of twice.
const MOST: usize = 10_000;

/// When the log last told why a file could not be read.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<HashMap<Ino, Instant>>);

impl Told {
    /// Whether a failure of this file at this time is to be told, which is then taken as done.
    pub(super) fn is_new(&self, ino: Ino, now: Instant) -> bool {
        // Each change to the map is one step.
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |at: &Instant| now.saturating_duration_since(*at) < TOGETHER;
        if told.get(&ino).is_some_and(is_recent) {
            return false;
        }
        if told.len() >= MOST {
            told.clear();
        }
        told.insert(ino, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_once_for_each_file_and_again_after_a_while() {
        let (told, start) = (Told::default(), Instant::now());
        let after = |ino, millis| told.is_new(Ino(ino), start + Duration::from_millis(millis));
        assert!(after(2, 0));
        assert!(!after(2, 1));
        assert!(after(3, 1));
        assert!(!after(2, 4999));
        assert!(after(2, 5000));
        assert!(!after(2, 5001));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (told, now) = (Told::default(), Instant::now());
        for ino in 0..3 * MOST as u64 {
            assert!(told.is_new(Ino(ino), now));
        }
        assert!(told.0.lock().expect("no panic").len() <= MOST);
    }
}
