//! The status of a mount, which is the value of an attribute of its root.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::served::Served;
use crate::library::{ArchiveStatus, State};
use crate::reader::Status;
use crate::volume::Volume;

/// How many bytes of JSON a page of archives has, beyond which it ends. An attribute has 64 KiB at most.
const PAGE: usize = 40 << 10;

/// The statistics of a mount: the value of `user.aiozfs.status`, as JSON.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
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
    /// How many archives a library has; `None` for a mount of one archive. What is below are sums over its open
    /// archives, or over all since the mount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archives: Option<u64>,
    /// Those of them that are open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archives_open: Option<u64>,
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
        let volumes = served.library.volumes();
        let mut report = Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: served.since.elapsed().as_secs_f64(),
            ..Self::default()
        };
        for volume in &volumes {
            report.add(&volume.archive().status(), volume);
        }
        match served.library.single() {
            Some(volume) => {
                let (kind, place) = volume.origin();
                let origin = |wanted| (*kind == wanted).then(|| place.clone());
                report.cid = origin("cid");
                report.url = origin("url");
                report.file = origin("file");
            }
            None => report.add_closed(&served.library.statuses(), &volumes),
        }
        report
    }

    /// Adds what an open archive has done.
    fn add(&mut self, status: &Status, volume: &Volume) {
        let index = volume.archive().index();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        self.blob_size += index.blob_size();
        self.entries += index.len() as u64;
        self.bytes_read += status.bytes_read;
        self.bytes_from_memory += status.bytes_from_memory;
        self.bytes_fetched += status.bytes_fetched;
        self.bytes_from_disk += status.bytes_from_disk;
        self.requests += status.requests;
        self.requests_in_flight += status.requests_in_flight as u64;
        self.errors += status.errors;
        // Of several archives, the slowest one.
        self.median_latency_ms = self.median_latency_ms.max(ms(status.median_latency));
        self.p99_latency_ms = self.p99_latency_ms.max(ms(status.p99_latency));
        // They share one bound.
        self.memory_used = status.memory_used;
        self.memory_limit = status.memory_limit;
        let file = |at: u64| {
            // By the last byte that was read: the next one may belong to another file.
            let id = index.at(at.checked_sub(1)?)?;
            Some(String::from_utf8_lossy(index.path(id)).into_owned())
        };
        self.streams
            .extend(status.streams.iter().map(|stream| Stream {
                file: file(stream.at),
                at: stream.at,
                window: stream.window,
                ahead: stream.ahead,
            }));
    }

    /// Makes the sums those over all times that the archives of a library were open.
    fn add_closed(&mut self, archives: &[ArchiveStatus], open: &[Arc<Volume>]) {
        let sum = |of: fn(&ArchiveStatus) -> u64| archives.iter().map(of).sum::<u64>();
        self.archives = Some(archives.len() as u64);
        self.archives_open = Some(open.len() as u64);
        self.bytes_read = sum(|archive| archive.bytes_read);
        self.bytes_fetched = sum(|archive| archive.bytes_fetched);
        self.bytes_from_disk = sum(|archive| archive.bytes_from_disk);
        self.requests = sum(|archive| archive.requests);
        self.errors = sum(|archive| archive.errors);
    }

    /// Where the archive comes from.
    pub fn origin(&self) -> &str {
        let origin = self.cid.as_ref().or(self.url.as_ref());
        origin.or(self.file.as_ref()).map_or("", |origin| origin)
    }
}

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
