//! Metadata of cached blobs, for the next mount and for people.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::blob;
use super::clock::now;
use super::key::Key;

/// What a blob is. Written once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Metadata {
    /// `cid`, `believed`, `id` or `url`.
    pub(super) kind: String,
    /// Its name for people, without secrets.
    pub(super) name: String,
    /// Its length in bytes.
    pub(super) size: u64,
    /// The version of a URL.
    pub(super) version: Option<String>,
    /// When it was first seen, in seconds since 1970.
    pub(super) since: i64,
}

impl Metadata {
    pub(super) fn new(key: &Key, size: u64, version: Option<String>) -> Self {
        Self {
            kind: key.kind.to_owned(),
            name: key.to_string(),
            size,
            version,
            since: now(),
        }
    }
}

/// The version of a URL that was last seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) version: String,
    pub(super) size: u64,
    /// When a server told it, in seconds since 1970. 0 if the server must be asked each time.
    #[serde(default)]
    pub(super) at: i64,
    /// For how many seconds from then on the server need not be asked.
    #[serde(default)]
    pub(super) fresh_for: u64,
    /// What a list of blobs said of it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) listed: Option<String>,
}

impl Seen {
    /// What a server has just told.
    pub(super) fn now(
        version: String,
        size: u64,
        fresh_for: Duration,
        listed: Option<String>,
    ) -> Self {
        let fresh_for = fresh_for.as_secs();
        Self {
            version,
            size,
            at: if fresh_for > 0 { now() } else { 0 },
            fresh_for,
            listed,
        }
    }

    /// The directory of the blob that the URL had then. `url` is the file name of the URL's key.
    pub(super) fn dir(&self, url: &str) -> String {
        blob::dir(&Key::hex_of_version(url, &self.version, self.size))
    }

    /// Whether no server need be asked. A clock that was set back does not make it fresh again.
    pub(super) fn is_fresh(&self, listed: Option<&str>) -> bool {
        let age = u64::try_from(now() - self.at);
        self.listed.as_deref() == listed && age.is_ok_and(|age| age < self.fresh_for)
    }
}

/// The cache's hits and misses for a blob.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    /// Bytes read from disk.
    pub(super) hits: u64,
    /// Bytes read from below.
    pub(super) misses: u64,
    /// When it was last used, in seconds since 1970.
    pub(super) last: i64,
}

impl Counts {
    pub(super) fn and(&self, other: &Self) -> Self {
        Self {
            hits: self.hits.saturating_add(other.hits),
            misses: self.misses.saturating_add(other.misses),
            last: self.last.max(other.last),
        }
    }
}
