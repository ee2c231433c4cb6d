//! Options for packing.

use crate::archive::Timestamp;

/// Options of [`Plan::of`](super::Plan::of).
#[derive(Debug, Clone)]
pub struct PackOptions {
    /// The modification time of all entries; `None` keeps each file's own.
    pub mtime: Option<Timestamp>,
    /// Alignment of the entries' data in bytes: a power of two, at most
    /// [`MAX_ALIGN`](crate::archive::MAX_ALIGN).
    pub align: u64,
    /// Whether playlists get range links.
    pub links: bool,
    /// Whether links to missing files are warnings instead of errors.
    pub allow_missing: bool,
}

impl Default for PackOptions {
    fn default() -> Self {
        Self {
            mtime: None,
            align: 1,
            links: true,
            allow_missing: false,
        }
    }
}
