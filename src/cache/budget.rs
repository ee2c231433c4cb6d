//! A bound on the bytes that wait for the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How many bytes may wait for the disk.
#[derive(Debug)]
pub(super) struct Budget {
    left: AtomicUsize,
    total: usize,
}

/// A part of the budget; it is given back when dropped.
#[derive(Debug)]
pub(super) struct Room {
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

    /// Room for so many bytes; `None` if the disk is so far behind that there is none.
    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> Option<Room> {
        let taken = self
            .left
            .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes));
        taken.ok().map(|_| Room {
            budget: self.clone(),
            bytes,
        })
    }

    /// Whether more than half is taken.
    pub(super) fn is_short(&self) -> bool {
        self.left.load(Relaxed) < self.total / 2
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_not_overdrawn_and_comes_back() {
        let budget = Budget::new(100);
        let first = budget.take(60).expect("room");
        assert!(budget.is_short());
        assert!(budget.take(41).is_none());
        let second = budget.take(40).expect("room");
        drop(first);
        assert!(budget.take(61).is_none());
        drop(second);
        assert!(!budget.is_short());
        assert!(budget.take(100).is_some());
    }
}
