//! DASH manifests (ISO/IEC 23009-1; sections cited are those of the fifth edition).
//!
//! A range link has to be written out for each segment, so templates and inherited lists become an
//! explicit SegmentList in each representation, and so does a file with an index (SegmentBase with
//! indexRange). Another file (one without an index, or with one of another kind: the Cues of WebM)
//! keeps its form: its BaseURL gets the range link, and the byte ranges that a player asks of it
//! count inside that window.

mod dom;
mod list;
mod pieces;
mod sidx;
mod single;
mod template;

use std::collections::HashSet;

use dom::{Dom, Id, escaped};
use pieces::{Piece, Place, Representation, byte_range, names_in, representations, with_space};

use super::address::{Span, Target, add_range, range_of, strip_range, target};
use super::edit::{Edits, Lines};
use super::problem::{Linked, Problem, What};
use super::{Files, Reference, Role};

pub(super) fn is_mpd(text: &str) -> bool {
    let dom = Dom::parse(text);
    dom.is_some_and(|dom| dom.0.first().is_some_and(|root| root.name == "MPD"))
}

pub(super) fn references(
    base: &str,
    text: &str,
    size_of: &dyn Fn(&str) -> Option<u64>,
) -> Vec<Reference> {
    let Some(dom) = Dom::parse(text) else {
        return Vec::new();
    };
    let mut lines = Lines::new(text);
    let mut found = Vec::new();
    for piece in representations(&dom, base, text, size_of)
        .iter()
        .flat_map(|r| &r.pieces)
    {
        if let Target::Path(path) = &piece.target {
            found.push(Reference {
                line: lines.of(piece.at),
                path: path.clone(),
                role: Role::Media,
            });
        }
    }
    found
}

/// A reference and a byte range of it, as they are to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Written {
    uri: String,
    range: Option<Span>,
}

pub(super) fn link(base: &str, text: &str, files: Files) -> Linked {
    let Some(dom) = Dom::parse(text) else {
        return unchanged(text);
    };
    let mut change = Change::new(&dom, base, text, files);
    for representation in &change.representations() {
        let write = |piece: &Piece, place: Option<Span>| match place {
            Some(place) => Written {
                uri: add_range(&piece.uri, place),
                range: None,
            },
            None => Written {
                uri: piece.uri.clone(),
                range: piece.part,
            },
        };
        change.write(representation, &write);
    }
    change.finish()
}

pub(super) fn byterange(base: &str, text: &str, archive: &str, files: Files) -> Linked {
    let Some(dom) = Dom::parse(text) else {
        return unchanged(text);
    };
    let mut change = Change::new(&dom, base, text, files);
    let mut kept = HashSet::new();
    let representations = change.representations();
    for representation in &representations {
        let write = |piece: &Piece, place: Option<Span>| match place {
            Some(place) => Written {
                uri: archive.to_owned(),
                range: Some(place),
            },
            None => Written {
                uri: piece.uri.clone(),
                range: piece.part,
            },
        };
        kept.extend(change.file_by_range(representation, archive));
        change.write(representation, &write);
    }
    // The archive's address is relative to the manifest, not to what BaseURLs add to that.
    for id in representations.iter().flat_map(|r| &r.base_urls) {
        if kept.insert(*id) {
            change.edits.remove(with_space(text, &dom.0[*id].whole));
        }
    }
    change.finish()
}

fn unchanged(text: &str) -> Linked {
    Linked {
        text: text.to_owned(),
        ..Linked::default()
    }
}

/// A manifest whose pieces are being written anew.
struct Change<'a> {
    dom: &'a Dom,
    base: &'a str,
    text: &'a str,
    files: Files<'a>,
    edits: Edits,
    problems: Vec<Problem>,
    loose: Vec<String>,
    lines: Lines<'a>,
    /// BaseURLs that are done.
    done: HashSet<Id>,
    /// Templates (and bases) that representations made lists of.
    replaced: Vec<Id>,
    /// Bases that others still need.
    needed: HashSet<Id>,
}

impl<'a> Change<'a> {
    fn new(dom: &'a Dom, base: &'a str, text: &'a str, files: Files<'a>) -> Self {
        Self {
            dom,
            base,
            text,
            files,
            edits: Edits::default(),
            problems: Vec::new(),
            loose: Vec::new(),
            lines: Lines::new(text),
            done: HashSet::new(),
            replaced: Vec::new(),
            needed: HashSet::new(),
        }
    }

    /// All of them, files with an index as what that says.
    fn representations(&mut self) -> Vec<Representation> {
        let size_of = |path: &str| (self.files.find)(path).map(|span| span.size);
        let mut all = representations(self.dom, self.base, self.text, &size_of);
        for representation in &mut all {
            match single::listed(self.dom, representation, self.files) {
                Ok(Some((pieces, times))) => {
                    representation.pieces = pieces;
                    representation.times = Some(times);
                    representation.templates = std::mem::take(&mut representation.bases);
                }
                Ok(None) => self.needed.extend(&representation.bases),
                Err(what) => {
                    self.needed.extend(&representation.bases);
                    let at = representation
                        .bases
                        .last()
                        .unwrap_or(&representation.element);
                    let line = self.lines.of(self.dom.0[*at].start_tag.start);
                    self.problems.push(Problem { line, what });
                }
            }
        }
        all
    }

