//! The members of a set of gateways, and how to use them.

use std::sync::Arc;

use tokio::time::Instant;

use crate::source::{Origin, Source};

/// One of several sources of the same blob.
pub struct Member {
    /// Its name in logs and errors, without secrets.
    pub name: Origin,
    /// The source itself.
    pub source: Arc<dyn Source>,
    /// How much it is preferred: with weight 2 it is treated as twice as fast as it is. Above 0.
    pub weight: f64,
}

/// Whether a member is asked. Members with lower values are asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Availability {
    /// The member works.
    Available,
    /// The member failed. It is used if no other is left, the earliest end of a back-off first.
    BackingOff(Instant),
    /// The server sent Retry-After. It is not used before that.
    RetryAfter,
    /// The member has another blob. It is never used.
    Excluded,
}

impl Availability {
    /// Its name, for statistics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::BackingOff(_) => "backing_off",
            Self::RetryAfter => "retry_after",
            Self::Excluded => "excluded",
        }
    }
}

/// How to use several members.
#[derive(Debug, Clone)]
pub struct GatewaysOptions {
    /// How many concurrent requests a member gets. After an answer of 429 it gets fewer.
    pub connections: usize,
    /// Whether read-ahead is spread over all members in proportion to their rates.
    pub stripe: bool,
}

impl Default for GatewaysOptions {
    fn default() -> Self {
        Self {
            connections: 16,
            stripe: false,
        }
    }
}
