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

/// The result for an archive, or for a part of it.
#[derive(Default, Serialize)]
pub(super) struct Report {
    /// Entries that were read, and how many of them were compared with their checksum.
    pub(super) files: u64,
    pub(super) compared: u64,
    /// Bytes of the archive that were read.
    pub(super) bytes: u64,
    /// Entries that cannot be read.
    unread: Vec<Unread>,
    bad: Vec<Bad>,
}

#[derive(Serialize)]
struct Unread {
    name: String,
    why: String,
}

/// What was verified, and how.
pub(super) struct Subject {
    pub(super) source: (&'static str, String),
    /// Whether every byte was verified against the CID.
    pub(super) is_verified: bool,
    pub(super) format: Format,
}

#[derive(Serialize)]
struct Json<'a> {
    source: &'a str,
    good: bool,
    proven: bool,
    #[serde(flatten)]
    report: &'a Report,
}

impl Bad {
    pub(super) fn of(index: &Index, id: EntryId, range: Range<u64>, why: String) -> Self {
        Self::new(Some(id), index, range, why)
    }

    /// Reports bytes that belong to no chosen entry.
    pub(super) fn between(index: &Index, range: Range<u64>, why: String) -> Self {
        let is_before_end = range.end <= index.cd_range().start;
        let id = is_before_end.then(|| index.at(range.start)).flatten();
        Self::new(id, index, range, why)
    }

    fn new(id: Option<EntryId>, index: &Index, range: Range<u64>, why: String) -> Self {
        Self {
            name: id.map(|id| printable(index.path(id))),
            offset: range.start,
            length: range.end - range.start,
            why,
        }
    }
}

impl Report {
    pub(super) fn bad(&mut self, bad: Bad) {
        self.bad.push(bad);
    }

    /// An entry that cannot be read.
    pub(super) fn unread(&mut self, name: &[u8], why: String) {
        let name = printable(name);
        self.unread.push(Unread { name, why });
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
    pub(super) fn is_complete(&self, of: &Subject) -> bool {
        of.is_verified || self.unread.is_empty()
    }

    pub(super) fn json(&self, of: &Subject) -> String {
        let json = Json {
            source: &of.source.1,
            good: self.is_good(),
            proven: of.is_verified,
            report: self,
        };
        let text = serde_json::to_string_pretty(&json);
        text.expect("strings and numbers") + "\n"
    }

    pub(super) fn text(&self, of: &Subject) -> String {
        let mut text = String::new();
        for bad in &self.bad {
            let name = bad.name.as_deref().unwrap_or("(between files)");
            let (first, length, why) = (bad.offset, bad.length, &bad.why);
            let _ = match length {
                0 => writeln!(text, "{name}: at byte {first}: {why}"),
                _ => {
                    let last = first + length - 1;
                    writeln!(text, "{name}: bytes {first}-{last} ({length}): {why}")
                }
            };
        }
        for Unread { why, .. } in &self.unread {
            let _ = writeln!(text, "not compared: {why}");
        }
        let (kind, source) = &of.source;
        let how = if of.is_verified {
            "verified against the CID"
        } else {
            "read, but not verified, without a CID"
        };
        let (bytes, files, compared) = (self.bytes, self.files, self.compared);
        let compared = match of.format {
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
            0 if self.is_complete(of) => writeln!(text, "all good"),
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
