//! The status of the archives of a library, which is the value of attributes of the root of a mount.

use serde::{Deserialize, Serialize};

use super::served::Served;
use crate::library::ArchiveStatus;

/// The most bytes of JSON in a page of archives. An attribute has 64 KiB at most.
const PAGE: usize = 40 << 10;

/// Some archives of a library: the value of `user.aiozfs.archives.N`, as JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct ArchivesPage {
    pub(super) archives: Vec<ArchiveStatus>,
    /// How many archives there are in all.
    pub(super) total: usize,
}

impl ArchivesPage {
    /// The archives from number `first` on, as far as they fit.
    pub(super) fn of(served: &Served, first: usize) -> Self {
        let all = served.library.statuses();
        let mut page = Self {
            total: all.len(),
            ..Self::default()
        };
        let mut size = 0;
        for status in all.into_iter().skip(first) {
            size += serde_json::to_string(&status).map_or(0, |text| text.len() + 1);
            if size > PAGE && !page.archives.is_empty() {
                break;
            }
            page.archives.push(status);
        }
        page
    }
}
