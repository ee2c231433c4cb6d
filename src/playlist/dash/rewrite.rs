//! Rewrites the links of a manifest: finds each resource in the archive, and collects edits and problems.

use std::collections::HashSet;
use std::ops::Range;

use super::super::address::{Span, Target, add_range};
use super::super::edit::{Edits, Lines};
use super::super::problem::{Linked, Problem, What};
use super::super::{Files, LONGEST};
use super::dom::{Dom, Id, Name, escaped};
use super::find::find;
use super::list;
use super::resources::{
    Found, NamedBy, Representation, Resource, Written, byte_range, first_last, names_in,
};
use super::single;
use super::times::Times;
use crate::ranges::arrange_by_key;

/// A manifest whose links take more bytes than this stays as it is: no mount would read the result.
const MOST_WRITTEN: usize = 2 * LONGEST as usize;

/// The maximum number of broken links that are reported one by one.
const MOST_PROBLEMS: usize = 10_000;

pub(super) struct Rewrite<'a> {
    dom: &'a Dom<'a>,
    base: &'a str,
    files: Files<'a>,
    pub(super) edits: Edits,
    written: usize,
    problems: Vec<(usize, What)>,
    loose: Vec<String>,
    /// BaseURLs that were rewritten already.
    done: HashSet<Id>,
    /// Templates and bases that were replaced by lists.
    replaced: Vec<Id>,
    /// Templates and bases that other representations still need.
    needed: HashSet<Id>,
}

impl<'a> Rewrite<'a> {
    pub(super) fn new(dom: &'a Dom<'a>, base: &'a str, files: Files<'a>) -> Self {
        Self {
            dom,
            base,
            files,
            edits: Edits::default(),
            written: 0,
            problems: Vec::new(),
            loose: Vec::new(),
            done: HashSet::new(),
            replaced: Vec::new(),
            needed: HashSet::new(),
        }
    }

    /// All representations. With `as_lists`, a file with an index becomes a list of its subsegments.
    pub(super) fn representations(&mut self, as_lists: bool) -> Vec<Representation> {
        let size_of = |path: &str| (self.files.find)(path).map(|span| span.size);
        let Found {
            mut representations,
            problems,
        } = find(self.dom, self.base, &size_of);
        self.problems = problems;
        self.needed = unexpanded(self.dom, &representations);
        for representation in &mut representations {
            match single::listed(self.dom, representation, self.files) {
                Ok(Some((resources, index))) if as_lists => {
                    let bases = std::mem::take(&mut representation.bases);
                    let offset = offset_in(self.dom, &bases, index.timescale.into());
                    representation.resources = resources;
                    representation.times = Some(Times::indexed(&index, offset));
                    representation.sources = bases;
                }
                Ok(other) => {
                    let is_foreign = as_lists && other.is_none();
                    if is_foreign && single::index(self.dom, representation).is_some() {
                        let at = self.dom.start(representation.element);
                        const WHY: &str = "its index is none that a list can be made of, and counts from the \
                             beginning of its own file";
                        self.problems.push((at, What::Unlinked(WHY)));
                    }
                    self.needed.extend(&representation.bases);
                }
                Err(what) => {
                    self.needed.extend(&representation.bases);
                    let bases = &representation.bases;
                    let at = bases.last().unwrap_or(&representation.element);
                    self.problems.push((self.dom.start(*at), what));
                }
            }
        }
        representations
    }

