//! DASH manifests (ISO/IEC 23009-1; sections cited are those of the fifth edition).
//!
//! A range link has to be written out for each segment, so templates and inherited lists become an
//! explicit SegmentList in each representation; doc/decisions/0001-dash-manifest-form.md has the
//! reasons for its form. A representation that is one file keeps its form: its BaseURL gets the
//! range link, and the byte ranges that a player asks of it count inside that window. A mount shows
//! the folder's own manifest, which the linked one carries along (`original`).

mod dom;
mod expanded;
mod find;
mod levels;
mod list;
mod original;
mod period;
mod resources;
mod rewrite;
mod segments;
mod sidx;
mod single;
mod template;
mod times;

use std::collections::HashSet;

use dom::{Dom, Id, Name, Wrong, escaped};
use levels::Base;
use resources::{Written, names_in};
use rewrite::{Rewrite, set, with_space};

use super::address::{Span, Target, add_range, range_of, strip_range, target};
use super::edit::{Edits, Lines};
use super::problem::{Linked, Problem, What};
use super::{Files, Reference, Role};

/// Checks that a text is a manifest. The error is the line where it is malformed.
pub(super) fn is_mpd(text: &str) -> Result<(), u32> {
    if !dom::begins_as_mpd(text) {
        return Err(1);
    }
    match Dom::parse(text) {
        Err(wrong) if wrong.is_syntax => Err(Lines::new(text).of(wrong.at)),
        Ok(_) | Err(_) => Ok(()),
    }
}

pub(super) fn references(
    base: &str,
    text: &str,
    size_of: &dyn Fn(&str) -> Option<u64>,
) -> Vec<Reference> {
    let (text, _) = original::split(text);
    let Ok(dom) = Dom::parse(text) else {
        return Vec::new();
    };
    let lines = Lines::new(text);
    let mut found = Vec::new();
    for representation in find::find(&dom, base, size_of).representations {
        for resource in &representation.resources {
            if let Target::Path(path) = representation.target(resource) {
                found.push(Reference {
                    line: lines.of(resource.at),
                    path,
                    role: Role::Media,
                });
            }
        }
    }
    found
}

pub(super) fn link(base: &str, text: &str, files: Files) -> Linked {
    // The original of a manifest that was linked before belongs to another archive.
    let (text, _) = original::split(text);
    let dom = match Dom::parse(text) {
        Ok(dom) => dom,
        Err(wrong) => return refused(text, wrong),
    };
    let mut rewrite = Rewrite::new(&dom, base, files);
    for representation in &rewrite.representations(false) {
        rewrite.write(representation, &|resource, range| Written {
            uri: add_range(&resource.uri, range),
            range: None,
        });
    }
    report_whole(&mut rewrite, &dom);
    let has_lists = rewrite.has_lists();
    let mut linked = rewrite.finish();
    if has_lists {
        original::keep(&mut linked.text, text);
    }
    linked
}

pub(super) fn byterange(base: &str, text: &str, archive: &str, files: Files) -> Linked {
    let (text, _) = original::split(text);
    let dom = match Dom::parse(text) {
        Ok(dom) => dom,
        Err(wrong) => return refused(text, wrong),
    };
    let mut rewrite = Rewrite::new(&dom, base, files);
    let mut kept = HashSet::new();
    let representations = rewrite.representations(true);
    for representation in &representations {
        kept.extend(rewrite.file_by_range(representation, archive));
        rewrite.write(representation, &|_, range| Written {
            uri: archive.to_owned(),
            range: Some(range),
        });
    }
    // The archive's address is relative to the manifest, so no other BaseURL may apply to it.
    for id in representations.iter().flat_map(|r| &r.base_urls) {
        if kept.insert(*id) {
            rewrite.edits.remove(with_space(text, &dom.whole(*id)));
        }
    }
    report_whole(&mut rewrite, &dom);
    rewrite.finish()
}

