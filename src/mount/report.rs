//! The status of a mount, which is the value of an attribute of its root.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::served::Served;
use crate::library::Totals;
use crate::reader::{RequestCounts, Status, Timing};
use crate::volume::{MemberStatus, Volume};

/// The most streams in a status: an attribute has 64 KiB at most.
const MAX_STREAMS: usize = 200;

/// The most servers in a status, for the same reason. Those that sent most bytes are in it.
const MAX_GATEWAYS: usize = 100;

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
    /// How many archives a library has; `None` for a mount of one archive. What is counted below are sums over
    /// all that were open; the rest is about those that are open now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archives: Option<u64>,
    /// How many of them are open.
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
    /// Bytes that came and left memory unread.
    #[serde(default)]
    pub bytes_unread: u64,
    /// How many times files are open.
    #[serde(default)]
    pub open_files: u64,
    /// Memory of the process, in bytes.
    #[serde(default)]
    pub resident_bytes: u64,
    /// Times from a program's read to its answer, as far as the kernel asks.
    #[serde(default)]
    pub read_times: Histogram,
    /// Times from a request to its first byte.
    #[serde(default)]
    pub request_times: Histogram,
    /// Requests that have ended, by kind and result.
    #[serde(default)]
    pub requests_ended: Vec<RequestReport>,
    /// Failed requests of programs, by kind.
    #[serde(default)]
    pub failures: BTreeMap<String, u64>,
    /// The servers.
    #[serde(default)]
    pub gateways: Vec<GatewayReport>,
    /// The cache on disk, as far as this process uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheReport>,
}

/// A distribution of times.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Histogram {
    /// How many there are.
    pub count: u64,
    /// Their sum, in seconds.
    pub sum_s: f64,
    /// For each bound in seconds, how many are at most that long.
    pub within: Vec<(f64, u64)>,
}

/// Requests of one kind that ended alike.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RequestReport {
    /// `demand`: a program waited for the bytes; `readahead`: one may need them later. For a gateway:
    /// `range` or `block`.
    pub kind: String,
    /// `ok`, `disk` (all bytes were stored on this machine), `failed` or `cancelled`.
    pub result: String,
    /// How many.
    pub count: u64,
}

/// A gateway, or the server of a URL.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GatewayReport {
    /// Its host and port.
    pub name: String,
    /// `available`, `backing_off`, `retry_after` or `excluded`.
    pub state: String,
    /// Whether ranges are asked of it now.
    pub serving: bool,
    /// The average time to its first byte, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// Bytes that it sent.
    pub bytes: u64,
    /// Requests to it that have ended.
    pub requests: Vec<RequestReport>,
    /// Its failures, by kind.
    pub failures: BTreeMap<String, u64>,
}

