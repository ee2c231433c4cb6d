//! A summary of an archive's layout, from its directory alone.

use super::ending::Format;
use super::entry::Extent;
use super::index::Index;
use super::tar::TAR_BLOCK;
use super::zip::LOCAL_FIXED;

/// The bytes of a blob by use. Shared bytes count once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Survey {
    /// Bytes before the first entry.
    pub before: u64,
    /// Local headers with their names, or headers of a tar, in bytes.
    pub headers: u64,
    /// The data of entries, in bytes.
    pub data: u64,
    /// Bytes of entries that are not shown, their headers included.
    pub hidden: u64,
    /// Bytes between entries that are neither header, name nor data: extra fields of local headers,
    /// data descriptors, padding and unused bytes, extended headers of a tar. Only the headers could tell them apart.
    pub between: u64,
    /// The longest run of such bytes.
    pub longest: Option<Extent>,
    /// The central directory, in bytes.
    pub directory: u64,
    /// Bytes after it: the end records, the comment and trailing bytes. In a tar, the bytes after the members.
    pub behind: u64,
    /// The number of entries that share the bytes of another.
    pub sharing: u64,
    /// Whether the directory lists entries in the order of the blob.
    pub in_directory_order: bool,
}

impl Index {
    /// Summarizes the layout.
    pub fn survey(&self) -> Survey {
        let directory = self.cd_range();
        let mut survey = Survey {
            directory: directory.end - directory.start,
            behind: self.blob_size.saturating_sub(directory.end),
            in_directory_order: self.entries.is_sorted_by_key(|entry| entry.name_at),
            ..Survey::default()
        };
        // The end of the bytes counted so far, so that overlapping bytes do not count twice.
        let mut reach = 0;
        let mut hidden = self.hidden_offsets.iter().copied().peekable();
        let mut shown = self
            .entries
            .chunk_by(|a, b| a.header_offset == b.header_offset);
        let mut run = shown.next();
        let mut is_first = true;
        loop {
            let at = run.map(|run| run[0].header_offset);
            let next = [at, hidden.peek().copied()].into_iter().flatten().min();
            let start = next.unwrap_or(directory.start).min(directory.start);
            let free = start.saturating_sub(reach);
            if std::mem::take(&mut is_first) {
                survey.before = free;
            } else if free > 0 {
                survey.between += free;
                if survey.longest.is_none_or(|longest| free > longest.len) {
                    let offset = reach;
                    survey.longest = Some(Extent { offset, len: free });
                }
            }
            reach = reach.max(start);
            let Some(next) = next else { break };
            while hidden.next_if_eq(&next).is_some() {}
            let Some(entries) = run.filter(|_| at == Some(next)) else {
                // A hidden entry's end is unknown: it gets all bytes up to the next entry.
                let others = [at, hidden.peek().copied()].into_iter().flatten();
                let end = others.min().unwrap_or(directory.start).min(directory.start);
                survey.hidden += end.saturating_sub(reach);
                reach = reach.max(end);
                continue;
            };
            survey.sharing += entries.len() as u64 - 1;
            // A shared header has the name of one of its entries: assume the shortest.
            let names = entries.iter().map(|e| self.tables.raw_name_len(e));
            let header = match self.format {
                Format::Zip => LOCAL_FIXED + u64::from(names.min().unwrap_or(0)),
                Format::Tar => TAR_BLOCK,
            };
            let sizes = entries.iter().map(|e| self.tables.compressed_size(e));
            let size = sizes.max().unwrap_or(0);
            let end = next.saturating_add(header).saturating_add(size);
            let end = end.min(directory.start);
            let own = end.saturating_sub(reach);
            survey.data += own.min(size);
            survey.headers += own.saturating_sub(size);
            reach = reach.max(end);
            run = shown.next();
        }
        survey
    }
}
