//! Pieces: what a manifest's representations are made of, and where each is named.

use std::collections::HashSet;
use std::rc::Rc;

use super::super::address::{Span, Target, path_of, target};
use super::super::problem::What;
use super::dom::{Dom, Id, Name};
use super::expanded;
use super::levels::{Base, Kind, Level};
use super::period::{Period, periods};
use super::times::Times;

/// A file, or a part of one, that a representation is made of.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// The reference, as written or as the template gives it.
    pub(super) uri: Box<str>,
    /// The part of the file, if not all of it.
    pub(super) part: Option<Box<Span>>,
    pub(super) place: Place,
    /// The byte of the text to tell the line of.
    pub(super) at: u32,
}

/// Where a piece is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Which Period it is in, counted from 0.
    pub(super) period: usize,
    /// What the pieces are relative to.
    pub(super) base: Rc<str>,
    /// What the innermost BaseURLs are relative to.
    pub(super) outer: Option<Rc<str>>,
    pub(super) pieces: Vec<Piece>,
    /// The SegmentTemplates (or inherited SegmentLists) that its pieces come from, outermost
    /// first; empty if the pieces have places of their own.
    pub(super) sources: Vec<Id>,
    /// The SegmentBases of a representation that is one file, outermost first.
    pub(super) bases: Vec<Id>,
    /// When the media pieces, which are the last of all, are played; if the list that is to be
    /// written has to say it.
    pub(super) times: Option<Times>,
    /// All BaseURLs that it is under.
    pub(super) base_urls: Vec<Id>,
    /// Whether its media are images: tiles of thumbnails.
    pub(super) is_image: bool,
}

impl Representation {
    /// Where a piece leads.
    pub(super) fn target(&self, piece: &Piece) -> Target {
        match piece.place {
            Place::BaseUrl(_) => match &self.outer {
                Some(outer) => target(outer, &piece.uri),
                None => Target::Elsewhere,
            },
            _ => target(&self.base, &piece.uri),
        }
    }

    /// How many pieces stand before the media segments.
    pub(super) fn inits(&self) -> usize {
        let is_media = |piece: &Piece| piece.place == Place::Template { is_init: false };
        self.pieces
            .iter()
            .position(is_media)
            .unwrap_or(self.pieces.len())
    }
}

/// All representations of a manifest, in the order of the text, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) representations: Vec<Representation>,
    /// With the bytes of the text that they are at.
    pub(super) problems: Vec<(usize, What)>,
}

