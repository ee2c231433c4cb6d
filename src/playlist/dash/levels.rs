//! What a Representation inherits from the levels around it: BaseURLs (ISO/IEC 23009-1, 5.6) and the
//! elements that name segments (5.3.9.1).

use std::rc::Rc;

use super::super::address::{Target, path_of, resolve, target};
use super::dom::{Dom, Id, Name};

/// The longest path that a base may have, in bytes: the longest path of Linux.
const LONGEST: usize = 4096;

/// The base that references are relative to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Base {
    /// A path, ending in `/` if it is a directory's.
    Path(Rc<str>),
    /// Another server.
    Elsewhere,
    /// Outside the folder, by this BaseURL.
    Outside(Id),
}

impl Base {
    /// The base of a BaseURL that is relative to this base.
    pub(super) fn enter(&self, id: Id, uri: &str) -> Self {
        let Base::Path(base) = self else {
            return self.clone();
        };
        let path = path_of(uri);
        let made = if path.ends_with('/') {
            // `resolve` takes names of files, so a name is appended and removed again.
            resolve(base, &format!("{path}_")).map(|inside| inside[..inside.len() - 1].to_owned())
        } else {
            resolve(base, uri)
        };
        match made {
            Some(made) if made.len() <= LONGEST => Base::Path(made.into()),
            Some(_) => Base::Elsewhere,
            None if target(base, uri) == Target::Outside => Base::Outside(id),
            None => Base::Elsewhere,
        }
    }

    /// The base within an element, and the BaseURL that sets it: the first that leads into the folder,
    /// since several BaseURLs of an element are alternatives.
    pub(super) fn within(&self, dom: &Dom, level: Id) -> (Self, Option<Id>) {
        let mut first = None;
        for id in dom.children(level) {
            if dom.name(id) != Name::BaseUrl {
                continue;
            }
            let Some((_, uri)) = dom.text_of(id).filter(|(_, uri)| !uri.is_empty()) else {
                continue;
            };
            let base = self.enter(id, &uri);
            if matches!(base, Base::Path(_)) {
                return (base, Some(id));
            }
            first.get_or_insert((base, Some(id)));
        }
        first.unwrap_or((self.clone(), None))
    }
}

/// The kinds of elements that name segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Base,
    Template,
    List,
}

/// A level of a manifest, with what it inherits.
#[derive(Debug, Clone)]
pub(super) struct Level {
    pub(super) base: Base,
    /// The base that the innermost BaseURLs are relative to, and the level that has them.
    pub(super) outer: Option<(Base, Id)>,
    /// The BaseURLs that lead to `base`, outermost first.
    pub(super) base_urls: Vec<Id>,
    /// The kind of element that names segments at the innermost level that has one.
    pub(super) kind: Kind,
    /// Outermost first.
    pub(super) bases: Vec<Id>,
    pub(super) templates: Vec<Id>,
    pub(super) lists: Vec<Id>,
}

impl Level {
    /// The level around the manifest, which has this path.
    pub(super) fn around(manifest: &str) -> Self {
        Self {
            base: Base::Path(manifest.into()),
            outer: None,
            base_urls: Vec::new(),
            kind: Kind::Base,
            bases: Vec::new(),
            templates: Vec::new(),
            lists: Vec::new(),
        }
    }

    /// The level of an element within this one.
    pub(super) fn within(&self, dom: &Dom, id: Id) -> Self {
        let mut level = self.clone();
        let (base, url) = self.base.within(dom, id);
        if let Some(url) = url {
            level.outer = Some((std::mem::replace(&mut level.base, base), id));
            level.base_urls.push(url);
        }
        let mut kind = None;
        for child in dom.children(id) {
            let (of, known) = match dom.name(child) {
                Name::SegmentBase => (Kind::Base, &mut level.bases),
                Name::SegmentTemplate => (Kind::Template, &mut level.templates),
                Name::SegmentList => (Kind::List, &mut level.lists),
                _ => continue,
            };
            // One of a kind at each level.
            if known
                .last()
                .is_none_or(|last| dom.parent(*last) != Some(id))
            {
                known.push(child);
            }
            kind = match kind {
                Some(Kind::List) => kind,
                Some(Kind::Template) if of == Kind::Base => kind,
                _ => Some(of),
            };
        }
        level.kind = kind.unwrap_or(level.kind);
        level
    }
}
