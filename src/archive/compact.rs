//! An entry in 40 bytes, so that a million entries fit in 40 MB.
//!
//! Side tables hold what few entries need: a compressed size that differs from the size, encryption, a time
//! outside 1970 to 2106, a stored name that differs from the shown one, a link's target. An archive has few
//! users and groups, so an entry refers to a list of them.

use std::borrow::Cow;
use std::collections::HashMap;

use super::bytes::Fields;
use super::coding::Coding;
use super::elements::{Element, Pull, Push, pull_all, push_all};
use super::entry::{Encryption, Kind, Timestamp};

/// What the archive's directory says of one entry.
pub(super) struct EntryRecord<'a> {
    /// How the data is encrypted.
    pub(super) encryption: Option<Encryption>,
    /// Bits 1 and 2 of the general purpose flags, if they tell a decoder something.
    pub(super) options: u8,
    /// Whether a data descriptor follows the data.
    pub(super) has_descriptor: bool,
    /// Number of the compression method before encryption; 0 is stored.
    pub(super) method: u16,
    pub(super) mtime: Timestamp,
    pub(super) crc32: u32,
    pub(super) compressed_size: u64,
    pub(super) size: u64,
    /// Offset of the local header, as the writer counted it.
    pub(super) header_offset: u64,
    pub(super) kind: Kind,
    pub(super) mode: Option<u16>,
    pub(super) owner: Option<(u32, u32)>,
    pub(super) raw_name: &'a [u8],
    /// The name in UTF-8, or as raw bytes if the flag says UTF-8 and it is not; `None` if its
    /// encoding must be guessed.
    pub(super) name: Option<Cow<'a, [u8]>>,
    /// Whether the writer is DOS or Windows.
    pub(super) windows: bool,
    /// The target of a link that PKZIP stored in an extra field, without data; empty for other entries.
    pub(super) link: &'a [u8],
    /// Version and length of a playlist's playable form.
    pub(super) playable: Option<(u8, u64)>,
}

/// Flags of a [`CompactEntry`].
pub(super) mod entry_flags {
    /// The data is encrypted.
    pub(in crate::archive) const ENCRYPTED: u8 = 1;
    /// A data descriptor follows the data.
    pub(in crate::archive) const DESCRIPTOR: u8 = 1 << 1;
    /// Its bytes overlap another entry's or the central directory.
    pub(in crate::archive) const MISPLACED: u8 = 1 << 2;
    /// Other entries have the same local header and data.
    pub(in crate::archive) const SHARED: u8 = 1 << 3;
    /// It has a row in the table of rare fields.
    pub(in crate::archive) const RARE: u8 = 1 << 4;
    /// A link whose target PKZIP keeps in an extra field. It follows the name in the arena of names.
    pub(in crate::archive) const LINK: u8 = 1 << 5;
    /// Its name is raw: the encoding will be guessed from all names.
    pub(in crate::archive) const UNDECODED: u8 = 1 << 6;
    /// Written by DOS or Windows.
    pub(in crate::archive) const WINDOWS: u8 = 1 << 7;
}

/// An entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct CompactEntry {
    pub(super) header_offset: u64,
    pub(super) size: u64,
    pub(super) crc32: u32,
    /// Where its name begins in the arena of names. Unique, and rising in the order of the directory;
    /// the table of rare fields is sorted by it.
    pub(super) name_at: u32,
    /// Seconds since 1970.
    mtime: u32,
    nanos: u32,
    /// Zero for an entry that is not shown.
    pub(super) name_len: u16,
    /// Position in the list of owners, from 1; 0 for none.
    owner: u16,
    /// Permission bits, [`HAS_MODE`], and the kind from bit [`KIND_AT`] up.
    attributes: u16,
    /// [`WIDE_METHOD`] if it does not fit.
    method: u8,
    pub(super) flags: u8,
}

const _: () = assert!(size_of::<CompactEntry>() == 40);

const HAS_MODE: u16 = 1 << 9;
const KIND_AT: u16 = 10;
const WIDE_METHOD: u8 = u8::MAX;

