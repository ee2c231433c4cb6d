//! Builds the index while the members are walked.

use std::borrow::Cow;

use crate::archive::compact::{EntryRecord, entry_flags};
use crate::archive::ending::{Ending, Format};
use crate::archive::entry::{Kind, SPARSE, Timestamp};
use crate::archive::error::{Error, hidden_reason};
use crate::archive::index::Index;
use crate::archive::sparse::Piece;
use crate::archive::zip::Encoding;

/// The longest target of a link, in bytes (PATH_MAX without its NUL).
const LONGEST_LINK: usize = 4095;

/// What the headers of a member say.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) header_offset: u64,
    /// CRC-32 of the header block.
    pub(super) header_crc: u32,
    pub(super) path: Vec<u8>,
    /// The target of a symbolic or hard link.
    pub(super) link: Option<Vec<u8>>,
    pub(super) kind: Kind,
    /// Length of the content in bytes.
    pub(super) size: u64,
    /// Length of the data in bytes.
    pub(super) stored: u64,
    pub(super) mode: Option<u16>,
    pub(super) owner: Option<(u32, u32)>,
    pub(super) mtime: Timestamp,
    pub(super) map: Map,
}

/// Where a member's data lies.
#[derive(Debug)]
pub(super) enum Map {
    /// Right behind the header.
    Whole,
    /// In pieces, from this distance behind the header on.
    Sparse(u64, Vec<Piece>),
    /// Its map is damaged, or has too many pieces.
    Bad,
}

/// An index under construction.
#[derive(Debug)]
pub(super) struct Builder {
    index: Index,
    encoding: Encoding,
    seen: u64,
}

impl Builder {
    pub(super) fn new(blob_size: u64, encoding: Encoding) -> Self {
        let mut index = Index::empty(blob_size..blob_size, blob_size, Vec::new());
        index.format = Format::Tar;
        Self {
            index,
            encoding,
            seen: 0,
        }
    }

    /// The number of members so far.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// How many more pieces of sparse members may be added.
    pub(super) fn room(&self) -> usize {
        self.index.sparse.room()
    }

    pub(super) fn add(&mut self, member: &Member) -> Result<(), Error> {
        self.seen += 1;
        let index = &mut self.index;
        let name_at = index.next_name_at()?;
        let path = decode(self.encoding, &member.path);
        let link = member
            .link
            .as_deref()
            .map(|link| decode(self.encoding, link));
        match &link {
            Some(link) if link.len() > LONGEST_LINK => index.hide(&path, hidden_reason::LONG_LINK),
            Some(link) if link.is_empty() => index.hide(&path, hidden_reason::NO_TARGET),
            _ => index.append_path(&path, false, member.kind == Kind::Dir),
        }
        // The index compares headers by their CRC-32, so a stored name need not be kept.
        let mut raw_name = index.names[name_at as usize..].to_vec();
        if member.kind == Kind::Dir {
            raw_name.push(b'/');
        }
        let link = link.as_deref().unwrap_or_default();
        let record = EntryRecord {
            encryption: None,
            options: 0,
            has_descriptor: false,
            method: match member.map {
                Map::Whole => 0,
                Map::Sparse(..) | Map::Bad => SPARSE,
            },
            mtime: member.mtime,
            crc32: member.header_crc,
            compressed_size: member.stored,
            size: member.size,
            header_offset: member.header_offset,
            kind: member.kind,
            mode: member.mode,
            owner: member.owner,
            raw_name: &raw_name,
            name: Some(Cow::Borrowed(&[])),
            windows: false,
            link,
            playable: None,
        };
        index.append(&record, name_at);
        match (&member.map, index.entries.last_mut()) {
            (Map::Sparse(distance, pieces), _) => {
                index.sparse.add(member.header_offset, *distance, pieces);
            }
            (Map::Bad, Some(packed)) => packed.flags |= entry_flags::MISPLACED,
            _ => {}
        }
        Ok(())
    }

    /// The index of an archive whose members end at `end`.
    pub(super) fn finish(self, end: u64, ending: Ending, comment: Option<Vec<u8>>) -> Index {
        let mut index = self.index;
        index.cd_range = end..end;
        index.ending = ending;
        index.comment = comment.unwrap_or_default();
        index.finish();
        index
    }
}

/// A name as it is shown: unchanged, unless the user names an encoding and it is not ASCII.
fn decode(encoding: Encoding, name: &[u8]) -> Cow<'_, [u8]> {
    if encoding.is_usual() {
        return name.into();
    }
    encoding.decode(name).unwrap_or(name.into())
}
