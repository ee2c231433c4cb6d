//! Learns from 429 how many concurrent requests a server takes. Pure.
//!
//! Increases by addition and decreases by division, as TCP does. So independent clients share a server fairly.

use std::time::Duration;

use tokio::time::Instant;

/// Refusals within this time count as one: requests that were sent together are refused together.
const SAME_BURST: Duration = Duration::from_millis(500);

/// A limit on concurrent requests.
#[derive(Debug)]
pub(super) struct Limit {
    now: f64,
    most: f64,
    shrunk: Option<Instant>,
}

impl Limit {
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1) as f64;
        Self {
            now: most,
            most,
            shrunk: None,
        }
    }

    pub(super) fn get(&self) -> usize {
        self.now as usize
    }

    /// Records that the server refused a request as one too many.
    pub(super) fn refused(&mut self, now: Instant) {
        let again = |at: Instant| now.saturating_duration_since(at) < SAME_BURST;
        if !self.shrunk.is_some_and(again) {
            self.now = (self.now / 2.0).max(1.0);
            self.shrunk = Some(now);
        }
    }

    /// Records that the server answered. Each round of answers raises the limit by one.
    pub(super) fn served(&mut self) {
        self.now = (self.now + 1.0 / self.now).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_once_a_burst_and_grows_back() {
        let start = Instant::now();
        let mut limit = Limit::new(16);
        for _ in 0..16 {
            limit.refused(start);
        }
        assert_eq!(limit.get(), 8);
        for burst in 1..10 {
            limit.refused(start + SAME_BURST * burst);
        }
        assert_eq!(limit.get(), 1, "at least one");
        for _ in 0..20 {
            limit.served();
        }
        assert!((5..=8).contains(&limit.get()), "{}", limit.get());
        for _ in 0..1000 {
            limit.served();
        }
        assert_eq!(limit.get(), 16, "at most the first limit");
    }
}
