//! The resources of representations: URLs with byte ranges, and where the manifest names them.

use std::collections::HashSet;
use std::rc::Rc;

use super::super::address::{Span, Target, path_of, target};
use super::super::problem::What;
use super::dom::{Dom, Id, Name};
use super::times::Times;

/// A file, or a byte range of one, that belongs to a representation: a segment, an init segment or an index.
#[derive(Debug, Clone)]
pub(super) struct Resource {
    /// The reference, as the manifest or its template writes it.
    pub(super) uri: Box<str>,
    /// The byte range of the file; `None` for the whole file.
    pub(super) part: Option<Span>,
    pub(super) named_by: NamedBy,
    /// The offset in the text whose line problems name.
    pub(super) at: usize,
}

/// What names a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamedBy {
    /// The attributes of a SegmentURL, Initialization or similar element.
    Element(Id),
    /// The text of a BaseURL.
    BaseUrl(Id),
    /// A template, or a list of an outer level.
    Template {
        /// Whether it is the init segment.
        is_init: bool,
    },
}

/// A representation and its resources in playback order.
#[derive(Debug)]
pub(super) struct Representation {
    pub(super) element: Id,
    /// The number of its Period, from 0.
    pub(super) period: usize,
    /// The base that the resources are relative to.
    pub(super) base: Rc<str>,
    /// The base that the innermost BaseURLs are relative to.
    pub(super) outer: Option<Rc<str>>,
    pub(super) resources: Vec<Resource>,
    /// The SegmentTemplates or inherited SegmentLists that name its resources, outermost first. Empty if
    /// each resource has an element of its own.
    pub(super) sources: Vec<Id>,
    /// The SegmentBases of a representation that is one file, outermost first.
    pub(super) bases: Vec<Id>,
    /// When the media segments, the last of the resources, are played. `None` if the list that is written
    /// need not say it.
    pub(super) times: Option<Times>,
    /// The BaseURLs that apply to it, outermost first.
    pub(super) base_urls: Vec<Id>,
    /// Whether its media are images with tiles of thumbnails.
    pub(super) is_image: bool,
}

impl Representation {
    /// The target of a resource.
    pub(super) fn target(&self, resource: &Resource) -> Target {
        match resource.named_by {
            NamedBy::BaseUrl(_) => match &self.outer {
                Some(outer) => target(outer, &resource.uri),
                None => Target::Elsewhere,
            },
            _ => target(&self.base, &resource.uri),
        }
    }

    /// The number of resources before the media segments.
    pub(super) fn inits(&self) -> usize {
        let is_media =
            |resource: &Resource| resource.named_by == NamedBy::Template { is_init: false };
        self.resources
            .iter()
            .position(is_media)
            .unwrap_or(self.resources.len())
    }
}

/// The representations of a manifest, in the order of the text, and its problems.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) representations: Vec<Representation>,
    /// With their offsets in the text.
    pub(super) problems: Vec<(usize, What)>,
}

/// The names of the attributes with a reference and with its byte range, for elements that have them.
pub(super) fn names_in(element: Name) -> Option<(&'static str, &'static str)> {
    match element {
        Name::SegmentUrl => Some(("media", "mediaRange")),
        Name::Initialization | Name::RepresentationIndex | Name::BitstreamSwitching => {
            Some(("sourceURL", "range"))
        }
        _ => None,
    }
}

/// A reference and its byte range, as they are written into a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) uri: String,
    pub(super) range: Option<Span>,
}

/// A byte range as manifests write it, both ends included.
pub(super) fn first_last(span: Span) -> String {
    format!("{}-{}", span.offset, span.end().saturating_sub(1))
}

/// The inverse of [`first_last`].
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
    /// BaseURLs that were reported to lead out of the folder.
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
