//! What an HLS playlist takes from a playlist that refers to it.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Variables of a multivariant playlist that media playlists can import (EXT-X-DEFINE:IMPORT,
/// RFC 8216bis, section 4.4.2.3).
pub(super) type Imports = Arc<BTreeMap<String, String>>;

/// How another playlist refers to a playlist: with which variables and which query. A playlist with
/// several references has several contexts, and its variables have a value in each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// The variables to import, if the other playlist is a multivariant playlist.
    pub(super) imports: Option<Imports>,
    /// The query of the reference, if its value is known.
    pub(super) query: Option<String>,
}
