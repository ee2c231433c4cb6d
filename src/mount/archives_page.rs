//! The status of the archives of a library, which is the value of attributes of the root of a mount, and how much
//! fits into an attribute.

use serde::{Deserialize, Serialize};

use super::served::Served;
use crate::library::ArchiveStatus;

/// The most bytes of JSON in a page. An attribute has 64 KiB at most (XATTR_SIZE_MAX in Linux).
const LONGEST: usize = 60_000;

/// Some archives of a library: the value of `user.aiozfs.archives.N`, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ArchivesPage {
    pub(super) archives: Vec<ArchiveStatus>,
    /// How many archives there are in all.
    pub(super) total: usize,
}

impl ArchivesPage {
    /// The archives from number `first` on, as far as they fit.
    pub(super) fn of(served: &Served, first: usize) -> Self {
        let all = served.library.statuses();
        Self {
            total: all.len(),
            archives: fitting(all.into_iter().skip(first)),
        }
    }
}

/// The first items of `all`: those that fit into an attribute as JSON, and always the first one.
pub(super) fn fitting<T: Serialize>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut size = 0;
    let fits = |item: &T| {
        let is_first = size == 0;
        size += serde_json::to_string(item).map_or(0, |text| text.len() + 1);
        is_first || size <= LONGEST
    };
    all.take_while(fits).collect()
}
