//! The status of the archives of a library, which is the value of attributes of the root of a mount.

use serde::{Deserialize, Serialize};

use super::served::Served;
use crate::library::{ArchiveStatus, State};

/// How many bytes of JSON a page of archives has, beyond which it ends. An attribute has 64 KiB at most.
const PAGE: usize = 40 << 10;

/// One archive of a library.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ArchiveReport {
    /// Its path in the mount.
    pub name: String,
    /// Where it is, without secrets.
    pub source: String,
    /// `closed`, `opening`, `open` or `failed`.
    pub state: String,
    /// Why it could not be opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How many entries it has, if it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
    /// Files of it that programs have open.
    pub files_open: u64,
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

impl From<ArchiveStatus> for ArchiveReport {
    fn from(status: ArchiveStatus) -> Self {
        let state = match status.state {
            State::Closed => "closed",
            State::Opening => "opening",
            State::Open => "open",
            State::Failed => "failed",
        };
        Self {
            name: status.name,
            source: status.source,
            state: state.to_owned(),
            error: status.error,
            entries: status.entries,
            files_open: status.files_open,
            opened: status.opened,
            bytes_read: status.bytes_read,
            bytes_fetched: status.bytes_fetched,
            bytes_from_disk: status.bytes_from_disk,
            requests: status.requests,
            errors: status.errors,
        }
    }
}

/// Some archives of a library: the value of `user.aiozfs.archives.N`, as JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct ArchivesPage {
    pub(super) archives: Vec<ArchiveReport>,
    /// How many archives there are in all.
    pub(super) total: usize,
}

impl ArchivesPage {
    /// Those from `first` on that fit.
    pub(super) fn of(served: &Served, first: usize) -> Self {
        let all = served.library.statuses();
        let mut page = Self {
            total: all.len(),
            ..Self::default()
        };
        let mut size = 0;
        for status in all.into_iter().skip(first) {
            let report = ArchiveReport::from(status);
            size += serde_json::to_string(&report).map_or(0, |text| text.len() + 1);
            if size > PAGE && !page.archives.is_empty() {
                break;
            }
            page.archives.push(report);
        }
        page
    }
}

/// What a reload did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReloadReport {
    /// How many archives there are now.
    pub archives: usize,
    /// How many of them are new, or have another source.
    pub added: usize,
    /// How many are gone, or have another source.
    pub removed: usize,
}
