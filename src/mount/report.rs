//! What a mount says of itself: written into an attribute of its root, read from there.

use std::io;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::mounts::{self, FS_TYPE};
use super::unmount::Stuck;
use super::volume::Volume;

/// A mount answers this from memory. One that does not is stopped (SIGSTOP), or worse.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// The longest value of an attribute (`XATTR_SIZE_MAX` in Linux), in bytes.
const LONGEST: usize = 64 << 10;

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
    /// Sequential streams, the one that was read last first.
    pub streams: Vec<Stream>,
}

/// A sequential stream through the archive.
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
    /// That of a volume.
    pub(super) fn of(volume: &Volume) -> Self {
        let status = volume.archive.status();
        let index = volume.archive.index();
        let origin = |kind| (volume.origin.0 == kind).then(|| volume.origin.1.clone());
        let file = |at: u64| {
            // The last byte that was read, and not what lies behind it.
            let id = index.at(at.checked_sub(1)?)?;
            Some(String::from_utf8_lossy(index.path(id)).into_owned())
        };
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: volume.since.elapsed().as_secs_f64(),
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

/// Asks the aiozfs that is mounted on `mountpoint` how it fares.
pub fn report(mountpoint: &Path) -> Result<Report, Stuck> {
    let shown = mountpoint.display();
    let refused = |e: io::Error| Stuck::Refused(format!("{shown}: {e}"));
    let path = mounts::absolute(mountpoint).map_err(refused)?;
    match mounts::find(&path).map_err(refused)? {
        None => Err(Stuck::NotOurs(format!("nothing is mounted on {shown}"))),
        Some(mount) if mount.fs_type != FS_TYPE => Err(Stuck::NotOurs(format!(
            "{shown} is a mount of type {}, not of aiozfs",
            mount.fs_type
        ))),
        Some(_) => {
            let value = ask(&path, "status", ANSWERS_WITHIN).map_err(refused)?;
            serde_json::from_slice(&value).map_err(|e| {
                Stuck::Refused(format!(
                    "the aiozfs on {shown} is another version, whose status this one cannot read ({e})"
                ))
            })
        }
    }
}

/// An attribute of the root of a mount. An error if it takes too long: a stopped process never
/// answers.
pub(super) fn ask(root: &Path, name: &str, limit: Duration) -> io::Result<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    let (root, name) = (root.to_owned(), format!("user.aiozfs.{name}"));
    // In a thread of its own, which may stay for ever.
    thread::spawn(move || {
        let mut value = vec![0; LONGEST];
        let got = rustix::fs::getxattr(&root, &name, &mut value[..]);
        let _ = sender.send(got.map(|len| {
            value.truncate(len);
            value
        }));
    });
    match receiver.recv_timeout(limit) {
        Ok(got) => Ok(got?),
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!(
                "its process has not answered within {} s; is it stopped?",
                limit.as_secs_f64()
            ),
        )),
    }
}
