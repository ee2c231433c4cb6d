//! Resources: what the representations of a manifest are made of, and where each is named.

use std::collections::HashSet;
use std::rc::Rc;

use super::super::address::{Span, Target, path_of, target};
use super::super::problem::What;
use super::dom::{Dom, Id, Name};
use super::times::Times;

/// A file, or a part of one, that a representation is made of.
#[derive(Debug, Clone)]
pub(super) struct Resource {
    /// The reference, as written or as the template gives it.
    pub(super) uri: Box<str>,
    /// The part of the file, if not all of it.
    pub(super) part: Option<Box<Span>>,
    pub(super) named_by: NamedBy,
    /// The byte of the text to tell the line of.
    pub(super) at: u32,
}

/// Where a resource is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamedBy {
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

/// A representation and its resources in playback order.
#[derive(Debug)]
pub(super) struct Representation {
    pub(super) element: Id,
    /// Which Period it is in, counted from 0.
    pub(super) period: usize,
    /// What the resources are relative to.
    pub(super) base: Rc<str>,
    /// What the innermost BaseURLs are relative to.
    pub(super) outer: Option<Rc<str>>,
    pub(super) resources: Vec<Resource>,
    /// The SegmentTemplates (or inherited SegmentLists) that its resources come from, outermost
    /// first; empty if the resources have places of their own.
    pub(super) sources: Vec<Id>,
    /// The SegmentBases of a representation that is one file, outermost first.
    pub(super) bases: Vec<Id>,
    /// When the media resources, which are the last of all, are played; if the list that is to be
    /// written has to say it.
    pub(super) times: Option<Times>,
    /// All BaseURLs that it is under.
    pub(super) base_urls: Vec<Id>,
    /// Whether its media are images: tiles of thumbnails.
    pub(super) is_image: bool,
}

impl Representation {
    /// Where a resource leads.
    pub(super) fn target(&self, resource: &Resource) -> Target {
        match resource.named_by {
            NamedBy::BaseUrl(_) => match &self.outer {
                Some(outer) => target(outer, &resource.uri),
                None => Target::Elsewhere,
            },
            _ => target(&self.base, &resource.uri),
        }
    }

    /// How many resources stand before the media segments.
    pub(super) fn inits(&self) -> usize {
        let is_media =
            |resource: &Resource| resource.named_by == NamedBy::Template { is_init: false };
        self.resources
            .iter()
            .position(is_media)
            .unwrap_or(self.resources.len())
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

/// The state of the search for representations.
pub(super) struct Finder<'a> {
    pub(super) dom: &'a Dom<'a>,
    pub(super) size_of: &'a dyn Fn(&str) -> Option<u64>,
    pub(super) found: Found,
    /// BaseURLs that are told to lead out of the folder.
    pub(super) outside: HashSet<Id>,
    /// How many more segments templates may make.
    pub(super) segments_left: usize,
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
