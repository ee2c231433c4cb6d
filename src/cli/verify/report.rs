//! The result of a verification, as text and as JSON.

use std::fmt::Write;
use std::ops::Range;

use serde::Serialize;

use crate::archive::{EntryId, Format, Index};
use crate::cli::show;
use crate::ranges::arrange_by_key;

/// Some bytes that are bad.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Bad {
    /// The file that they belong to, if any.
    name: Option<String>,
    /// Their range in the archive, in bytes.
    offset: u64,
    length: u64,
    why: String,
}

/// The whole result.
pub(super) struct Report {
    source: (&'static str, String),
    is_verified: bool,
    pub(super) format: Format,
    /// Entries that were read, and how many of them were compared with their checksum.
    pub(super) files: u64,
    pub(super) compared: u64,
    /// Bytes of the archive that were read.
    pub(super) bytes: u64,
    /// Entries that cannot be read, and why.
    pub(super) unread: Vec<(Vec<u8>, String)>,
    bad: Vec<Bad>,
}

#[derive(Serialize)]
struct Json<'a> {
    source: &'a str,
    good: bool,
    proven: bool,
    files: u64,
    compared: u64,
    bytes: u64,
    unread: Vec<Unread<'a>>,
    bad: &'a [Bad],
}

#[derive(Serialize)]
struct Unread<'a> {
    name: String,
    why: &'a str,
}

impl Bad {
    pub(super) fn of(index: &Index, id: EntryId, range: Range<u64>, why: String) -> Self {
        Self {
            name: Some(printable(index.path(id))),
            offset: range.start,
            length: range.end - range.start,
            why,
        }
    }

    /// Reports bytes that belong to no chosen entry.
    pub(super) fn between(index: &Index, range: Range<u64>, why: String) -> Self {
        let name = if range.end > index.cd_range().start {
            None
        } else {
            index.at(range.start).map(|id| printable(index.path(id)))
        };
        Self {
            name,
            offset: range.start,
            length: range.end - range.start,
            why,
        }
    }

    fn end(&self) -> u64 {
        self.offset + self.length
    }
}

impl Report {
    pub(super) fn new(source: (&'static str, String), is_verified: bool) -> Self {
        Self {
            source,
            is_verified,
            format: Format::Zip,
            files: 0,
            compared: 0,
            bytes: 0,
            unread: Vec::new(),
            bad: Vec::new(),
        }
    }

    pub(super) fn bad(&mut self, bad: Bad) {
        self.bad.push(bad);
    }

    /// An empty result for a part of the archive.
    pub(super) fn part(&self) -> Self {
        Self::new(self.source.clone(), self.is_verified)
    }

    /// Adds the result of a part. What is bad stays in the order of the archive.
    pub(super) fn add(&mut self, part: Self) {
        self.files += part.files;
        self.compared += part.compared;
        self.bytes += part.bytes;
        self.unread.extend(part.unread);
        self.bad.extend(part.bad);
        arrange_by_key(&mut self.bad, |bad| bad.offset);
    }

    pub(super) fn is_good(&self) -> bool {
        self.bad.is_empty()
    }

    /// Whether every byte was verified, or every entry compared.
    pub(super) fn is_complete(&self) -> bool {
        self.is_verified || self.unread.is_empty()
    }

    pub(super) fn json(&self) -> String {
        let unread = self.unread.iter().map(|(name, why)| Unread {
            name: printable(name),
            why,
        });
        let json = Json {
            source: &self.source.1,
            good: self.is_good(),
            proven: self.is_verified,
            files: self.files,
            compared: self.compared,
            bytes: self.bytes,
            unread: unread.collect(),
            bad: &self.bad,
        };
        let text = serde_json::to_string_pretty(&json);
        text.expect("strings and numbers") + "\n"
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for bad in &self.bad {
            let name = bad.name.as_deref().unwrap_or("(between files)");
            let (first, last, length) = (bad.offset, bad.end().saturating_sub(1), bad.length);
            let why = &bad.why;
            let _ = match length {
                0 => writeln!(text, "{name}: at byte {first}: {why}"),
                _ => writeln!(text, "{name}: bytes {first}-{last} ({length}): {why}"),
            };
        }
        for (_, why) in &self.unread {
            let _ = writeln!(text, "not compared: {why}");
        }
        let (kind, source) = &self.source;
        let how = if self.is_verified {
            "verified against the CID"
        } else {
            "read, but not verified, without a CID"
        };
        let (bytes, files, compared) = (self.bytes, self.files, self.compared);
        let compared = match self.format {
            Format::Zip => {
                let entries = files + self.unread.len() as u64;
                format!("of {entries} entries, {compared} were compared with their checksum")
            }
            Format::Tar => format!(
                "the headers of {files} members are checked; a tar has no checksums of their content"
            ),
        };
        let _ = writeln!(text, "{kind} {source}: {bytes} bytes {how}; {compared}");
        let _ = match self.bad.len() {
            0 if self.is_complete() => writeln!(text, "all good"),
            0 => writeln!(text, "nothing bad found, but not everything was compared"),
            1 => writeln!(text, "1 bad extent"),
            many => writeln!(text, "{many} bad extents"),
        };
        text
    }
}

fn printable(name: &[u8]) -> String {
    show::printable(&String::from_utf8_lossy(name))
}
