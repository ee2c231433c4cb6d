//! Pieces: what a manifest's representations are made of, and where each is named.

use std::ops::Range;

use super::super::address::{Span, Target, path_of, resolve, target};
use super::dom::{Dom, Id};
use super::sidx::Indexed;
use super::template::{self, Values};

/// A file, or a part of one, that a representation is made of.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// The reference, as written or as the template gives it.
    pub(super) uri: String,
    /// Where it leads.
    pub(super) target: Target,
    /// The part of the file, if not all of it.
    pub(super) part: Option<Span>,
    pub(super) place: Place,
    /// The byte of the text to tell the line of.
    pub(super) at: usize,
}

/// Where a piece is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In the attributes of SegmentURL, Initialization and the like.
    Element(Id),
    /// As the text of a BaseURL.
    BaseUrl(Id),
    /// By a template, or by a list further out: as the init segment or a media segment.
    Template {
        /// Whether it is the init segment.
        is_init: bool,
    },
}

/// A representation and its pieces in playback order.
#[derive(Debug)]
pub(super) struct Representation {
    pub(super) element: Id,
    pub(super) pieces: Vec<Piece>,
    /// The SegmentTemplates (or inherited SegmentLists) that its pieces come from, outermost
    /// first; empty if the pieces have places of their own.
    pub(super) templates: Vec<Id>,
    /// The SegmentBases of a representation that is one file, outermost first.
    pub(super) bases: Vec<Id>,
    /// When its segments are played, if they come from the file's index.
    pub(super) times: Option<Indexed>,
    /// All BaseURLs that it is under.
    pub(super) base_urls: Vec<Id>,
}

/// Attribute names of a reference and its range in an element.
pub(super) fn names_in(element: &str) -> Option<(&'static str, &'static str)> {
    match element {
        "SegmentURL" => Some(("media", "mediaRange")),
        "Initialization" | "RepresentationIndex" | "BitstreamSwitching" => {
            Some(("sourceURL", "range"))
        }
        _ => None,
    }
}

/// `first-last`, both included.
pub(super) fn byte_range(text: &str) -> Option<Span> {
    let (first, last) = text.trim().split_once('-')?;
    let (offset, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let size = last.checked_sub(offset)?.checked_add(1)?;
    Some(Span { offset, size })
}

/// All representations in the order of the text. `size_of` tells of files whether they are there.
pub(super) fn representations(
    dom: &Dom,
    base: &str,
    text: &str,
    size_of: &dyn Fn(&str) -> Option<u64>,
) -> Vec<Representation> {
    let ids = dom.ids().filter(|id| dom.0[*id].name == "Representation");
    let of = |element| {
        let mut finder = Finder {
            dom,
            text,
            size_of,
            element,
            base: base.to_owned(),
            base_urls: Vec::new(),
        };
        let chain = dom.chain(element);
        for level in &chain {
            finder.enter(*level)?;
        }
        finder.find(&chain)
    };
    ids.filter_map(of).collect()
}

struct Finder<'a> {
    dom: &'a Dom,
    text: &'a str,
    size_of: &'a dyn Fn(&str) -> Option<u64>,
    element: Id,
    /// What references are relative to: a path, ending in `/` if it is a directory's.
    base: String,
    base_urls: Vec<Id>,
}

/// The base that a BaseURL makes of another one; `None` if it leads elsewhere.
pub(super) fn enter(base: &str, uri: &str) -> Option<String> {
    let path = path_of(uri);
    if !path.ends_with('/') {
        return resolve(base, uri);
    }
    // A name put behind it and taken away again: a directory, the root among them.
    let mut inside = resolve(base, &format!("{path}_"))?;
    inside.pop();
    Some(inside)
}