    /// The range of the archive with the bytes of a resource. Reports a problem if there is none.
    fn archive_range(
        &mut self,
        representation: &Representation,
        resource: &Resource,
    ) -> Option<Span> {
        let uri = || resource.uri.to_string();
        let what = match representation.target(resource) {
            Target::Elsewhere => return None,
            Target::Outside => What::Outside { uri: uri() },
            Target::Path(path) => match (self.files.find)(&path) {
                None => What::Missing { uri: uri() },
                Some(entry) => {
                    let size = entry.size;
                    match entry.part(resource.part.unwrap_or(Span::whole(size))) {
                        Some(range) => return Some(range),
                        None => What::Beyond { uri: uri(), size },
                    }
                }
            },
        };
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push((resource.at, what));
        }
        None
    }

    /// Writes the resources of a representation. `write` says how one with a range of the archive is written; the others
    /// stay as they are.
    pub(super) fn write(
        &mut self,
        representation: &Representation,
        write: &dyn Fn(&Resource, Span) -> Written,
    ) {
        if self.written > MOST_WRITTEN {
            return;
        }
        let dom = self.dom;
        let mut of_template = Vec::new();
        for resource in &representation.resources {
            match resource.named_by {
                NamedBy::BaseUrl(id) if !self.done.insert(id) => continue,
                _ => {}
            }
            let range = self.archive_range(representation, resource);
            match resource.named_by {
                NamedBy::BaseUrl(id) => {
                    if let (Some(range), Some((at, uri))) = (range, dom.text_of(id)) {
                        self.edits.replace(at, escaped(&add_range(&uri, range)));
                    }
                }
                NamedBy::Element(id) => {
                    if let Some(range) = range {
                        let written = write(resource, range);
                        self.written += written.uri.len();
                        set(&mut self.edits, dom, id, &written, resource.part);
                    }
                }
                NamedBy::Template { is_init } => {
                    let unchanged = || Written {
                        uri: resource.uri.to_string(),
                        range: resource.part,
                    };
                    let written = range.map(|range| write(resource, range));
                    of_template.push((is_init, written.unwrap_or_else(unchanged)));
                }
            }
        }
        self.remove_start_number(representation);
        let is_ours = |resource: &Resource| representation.target(resource) != Target::Elsewhere;
        if !representation.sources.is_empty() && representation.resources.iter().any(is_ours) {
            self.written += list::insert(&mut self.edits, dom, representation, &of_template);
            self.replaced.extend(&representation.sources);
            if representation.is_image && of_template.len() > 1 {
                self.problems
                    .push((dom.start(representation.element), What::Tiles));
            }
        }
    }

    /// Removes `@startNumber` from a representation's own list. It means nothing in a list, and ffmpeg
    /// skips that number of segments.
    fn remove_start_number(&mut self, representation: &Representation) {
        if let Some(list) = self.dom.child(representation.element, Name::SegmentList)
            && let Some(number) = self.dom.attribute(list, "startNumber")
        {
            self.edits.remove(number.whole);
        }
    }

    /// Writes the byte-range form of a representation that is one file. If it has an index, the BaseURL
    /// becomes the archive and the ranges are shifted to the file's place in it; a file without an index
    /// stays a separate file. Returns its BaseURL.
    pub(super) fn file_by_range(
        &mut self,
        representation: &Representation,
        archive: &str,
    ) -> Option<Id> {
        let is_file = |resource: &&Resource| matches!(resource.named_by, NamedBy::BaseUrl(..));
        let resource = representation.resources.iter().find(is_file)?;
        let NamedBy::BaseUrl(id) = resource.named_by else {
            return None;
        };
        let (at, _) = self.dom.text_of(id)?;
        if !self.done.insert(id) {
            return Some(id);
        }
        let Some(entry) = self.archive_range(representation, resource) else {
            return Some(id);
        };
        let base = self.dom.child(representation.element, Name::SegmentBase);
        let ranges = base.map_or(Vec::new(), |base| {
            let mut ranges = vec![(base, "indexRange")];
            ranges.extend(self.dom.children(base).map(|id| (id, "range")));
            ranges
        });
        let shifted = |(id, name): &(Id, &str)| {
            let attribute = self.dom.attribute(*id, name)?;
            let place = entry.part(byte_range(&attribute.value)?)?;
            Some((attribute.place, first_last(place)))
        };
        let shifted: Vec<_> = ranges.iter().filter_map(shifted).collect();
        if base.is_some_and(|base| self.dom.attribute(base, "indexRange").is_some()) {
            self.edits.replace(at, escaped(archive));
            for (place, range) in shifted {
                self.edits.replace(place, range);
            }
        } else if let Target::Path(path) = representation.target(resource) {
            self.edits.replace(at, escaped(&relative(self.base, &path)));
            self.loose.push(path);
        }
        Some(id)
    }

    /// Whether a template became a list. Removing range links does not undo that.
    pub(super) fn has_lists(&self) -> bool {
        !self.replaced.is_empty()
    }

    /// Reports a problem of an element.
    pub(super) fn report(&mut self, at: Id, what: What) {
        self.problems.push((self.dom.start(at), what));
    }

    pub(super) fn finish(mut self) -> Linked {
        let mut seen = HashSet::new();
        for id in std::mem::take(&mut self.replaced) {
            // The templates of representations were replaced in place.
            let parent = self.dom.parent(id);
            let is_outer = parent.is_some_and(|p| self.dom.name(p) != Name::Representation);
            if is_outer && !self.needed.contains(&id) && seen.insert(id) {
                let whole = with_space(self.dom.text, &self.dom.whole(id));
                self.edits.remove(whole);
            }
        }
        let text = if self.written > MOST_WRITTEN {
            self.problems.push((0, What::TooLong));
            self.dom.text.to_owned()
        } else {
            self.edits.apply(self.dom.text)
        };
        arrange_by_key(&mut self.problems, |(at, _)| *at);
        let lines = Lines::new(self.dom.text);
        let problems = self.problems.into_iter().map(|(at, what)| Problem {
            line: lines.of(at),
            what,
        });
        Linked {
            text,
            problems: problems.collect(),
            loose: self.loose,
            ..Linked::default()
        }
    }
}