impl Element for CompactEntry {
    const LEN: usize = 40;

    fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self::of_bytes(bytes.try_into().ok()?))
    }

    fn read_all(bytes: &[u8], all: &mut Vec<Self>) -> Option<()> {
        let each = bytes.as_chunks::<{ Self::LEN }>().0.iter();
        all.extend(each.map(Self::of_bytes));
        Some(())
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.header_offset.to_le_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
        for four in [self.crc32, self.name_at, self.mtime, self.nanos] {
            out.extend_from_slice(&four.to_le_bytes());
        }
        for two in [self.name_len, self.owner, self.attributes] {
            out.extend_from_slice(&two.to_le_bytes());
        }
        out.extend_from_slice(&[self.method, self.flags]);
    }
}

/// The fields that few entries need.
#[derive(Debug, Clone, Copy)]
struct Rare {
    name_at: u32,
    raw_name_crc: u32,
    raw_name_len: u16,
    method: u16,
    coding: Coding,
    link_len: u16,
    mtime_secs: i64,
    compressed_size: u64,
}

/// The tables of what few entries have.
#[derive(Debug, Default)]
pub(super) struct SideTables {
    /// Sorted by `name_at`.
    rare: Vec<Rare>,
    owners: Vec<(u32, u32)>,
    /// By the offset of the local header: version and length of a playlist's playable form.
    playable: HashMap<u64, (u8, u64)>,
}

/// The position of each owner in the list, while entries are added.
pub(super) type OwnerPlaces = HashMap<(u32, u32), u16>;

impl CompactEntry {
    /// The inverse of [`Element::write`].
    fn of_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let four = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let eight = |at: usize| u64::from(four(at)) | u64::from(four(at + 4)) << 32;
        let two = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        Self {
            header_offset: eight(0),
            size: eight(8),
            crc32: four(16),
            name_at: four(20),
            mtime: four(24),
            nanos: four(28),
            name_len: two(32),
            owner: two(34),
            attributes: two(36),
            method: bytes[38],
            flags: bytes[39],
        }
    }

    /// Packs a record whose name, as `shown`, is in the arena at `name_at`.
    pub(super) fn new(
        record: &EntryRecord,
        header_offset: u64,
        name_at: u32,
        shown: &[u8],
        tables: &mut SideTables,
        places: &mut OwnerPlaces,
    ) -> Self {
        let mtime = u32::try_from(record.mtime.secs);
        let method = u8::try_from(record.method).ok();
        let method = method.filter(|method| *method != WIDE_METHOD);
        let kind = match record.kind {
            Kind::File => 0,
            Kind::Dir => 1,
            Kind::Symlink => 2,
            Kind::Special => 3,
        };
        let mut flags = 0;
        let mut set = |flag: u8, on: bool| flags |= if on { flag } else { 0 };
        set(entry_flags::ENCRYPTED, record.encryption.is_some());
        set(entry_flags::DESCRIPTOR, record.has_descriptor);
        set(entry_flags::LINK, !record.link.is_empty());
        set(entry_flags::UNDECODED, record.name.is_none());
        set(entry_flags::WINDOWS, record.windows);
        let coding = Coding::new(record.options, record.encryption);
        let is_rare = mtime.is_err()
            || record.name.is_none()
            || method.is_none()
            || record.compressed_size != record.size
            || coding != Coding::default()
            || !record.link.is_empty()
            || !is_plain(record.raw_name, shown, record.kind);
        if let Some(playable) = record.playable {
            tables.playable.insert(header_offset, playable);
        }
        if is_rare {
            set(entry_flags::RARE, true);
            tables.rare.push(Rare {
                name_at,
                raw_name_crc: crc32fast::hash(record.raw_name),
                // Its field in the record has 16 bits.
                raw_name_len: record.raw_name.len() as u16,
                method: record.method,
                coding,
                link_len: record.link.len() as u16, // a part of an extra field, which has 16 bits
                mtime_secs: record.mtime.secs,
                compressed_size: record.compressed_size,
            });
        }
        Self {
            header_offset,
            size: record.size,
            crc32: record.crc32,
            name_at,
            mtime: mtime.unwrap_or_default(),
            nanos: record.mtime.nanos,
            name_len: shown.len() as u16, // the rules for names leave 4,095 at most; a raw one has 16 bits
            owner: record.owner.map_or(0, |o| tables.owner_place(o, places)),
            attributes: record.mode.map_or(0, |mode| mode & 0o777 | HAS_MODE) | kind << KIND_AT,
            method: method.unwrap_or(WIDE_METHOD),
            flags,
        }
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(super) fn kind(&self) -> Kind {
        match self.attributes >> KIND_AT {
            0 => Kind::File,
            1 => Kind::Dir,
            2 => Kind::Symlink,
            _ => Kind::Special,
        }
    }

    /// Makes it a directory, since its decoded name says so.
    pub(super) fn make_dir(&mut self) {
        self.attributes = self.attributes & (HAS_MODE | 0o777) | 1 << KIND_AT;
    }

    pub(super) fn mode(&self) -> Option<u16> {
        (self.attributes & HAS_MODE != 0).then_some(self.attributes & 0o777)
    }

    /// The range of its name in the arena.
    pub(super) fn name_range(&self) -> std::ops::Range<usize> {
        let at = self.name_at as usize;
        at..at + usize::from(self.name_len)
    }
}

