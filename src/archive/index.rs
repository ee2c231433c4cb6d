//! The index of an archive: all entries, in the order of the blob.
//!
//! It is compact enough for millions of entries: records of fixed size, and one arena of names.

use std::ops::Range;

use super::check::HeaderCheck;
use super::compact::{CompactEntry, SideTables, entry_flags};
use super::ending::{Ending, Format};
use super::entry::{Encryption, Entry, EntryId, Extent, Kind, Method, SPARSE};
use super::error::{Error, Hidden};
use super::layout;
use super::sparse::{Maps, Piece};
use super::zip::AES;
use super::{tar, zip};

/// The entries of an archive, sorted by the offset of their local header; entries with the same header
/// are in the order of the directory.
#[derive(Debug)]
pub struct Index {
    pub(super) entries: Vec<CompactEntry>,
    pub(super) tables: SideTables,
    /// All paths, in the order of the directory.
    pub(super) names: Vec<u8>,
    pub(super) hidden: Vec<Hidden>,
    pub(super) hidden_count: u64,
    /// The sorted offsets of the local headers of hidden entries.
    pub(super) hidden_offsets: Vec<u64>,
    pub(super) comment: Vec<u8>,
    pub(super) blob_size: u64,
    /// In a tar: empty, at the end of the members.
    pub(super) cd_range: Range<u64>,
    pub(super) format: Format,
    pub(super) ending: Ending,
    /// Where the pieces of sparse members lie.
    pub(super) sparse: Maps,
}