/// Attribute names of a reference and its range in an element.
pub(super) fn names_in(element: Name) -> Option<(&'static str, &'static str)> {
    match element {
        Name::SegmentUrl => Some(("media", "mediaRange")),
        Name::Initialization | Name::RepresentationIndex | Name::BitstreamSwitching => {
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

/// Finds all representations. `size_of` tells of files whether they are there.
pub(super) fn find(dom: &Dom, base: &str, size_of: &dyn Fn(&str) -> Option<u64>) -> Found {
    let mut finder = Finder {
        dom,
        size_of,
        found: Found::default(),
        outside: HashSet::new(),
        segments_left: expanded::MOST_SEGMENTS,
    };
    let Some(mpd) = dom.root() else {
        return finder.found;
    };
    let of = |id, name| {
        dom.children(id)
            .filter(move |child| dom.name(*child) == name)
    };
    let around = Level::around(base).within(dom, mpd);
    for (number, (period, time)) in periods(dom, mpd).into_iter().enumerate() {
        let in_period = around.within(dom, period);
        for set in of(period, Name::AdaptationSet) {
            let in_set = in_period.within(dom, set);
            for element in of(set, Name::Representation) {
                let level = in_set.within(dom, element);
                finder.representation(element, &level, (number, time));
            }
        }
    }
    expanded::settle(&mut finder.found);
    finder.found
}

pub(super) struct Finder<'a> {
    pub(super) dom: &'a Dom<'a>,
    pub(super) size_of: &'a dyn Fn(&str) -> Option<u64>,
    pub(super) found: Found,
    /// BaseURLs that are told to lead out of the folder.
    outside: HashSet<Id>,
    /// How many more segments templates may make.
    pub(super) segments_left: usize,
}

impl Finder<'_> {
    pub(super) fn tell(&mut self, at: Id, what: What) {
        self.found.problems.push((self.dom.start(at), what));
    }

    fn representation(&mut self, element: Id, level: &Level, period: (usize, Period)) {
        let dom = self.dom;
        let base = match &level.base {
            Base::Path(base) => base.clone(),
            Base::Elsewhere => return,
            Base::Outside(id) => {
                if self.outside.insert(*id) {
                    let uri = dom
                        .text_of(*id)
                        .map_or(String::new(), |(_, uri)| uri.into());
                    self.tell(*id, What::Outside { uri });
                }
                return;
            }
        };
        let is_image = [Some(element), dom.parent(element)]
            .into_iter()
            .flatten()
            .any(|id| {
                dom.value(id, "contentType")
                    .is_some_and(|kind| kind == "image")
                    || dom
                        .value(id, "mimeType")
                        .is_some_and(|kind| kind.starts_with("image/"))
            });
        let mut made = Representation {
            element,
            period: period.0,
            base,
            outer: match &level.outer {
                Some((Base::Path(outer), _)) => Some(outer.clone()),
                _ => None,
            },
            pieces: Vec::new(),
            sources: Vec::new(),
            bases: Vec::new(),
            times: None,
            base_urls: level.base_urls.clone(),
            is_image,
        };
        match level.kind {
            Kind::Template => {
                if !self.template(&mut made, &level.templates, period.1) {
                    return;
                }
            }
            Kind::List => {
                self.list(&mut made, level, period.1);
                if !self.takes(made.pieces.len()) {
                    self.tell(element, What::Unlinked(expanded::TOO_MANY));
                    return;
                }
            }
            Kind::Base => {
                made.bases.clone_from(&level.bases);
                made.pieces = self.file(level);
            }
        }
        self.found.representations.push(made);
    }

    /// Whether so many more pieces are not too many for a manifest.
    fn takes(&mut self, pieces: usize) -> bool {
        let left = self.segments_left.checked_sub(pieces);
        self.segments_left = left.unwrap_or(0);
        left.is_some()
    }

    fn piece(&self, uri: String, part: Option<Span>, place: Place, at: Id) -> Piece {
        Piece {
            uri: uri.into(),
            part: part.map(Box::new),
            place,
            at: self.dom.start(at) as u32,
        }
    }

    /// What SegmentLists (5.3.9.3) name: the SegmentURLs of the innermost one that has any, and the
    /// rest likewise.
    fn list(&mut self, made: &mut Representation, level: &Level, period: Period) {
        let dom = self.dom;
        let innermost = |name: Name| {
            let lists = level.lists.iter().rev();
            lists.copied().find(|list| dom.child(*list, name).is_some())
        };
        let (init, media) = (innermost(Name::Initialization), innermost(Name::SegmentUrl));
        let is_own =
            |list: Option<Id>| list.is_none_or(|list| dom.parent(list) == Some(made.element));
        let own = level
            .lists
            .last()
            .copied()
            .filter(|list| is_own(Some(*list)));
        if let Some(own) = own.filter(|_| is_own(init) && is_own(media)) {
            made.pieces = self.named_in(own, level, None);
            return;
        }
        for (list, name) in [(init, Name::Initialization), (media, Name::SegmentUrl)] {
            if let Some(list) = list {
                made.pieces.extend(self.named_in(list, level, Some(name)));
            }
        }
        made.sources.clone_from(&level.lists);
        let count = made.pieces.len() - made.inits();
        made.times = expanded::times_of_list(dom, &level.lists, period, count);
    }

    /// What a list names: all of it where it stands, or elements of one name, to be written anew.
    fn named_in(&self, list: Id, level: &Level, only: Option<Name>) -> Vec<Piece> {
        let dom = self.dom;
        let file = level.base_urls.last().and_then(|id| base_file(dom, *id));
        let mut pieces = Vec::new();
        for id in dom.children(list) {
            let name = dom.name(id);
            let Some((uri, range)) = names_in(name).filter(|_| only.is_none_or(|n| n == name))
            else {
                continue;
            };
            let named = dom.value(id, uri).map(String::from);
            let Some(uri) = named.or_else(|| file.clone()) else {
                continue;
            };
            let place = match only {
                None => Place::Element(id),
                Some(name) => Place::Template {
                    is_init: name == Name::Initialization,
                },
            };
            let part = dom.value(id, range).and_then(|range| byte_range(&range));
            pieces.push(self.piece(uri, part, place, id));
        }
        pieces
    }

    /// A file as it is (5.3.9.2): BaseURL names it, several BaseURLs name copies of it. Its init
    /// segment and index are parts of it, unless they are files of their own.
    fn file(&self, level: &Level) -> Vec<Piece> {
        let dom = self.dom;
        let mut pieces = Vec::new();
        for id in level.bases.iter().flat_map(|base| dom.children(*base)) {
            if let Some((uri, range)) = names_in(dom.name(id))
                && let Some(uri) = dom.value(id, uri)
            {
                let part = dom.value(id, range).and_then(|range| byte_range(&range));
                pieces.push(self.piece(uri.into(), part, Place::Element(id), id));
            }
        }
        let Some((_, element)) = &level.outer else {
            return pieces;
        };
        for id in dom.children(*element) {
            if dom.name(id) == Name::BaseUrl
                && let Some((_, uri)) = dom.text_of(id)
                && !path_of(&uri).is_empty()
                && !path_of(&uri).ends_with('/')
            {
                let place = Place::BaseUrl(id);
                pieces.push(self.piece(uri.into(), None, place, id));
            }
        }
        pieces
    }
}

/// The file that a BaseURL names, as a reference relative to itself.
pub(super) fn base_file(dom: &Dom, id: Id) -> Option<String> {
    let (_, uri) = dom.text_of(id)?;
    let (uri, _fragment) = uri.split_once('#').unwrap_or((&uri, ""));
    let path = path_of(uri);
    let (_, name) = path.rsplit_once('/').unwrap_or(("", path));
    // A name with a colon would be a scheme (RFC 3986, section 4.2).
    let here = if name.contains(':') { "./" } else { "" };
    (!name.is_empty()).then(|| format!("{here}{name}{}", &uri[path.len()..]))
}
