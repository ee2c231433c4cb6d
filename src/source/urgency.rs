//! How urgent something is that a program may begin to wait for while it is under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::Priority;

/// How urgent something is. Clones are alike for as long as they live.
#[derive(Debug, Clone)]
pub enum Urgency {
    /// Always this.
    Fixed(Priority),
    /// Nobody needs it yet, until a program [waits](Self::raise) for it.
    Rising(Arc<AtomicBool>),
}

impl Urgency {
    /// Begins with this priority.
    pub fn from(priority: Priority) -> Self {
        match priority {
            Priority::Demand => Self::Fixed(priority),
            Priority::Prefetch => Self::Rising(Arc::default()),
        }
    }

    /// A program waits for it.
    pub fn raise(&self) {
        if let Self::Rising(is_awaited) = self {
            is_awaited.store(true, Relaxed);
        }
    }

    /// The priority now.
    pub fn priority(&self) -> Priority {
        match self {
            Self::Fixed(priority) => *priority,
            Self::Rising(is_awaited) if is_awaited.load(Relaxed) => Priority::Demand,
            Self::Rising(_) => Priority::Prefetch,
        }
    }
}