impl Index {
    /// The number of entries, without hidden ones.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All entries in the order of the blob.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = EntryId> + use<> {
        (0..self.entries.len() as u32).map(EntryId)
    }

    /// The entry at a position in the order of the blob, from 0.
    pub fn id(&self, at: usize) -> Option<EntryId> {
        (at < self.entries.len()).then_some(EntryId(at as u32))
    }

    /// The attributes of an entry.
    pub fn get(&self, id: EntryId) -> Entry {
        let packed = &self.entries[id.index()];
        let coding = self.tables.coding(packed);
        Entry {
            header_offset: packed.header_offset,
            size: packed.size,
            compressed_size: self.tables.compressed_size(packed),
            crc32: self.crc32(packed),
            method: self.method(packed),
            flags: u16::from(coding.options()) << 1,
            encryption: coding.encryption(),
            kind: packed.kind(),
            mode: packed.mode(),
            owner: self.tables.owner(packed),
            mtime: self.tables.mtime(packed),
        }
    }

    /// A hash that tells entries of different archives apart: of the length of the blob, and of where the entry lies,
    /// its size, checksum and date. Without an entry, of the length of the blob.
    pub fn fingerprint(&self, id: Option<EntryId>) -> u32 {
        let mut hash = crc32fast::Hasher::new();
        hash.update(&self.blob_size.to_le_bytes());
        if let Some(id) = id {
            let packed = &self.entries[id.index()];
            hash.update(&packed.header_offset.to_le_bytes());
            hash.update(&packed.size.to_le_bytes());
            hash.update(&packed.crc32.to_le_bytes());
            let mtime = self.tables.mtime(packed);
            hash.update(&mtime.secs.to_le_bytes());
            hash.update(&mtime.nanos.to_le_bytes());
        }
        hash.finalize()
    }

    /// The type of an entry; faster than [`get`](Self::get).
    pub fn kind(&self, id: EntryId) -> Kind {
        self.entries[id.index()].kind()
    }

    /// Its path as shown, components separated by `/`.
    pub fn path(&self, id: EntryId) -> &[u8] {
        &self.names[self.entries[id.index()].name_range()]
    }

    /// A number that rises in the order of the directory: of two entries with one name, the later counts.
    pub fn directory_order(&self, id: EntryId) -> u32 {
        self.entries[id.index()].name_at
    }

    /// The first thousand hidden entries, and the number of all hidden entries.
    pub fn hidden(&self) -> (&[Hidden], u64) {
        (&self.hidden, self.hidden_count)
    }

    /// The format of the archive.
    pub fn format(&self) -> Format {
        self.format
    }

    /// How its entries end. A tar may be cut off or damaged, and still show what lies before.
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// What is wrong with the end of the entries, and at which offset; `None` if nothing is.
    pub fn problem(&self) -> Option<String> {
        self.ending.problem(self.cd_range.start)
    }

    /// The archive's comment, as stored. In a tar, that of the global extended header; `git archive` writes the
    /// commit there.
    pub fn comment(&self) -> &[u8] {
        &self.comment
    }

    /// Length of the blob in bytes.
    pub fn blob_size(&self) -> u64 {
        self.blob_size
    }

    /// The range of the central directory. In a tar: empty, at the end of the members.
    pub fn cd_range(&self) -> Range<u64> {
        self.cd_range.clone()
    }

    /// The last entry whose local header begins at or before `offset`.
    pub fn at(&self, offset: u64) -> Option<EntryId> {
        let behind = self.entries.partition_point(|e| e.header_offset <= offset);
        self.id(behind.checked_sub(1)?)
    }

    /// The largest range that an entry can take: its local header, its data and a data descriptor. The
    /// exact range is known only after reading the header.
    pub fn span(&self, id: EntryId) -> Range<u64> {
        // The most that an extra field and a data descriptor take, or what fills up a block of a tar.
        const MOST: u64 = u16::MAX as u64 + 24;
        let most = match self.format {
            Format::Zip => MOST,
            Format::Tar => tar::TAR_BLOCK - 1,
        };
        let packed = &self.entries[id.index()];
        let end = self.end_of(packed).saturating_add(most);
        packed.header_offset..end.min(self.limit(id)).max(packed.header_offset)
    }

    /// Version and length in bytes of a playlist's playable form, if its writer recorded them.
    pub fn playable(&self, id: EntryId) -> Option<(u8, u64)> {
        self.tables.playable(&self.entries[id.index()])
    }

    /// The target of a link that PKZIP stored without data (section 4.5.7): of a symbolic link, or for a
    /// [`Kind::File`] the path of the file that it is a hard link to.
    pub fn link_target(&self, id: EntryId) -> Option<&[u8]> {
        let target = self.tables.link_range(&self.entries[id.index()])?;
        self.names.get(target)
    }

    /// The hard links among the entries.
    pub fn hard_links(&self) -> impl Iterator<Item = EntryId> {
        self.ids().filter(|id| {
            let packed = &self.entries[id.index()];
            packed.has(entry_flags::LINK) && packed.kind() == Kind::File
        })
    }

    /// Whether an entry is neither compressed nor encrypted.
    pub fn is_stored(&self, id: EntryId) -> bool {
        let packed = &self.entries[id.index()];
        self.method(packed) == Method::Stored && !packed.has(entry_flags::ENCRYPTED)
    }

    /// The pieces of a sparse member's content, in order. What no piece covers reads as zeros.
    pub fn pieces(&self, id: EntryId) -> &[Piece] {
        self.sparse.pieces(self.entries[id.index()].header_offset)
    }

    /// Whether an entry's content is a range of the blob: neither compressed nor encrypted, and in its place.
    ///
    /// # Errors
    /// The reason, if it is not.
    pub fn stored(&self, id: EntryId) -> Result<(), Error> {
        let packed = &self.entries[id.index()];
        let name = || printable(self.path(id));
        if packed.has(entry_flags::ENCRYPTED) {
            return Err(Error::Encrypted { name: name() });
        }
        let method = self.method(packed);
        if method != Method::Stored {
            let name = name();
            return Err(Error::Compressed { name, method });
        }
        self.readable(id)
    }

    /// Whether an entry's data can be read. It may be compressed or encrypted.
    ///
    /// # Errors
    /// The reason, if it cannot.
    pub fn readable(&self, id: EntryId) -> Result<(), Error> {
        let packed = &self.entries[id.index()];
        let bad = |what: String| Error::BadEntry {
            name: printable(self.path(id)),
            offset: packed.header_offset,
            what,
        };
        let compressed_size = self.tables.compressed_size(packed);
        let encryption = self.tables.coding(packed).encryption();
        let (before, behind) = encryption.map_or((0, 0), Encryption::overhead);
        let data = compressed_size.checked_sub(before + behind);
        let is_stored = self.method(packed) == Method::Stored;
        let is_known = encryption != Some(Encryption::Unknown);
        if is_known && (data.is_none() || is_stored && data != Some(packed.size)) {
            return Err(bad(format!(
                "it is stored, but of its {} bytes the archive has {}",
                packed.size,
                data.unwrap_or(0)
            )));
        }
        if packed.has(entry_flags::LINK) && packed.kind() == Kind::File {
            let target = printable(self.link_target(id).unwrap_or_default());
            return Err(bad(format!(
                "it is a hard link to '{target}', which is no file of the archive"
            )));
        }
        if self.end_of(packed) > self.cd_range.start {
            let behind = match self.format {
                Format::Zip => "the central directory",
                Format::Tar => "the end of the archive, which is cut off",
            };
            return Err(bad(format!(
                "its {compressed_size} bytes do not end before {behind}, at offset {}",
                self.cd_range.start
            )));
        }
        if packed.has(entry_flags::MISPLACED) {
            let what = match self.format {
                Format::Zip => "its data overlaps another entry's",
                Format::Tar => "its map of data and holes is damaged, or has too many pieces",
            };
            return Err(bad(what.into()));
        }
        Ok(())
    }

    /// The check of an entry's header against the index.
    pub fn header_check(&self, id: EntryId) -> HeaderCheck {
        let packed = &self.entries[id.index()];
        match self.format {
            Format::Zip => HeaderCheck::Zip(self.local_header_check(id, packed)),
            Format::Tar => HeaderCheck::Tar {
                name: printable(self.path(id)),
                header_offset: packed.header_offset,
                header_crc: packed.crc32,
                extent: Extent {
                    offset: (packed.header_offset).saturating_add(self.distance(packed)),
                    len: self.tables.compressed_size(packed),
                },
            },
        }
    }

    fn local_header_check(&self, id: EntryId, packed: &CompactEntry) -> zip::HeaderCheck {
        let path = self.path(id);
        zip::HeaderCheck {
            name: printable(path),
            header_offset: packed.header_offset,
            size: packed.size,
            compressed_size: self.tables.compressed_size(packed),
            crc32: packed.crc32,
            method: match self.tables.coding(packed).encryption() {
                Some(Encryption::Aes { .. }) => AES,
                _ => self.tables.method(packed),
            },
            raw_name_crc: self.tables.raw_name_crc(packed, path),
            raw_name_len: (!packed.has(entry_flags::SHARED))
                .then(|| self.tables.raw_name_len(packed)),
            limit: self.limit(id),
            has_descriptor: packed.has(entry_flags::DESCRIPTOR),
            is_encrypted: packed.has(entry_flags::ENCRYPTED),
        }
    }

    fn method(&self, packed: &CompactEntry) -> Method {
        match (self.format, self.tables.method(packed)) {
            (Format::Tar, SPARSE) => Method::Sparse,
            (_, number) => Method::of(number),
        }
    }

    /// The CRC-32 of an entry's content. In a tar, the field has that of the header.
    fn crc32(&self, packed: &CompactEntry) -> Option<u32> {
        if self.format == Format::Tar {
            return None;
        }
        let encryption = self.tables.coding(packed).encryption();
        let has_none = matches!(encryption, Some(Encryption::Aes { is_ae2: true, .. }));
        (!has_none).then_some(packed.crc32)
    }

    /// From a tar header to its data, in bytes.
    fn distance(&self, packed: &CompactEntry) -> u64 {
        let in_map = || self.sparse.distance(packed.header_offset);
        let is_sparse = packed.has(entry_flags::RARE) && self.method(packed) == Method::Sparse;
        let distance = is_sparse.then(in_map).flatten();
        distance.unwrap_or(tar::TAR_BLOCK)
    }

    /// The least possible end of an entry's data.
    fn end_of(&self, packed: &CompactEntry) -> u64 {
        match self.format {
            Format::Zip => layout::end_of(packed, &self.tables),
            Format::Tar => (packed.header_offset)
                .saturating_add(self.distance(packed))
                .saturating_add(self.tables.compressed_size(packed)),
        }
    }

    /// The offset of the next structure after an entry: another entry, hidden or not, or the central
    /// directory.
    fn limit(&self, id: EntryId) -> u64 {
        let here = self.entries[id.index()].header_offset;
        let behind = &self.entries[id.index()..];
        let next = behind.partition_point(|entry| entry.header_offset <= here);
        let shown = behind.get(next).map(|entry| entry.header_offset);
        let next = self.hidden_offsets.partition_point(|at| *at <= here);
        let hidden = self.hidden_offsets.get(next).copied();
        let places = [shown, hidden, Some(self.cd_range.start)];
        places.into_iter().flatten().min().unwrap_or(here)
    }

    /// An index without entries, to be filled.
    pub(super) fn empty(cd_range: Range<u64>, blob_size: u64, comment: Vec<u8>) -> Self {
        Self {
            entries: Vec::new(),
            tables: SideTables::default(),
            names: Vec::new(),
            hidden: Vec::new(),
            hidden_count: 0,
            hidden_offsets: Vec::new(),
            comment,
            blob_size,
            cd_range,
            format: Format::Zip,
            ending: Ending::Marked,
            sparse: Maps::default(),
        }
    }
}

/// A name for messages: valid UTF-8, without control characters, shortened.
pub(super) fn printable(name: &[u8]) -> String {
    // 300 characters have at most 1,200 bytes.
    let text = String::from_utf8_lossy(&name[..name.len().min(1200)]);
    let text = text
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c });
    text.take(300).collect()
}
