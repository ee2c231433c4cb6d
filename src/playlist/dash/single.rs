//! A representation that is one file with an index (SegmentBase with indexRange, 5.3.9.2).
//!
//! It keeps that form, with a range link in its BaseURL: players read the index and the segments as ranges
//! of what the link names. The index is parsed all the same, because a file that is shorter than its index
//! says is truncated. Only the form with byte ranges of the archive needs a list of the segments, because
//! ffmpeg would take the archive for the file.

use super::super::Files;
use super::super::address::{Span, Target};
use super::super::problem::What;
use super::dom::{Dom, Id, Name};
use super::resources::{NamedBy, Representation, Resource, base_file, byte_range, names_in};
use super::sidx::{self, Indexed, Unlisted};

/// What a list says of it: the resources, and when they are played. `None` if no list can be made: it
/// has no index, or another kind of one.
pub(super) fn listed(
    dom: &Dom,
    representation: &Representation,
    files: Files,
) -> Result<Option<(Vec<Resource>, Indexed)>, What> {
    let bases = representation.bases.iter().rev();
    let child =
        |name: Name| -> Option<Id> { bases.clone().find_map(|base| dom.child(*base, name)) };
    let file = (representation.resources.iter())
        .find(|resource| matches!(resource.named_by, NamedBy::BaseUrl(..)));
    // A RepresentationIndex names an index elsewhere, so the one in the file is not used.
    let (Some(index), Some(file), None) = (
        index(dom, representation),
        file,
        child(Name::RepresentationIndex),
    ) else {
        return Ok(None);
    };
    let Target::Path(path) = representation.target(file) else {
        return Ok(None);
    };
    // A missing file is reported when its link is written.
    let Some(Span { size, .. }) = (files.find)(&path) else {
        return Ok(None);
    };
    let uri = || file.uri.to_string();
    if index.end() > size {
        return Err(What::Beyond { uri: uri(), size });
    }
    let indexed = match sidx::indexed(index, size, &|part| (files.read)(&path, part)) {
        Ok(indexed) => indexed,
        Err(Unlisted::Other) => return Ok(None),
        Err(Unlisted::Damaged(why)) => return Err(What::Index { uri: uri(), why }),
    };
    let name = representation
        .base_urls
        .last()
        .and_then(|id| base_file(dom, *id));
    let Some(name) = name else {
        return Ok(None);
    };
    let at = representation
        .bases
        .last()
        .map_or(file.at, |base| dom.start(*base));
    let resource = |part, is_init| Resource {
        uri: name.as_str().into(),
        part: Some(part),
        named_by: NamedBy::Template { is_init },
        at,
    };
    let init = match child(Name::Initialization) {
        Some(id) => {
            let (_, range) = names_in(Name::Initialization).unwrap_or_default();
            let part = dom.value(id, range).and_then(|range| byte_range(&range));
            let own = (representation.resources.iter())
                .find(|resource| resource.named_by == NamedBy::Element(id));
            match (own, part) {
                // A file of its own.
                (Some(own), _) => Some(Resource {
                    named_by: NamedBy::Template { is_init: true },
                    ..own.clone()
                }),
                (None, Some(part)) => Some(resource(part, true)),
                (None, None) => return Ok(None),
            }
        }
        // What stands before the index: nothing, in a transport stream.
        None => {
            let before = Span::whole(index.offset);
            (before.size > 0).then(|| resource(before, true))
        }
    };
    let segments = indexed.subsegments.iter();
    let segments = segments.map(|segment| resource(segment.part, false));
    Ok(Some((init.into_iter().chain(segments).collect(), indexed)))
}

/// Where the index is in the file.
pub(super) fn index(dom: &Dom, representation: &Representation) -> Option<Span> {
    let mut bases = representation.bases.iter().rev();
    let range = bases.find_map(|base| dom.value(*base, "indexRange"))?;
    byte_range(&range)
}
