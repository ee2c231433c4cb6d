//! The content of sparse members of a tar: pieces of stored data, with holes between them that read as zeros.

use std::ops::Range;

use crate::archive::{EntryId, Piece};
use crate::reader::{Archive, Error};

/// A part of a range of content.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// This many zeros.
    Hole(u64),
    /// A range of the stored data.
    Data(Range<u64>),
}

/// Appends `range` of the content to `out` if all of its data is in memory; otherwise leaves `out` alone and returns
/// false. Never waits.
pub(super) fn try_read(
    archive: &Archive,
    id: EntryId,
    range: &Range<u64>,
    out: &mut Vec<u8>,
) -> bool {
    // A hole is stored nowhere, so only the member's header tells that it is one.
    if !archive.is_confirmed(id) {
        return false;
    }
    let before = out.len();
    for part in parts(archive.index().pieces(id), range) {
        let is_there = match part {
            Part::Hole(len) => {
                out.resize(out.len() + len as usize, 0);
                true
            }
            Part::Data(stored) => archive.try_read_stored(id, &stored, u64::MAX, out),
        };
        if !is_there {
            out.truncate(before);
            return false;
        }
    }
    true
}

/// Reads `range` of the content, which must not reach beyond its end.
pub(super) async fn read(
    archive: &Archive,
    id: EntryId,
    range: &Range<u64>,
) -> Result<Vec<u8>, Error> {
    // A hole is stored nowhere, so only the member's header tells that it is one.
    archive.extent(id).await?;
    let mut out = Vec::with_capacity((range.end - range.start) as usize);
    for part in parts(archive.index().pieces(id), range) {
        match part {
            Part::Hole(len) => out.resize(out.len() + len as usize, 0),
            Part::Data(stored) => {
                out.extend_from_slice(&archive.read_stored(id, stored, u64::MAX).await?);
            }
        }
    }
    Ok(out)
}

/// The parts of `range`, in order. `pieces` are in order, and do not overlap.
fn parts(pieces: &[Piece], range: &Range<u64>) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut at = range.start;
    let first = pieces.partition_point(|piece| piece.offset + piece.len <= range.start);
    for piece in &pieces[first..] {
        if at == range.end || piece.offset >= range.end {
            break;
        }
        if piece.offset > at {
            parts.push(Part::Hole(piece.offset - at));
            at = piece.offset;
        }
        let end = (piece.offset + piece.len).min(range.end);
        let stored = piece.stored + (at - piece.offset);
        parts.push(Part::Data(stored..stored + (end - at)));
        at = end;
    }
    if at < range.end {
        parts.push(Part::Hole(range.end - at));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_at_holes() {
        let piece = |offset, stored, len| Piece {
            offset,
            stored,
            len,
        };
        let pieces = [piece(0, 512, 10), piece(10, 522, 5), piece(100, 527, 20)];
        let data = |from, to| Part::Data(from..to);
        let table = [
            (0..15, vec![data(512, 522), data(522, 527)]),
            (4..12, vec![data(516, 522), data(522, 524)]),
            (20..90, vec![Part::Hole(70)]),
            (
                14..101,
                vec![data(526, 527), Part::Hole(85), data(527, 528)],
            ),
            (110..130, vec![data(537, 547), Part::Hole(10)]),
            (120..121, vec![Part::Hole(1)]),
            (7..7, vec![]),
        ];
        for (range, expected) in table {
            assert_eq!(parts(&pieces, &range), expected, "{range:?}");
        }
        assert_eq!(parts(&[], &(0..3)), [Part::Hole(3)]);
    }
}