/// The cache on disk, as far as one process uses it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CacheReport {
    /// Its size limit in bytes.
    pub size: u64,
    /// Bytes that were read from it.
    pub hit_bytes: u64,
    /// Bytes that had to come from servers.
    pub missed_bytes: u64,
    /// Bytes that were written to it.
    pub written_bytes: u64,
    /// Files that were removed to make room.
    pub evicted_files: u64,
    /// The disk space that this freed, in bytes.
    pub evicted_bytes: u64,
    /// Failures of the disk.
    pub failures: u64,
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
        let (mut totals, volumes) = served.library.totals();
        let mut report = Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: served.since.elapsed().as_secs_f64(),
            open_files: served.tally.open_files(),
            resident_bytes: resident(),
            read_times: served.tally.read_times.timing().into(),
            failures: named(served.tally.failures()),
            ..Self::default()
        };
        for volume in &volumes {
            let status = volume.archive().status();
            totals.add(volume, &status);
            report.add(&status, volume);
        }
        report.set_totals(totals);
        match served.library.single() {
            Some(volume) => {
                let (kind, place) = volume.origin();
                let origin = |wanted| (*kind == wanted).then(|| place.clone());
                report.cid = origin("cid");
                report.url = origin("url");
                report.file = origin("file");
            }
            None => {
                report.archives = Some(served.library.archives() as u64);
                report.archives_open = Some(volumes.len() as u64);
            }
        }
        report
    }

    /// Sets the sums over all archives, closed ones included.
    fn set_totals(&mut self, totals: Totals) {
        let Totals { sums, mut servers } = totals;
        if servers.len() > MAX_GATEWAYS {
            servers.sort_by_key(|server| Reverse(server.bytes));
            servers.truncate(MAX_GATEWAYS);
        }
        self.gateways = servers.into_iter().map(gateway).collect();
        self.bytes_read = sums.bytes_read;
        self.bytes_from_memory = sums.bytes_from_memory;
        self.bytes_fetched = sums.bytes_fetched;
        self.bytes_from_disk = sums.bytes_from_disk;
        self.requests = sums.requests;
        self.errors = sums.errors;
        self.request_times = sums.request_times.into();
        let of_kinds = [("demand", sums.demand), ("readahead", sums.read_ahead)];
        self.requests_ended = of_kinds
            .into_iter()
            .flat_map(|(kind, counts)| of_kind(kind, counts))
            .collect();
    }

    /// Adds the present state of an open archive.
    fn add(&mut self, status: &Status, volume: &Volume) {
        let index = volume.archive().index();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        self.blob_size += index.blob_size();
        self.entries += index.len() as u64;
        self.bytes_unread = status.bytes_unread;
        self.cache = self.cache.take().or_else(|| cache(volume));
        self.requests_in_flight += status.requests_in_flight as u64;
        // Of several archives, the slowest one counts.
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
        self.streams.truncate(MAX_STREAMS);
    }

    /// Where the archive comes from.
    pub fn origin(&self) -> &str {
        let origin = self.cid.as_ref().or(self.url.as_ref());
        origin.or(self.file.as_ref()).map_or("", |origin| origin)
    }
}

impl GatewayReport {
    /// All values of `state`.
    pub const STATES: [&'static str; 4] = ["available", "backing_off", "retry_after", "excluded"];
}

impl From<Timing> for Histogram {
    fn from(timing: Timing) -> Self {
        Self {
            count: timing.count,
            sum_s: timing.sum,
            within: timing.within,
        }
    }
}

fn count(kind: &str, result: &str, count: u64) -> RequestReport {
    RequestReport {
        kind: kind.to_owned(),
        result: result.to_owned(),
        count,
    }
}

fn of_kind(kind: &str, counts: RequestCounts) -> [RequestReport; 4] {
    [
        count(kind, "ok", counts.served),
        count(kind, "disk", counts.local),
        count(kind, "failed", counts.failed),
        count(kind, "cancelled", counts.cancelled),
    ]
}

fn named(counts: BTreeMap<&'static str, u64>) -> BTreeMap<String, u64> {
    let counts = counts.into_iter();
    counts
        .map(|(kind, count)| (kind.to_owned(), count))
        .collect()
}

fn gateway(member: MemberStatus) -> GatewayReport {
    GatewayReport {
        name: member.name,
        state: member.state.name().to_owned(),
        serving: member.is_serving,
        latency_ms: member.latency.map(|seconds| seconds * 1e3),
        bytes: member.bytes,
        requests: vec![
            count("range", "ok", member.ranges.served),
            count("range", "failed", member.ranges.failed),
            count("block", "ok", member.blocks.served),
            count("block", "failed", member.blocks.failed),
        ],
        failures: named(member.errors),
    }
}

fn cache(volume: &Volume) -> Option<CacheReport> {
    volume.cache().map(|cache| CacheReport {
        size: cache.size,
        hit_bytes: cache.hits,
        missed_bytes: cache.misses,
        written_bytes: cache.written,
        evicted_files: cache.evicted_files,
        evicted_bytes: cache.evicted_bytes,
        failures: cache.failures,
    })
}

/// The resident memory of this process in bytes (proc(5), VmRSS); 0 if it cannot be told.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    number.unwrap_or(0) * 1024
}
