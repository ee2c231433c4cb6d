//! What the status of a mount tells of each archive.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::reader::Status;

/// Whether an archive is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nobody has looked into it, or not for a while.
    Closed,
    /// It is being opened.
    Opening,
    /// It is open.
    Open,
    /// It could not be opened, and is tried again after a while.
    Failed,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            State::Closed => "closed",
            State::Opening => "opening",
            State::Open => "open",
            State::Failed => "failed",
        })
    }
}

/// One archive of a library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveStatus {
    /// Its path in the mount.
    pub name: String,
    /// Where it is, without secrets.
    pub source: String,
    /// Whether it is open.
    pub state: State,
    /// Why it could not be opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How many entries it has; `None` unless it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
    /// How many of its files programs have open.
    pub files_open: u64,
    /// What was counted.
    #[serde(flatten)]
    pub sums: Sums,
}

/// Sums over the times that an archive was open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// How many times it was opened.
    pub opened: u64,
    /// Bytes given to readers.
    pub bytes_read: u64,
    /// Bytes fetched from servers.
    pub bytes_fetched: u64,
    /// Bytes read from the cache on disk.
    pub bytes_from_disk: u64,
    /// Ranges requested from servers.
    pub requests: u64,
    /// Reads that failed for good.
    pub errors: u64,
}

impl Sums {
    /// Adds what happened while it was open.
    pub(super) fn add(&mut self, status: &Status) {
        self.bytes_read += status.bytes_read;
        self.bytes_fetched += status.bytes_fetched;
        self.bytes_from_disk += status.bytes_from_disk;
        self.requests += status.requests;
        self.errors += status.errors;
    }
}
