//! Where the data of sparse members lies: pieces of data, with holes between them that read as zeros.

use super::elements::{Pull, Push, pull_all, push_all};

/// A piece of a sparse member's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Offset in the content, in bytes.
    pub offset: u64,
    /// Offset in the member's data as it is stored, in bytes.
    pub stored: u64,
    /// Length in bytes.
    pub len: u64,
}

/// The map of one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Map {
    header_offset: u64,
    /// From the header to the data, in bytes: old GNU archives continue the map in between.
    distance: u64,
    /// The first of its pieces. The others follow, up to those of the next map.
    first: u64,
}

/// The maps of an archive's sparse members, in the order of the blob.
#[derive(Debug, Default)]
pub(super) struct Maps {
    maps: Vec<Map>,
    pieces: Vec<Piece>,
}

/// The most pieces in one archive. They bound memory: 24 MB.
const MOST: usize = 1 << 20;

impl Maps {
    /// How many more pieces may be added.
    pub(super) fn room(&self) -> usize {
        MOST - self.pieces.len()
    }

    /// Adds the map of a member behind all others. Pieces beyond [`room`](Self::room) are left out.
    pub(super) fn add(&mut self, header_offset: u64, distance: u64, pieces: &[Piece]) {
        let first = self.pieces.len() as u64;
        self.maps.push(Map {
            header_offset,
            distance,
            first,
        });
        let room = self.room();
        self.pieces.extend(pieces.iter().take(room));
    }

    /// The pieces of the member whose header lies here, in order; none if it has no map.
    pub(super) fn pieces(&self, header_offset: u64) -> &[Piece] {
        let Some(at) = self.find(header_offset) else {
            return &[];
        };
        let first = self.maps[at].first as usize;
        let next = self.maps.get(at + 1);
        let end = next.map_or(self.pieces.len(), |map| map.first as usize);
        &self.pieces[first..end]
    }

    /// From a member's header to its data, if it has a map.
    pub(super) fn distance(&self, header_offset: u64) -> Option<u64> {
        Some(self.maps[self.find(header_offset)?].distance)
    }

    fn find(&self, header_offset: u64) -> Option<usize> {
        let at = self
            .maps
            .binary_search_by_key(&header_offset, |map| map.header_offset);
        at.ok()
    }

    /// The numbers of maps and of pieces.
    pub(super) fn counts(&self) -> [u64; 2] {
        [self.maps.len() as u64, self.pieces.len() as u64]
    }

    /// Length of the stored form in bytes.
    pub(super) fn stored_len(&self) -> usize {
        24 * (self.maps.len() + self.pieces.len())
    }

    pub(super) fn store(&self, push: &mut Push) {
        let map = |map: &Map| [map.header_offset, map.distance, map.first];
        push_all(self.maps.iter().map(map), push);
        let piece = |piece: &Piece| [piece.offset, piece.stored, piece.len];
        push_all(self.pieces.iter().map(piece), push);
    }

    /// Loads maps; `None` if they contradict themselves.
    pub(super) fn load([maps, pieces]: [u64; 2], pull: &mut Pull) -> Option<Self> {
        let maps: Vec<[u64; 3]> = pull_all(maps, pull)?;
        let maps = maps
            .into_iter()
            .map(|[header_offset, distance, first]| Map {
                header_offset,
                distance,
                first,
            });
        let maps: Vec<Map> = maps.collect();
        let pieces: Vec<[u64; 3]> = pull_all(pieces, pull)?;
        let pieces = pieces.into_iter().map(|[offset, stored, len]| {
            offset.checked_add(len)?;
            stored.checked_add(len)?;
            Some(Piece {
                offset,
                stored,
                len,
            })
        });
        let pieces: Vec<Piece> = pieces.collect::<Option<_>>()?;
        let is_sound = pieces.len() <= MOST
            && maps.is_sorted_by(|a, b| a.header_offset < b.header_offset && a.first <= b.first)
            && maps
                .iter()
                .all(|map| map.first <= pieces.len() as u64 && u32::try_from(map.distance).is_ok());
        let ends = maps.iter().skip(1).map(|map| map.first as usize);
        let ends = ends.chain([pieces.len()]);
        let is_sorted = |(map, end): (&Map, usize)| {
            let pieces = &pieces[map.first as usize..end];
            pieces.is_sorted_by(|a, b| a.offset + a.len <= b.offset)
        };
        (is_sound && maps.iter().zip(ends).all(is_sorted)).then_some(Self { maps, pieces })
    }

    pub(super) fn shrink(&mut self) {
        self.maps.shrink_to_fit();
        self.pieces.shrink_to_fit();
    }
}
