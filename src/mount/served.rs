//! A volume that a mount serves, and what belongs to this mount alone.

use std::sync::Arc;
use std::time::Instant;

use super::told::Told;
use crate::volume::Volume;

/// What the adapter serves.
pub(super) struct Served {
    pub(super) volume: Arc<Volume>,
    /// When it was mounted.
    pub(super) since: Instant,
    /// Which failures the log has told.
    pub(super) told: Told,
    /// The hash of the source, for which [`is_source`](super::is_source) asks.
    pub(super) source_hash: Option<String>,
}

impl Served {
    pub(super) fn new(volume: Arc<Volume>, source_hash: Option<String>) -> Self {
        Self {
            volume,
            since: Instant::now(),
            told: Told::default(),
            source_hash,
        }
    }
}
