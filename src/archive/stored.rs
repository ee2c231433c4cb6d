//! The stored form of an index, which is loaded without parsing the archive.
//!
//! The cache verifies these bytes with a checksum. This module only ensures that no bytes cause a panic;
//! it refuses numbers that contradict each other.
//!
//! Layout, little-endian: [`FORMAT`], the numbers of [`Counts`], then the sections in their order.

use std::ops::Range;

use super::compact::{CompactEntry, SideTables};
use super::elements::{Element, Pull, Push, pull_all, pull_bytes, push_all};
use super::ending::{Ending, Format};
use super::error::{Hidden, hidden_reason};
use super::index::Index;
use super::sparse::Maps;

/// The version of the stored form. Increase it when the index's content or the rules for names change.
pub const FORMAT: u32 = 3;

/// The lengths of the sections, and single numbers.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    entries: u64,
    names: u64,
    rare: u64,
    owners: u64,
    playable: u64,
    hidden_offsets: u64,
    hidden: u64,
    hidden_texts: u64,
    hidden_count: u64,
    comment: u64,
    blob_size: u64,
    cd_start: u64,
    cd_end: u64,
    /// 0 for a ZIP, 1 for a tar.
    is_tar: u64,
    ending: u64,
    maps: u64,
    pieces: u64,
}

const COUNTS: usize = 17;

impl Counts {
    fn to_words(self) -> [u64; COUNTS] {
        [
            self.entries,
            self.names,
            self.rare,
            self.owners,
            self.playable,
            self.hidden_offsets,
            self.hidden,
            self.hidden_texts,
            self.hidden_count,
            self.comment,
            self.blob_size,
            self.cd_start,
            self.cd_end,
            self.is_tar,
            self.ending,
            self.maps,
            self.pieces,
        ]
    }

    fn of_words(words: &[u64]) -> Option<Self> {
        let words: [u64; COUNTS] = words.try_into().ok()?;
        let [
            entries,
            names,
            rare,
            owners,
            playable,
            hidden_offsets,
            hidden,
            hidden_texts,
            hidden_count,
            comment,
            blob_size,
            cd_start,
            cd_end,
            is_tar,
            ending,
            maps,
            pieces,
        ] = words;
        Some(Self {
            entries,
            names,
            rare,
            owners,
            playable,
            hidden_offsets,
            hidden,
            hidden_texts,
            hidden_count,
            comment,
            blob_size,
            cd_start,
            cd_end,
            is_tar,
            ending,
            maps,
            pieces,
        })
    }
}

impl Index {
    /// About how many bytes it is.
    pub fn stored_len(&self) -> u64 {
        let tables = self.tables.stored_len() + 8 * self.hidden_offsets.len();
        let tables = tables + self.sparse.stored_len();
        (self.entries.len() * CompactEntry::LEN + self.names.len() + tables) as u64
    }

    /// Gives the bytes.
    pub fn store(&self, push: &mut Push) {
        let texts: Vec<String> = self.hidden.iter().map(hidden_text).collect();
        let (rare, owners, playable) = self.tables.counts();
        let (maps, pieces) = self.sparse.counts();
        let counts = Counts {
            entries: self.entries.len() as u64,
            names: self.names.len() as u64,
            rare,
            owners,
            playable,
            hidden_offsets: self.hidden_offsets.len() as u64,
            hidden: texts.len() as u64,
            hidden_texts: texts.iter().map(|text| text.len() as u64).sum(),
            hidden_count: self.hidden_count,
            comment: self.comment.len() as u64,
            blob_size: self.blob_size,
            cd_start: self.cd_range.start,
            cd_end: self.cd_range.end,
            is_tar: u64::from(self.format == Format::Tar),
            ending: self.ending.number(),
            maps,
            pieces,
        };
        push(&FORMAT.to_le_bytes());
        push_all(counts.to_words().into_iter(), push);
        push_all(self.entries.iter().copied(), push);
        push(&self.names);
        self.tables.store(push);
        self.sparse.store(push);
        push_all(self.hidden_offsets.iter().copied(), push);
        push_all(texts.iter().map(|text| text.len() as u32), push);
        push(texts.concat().as_bytes());
        push(&self.comment);
    }

    /// The index that these bytes are; `None` if they are none.
    pub fn load(pull: &mut Pull) -> Option<Self> {
        let format = pull_all::<u32>(1, pull)?;
        if format != [FORMAT] {
            return None;
        }
        let counts = Counts::of_words(&pull_all::<u64>(COUNTS as u64, pull)?)?;
        let entries: Vec<CompactEntry> = pull_all(counts.entries, pull)?;
        let names = pull_bytes(counts.names, pull)?;
        let tables = SideTables::load((counts.rare, counts.owners, counts.playable), pull)?;
        let sparse = Maps::load((counts.maps, counts.pieces), pull)?;
        let hidden_offsets: Vec<u64> = pull_all(counts.hidden_offsets, pull)?;
        let lens: Vec<u32> = pull_all(counts.hidden, pull)?;
        let texts = pull_bytes(counts.hidden_texts, pull)?;
        let fits = |entry: &CompactEntry| entry.name_range().end <= names.len();
        let is_sound = u32::try_from(entries.len()).is_ok()
            && entries.iter().all(fits)
            && entries.is_sorted_by_key(|entry| entry.header_offset)
            && hidden_offsets.is_sorted()
            && (counts.cd_start..=counts.blob_size).contains(&counts.cd_end);
        let index = Self {
            hidden: hidden(&lens, &texts)?,
            comment: pull_bytes(counts.comment, pull)?,
            entries,
            tables,
            names,
            hidden_count: counts.hidden_count,
            hidden_offsets,
            blob_size: counts.blob_size,
            cd_range: Range {
                start: counts.cd_start,
                end: counts.cd_end,
            },
            format: match counts.is_tar {
                0 => Format::Zip,
                1 => Format::Tar,
                _ => return None,
            },
            ending: Ending::of_number(counts.ending)?,
            sparse,
        };
        is_sound.then_some(index)
    }
}

fn hidden_text(hidden: &Hidden) -> String {
    format!("{}\0{}", hidden.why, hidden.name)
}

fn hidden(lens: &[u32], texts: &[u8]) -> Option<Vec<Hidden>> {
    let mut left = texts;
    let each = lens.iter().map(|len| {
        let (text, rest) = left.split_at_checked(*len as usize)?;
        left = rest;
        let (why, name) = std::str::from_utf8(text).ok()?.split_once('\0')?;
        let why = hidden_reason::ALL.iter().find(|reason| **reason == why)?;
        Some(Hidden {
            name: name.to_owned(),
            why,
        })
    });
    each.collect()
}