/// The templates, lists and bases that unchanged representations need.
fn unexpanded(dom: &Dom, made: &[Representation]) -> HashSet<Id> {
    let is_ours =
        |r: &&Representation| r.resources.iter().any(|p| r.target(p) != Target::Elsewhere);
    let done: HashSet<Id> = made.iter().filter(is_ours).map(|r| r.element).collect();
    let mut needed = HashSet::new();
    let representations = dom.ids().filter(|id| dom.name(*id) == Name::Representation);
    for element in representations.filter(|id| !done.contains(id)) {
        let mut level = dom.parent(element);
        // An inner level inherits from all outer ones.
        while let Some(id) = level {
            if !needed.insert(id) {
                break;
            }
            level = dom.parent(id);
        }
    }
    let kinds = [Name::SegmentTemplate, Name::SegmentList, Name::SegmentBase];
    let is_needed = |id: &Id| {
        let parent = dom.parent(*id);
        kinds.contains(&dom.name(*id)) && parent.is_some_and(|parent| needed.contains(&parent))
    };
    dom.ids().filter(is_needed).collect()
}

/// The presentationTimeOffset of SegmentBases, converted to `timescale`.
fn offset_in(dom: &Dom, bases: &[Id], timescale: u64) -> u64 {
    let number = |name: &str| {
        let value = bases.iter().rev().find_map(|id| dom.value(*id, name));
        value.and_then(|value| value.trim().parse::<u64>().ok())
    };
    let old = number("timescale").unwrap_or(1).max(1);
    let offset = number("presentationTimeOffset").unwrap_or(0);
    u64::try_from(list::converted(offset, old, timescale)).unwrap_or(u64::MAX)
}

/// Writes a reference and its range into the attributes of an element. `before` is the part of the file
/// that the element named until now.
pub(super) fn set(edits: &mut Edits, dom: &Dom, id: Id, written: &Written, before: Option<Span>) {
    let Some((uri_name, range_name)) = names_in(dom.name(id)) else {
        return;
    };
    let insert = dom.name_end(id);
    let mut new = String::new();
    match dom.attribute(id, uri_name) {
        Some(attribute) => edits.replace(attribute.place, escaped(&written.uri)),
        None => new = format!(" {uri_name}=\"{}\"", escaped(&written.uri)),
    }
    match (dom.attribute(id, range_name), written.range) {
        (Some(attribute), Some(range)) => edits.replace(attribute.place, first_last(range)),
        (Some(attribute), None) => edits.remove(attribute.whole),
        (None, Some(range)) => new.push_str(&format!(" {range_name}=\"{}\"", first_last(range))),
        (None, None) => {}
    }
    if !new.is_empty() {
        edits.replace(insert..insert, new);
    }
    // An index counts from the beginning of what the reference names.
    if let Some(attribute) = dom.attribute(id, "indexRange") {
        let from = before.map_or(0, |part| part.offset);
        let to = written.range.map_or(0, |range| range.offset);
        let moved = byte_range(&attribute.value).and_then(|index| {
            let offset = index.offset.checked_sub(from)?.checked_add(to)?;
            Some(Span { offset, ..index })
        });
        match moved {
            Some(index) => edits.replace(attribute.place, first_last(index)),
            None => edits.remove(attribute.whole),
        }
    }
}

/// The reference from one path to another.
fn relative(base: &str, path: &str) -> String {
    let up = "../".repeat(base.matches('/').count());
    // The unreserved characters of RFC 3986, and the slash.
    const KEPT: percent_encoding::AsciiSet = percent_encoding::NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    format!("{up}{}", percent_encoding::utf8_percent_encode(path, &KEPT))
}

/// An element with the white space before it, so that removing it leaves no empty line.
pub(super) fn with_space(text: &str, span: &Range<usize>) -> Range<usize> {
    let before = &text[..span.start];
    before.trim_end().len()..span.end
}
