//! The status of a mount, which is the value of an attribute of its root.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::served::Served;

/// The statistics of a mount: the value of `user.aiozfs.status`, as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Version of the aiozfs that serves the mount.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Seconds since it was mounted.
    pub uptime_s: f64,
    /// Where the archive comes from, without secrets: one of these three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cid: Option<String>,
    #[allow(missing_docs)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[allow(missing_docs)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Length of the archive in bytes.
    pub blob_size: u64,
    /// How many entries it has.
    pub entries: u64,
    /// Bytes given to readers.
    pub bytes_read: u64,
    /// The part of them that was in memory when it was requested.
    pub bytes_from_memory: u64,
    /// Bytes fetched from servers.
    pub bytes_fetched: u64,
    /// Bytes read from the cache on disk.
    #[serde(default)]
    pub bytes_from_disk: u64,
    /// Ranges requested from servers.
    pub requests: u64,
    /// Ranges requested and not complete.
    pub requests_in_flight: u64,
    /// Reads that failed for good, after all retries.
    pub errors: u64,
    /// Median time from the request for a range to its first byte, in milliseconds; precise to one
    /// eighth.
    pub median_latency_ms: f64,
    /// The 99th percentile of these times.
    pub p99_latency_ms: f64,
    /// Bytes of memory in use for file content.
    pub memory_used: u64,
    /// Their limit (`--memory`).
    pub memory_limit: u64,
    /// Sequential readers that read-ahead follows now, the most recent first.
    pub streams: Vec<Stream>,
}

/// A sequential reader of the archive.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stream {
    /// The file that it reads, if it is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The offset in the archive up to which it has read.
    pub at: u64,
    /// The most bytes that are fetched ahead of it.
    pub window: u64,
    /// Bytes requested ahead of it.
    pub ahead: u64,
}

impl Report {
    /// The status of a mount now.
    pub(super) fn of(served: &Served) -> Self {
        let archive = served.volume.archive();
        let (status, index) = (archive.status(), archive.index());
        let (origin_kind, place) = served.volume.origin();
        let origin = |kind| (*origin_kind == kind).then(|| place.clone());
        let file = |at: u64| {
            // By the last byte that was read: the next one may belong to another file.
            let id = index.at(at.checked_sub(1)?)?;
            Some(String::from_utf8_lossy(index.path(id)).into_owned())
        };
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: served.since.elapsed().as_secs_f64(),
            cid: origin("cid"),
            url: origin("url"),
            file: origin("file"),
            blob_size: index.blob_size(),
            entries: index.len() as u64,
            bytes_read: status.bytes_read,
            bytes_from_memory: status.bytes_from_memory,
            bytes_fetched: status.bytes_fetched,
            bytes_from_disk: status.bytes_from_disk,
            requests: status.requests,
            requests_in_flight: status.requests_in_flight as u64,
            errors: status.errors,
            median_latency_ms: ms(status.median_latency),
            p99_latency_ms: ms(status.p99_latency),
            memory_used: status.memory_used,
            memory_limit: status.memory_limit,
            streams: status
                .streams
                .iter()
                .map(|stream| Stream {
                    file: file(stream.at),
                    at: stream.at,
                    window: stream.window,
                    ahead: stream.ahead,
                })
                .collect(),
        }
    }

    /// Where the archive comes from.
    pub fn origin(&self) -> &str {
        let origin = self.cid.as_ref().or(self.url.as_ref());
        origin.or(self.file.as_ref()).map_or("", |origin| origin)
    }
}
