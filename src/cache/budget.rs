//! A bound on the bytes that wait to be written.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How many bytes may wait to be written.
#[derive(Debug)]
pub(super) struct Budget {
    left: AtomicUsize,
    total: usize,
}

/// A reserved part of the budget; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Reservation {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(super) fn new(total: usize) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicUsize::new(total),
            total,
        })
    }

    /// Reserves `bytes`; `None` if fewer are left because the disk is behind.
    pub(super) fn reserve(self: &Arc<Self>, bytes: usize) -> Option<Reservation> {
        let taken = self
            .left
            .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes));
        taken.ok().map(|_| Reservation {
            budget: self.clone(),
            bytes,
        })
    }

    /// Whether more than half is reserved.
    pub(super) fn is_short(&self) -> bool {
        self.left.load(Relaxed) < self.total / 2
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_not_exceeded_and_returns() {
        let budget = Budget::new(100);
        let first = budget.reserve(60).expect("room");
        assert!(budget.is_short());
        assert!(budget.reserve(41).is_none());
        let second = budget.reserve(40).expect("room");
        drop(first);
        assert!(budget.reserve(61).is_none());
        drop(second);
        assert!(!budget.is_short());
        assert!(budget.reserve(100).is_some());
    }
}