    /// Where the bytes of a piece are in the archive; what cannot be is a problem.
    fn place(&mut self, piece: &Piece) -> Option<Span> {
        let uri = piece.uri.clone();
        let what = match &piece.target {
            Target::Elsewhere => return None,
            Target::Outside => What::Outside { uri },
            Target::Path(path) => match (self.files.find)(path) {
                None => What::Missing { uri },
                Some(entry) => {
                    let size = entry.size;
                    let part = piece.part.unwrap_or(Span { offset: 0, size });
                    match entry.part(part) {
                        Some(place) => return Some(place),
                        None => What::Beyond { uri, size },
                    }
                }
            },
        };
        let line = self.lines.of(piece.at);
        self.problems.push(Problem { line, what });
        None
    }

    fn write(
        &mut self,
        representation: &Representation,
        write: &dyn Fn(&Piece, Option<Span>) -> Written,
    ) {
        let mut of_template = Vec::new();
        for piece in &representation.pieces {
            match piece.place {
                Place::BaseUrl(id) if !self.done.insert(id) => continue,
                _ => {}
            }
            let place = self.place(piece);
            match piece.place {
                Place::BaseUrl(id) => {
                    if let (Some(place), Some((at, uri))) = (place, self.dom.text_of(self.text, id))
                    {
                        self.edits.replace(at, escaped(&add_range(&uri, place)));
                    }
                }
                Place::Element(id) => {
                    if place.is_some() {
                        set(
                            &mut self.edits,
                            self.dom,
                            self.text,
                            id,
                            &write(piece, place),
                            piece.part,
                        );
                    }
                }
                Place::Template { is_init } => of_template.push((is_init, write(piece, place))),
            }
        }
        self.without_numbers(representation);
        let has_ours = representation
            .pieces
            .iter()
            .any(|p| p.target != Target::Elsewhere);
        if !representation.templates.is_empty() && has_ours {
            list::insert(
                &mut self.edits,
                self.dom,
                self.text,
                representation,
                &of_template,
            );
            self.replaced.extend(&representation.templates);
        }
    }

    /// Takes the first number out of a representation's own list, where it tells nothing (segments
    /// follow from their places) and makes ffmpeg skip as many of them.
    fn without_numbers(&mut self, representation: &Representation) {
        if let Some(list) = self.dom.child(representation.element, "SegmentList")
            && let Some(number) = self.dom.attribute(list, "startNumber")
        {
            self.edits.remove(number.whole.clone());
        }
    }

    /// The form by ranges of a representation that is one file: its index lies elsewhere, by the
    /// archive's count; a file without an index stays one. Returns the BaseURL that says so.
    fn file_by_range(&mut self, representation: &Representation, archive: &str) -> Option<Id> {
        let piece = representation
            .pieces
            .iter()
            .find(|p| matches!(p.place, Place::BaseUrl(_)))?;
        let Place::BaseUrl(id) = piece.place else {
            return None;
        };
        let (at, _) = self.dom.text_of(self.text, id)?;
        if !self.done.insert(id) {
            return Some(id);
        }
        let Some(entry) = self.place(piece) else {
            return Some(id);
        };
        let base = self.dom.child(representation.element, "SegmentBase");
        let ranges = base.map_or(Vec::new(), |base| {
            let children = &self.dom.0[base].children;
            let mut ranges = vec![(base, "indexRange")];
            ranges.extend(children.iter().map(|id| (*id, "range")));
            ranges
        });
        let shifted = |(id, name): &(Id, &str)| {
            let attribute = self.dom.attribute(*id, name)?;
            let place = entry.part(byte_range(&attribute.value)?)?;
            Some((attribute.place.clone(), first_last(place)))
        };
        let shifted: Vec<_> = ranges.iter().filter_map(shifted).collect();
        if base.is_some_and(|base| self.dom.attribute(base, "indexRange").is_some()) {
            self.edits.replace(at, escaped(archive));
            for (place, range) in shifted {
                self.edits.replace(place, range);
            }
        } else if let Target::Path(path) = &piece.target {
            self.edits.replace(at, escaped(&relative(self.base, path)));
            self.loose.push(path.clone());
        }
        Some(id)
    }

    fn finish(mut self) -> Linked {
        let mut seen = HashSet::new();
        for id in std::mem::take(&mut self.replaced) {
            // Those of representations are replaced by lists already.
            let parent = self.dom.0[id].parent;
            let is_outer = parent.is_some_and(|p| self.dom.0[p].name != "Representation");
            if is_outer && !self.needed.contains(&id) && seen.insert(id) {
                self.edits
                    .remove(with_space(self.text, &self.dom.0[id].whole));
            }
        }
        self.problems.sort_by_key(|problem| problem.line);
        Linked {
            text: self.edits.apply(self.text),
            problems: self.problems,
            loose: self.loose,
            ..Linked::default()
        }
    }
}

