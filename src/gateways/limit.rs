//! How many requests a server takes at once: learned from its 429.
//!
//! Additive increase, multiplicative decrease, as TCP does it: the one known way in which many
//! clients that know nothing of each other come to share fairly. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// Refusals within this time are one: requests that were sent together are refused together.
const TOGETHER: Duration = Duration::from_millis(500);

/// A limit on requests at once.
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

    /// The server said that these were too many.
    pub(super) fn refused(&mut self, now: Instant) {
        let again = |at: Instant| now.saturating_duration_since(at) < TOGETHER;
        if !self.shrunk.is_some_and(again) {
            self.now = (self.now / 2.0).max(1.0);
            self.shrunk = Some(now);
        }
    }

    /// The server did what was asked: one more at once after as many as there are at once.
    pub(super) fn served(&mut self) {
        self.now = (self.now + 1.0 / self.now).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_halves_once_for_a_burst_and_grows_back() {
        let start = Instant::now();
        let mut limit = Limit::new(16);
        for _ in 0..16 {
            limit.refused(start);
        }
        assert_eq!(limit.get(), 8);
        for burst in 1..10 {
            limit.refused(start + TOGETHER * burst);
        }
        assert_eq!(limit.get(), 1, "never none");
        for _ in 0..20 {
            limit.served();
        }
        assert!((5..=8).contains(&limit.get()), "{}", limit.get());
        for _ in 0..1000 {
            limit.served();
        }
        assert_eq!(limit.get(), 16, "never more than it began with");
    }
}