/// Whether the stored name is the shown one, with a slash at the end for a directory.
fn is_plain(raw: &[u8], shown: &[u8], kind: Kind) -> bool {
    match (kind, raw.split_last()) {
        (Kind::Dir, Some((b'/', raw))) => raw == shown,
        (Kind::Dir, _) => false,
        _ => raw == shown,
    }
}

impl Element for Rare {
    const LEN: usize = 32;

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        Some(Self {
            name_at: fields.u32()?,
            raw_name_crc: fields.u32()?,
            raw_name_len: fields.u16()?,
            method: fields.u16()?,
            coding: Coding(fields.u16()?),
            link_len: fields.u16()?,
            mtime_secs: fields.u64()?.cast_signed(),
            compressed_size: fields.u64()?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.name_at.to_le_bytes());
        out.extend_from_slice(&self.raw_name_crc.to_le_bytes());
        out.extend_from_slice(&self.raw_name_len.to_le_bytes());
        out.extend_from_slice(&self.method.to_le_bytes());
        out.extend_from_slice(&self.coding.0.to_le_bytes());
        out.extend_from_slice(&self.link_len.to_le_bytes());
        out.extend_from_slice(&self.mtime_secs.to_le_bytes());
        out.extend_from_slice(&self.compressed_size.to_le_bytes());
    }
}

impl SideTables {
    /// The length of the stored form in bytes.
    pub(super) fn stored_len(&self) -> usize {
        self.rare.len() * Rare::LEN + self.owners.len() * 8 + self.playable.len() * 24
    }