/// Writes a reference and its range into the attributes of an element. `before`: the part of the
/// file that the element named so far.
fn set(edits: &mut Edits, dom: &Dom, text: &str, id: Id, written: &Written, before: Option<Span>) {
    let element = &dom.0[id];
    let Some((uri_name, range_name)) = names_in(&element.name) else {
        return;
    };
    let insert = dom.name_end(text, id);
    let mut new = String::new();
    match dom.attribute(id, uri_name) {
        Some(attribute) => edits.replace(attribute.place.clone(), escaped(&written.uri)),
        None => new = format!(" {uri_name}=\"{}\"", escaped(&written.uri)),
    }
    match (dom.attribute(id, range_name), written.range) {
        (Some(attribute), Some(range)) => edits.replace(attribute.place.clone(), first_last(range)),
        (Some(attribute), None) => edits.remove(attribute.whole.clone()),
        (None, Some(range)) => new.push_str(&format!(" {range_name}=\"{}\"", first_last(range))),
        (None, None) => {}
    }
    edits.replace(insert..insert, new);
    // An index counts from the beginning of what the reference names.
    if let Some(attribute) = dom.attribute(id, "indexRange") {
        let from = before.map_or(0, |part| part.offset);
        let to = written.range.map_or(0, |range| range.offset);
        let moved = byte_range(&attribute.value).and_then(|index| {
            let offset = index.offset.checked_sub(from)?.checked_add(to)?;
            Some(Span { offset, ..index })
        });
        match moved {
            Some(index) => edits.replace(attribute.place.clone(), first_last(index)),
            None => edits.remove(attribute.whole.clone()),
        }
    }
}

/// A byte range as manifests write it, both ends included.
fn first_last(span: Span) -> String {
    format!("{}-{}", span.offset, span.end().saturating_sub(1))
}

/// The reference from one path to another.
fn relative(base: &str, path: &str) -> String {
    let up = "../".repeat(base.matches('/').count());
    // What RFC 3986 lets stand in a path, and no more.
    const KEPT: percent_encoding::AsciiSet = percent_encoding::NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    format!("{up}{}", percent_encoding::utf8_percent_encode(path, &KEPT))
}

/// The places of range links: element, what says the link, and the base it is relative to.
fn linked_places(dom: &Dom, base: &str, text: &str) -> Vec<(Id, String, String)> {
    let mut found = Vec::new();
    for id in dom.ids() {
        let element = &dom.0[id];
        let (said, chain) = match names_in(&element.name) {
            Some((uri, _)) => (dom.value(id, uri).map(str::to_owned), dom.chain(id)),
            None if element.name == "BaseURL" => {
                let mut chain = dom.chain(id);
                // Its own level is not what it is relative to.
                chain.truncate(chain.len().saturating_sub(2));
                (dom.text_of(text, id).map(|(_, said)| said), chain)
            }
            None => continue,
        };
        let Some(said) = said.filter(|said| range_of(said).is_some()) else {
            continue;
        };
        let mut here = Some(base.to_owned());
        for level in chain {
            if let Some(base_url) = dom.child(level, "BaseURL")
                && let Some((_, uri)) = dom.text_of(text, base_url)
            {
                here = here.and_then(|here| pieces::enter(&here, &uri));
            }
        }
        if let Some(here) = here {
            found.push((id, said, here));
        }
    }
    found
}

pub(super) fn range_links(base: &str, text: &str) -> Vec<(String, Span)> {
    let Some(dom) = Dom::parse(text) else {
        return Vec::new();
    };
    let places = linked_places(&dom, base, text).into_iter();
    let link = |(_, said, here): (Id, String, String)| match target(&here, &said) {
        Target::Path(path) => Some((path, range_of(&said)?)),
        _ => None,
    };
    places.filter_map(link).collect()
}

pub(super) fn playable(base: &str, text: &str, find: &dyn Fn(&str) -> Option<Span>) -> String {
    let Some(dom) = Dom::parse(text) else {
        return text.to_owned();
    };
    let mut edits = Edits::default();
    for (id, said, here) in linked_places(&dom, base, text) {
        let (Some(link), Target::Path(path)) = (range_of(&said), target(&here, &said)) else {
            continue;
        };
        let Some(entry) = find(&path) else { continue };
        let Some(part) = entry.within(link) else {
            continue;
        };
        let is_whole = part.offset == 0 && part.size == entry.size;
        let uri = strip_range(&said);
        if dom.0[id].name == "BaseURL" {
            if let Some((at, _)) = dom.text_of(text, id).filter(|_| is_whole) {
                edits.replace(at, escaped(&uri));
            }
            continue;
        }
        let range = (!is_whole).then_some(part);
        set(&mut edits, &dom, text, id, &Written { uri, range }, None);
    }
    edits.apply(text)
}
