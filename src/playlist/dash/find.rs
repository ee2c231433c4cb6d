//! Finds the representations of a manifest and the resources of each.

use std::collections::HashSet;

use super::super::address::{Span, path_of};
use super::super::problem::What;
use super::dom::{Dom, Id, Name};
use super::expanded;
use super::levels::{Base, Kind, Level};
use super::period::{Period, periods};
use super::resources::{
    Finder, Found, NamedBy, Representation, Resource, base_file, byte_range, names_in,
};

/// Finds all representations. `size_of` returns the size of a file, if it exists.
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
    expanded::trim_periods(&mut finder.found);
    finder.found
}

impl Finder<'_> {
    pub(super) fn report(&mut self, at: Id, what: What) {
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
                    self.report(*id, What::Outside { uri });
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
            resources: Vec::new(),
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
                if !self.spend(made.resources.len()) {
                    self.report(element, What::Unlinked(expanded::TOO_MANY));
                    return;
                }
            }
            Kind::Base => {
                made.bases.clone_from(&level.bases);
                made.resources = self.file(level);
            }
        }
        self.found.representations.push(made);
    }

    /// Takes `resources` off the number of resources that the manifest may still have. False if that is too many.
    fn spend(&mut self, resources: usize) -> bool {
        let left = self.segments_left.checked_sub(resources);
        self.segments_left = left.unwrap_or(0);
        left.is_some()
    }

    fn resource(&self, uri: String, part: Option<Span>, named_by: NamedBy, at: Id) -> Resource {
        Resource {
            uri: uri.into(),
            part,
            named_by,
            at: self.dom.start(at),
        }
    }

    /// Adds the resources of SegmentLists (5.3.9.3). The innermost list with SegmentURLs counts, and for
    /// each other kind of element the innermost list that has it.
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
            made.resources = self.named_in(own, level, None);
            return;
        }
        for (list, name) in [(init, Name::Initialization), (media, Name::SegmentUrl)] {
            if let Some(list) = list {
                made.resources
                    .extend(self.named_in(list, level, Some(name)));
            }
        }
        made.sources.clone_from(&level.lists);
        let count = made.resources.len() - made.inits();
        made.times = expanded::times_of_list(dom, &level.lists, period, count);
    }

    /// The resources that a list names. With `only`, those of elements of that name, which are then written
    /// as a new list; else all, which are edited where they are.
    fn named_in(&self, list: Id, level: &Level, only: Option<Name>) -> Vec<Resource> {
        let dom = self.dom;
        let file = level.base_urls.last().and_then(|id| base_file(dom, *id));
        let mut resources = Vec::new();
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
            let named_by = match only {
                None => NamedBy::Element(id),
                Some(name) => NamedBy::Template {
                    is_init: name == Name::Initialization,
                },
            };
            let part = dom.value(id, range).and_then(|range| byte_range(&range));
            resources.push(self.resource(uri, part, named_by, id));
        }
        resources
    }

    /// The resources of a representation that is one file (5.3.9.2). A BaseURL names it; further BaseURLs
    /// name copies. Its init segment and index are byte ranges of it, unless they are separate files.
    fn file(&self, level: &Level) -> Vec<Resource> {
        let dom = self.dom;
        let mut resources = Vec::new();
        for id in level.bases.iter().flat_map(|base| dom.children(*base)) {
            if let Some((uri, range)) = names_in(dom.name(id))
                && let Some(uri) = dom.value(id, uri)
            {
                let part = dom.value(id, range).and_then(|range| byte_range(&range));
                resources.push(self.resource(uri.into(), part, NamedBy::Element(id), id));
            }
        }
        let Some((_, element)) = &level.outer else {
            return resources;
        };
        for id in dom.children(*element) {
            if dom.name(id) == Name::BaseUrl
                && let Some((_, uri)) = dom.text_of(id)
                && !path_of(&uri).is_empty()
                && !path_of(&uri).ends_with('/')
            {
                let named_by = NamedBy::BaseUrl(id);
                resources.push(self.resource(uri.into(), None, named_by, id));
            }
        }
        resources
    }
}