/// The result for a text that cannot be parsed: it stays as it is.
fn refused(text: &str, Wrong { at, why, .. }: Wrong) -> Linked {
    Linked {
        text: text.to_owned(),
        problems: vec![Problem {
            line: Lines::new(text).of(at),
            what: What::Unlinked(why),
        }],
        ..Linked::default()
    }
}

/// Reports what concerns the whole manifest: a live stream, and elements in other documents.
fn report_whole(rewrite: &mut Rewrite, dom: &Dom) {
    const NOWHERE: &str = "urn:mpeg:dash:resolve-to-zero:2013";
    const XLINK: &str = "it is in another document (xlink:href), whose segments get no range links; \
         put that document's content in its place";
    for id in dom.ids() {
        match dom.name(id) {
            Name::Mpd => {
                if dom
                    .value(id, "type")
                    .is_some_and(|kind| kind.trim() == "dynamic")
                {
                    rewrite.report(id, What::Live);
                }
            }
            Name::S | Name::SegmentUrl => {}
            _ => {
                let mut links = dom.attributes(id).filter(|a| a.name.ends_with(":href"));
                if links.any(|link| link.value.trim() != NOWHERE) {
                    rewrite.report(id, What::Unlinked(XLINK));
                }
            }
        }
    }
}

/// Visits all range links, each with its element, its text and the base that it is relative to.
fn linked_places(dom: &Dom, base: &str, mut visit: impl FnMut(Id, &str, &str)) {
    // The bases within the elements that enclose the current one, innermost last.
    let mut open: Vec<(Id, Base)> = Vec::new();
    for id in dom.ids() {
        while open
            .last()
            .is_some_and(|(last, _)| Some(*last) != dom.parent(id))
        {
            open.pop();
        }
        let around = |open: &[(Id, Base)]| match open.last() {
            Some((_, base)) => base.clone(),
            None => Base::Path(base.into()),
        };
        let here = around(&open);
        let (link, of) = match names_in(dom.name(id)) {
            Some((uri, _)) => (dom.value(id, uri), here.clone()),
            // A BaseURL is relative to the level around its own.
            None if dom.name(id) == Name::BaseUrl => {
                let outer = &open[..open.len().saturating_sub(1)];
                (dom.text_of(id).map(|(_, link)| link), around(outer))
            }
            None => (None, here.clone()),
        };
        if let (Some(link), Base::Path(of)) = (link, of)
            && range_of(&link).is_some()
        {
            visit(id, &link, &of);
        }
        let (within, _) = here.within(dom, id);
        open.push((id, within));
    }
}

pub(super) fn range_links(base: &str, text: &str) -> Vec<(String, Span)> {
    let Ok(dom) = Dom::parse(text) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    linked_places(&dom, base, |_, uri, of| {
        if let (Target::Path(path), Some(link)) = (target(of, uri), range_of(uri)) {
            found.push((path, link));
        }
    });
    found
}

pub(super) fn playable(base: &str, text: &str, find: &dyn Fn(&str) -> Option<Span>) -> String {
    if let (_, Some(original)) = original::split(text) {
        return original;
    }
    let Ok(dom) = Dom::parse(text) else {
        return text.to_owned();
    };
    let mut edits = Edits::default();
    linked_places(&dom, base, |id, uri, of| {
        let (Some(link), Target::Path(path)) = (range_of(uri), target(of, uri)) else {
            return;
        };
        let Some(entry) = find(&path) else { return };
        let Some(part) = entry.within(link) else {
            return;
        };
        let is_whole = part.offset == 0 && part.size == entry.size;
        let uri = strip_range(uri);
        if dom.name(id) == Name::BaseUrl {
            if let Some((at, _)) = dom.text_of(id).filter(|_| is_whole) {
                edits.replace(at, escaped(&uri));
            }
            return;
        }
        let range = (!is_whole).then_some(part);
        set(&mut edits, &dom, id, &Written { uri, range }, None);
    });
    edits.apply(text)
}
