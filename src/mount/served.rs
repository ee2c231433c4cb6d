//! A volume that a mount serves, and what belongs to this mount alone.

use std::sync::Arc;
use std::time::Instant;

use super::logged::Logged;
use super::tally::Tally;
use crate::volume::Volume;

/// What the adapter serves.
pub(super) struct Served {
    pub(super) volume: Arc<Volume>,
    /// When it was mounted.
    pub(super) since: Instant,
    /// The failures that were logged.
    pub(super) logged: Logged,
    pub(super) tally: Tally,
    /// The hash of the source, for which [`is_source`](super::is_source) asks.
    pub(super) source_hash: Option<String>,
}

impl Served {
    pub(super) fn new(volume: Arc<Volume>, source_hash: Option<String>) -> Self {
        Self {
            volume,
            since: Instant::now(),
            logged: Logged::default(),
            tally: Tally::default(),
            source_hash,
        }
    }
}
