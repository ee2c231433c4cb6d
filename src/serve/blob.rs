//! A blob that a node serves.

use std::sync::Arc;

use crate::content::{Cid, Tree};
use crate::source::Source;

/// A blob to be served.
#[derive(Clone)]
pub struct Blob {
    /// The CID in its URL.
    pub cid: Cid,
    /// Its name for people: shown in the list, and part of its URL.
    pub name: String,
    /// Length in bytes.
    pub size: u64,
    /// Its bytes. The node calls [`Source::open`] before every answer. If that fails or reports
    /// another size, the node withdraws the blob.
    pub source: Arc<dyn Source>,
    /// Its hash tree, for raw blocks. Without it the node serves the bytes alone.
    pub tree: Option<Arc<Tree>>,
}
