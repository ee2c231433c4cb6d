//! The index of an archive: all entries, in the order of the blob.
//!
//! It is compact enough for millions of entries: records of fixed size, and one arena of names.

use std::ops::Range;

use super::compact::{CompactEntry, SideTables, entry_flags};
use super::entry::{Encryption, Entry, EntryId, Kind, Method};
use super::error::{Error, Hidden};
use super::layout;
use super::zip::{AES, HeaderCheck};

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
    pub(super) cd_range: Range<u64>,
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
            crc32: packed.crc32,
            method: Method::of(self.tables.method(packed)),
            flags: u16::from(coding.options()) << 1,
            encryption: coding.encryption(),
            kind: packed.kind(),
            mode: packed.mode(),
            owner: self.tables.owner(packed),
            mtime: self.tables.mtime(packed),
        }
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

    /// The archive's comment, as stored.
    pub fn comment(&self) -> &[u8] {
        &self.comment
    }

    /// Length of the blob in bytes.
    pub fn blob_size(&self) -> u64 {
        self.blob_size
    }

    /// The range of the central directory.
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
        // The most that an extra field and a data descriptor take.
        const MOST: u64 = u16::MAX as u64 + 24;
        let packed = &self.entries[id.index()];
        let end = layout::end_of(packed, &self.tables).saturating_add(MOST);
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
        Method::of(self.tables.method(packed)) == Method::Stored
            && !packed.has(entry_flags::ENCRYPTED)
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
        let method = Method::of(self.tables.method(packed));
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
        let is_stored = Method::of(self.tables.method(packed)) == Method::Stored;
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
        if layout::end_of(packed, &self.tables) > self.cd_range.start {
            return Err(bad(format!(
                "its {compressed_size} bytes do not end before the central directory, at offset {}",
                self.cd_range.start
            )));
        }
        if packed.has(entry_flags::MISPLACED) {
            return Err(bad("its data overlaps another entry's".into()));
        }
        Ok(())
    }

    /// The check of an entry's local header against the index.
    pub fn header_check(&self, id: EntryId) -> HeaderCheck {
        let packed = &self.entries[id.index()];
        let path = self.path(id);
        HeaderCheck {
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
            raw_name_len: if packed.has(entry_flags::SHARED) {
                None
            } else {
                Some(self.tables.raw_name_len(packed))
            },
            limit: self.limit(id),
            has_descriptor: packed.has(entry_flags::DESCRIPTOR),
            is_encrypted: packed.has(entry_flags::ENCRYPTED),
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
