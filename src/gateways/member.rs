//! The members of a set of gateways, and how to use them.

use std::sync::Arc;

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