    /// The numbers of rows: rare fields, owners, playable forms.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        let lens = (self.rare.len(), self.owners.len(), self.playable.len());
        (lens.0 as u64, lens.1 as u64, lens.2 as u64)
    }

    pub(super) fn store(&self, push: &mut Push) {
        push_all(self.rare.iter().copied(), push);
        let owners = self.owners.iter();
        push_all(owners.flat_map(|(user, group)| [*user, *group]), push);
        let mut playable: Vec<(&u64, &(u8, u64))> = self.playable.iter().collect();
        playable.sort_unstable();
        let playable = playable.into_iter();
        let words = playable.flat_map(|(at, (version, len))| [*at, u64::from(*version), *len]);
        push_all(words, push);
    }

    pub(super) fn load(counts: (u64, u64, u64), pull: &mut Pull) -> Option<Self> {
        let rare = pull_all(counts.0, pull)?;
        let owners: Vec<u32> = pull_all(counts.1.checked_mul(2)?, pull)?;
        let playable: Vec<u64> = pull_all(counts.2.checked_mul(3)?, pull)?;
        let playable = playable.as_chunks::<3>().0.iter();
        let playable = playable.map(|[at, version, len]| {
            let version = u8::try_from(*version).ok()?;
            Some((*at, (version, *len)))
        });
        Some(Self {
            rare,
            owners: owners
                .as_chunks::<2>()
                .0
                .iter()
                .map(|[u, g]| (*u, *g))
                .collect(),
            playable: playable.collect::<Option<_>>()?,
        })
    }

    fn rare(&self, entry: &CompactEntry) -> Option<&Rare> {
        if !entry.has(entry_flags::RARE) {
            return None;
        }
        let at = self
            .rare
            .binary_search_by_key(&entry.name_at, |r| r.name_at);
        at.ok().map(|at| &self.rare[at])
    }

    pub(super) fn compressed_size(&self, entry: &CompactEntry) -> u64 {
        self.rare(entry).map_or(entry.size, |r| r.compressed_size)
    }

    pub(super) fn method(&self, entry: &CompactEntry) -> u16 {
        self.rare(entry).map_or(entry.method.into(), |r| r.method)
    }

    pub(super) fn coding(&self, entry: &CompactEntry) -> Coding {
        self.rare(entry).map(|r| r.coding).unwrap_or_default()
    }

    /// The range of a link's target in the arena of names.
    pub(super) fn link_range(&self, entry: &CompactEntry) -> Option<std::ops::Range<usize>> {
        let rare = self.rare(entry).filter(|_| entry.has(entry_flags::LINK))?;
        let at = entry.name_range().end;
        Some(at..at + usize::from(rare.link_len))
    }

    pub(super) fn mtime(&self, entry: &CompactEntry) -> Timestamp {
        Timestamp {
            secs: self
                .rare(entry)
                .map_or(entry.mtime.into(), |r| r.mtime_secs),
            nanos: entry.nanos,
        }
    }

    pub(super) fn playable(&self, entry: &CompactEntry) -> Option<(u8, u64)> {
        self.playable.get(&entry.header_offset).copied()
    }

    pub(super) fn owner(&self, entry: &CompactEntry) -> Option<(u32, u32)> {
        let at = usize::from(entry.owner).checked_sub(1)?;
        self.owners.get(at).copied()
    }

    pub(super) fn raw_name_len(&self, entry: &CompactEntry) -> u16 {
        // A path has at most 4,095 bytes.
        let plain = || (entry.name_len).saturating_add(u16::from(entry.kind() == Kind::Dir));
        self.rare(entry).map_or_else(plain, |r| r.raw_name_len)
    }

    /// CRC-32 of the stored name, to compare with the name in the local header.
    pub(super) fn raw_name_crc(&self, entry: &CompactEntry, shown: &[u8]) -> u32 {
        let plain = || {
            let mut crc = crc32fast::Hasher::new();
            crc.update(shown);
            if entry.kind() == Kind::Dir {
                crc.update(b"/");
            }
            crc.finalize()
        };
        self.rare(entry).map_or_else(plain, |r| r.raw_name_crc)
    }

    /// Updates the name position of one entry from `old` to `new`. Called in the order of the directory;
    /// `at` is the next row to look at.
    pub(super) fn moved(&mut self, at: &mut usize, old: u32, new: u32) {
        if let Some(rare) = self.rare.get_mut(*at).filter(|r| r.name_at == old) {
            rare.name_at = new;
            *at += 1;
        }
    }

    pub(super) fn shrink(&mut self) {
        self.rare.shrink_to_fit();
    }

    /// In an archive with more than 65,535 owners, entries with later owners lose theirs.
    fn owner_place(&mut self, owner: (u32, u32), places: &mut OwnerPlaces) -> u16 {
        if let Some(place) = places.get(&owner) {
            return *place;
        }
        let Ok(place) = u16::try_from(self.owners.len() + 1) else {
            return 0;
        };
        self.owners.push(owner);
        places.insert(owner, place);
        place
    }
}
