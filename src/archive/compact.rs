//! An entry in 40 bytes, so that a million entries fit in 40 MB.
//!
//! Side tables hold what few entries need: a compressed size that differs from the size, encryption, a time
//! outside 1970 to 2106, a stored name that differs from the shown one, a link's target. An archive has few
//! users and groups, so an entry refers to a list of them.

use std::borrow::Cow;
use std::collections::HashMap;

use super::coding::Coding;
use super::elements::{Element, Pull, Push, pull_all, push_all, take};
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
    /// Offset of the local header.
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

    fn read(mut bytes: &[u8]) -> Self {
        let bytes = &mut bytes;
        Self {
            header_offset: take(bytes),
            size: take(bytes),
            crc32: take(bytes),
            name_at: take(bytes),
            mtime: take(bytes),
            nanos: take(bytes),
            name_len: take(bytes),
            owner: take(bytes),
            attributes: take(bytes),
            method: take(bytes),
            flags: take(bytes),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        [self.header_offset, self.size].write(out);
        [self.crc32, self.name_at, self.mtime, self.nanos].write(out);
        [self.name_len, self.owner, self.attributes].write(out);
        [self.method, self.flags].write(out);
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
    /// Pairs of user and group.
    owners: Vec<[u32; 2]>,
    /// Their positions in the list, while entries are added.
    places: HashMap<[u32; 2], u16>,
    /// By the offset of the local header: version and length of a playlist's playable form.
    playable: HashMap<u64, (u8, u64)>,
}

impl CompactEntry {
    /// Packs a record whose name, as `shown`, is in the arena at `name_at`.
    pub(super) fn new(
        record: &EntryRecord,
        name_at: u32,
        shown: &[u8],
        tables: &mut SideTables,
    ) -> Self {
        let mtime = u32::try_from(record.mtime.secs);
        let method = u8::try_from(record.method).ok();
        let method = method.filter(|method| *method != WIDE_METHOD);
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
            tables.playable.insert(record.header_offset, playable);
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
            header_offset: record.header_offset,
            size: record.size,
            crc32: record.crc32,
            name_at,
            mtime: mtime.unwrap_or_default(),
            nanos: record.mtime.nanos,
            name_len: shown.len() as u16, // the rules for names leave 4,095 at most; a raw one has 16 bits
            owner: record.owner.map_or(0, |o| tables.owner_place(o)),
            attributes: record.mode.map_or(0, |mode| mode & 0o777 | HAS_MODE)
                | (record.kind as u16) << KIND_AT,
            method: method.unwrap_or(WIDE_METHOD),
            flags,
        }
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(super) fn kind(&self) -> Kind {
        const KINDS: [Kind; 4] = [Kind::File, Kind::Dir, Kind::Symlink, Kind::Special];
        KINDS[usize::from(self.attributes >> KIND_AT & 3)]
    }

    /// Makes it a directory, since its decoded name says so.
    pub(super) fn make_dir(&mut self) {
        self.attributes = self.attributes & (HAS_MODE | 0o777) | (Kind::Dir as u16) << KIND_AT;
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

    fn read(mut bytes: &[u8]) -> Self {
        let bytes = &mut bytes;
        Self {
            name_at: take(bytes),
            raw_name_crc: take(bytes),
            raw_name_len: take(bytes),
            method: take(bytes),
            coding: Coding(take(bytes)),
            link_len: take(bytes),
            mtime_secs: take(bytes),
            compressed_size: take(bytes),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        [self.name_at, self.raw_name_crc].write(out);
        [self.raw_name_len, self.method, self.coding.0, self.link_len].write(out);
        self.mtime_secs.write(out);
        self.compressed_size.write(out);
    }
}

impl SideTables {
    /// The length of the stored form in bytes.
    pub(super) fn stored_len(&self) -> usize {
        self.rare.len() * Rare::LEN + self.owners.len() * 8 + self.playable.len() * 24
    }

    /// The numbers of rows: rare fields, owners, playable forms.
    pub(super) fn counts(&self) -> [u64; 3] {
        [self.rare.len(), self.owners.len(), self.playable.len()].map(|len| len as u64)
    }

    pub(super) fn store(&self, push: &mut Push) {
        push_all(self.rare.iter().copied(), push);
        push_all(self.owners.iter().copied(), push);
        let playable = self.playable.iter();
        let mut playable: Vec<[u64; 3]> = playable
            .map(|(at, (version, len))| [*at, u64::from(*version), *len])
            .collect();
        playable.sort_unstable();
        push_all(playable.into_iter(), push);
    }

    pub(super) fn load([rare, owners, playable]: [u64; 3], pull: &mut Pull) -> Option<Self> {
        let rare = pull_all(rare, pull)?;
        let owners = pull_all(owners, pull)?;
        let playable: Vec<[u64; 3]> = pull_all(playable, pull)?;
        let playable = playable
            .into_iter()
            .map(|[at, version, len]| Some((at, (u8::try_from(version).ok()?, len))));
        Some(Self {
            rare,
            owners,
            playable: playable.collect::<Option<_>>()?,
            places: HashMap::new(),
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
        self.owners.get(at).map(|[user, group]| (*user, *group))
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

    /// No more entries will be added.
    pub(super) fn shrink(&mut self) {
        self.rare.shrink_to_fit();
        self.places = HashMap::new();
    }

    /// In an archive with more than 65,535 owners, entries with later owners lose theirs.
    fn owner_place(&mut self, (user, group): (u32, u32)) -> u16 {
        let owner = [user, group];
        if let Some(place) = self.places.get(&owner) {
            return *place;
        }
        let Ok(place) = u16::try_from(self.owners.len() + 1) else {
            return 0;
        };
        self.owners.push(owner);
        self.places.insert(owner, place);
        place
    }
}
