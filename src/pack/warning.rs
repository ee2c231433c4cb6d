//! A problem that does not keep a folder from being packed.

use crate::playlist::{Problem, What};

/// A problem of a playlist that was packed nevertheless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The path of the playlist, relative to the folder.
    pub playlist: String,
    /// The problem.
    pub problem: Problem,
}

impl Warning {
    /// A problem of a playlist as a whole.
    pub(super) fn of(playlist: &str, what: What) -> Self {
        Self {
            playlist: playlist.to_owned(),
            problem: Problem { line: 1, what },
        }
    }
}
