//! Problems of playlists that do not keep the folder from being packed.

use crate::playlist::{Problem, What};

/// A problem of a playlist that was packed all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The playlist.
    pub playlist: String,
    /// What is wrong.
    pub problem: Problem,
}

impl Warning {
    /// Of a playlist as a whole.
    pub(super) fn of(playlist: &str, what: What) -> Self {
        Self {
            playlist: playlist.to_owned(),
            problem: Problem { line: 1, what },
        }
    }
}
