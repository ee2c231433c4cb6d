//! The trace of a mount, as other processes ask for it: the value of an attribute of its root.
//!
//! `user.aiozfs.trace` says the number of the next event, and `user.aiozfs.trace.N` has the events from
//! number N on. To ask is to watch: the mount keeps events for five seconds more.

use serde::{Deserialize, Serialize};

use super::archives_page::fitting;
use super::served::Served;
use crate::reader::{Traced, TracedKind};

/// The attribute's name, without the prefix that all have.
pub(super) const TRACE: &str = "trace";

/// The most events in one value.
const MOST: usize = 250;

/// A read, a request, or an attempt to open an archive. It has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TraceEvent {
    /// When it began (RFC 3339).
    pub time: String,
    /// `read` is a program's, `demand` a request for bytes that a program waits for, and `readahead` a
    /// request for bytes that one may need later. `open` is an attempt to open an archive of a library.
    pub kind: String,
    /// The name of the archive, if the mount is a library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<String>,
    /// The file, by its path in the archive; for a request, the one in which it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Where it begins: a read in the file, a request in the archive.
    pub offset: u64,
    /// How many bytes it is for.
    pub length: u64,
    /// Where the bytes came from: for a read `memory`, `cache`, `network`, `file`, `decoder` or `playlist`,
    /// or several with `+` between them; for a request the host and port of the
    /// server, or the cache. For an archive that was opened, `network`, `cache` or `file`.
    pub from: String,
    /// How long it took, in milliseconds.
    pub ms: f64,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Events of a trace.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TracePage {
    /// The number of the event after these, with which the next question goes on.
    pub next: u64,
    /// How many events before these were asked for and are lost.
    pub lost: u64,
    /// The events, in the order in which they ended.
    pub events: Vec<TraceEvent>,
}

/// The value of the attribute whose name ends with `from` after its prefix; `None` if there is none.
pub(super) fn value(served: &Served, from: &str) -> Option<String> {
    let from = match from {
        "" => None,
        from => Some(from.strip_prefix('.')?.parse().ok()?),
    };
    let (first, events) = served.library.trace().since(from, MOST);
    let events = events.into_iter();
    let events = fitting(events.map(|(archive, event)| shown(&archive, event)));
    let page = TracePage {
        next: first + events.len() as u64,
        lost: from.map_or(0, |from| first.saturating_sub(from)),
        events,
    };
    serde_json::to_string(&page).ok()
}

/// The host and port of a URL; other origins as they are.
fn host(origin: String) -> String {
    match origin.split_once("://") {
        Some((_, rest)) => rest.split('/').next().unwrap_or_default().to_owned(),
        None => origin,
    }
}

fn shown(archive: &str, event: Traced) -> TraceEvent {
    let kind = match event.kind {
        TracedKind::Open => "open",
        TracedKind::Read => "read",
        TracedKind::Demand => "demand",
        TracedKind::ReadAhead => "readahead",
    };
    TraceEvent {
        time: humantime::format_rfc3339_millis(event.began).to_string(),
        kind: kind.to_owned(),
        archive: (!archive.is_empty()).then(|| archive.to_owned()),
        file: (event.file).map(|path| String::from_utf8_lossy(&path).into_owned()),
        offset: event.range.start,
        length: event.range.end - event.range.start,
        from: host(event.from),
        ms: (event.took.as_secs_f64() * 1e6).round() / 1e3,
        error: event.error,
    }
}
