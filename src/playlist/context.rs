//! What an HLS playlist takes from a playlist that refers to it.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Variables of a multivariant playlist that media playlists can import (EXT-X-DEFINE:IMPORT,
/// RFC 8216bis, section 4.4.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Imports(Arc<BTreeMap<String, String>>);

impl Imports {
    pub(super) fn new(values: BTreeMap<String, String>) -> Self {
        Self(Arc::new(values))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// How another playlist refers to a playlist: with which variables and which query. A playlist with
/// several references has several contexts, and its variables have a value in each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    imports: Option<Imports>,
    query: Option<String>,
}

impl Context {
    pub(super) fn new(imports: Option<Imports>, query: Option<String>) -> Self {
        Self { imports, query }
    }

    /// The variables to import, if the other playlist is a multivariant playlist.
    pub(super) fn imports(&self) -> Option<&Imports> {
        self.imports.as_ref()
    }

    /// The query of the reference, if its value is known.
    pub(super) fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }
}
