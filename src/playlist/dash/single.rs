//! A representation that is one file with an index (SegmentBase with indexRange, 5.3.9.2), as a list.
//!
//! The form with an index needs a player that fetches the index first, and knows nothing of range
//! links in it; a list of all its segments is what every player plays.

use super::super::Files;
use super::super::address::{Span, Target};
use super::super::problem::What;
use super::dom::Dom;
use super::pieces::{Piece, Place, Representation, byte_range, names_in};
use super::sidx::{self, Indexed, Unlisted};

/// What a list says of it: the pieces, and when they are played. `None` if it keeps its form: it
/// has no index, or one that no list can be made of.
pub(super) fn listed(
    dom: &Dom,
    representation: &Representation,
    files: Files,
) -> Result<Option<(Vec<Piece>, Indexed)>, What> {
    let bases = representation.bases.iter().rev();
    let index = (bases.clone())
        .find_map(|base| dom.value(*base, "indexRange"))
        .and_then(byte_range);
    let child = |name: &str| bases.clone().find_map(|base| dom.child(*base, name));
    let file = representation
        .pieces
        .iter()
        .find(|piece| matches!(piece.place, Place::BaseUrl(_)));
    // With an index of its own it says so twice; whoever wrote that knows what it is.
    let (Some(index), Some(file), None) = (index, file, child("RepresentationIndex")) else {
        return Ok(None);
    };
    let Target::Path(path) = &file.target else {
        return Ok(None);
    };
    // What is not there is told by who links it.
    let Some(Span { size, .. }) = (files.find)(path) else {
        return Ok(None);
    };
    let uri = || file.uri.clone();
    if index.end() > size {
        return Err(What::Beyond { uri: uri(), size });
    }
    let indexed = match sidx::indexed(index, size, &|part| (files.read)(path, part)) {
        Ok(indexed) => indexed,
        Err(Unlisted::Other) => return Ok(None),
        Err(Unlisted::Damaged(why)) => return Err(What::Index { uri: uri(), why }),
    };
    let piece = |part, is_init| Piece {
        part: Some(part),
        place: Place::Template { is_init },
        at: representation
            .bases
            .last()
            .map_or(file.at, |base| dom.0[*base].start_tag.start),
        ..file.clone()
    };
    let init = match child("Initialization") {
        Some(id) => {
            let (_, range) = names_in("Initialization").unwrap_or_default();
            let part = dom.value(id, range).and_then(byte_range);
            let own =
                (representation.pieces.iter()).find(|piece| piece.place == Place::Element(id));
            match (own, part) {
                // A file of its own.
                (Some(own), _) => Some(Piece {
                    place: Place::Template { is_init: true },
                    ..own.clone()
                }),
                (None, Some(part)) => Some(piece(part, true)),
                (None, None) => return Ok(None),
            }
        }
        // What stands before the index: nothing, in a transport stream.
        None => {
            let before = Span {
                offset: 0,
                size: index.offset,
            };
            (before.size > 0).then(|| piece(before, true))
        }
    };
    let segments = indexed.segments.iter();
    let segments = segments.map(|segment| piece(segment.part, false));
    Ok(Some((init.into_iter().chain(segments).collect(), indexed)))
}
