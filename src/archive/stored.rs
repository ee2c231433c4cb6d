//! The stored form of an index, which is loaded without parsing the archive.
//!
//! The cache verifies these bytes with a checksum. This module only ensures that no bytes cause a panic;
//! it refuses numbers that contradict each other.
//!
//! Layout, little-endian: [`FORMAT`], [`NUMBERS`] numbers, then the sections in their order.

use super::compact::{CompactEntry, SideTables};
use super::elements::{Element, Pull, Push, pull_all, pull_one, push_all};
use super::ending::{Ending, Format};
use super::error::{Hidden, hidden_reason};
use super::index::Index;
use super::sparse::Maps;

/// The version of the stored form. Increase it when the index's content or the rules for names change.
pub const FORMAT: u32 = 3;

/// How many numbers come before the sections: the lengths of the sections, and single numbers.
const NUMBERS: usize = 17;

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
        let [rare, owners, playable] = self.tables.counts();
        let [maps, pieces] = self.sparse.counts();
        let numbers: [u64; NUMBERS] = [
            self.entries.len() as u64,
            self.names.len() as u64,
            rare,
            owners,
            playable,
            self.hidden_offsets.len() as u64,
            texts.len() as u64,
            texts.iter().map(|text| text.len() as u64).sum(),
            self.hidden_count,
            self.comment.len() as u64,
            self.blob_size,
            self.cd_range.start,
            self.cd_range.end,
            u64::from(self.format == Format::Tar),
            self.ending as u64,
            maps,
            pieces,
        ];
        push(&FORMAT.to_le_bytes());
        push_all(numbers.into_iter(), push);
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
        if pull_one::<u32>(pull)? != FORMAT {
            return None;
        }
        let [
            entries,
            names,
            rare,
            owners,
            playable,
            hidden_offsets,
            hidden_lens,
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
        ]: [u64; NUMBERS] = pull_one(pull)?;
        let entries: Vec<CompactEntry> = pull_all(entries, pull)?;
        let names: Vec<u8> = pull_all(names, pull)?;
        let tables = SideTables::load([rare, owners, playable], pull)?;
        let sparse = Maps::load([maps, pieces], pull)?;
        let hidden_offsets: Vec<u64> = pull_all(hidden_offsets, pull)?;
        let lens: Vec<u32> = pull_all(hidden_lens, pull)?;
        let texts: Vec<u8> = pull_all(hidden_texts, pull)?;
        let fits = |entry: &CompactEntry| entry.name_range().end <= names.len();
        let is_sound = u32::try_from(entries.len()).is_ok()
            && entries.iter().all(fits)
            && entries.is_sorted_by_key(|entry| entry.header_offset)
            && hidden_offsets.is_sorted()
            && (cd_start..=blob_size).contains(&cd_end);
        let index = Self {
            hidden: hidden(&lens, &texts)?,
            comment: pull_all(comment, pull)?,
            entries,
            tables,
            names,
            hidden_count,
            hidden_offsets,
            blob_size,
            cd_range: cd_start..cd_end,
            format: match is_tar {
                0 => Format::Zip,
                1 => Format::Tar,
                _ => return None,
            },
            ending: Ending::of_number(ending)?,
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
