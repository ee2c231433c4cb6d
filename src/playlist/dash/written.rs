//! A reference and its byte range, as they are written into a manifest.

use super::resources::Resource;
use crate::playlist::address::Span;

/// A reference and its byte range, as they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) uri: String,
    pub(super) range: Option<Span>,
}

impl Written {
    /// The reference as the manifest has it.
    pub(super) fn unchanged(resource: &Resource) -> Self {
        Self {
            uri: resource.uri.to_string(),
            range: resource.part.as_deref().copied(),
        }
    }
}

/// A byte range as manifests write it, both ends included.
pub(super) fn first_last(span: Span) -> String {
    format!("{}-{}", span.offset, span.end().saturating_sub(1))
}
