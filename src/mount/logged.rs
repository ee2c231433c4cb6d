//! Remembers which failures were logged: one failed read is one line in the log.
//!
//! One read(2) that fails is several failed requests: the kernel splits its read-ahead, and after an
//! error asks again for the page that was wanted.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::fs::Ino;

/// Failures of one file within this time are logged once. All requests of one failed read fail within it, because after
/// a failure the reader fails the same range at once for a second. A program that keeps trying causes a line each time
/// this has passed.
const TOGETHER: Duration = Duration::from_secs(5);

/// With more files than this, all are forgotten. Then some failures are logged twice.
const MAX_FILES: usize = 10_000;

/// When a failure of each file was last logged.
#[derive(Debug, Default)]
pub(super) struct Logged(Mutex<HashMap<Ino, Instant>>);

impl Logged {
    /// Whether a failure of this file at this time should be logged. If so, it counts as logged.
    pub(super) fn is_new(&self, ino: Ino, now: Instant) -> bool {
        // No panic leaves the map half changed.
        let mut logged = self.0.lock();
        let is_recent = |at: &Instant| now.saturating_duration_since(*at) < TOGETHER;
        if logged.get(&ino).is_some_and(is_recent) {
            return false;
        }
        if logged.len() >= MAX_FILES {
            logged.clear();
        }
        logged.insert(ino, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_is_logged_once_a_file_and_again_after_a_while() {
        let (logged, start) = (Logged::default(), Instant::now());
        let after = |ino, millis| logged.is_new(Ino(ino), start + Duration::from_millis(millis));
        assert!(after(2, 0));
        assert!(!after(2, 1));
        assert!(after(3, 1));
        assert!(!after(2, 4999));
        assert!(after(2, 5000));
        assert!(!after(2, 5001));
    }

    #[test]
    fn number_of_remembered_files_is_bounded() {
        let (logged, now) = (Logged::default(), Instant::now());
        for ino in 0..3 * MAX_FILES as u64 {
            assert!(logged.is_new(Ino(ino), now));
        }
        assert!(logged.0.lock().len() <= MAX_FILES);
    }
}