impl Finder<'_> {
    /// Goes in by an element's first BaseURL; further ones are alternatives.
    fn enter(&mut self, level: Id) -> Option<()> {
        if let Some(id) = self.dom.child(level, "BaseURL")
            && let Some((_, uri)) = self.dom.text_of(self.text, id)
        {
            self.base = enter(&self.base, &uri)?;
            self.base_urls.push(id);
        }
        Some(())
    }

    fn find(self, chain: &[Id]) -> Option<Representation> {
        let levels = |name| -> Vec<Id> {
            let found = chain
                .iter()
                .filter_map(|level| self.dom.child(*level, name));
            found.collect()
        };
        let (lists, templates) = (levels("SegmentList"), levels("SegmentTemplate"));
        let mut bases = Vec::new();
        let (pieces, templates) = if let Some(own) = self.dom.child(self.element, "SegmentList") {
            (self.list(own, false), Vec::new())
        } else if !templates.is_empty() {
            (self.template(&templates, chain)?, templates)
        } else if let Some(list) = lists.last() {
            (self.list(*list, true), lists)
        } else {
            bases = levels("SegmentBase");
            (self.file(&bases), Vec::new())
        };
        Some(Representation {
            element: self.element,
            pieces,
            templates,
            bases,
            times: None,
            base_urls: self.base_urls,
        })
    }

    fn piece(&self, uri: String, part: Option<Span>, place: Place, at: Id) -> Piece {
        Piece {
            target: target(&self.base, &uri),
            uri,
            part,
            place,
            at: self.dom.0[at].start_tag.start,
        }
    }

    /// The file that BaseURL names, as a reference relative to itself.
    fn base_file(&self) -> Option<String> {
        let id = *self.base_urls.last()?;
        let (_, uri) = self.dom.text_of(self.text, id)?;
        let (uri, _fragment) = uri.split_once('#').unwrap_or((&uri, ""));
        let path = path_of(uri);
        let (_, name) = path.rsplit_once('/').unwrap_or(("", path));
        // A name with a colon would be a scheme (RFC 3986, section 4.2).
        let here = if name.contains(':') { "./" } else { "" };
        (!name.is_empty()).then(|| format!("{here}{name}{}", &uri[path.len()..]))
    }

    /// What SegmentList (5.3.9.3) names.
    fn list(&self, list: Id, is_inherited: bool) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for id in &self.dom.0[list].children {
            let Some((uri, range)) = names_in(&self.dom.0[*id].name) else {
                continue;
            };
            let named = self.dom.value(*id, uri).map(str::to_owned);
            let Some(uri) = named.or_else(|| self.base_file()) else {
                continue;
            };
            let place = match is_inherited {
                true => Place::Template {
                    is_init: self.dom.0[*id].name == "Initialization",
                },
                false => Place::Element(*id),
            };
            let part = self.dom.value(*id, range).and_then(byte_range);
            pieces.push(self.piece(uri, part, place, *id));
        }
        pieces
    }

    /// A file as it is (5.3.9.2): BaseURL names it. Its init segment and index are parts of it,
    /// unless they are files of their own.
    fn file(&self, bases: &[Id]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let children = bases.iter().flat_map(|base| &self.dom.0[*base].children);
        for id in children {
            if let Some((uri, range)) = names_in(&self.dom.0[*id].name)
                && let Some(uri) = self.dom.value(*id, uri)
            {
                let part = self.dom.value(*id, range).and_then(byte_range);
                pieces.push(self.piece(uri.to_owned(), part, Place::Element(*id), *id));
            }
        }
        if let (Some(id), Some(name)) = (self.base_urls.last(), self.base_file()) {
            pieces.push(self.piece(name, None, Place::BaseUrl(*id), *id));
        }
        pieces
    }

    /// What the templates mean: attributes of inner ones hold over those of outer ones. `None` if
    /// they cannot be understood.
    fn template(&self, templates: &[Id], chain: &[Id]) -> Option<Vec<Piece>> {
        let dom = self.dom;
        let value = |name: &str| templates.iter().rev().find_map(|id| dom.value(*id, name));
        let number = |name: &str| value(name).and_then(|v| v.trim().parse::<u64>().ok());
        let at = *templates.last()?;
        let mut values = Values {
            id: dom.value(self.element, "id").unwrap_or_default(),
            bandwidth: dom.number(self.element, "bandwidth").unwrap_or(0),
            ..Values::default()
        };
        let mut pieces = Vec::new();
        let mut add = |uri, is_init| {
            pieces.push(self.piece(uri, None, Place::Template { is_init }, at));
        };
        if let Some(initialization) = value("initialization") {
            add(template::expand(initialization, values)?, true);
        }
        let Some(media) = value("media") else {
            return Some(pieces);
        };
        let timescale = number("timescale").unwrap_or(1).max(1);
        let start = number("startNumber").unwrap_or(1);
        let period = period_seconds(dom, chain);
        let mut timelines = templates
            .iter()
            .rev()
            .filter_map(|id| dom.child(*id, "SegmentTimeline"));
        if let Some(timeline) = timelines.next() {
            let offset = number("presentationTimeOffset").unwrap_or(0);
            let end = period.map(|s| (s * timescale as f64) as u64 + offset);
            for (number, time) in (start..).zip(template::timeline(dom, timeline, end)) {
                (values.number, values.time) = (number, time);
                add(template::expand(media, values)?, false);
            }
            return Some(pieces);
        }
        let duration = number("duration").unwrap_or(0);
        let said = match number("endNumber") {
            Some(end) => Some((end + 1).saturating_sub(start)),
            None => template::count(period, duration, timescale),
        };
        let mut uris = Vec::new();
        let is_exact = number("endNumber").is_some();
        for number in start..start.saturating_add(1_000_000) {
            values.number = number;
            values.time = (number - start).saturating_mul(duration);
            let uri = template::expand(media, values)?;
            let is_there = resolve(&self.base, &uri).is_some_and(|p| (self.size_of)(&p).is_some());
            // A duration only tells about how many: a short one may follow, as of audio.
            let is_beyond = said.is_none_or(|count| number - start >= count);
            if is_beyond && (is_exact || !is_there) {
                break;
            }
            uris.push((uri, is_there));
        }
        // A duration that is not a whole number of segments, rounded by whoever wrote it, may
        // mean one more than there is: players take its absence for the end.
        if uris.len() > 1 && !is_exact && uris.last().is_some_and(|(_, there)| !there) {
            uris.pop();
        }
        for (uri, _) in uris {
            add(uri, false);
        }
        Some(pieces)
    }
}

/// How long a period is: by its own word, by the next one's start, or by the presentation's.
fn period_seconds(dom: &Dom, chain: &[Id]) -> Option<f64> {
    let period = *chain.iter().find(|id| dom.0[**id].name == "Period")?;
    let of = |id: Id, name: &str| dom.value(id, name).and_then(template::seconds);
    if let Some(duration) = of(period, "duration") {
        return Some(duration);
    }
    let mpd = dom.0[period].parent?;
    let start = of(period, "start").unwrap_or(0.0);
    let mut later = dom.0[mpd]
        .children
        .iter()
        .skip_while(|id| **id != period)
        .skip(1);
    let next = later.find(|id| dom.0[**id].name == "Period");
    let end = next.and_then(|next| of(*next, "start"));
    let end = end.or_else(|| of(mpd, "mediaPresentationDuration"))?;
    Some((end - start).max(0.0))
}

/// An element with the white space before it, so that taking it away leaves no empty line.
pub(super) fn with_space(text: &str, span: &Range<usize>) -> Range<usize> {
    let before = &text[..span.start];
    before.trim_end().len()..span.end
}
