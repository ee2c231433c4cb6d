//! The status of a mount, which is the value of an attribute of its root.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::served::Served;

/// How a mount fares: the value of `user.aiozfs.status`, as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Of the aiozfs that serves it.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// For how long it has been mounted, in seconds.
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
    /// Of those, bytes that were there when they were asked for.
    pub bytes_from_memory: u64,
    /// Bytes that came from servers.
    pub bytes_fetched: u64,
    /// Bytes that came from the cache on disk.
    #[serde(default)]
    pub bytes_from_disk: u64,
    /// Ranges asked of servers.
    pub requests: u64,
    /// Ranges under way now.
    pub requests_in_flight: u64,
    /// Reads that failed for good, after all retries.
    pub errors: u64,
    /// Median time from asking a server for a range to its first byte, in milliseconds, to an
    /// eighth.
    pub median_latency_ms: f64,
    /// The 99th percentile of these times.
    pub p99_latency_ms: f64,
    /// Bytes of memory in use for file content.
    pub memory_used: u64,
    /// How many there may be (`--memory`).
    pub memory_limit: u64,
    /// Sequential walks being followed now, the one heard of last first.
    pub streams: Vec<Stream>,
}

/// A sequential walk along the archive.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stream {
    /// The file that it is in, if it is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The end of what has been read, as an offset in the archive.
    pub at: u64,
    /// How far ahead it may fetch, in bytes.
    pub window: u64,
    /// How many bytes have been asked for ahead of the reader.
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
            // The last byte that was read, and not what lies behind it.
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
