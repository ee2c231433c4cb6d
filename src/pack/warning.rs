//! A problem that does not keep a folder from being packed.

use crate::playlist::Problem;

/// A problem of a playlist that was packed nevertheless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The path of the playlist, relative to the folder.
    pub playlist: String,
    /// The problem.
    pub problem: Problem,
}

impl Warning {
    pub(super) fn of(playlist: &str, problem: Problem) -> Self {
        let playlist = playlist.to_owned();
        Self { playlist, problem }
    }
}
