//! HLS playlists (RFC 8216bis; sections cited are those of draft-pantos-hls-rfc8216bis-18).

mod attributes;
mod site;
mod variables;

use std::collections::HashSet;

use site::{Kind, Site, scan};
use variables::Substituted;

use super::address::{
    Located, Span, Target, Unescaped, add_link, is_rooted, is_too_long, locate, path_of, query_of,
    range_of, strip_link, target,
};
use super::context::Context;
use super::edit::{Edits, lines};
use super::problem::{Linked, Problems, What, excerpt};
use super::reference::{Reference, Role};

/// Playlists must not begin with a byte order mark (section 4.1), but some do.
const BOM: char = '\u{feff}';

/// Returns the extent of an entry by its path.
type Find<'a> = &'a dyn Fn(&str) -> Option<Span>;

/// A playlist, its own path, and how other playlists refer to it.
#[derive(Clone, Copy)]
pub(super) struct Hls<'t> {
    pub(super) base: &'t str,
    pub(super) text: &'t str,
    pub(super) contexts: &'t [Context],
}

pub(super) fn is_hls(text: &str) -> bool {
    let text = text.strip_prefix(BOM).unwrap_or(text);
    let after = text.strip_prefix("#EXTM3U");
    after.is_some_and(|after| after.is_empty() || after.starts_with(|c: char| c.is_whitespace()))
}

/// A link whose file was found.
struct Found<'s> {
    /// The reference: the site's text with variables substituted.
    value: &'s str,
    path: String,
    unescaped: Option<Unescaped>,
}

impl<'t> Hls<'t> {
    /// The files that it links to, each once: a hostile text has the same link on each of a million lines. `has` says
    /// whether a file exists.
    pub(super) fn references(&self, has: &dyn Fn(&str) -> bool) -> Vec<Reference> {
        let mut all = Vec::new();
        let mut seen = HashSet::new();
        self.scan(&mut |site| {
            let role = match site.kind {
                Kind::Segment | Kind::Map | Kind::Part => Role::Media,
                Kind::Rendition | Kind::Report => Role::Playlist,
                Kind::Key => Role::Key,
                Kind::Hint | Kind::Other | Kind::Service => Role::Other,
                Kind::Unknown => return,
            };
            for value in values(&site.value) {
                if let Target::Path(path) = locate(self.base, value, has).target
                    && seen.insert(path.clone())
                {
                    let line = site.line;
                    all.push(Reference { line, path, role });
                }
            }
        });
        all
    }

    /// The playlists that it refers to, each with the context that it gives them.
    pub(super) fn refers(&self, has: &dyn Fn(&str) -> bool) -> Vec<(String, Context)> {
        let mut all = Vec::new();
        // Each context by itself: the variables of this playlist may depend on it.
        let unknown = [Context::default()];
        let contexts = if self.contexts.is_empty() {
            &unknown[..]
        } else {
            self.contexts
        };
        for context in contexts.chunks(1) {
            let mut found: Vec<(String, bool, String)> = Vec::new();
            let scanned = scan(self.text, context, &mut |site| {
                let is_rendition = site.kind == Kind::Rendition;
                if !is_rendition && !matches!(site.kind, Kind::Report | Kind::Other | Kind::Service)
                {
                    return;
                }
                if let Substituted::One(value) = &site.value
                    && let Target::Path(path) = locate(self.base, value, has).target
                {
                    found.push((path, is_rendition, query_of(value).to_owned()));
                }
            });
            let imports = scanned.variables.exports();
            for (path, is_rendition, query) in found {
                let query = scanned.variables.whole(&query);
                let imports = is_rendition.then(|| imports.clone());
                all.push((path, Context { imports, query }));
            }
        }
        all
    }

    pub(super) fn link(&self, find: Find) -> Linked {
        self.change(find, &|site, found, place, edits| {
            let raw = &self.text[site.uri.clone()];
            // A range link cannot follow a variable whose value has a query or needs escapes. In that
            // case write the value instead of the variable.
            let tail = |uri: &str| uri.len() - path_of(uri).len();
            let is_raw =
                raw == found.value || (found.unescaped.is_none() && tail(raw) == tail(found.value));
            let raw = if is_raw { raw } else { found.value };
            let link = add_link(raw, found.unescaped, place);
            edits.replace(site.uri.clone(), site.quoted(link));
            site.remove_range(edits);
            true
        })
    }

    pub(super) fn range_links(&self) -> Vec<(String, Span)> {
        let mut all = Vec::new();
        self.scan(&mut |site| {
            if let Some((path, link)) = self.range_link(site) {
                all.push((path, link));
            }
        });
        all
    }

    /// The range link of a site, and the path that it leads to. Variables with an unknown value stay
    /// in the path.
    fn range_link(&self, site: &Site) -> Option<(String, Span)> {
        if site.kind == Kind::Unknown {
            return None;
        }
        let raw = &self.text[site.uri.clone()];
        let link = range_of(raw)?;
        let value = match &site.value {
            Substituted::One(value) => value,
            Substituted::Several(_) | Substituted::Unknown(..) => raw,
        };
        match target(self.base, value) {
            Target::Path(path) => Some((path, link)),
            _ => None,
        }
    }

    pub(super) fn playable(&self, find: Find) -> String {
        let mut edits = Edits::default();
        self.scan(&mut |site| {
            let Some((path, link)) = self.range_link(site) else {
                return;
            };
            let Some((entry, part)) =
                find(&path).and_then(|entry| Some((entry, entry.within(link)?)))
            else {
                return;
            };
            let is_whole = part.offset == 0 && part.size == entry.size;
            // The link already has a byte range of its own, which this one would contradict.
            if site.range.is_some() || !(is_whole || write_range(site, part, self.text, &mut edits))
            {
                return;
            }
            let uri = &self.text[site.uri.clone()];
            edits.replace(site.uri.clone(), site.quoted(strip_link(uri)));
        });
        edits.apply(self.text)
    }

    pub(super) fn byterange(&self, archive: &str, find: Find) -> Linked {
        let text = self.text;
        let mut linked = self.change(find, &|site, _, place, edits| {
            if matches!(site.kind, Kind::Rendition | Kind::Report) {
                return true;
            }
            site.remove_range(edits);
            if !write_range(site, place, text, edits) {
                return false;
            }
            edits.replace(site.uri.clone(), site.quoted(archive.to_owned()));
            true
        });
        if linked.text != text {
            linked.text = with_version(&linked.text);
        }
        linked
    }

    fn scan(&self, visit: &mut dyn FnMut(&Site<'t>)) -> Problems {
        if is_hls(self.text) {
            scan(self.text, self.contexts, visit).problems
        } else {
            Problems::default()
        }
    }

    /// Calls `edit` for each link that leads to an entry, with the extent in the archive that the
    /// link means, and collects the problems of the other links. If `edit` returns false, the link still leads to a
    /// loose file.
    fn change(&self, find: Find, edit: &dyn Fn(&Site, &Found, Span, &mut Edits) -> bool) -> Linked {
        let mut edits = Edits::default();
        let (mut problems, mut nowhere) = (Problems::default(), Problems::default());
        let mut loose = Vec::new();
        let of_text = self.scan(&mut |site| {
            let outcome = self.find(site, find).and_then(|found| {
                let entry = find(&found.path);
                let size = entry.map_or(0, |entry| entry.size);
                let place = entry.and_then(|entry| entry.part(site.part_of(size)?));
                match place {
                    Some(place) => Ok((found, place)),
                    None => Err(Some(What::Beyond {
                        uri: excerpt(&self.text[site.uri.clone()]),
                        size,
                    })),
                }
            });
            match outcome {
                Ok((found, place)) => {
                    if !edit(site, &found, place, &mut edits) {
                        loose.push(found.path);
                    }
                }
                Err(None) => {}
                Err(Some(what)) => {
                    let is_absent = matches!(what, What::Missing { .. } | What::Outside { .. });
                    let list = if is_absent && site.may_be_missing {
                        &mut nowhere
                    } else {
                        &mut problems
                    };
                    list.push(site.line, what);
                }
            }
        });
        problems.extend(of_text);
        Linked {
            text: edits.apply(self.text),
            problems: problems.finish(),
            loose,
            nowhere: nowhere.finish(),
        }
    }

    /// The file that a site leads to. `Err(None)`: it leads to no file, and this is no problem.
    fn find<'s>(&self, site: &'s Site, find: Find) -> Result<Found<'s>, Option<What>> {
        let uri = &self.text[site.uri.clone()];
        if is_too_long(uri) {
            let uri = excerpt(uri);
            return Err((site.kind != Kind::Unknown).then_some(What::Missing { uri }));
        }
        let has = |path: &str| find(path).is_some();
        let locate = |value: &'s str| (value, locate(self.base, value, &has));
        let all: Vec<(&str, Located)> = match &site.value {
            Substituted::Unknown(..) if site.kind == Kind::Unknown => return Err(None),
            Substituted::Unknown(name, why) => {
                return Err(Some(What::Unknown {
                    uri: excerpt(uri),
                    name: excerpt(name),
                    why,
                }));
            }
            value => values(value).map(locate).collect(),
        };
        let mut found: Option<Found> = None;
        for (value, Located { target, unescaped }) in &all {
            let Target::Path(path) = target else { continue };
            if !has(path) {
                continue;
            }
            match &found {
                None => {
                    found = Some(Found {
                        value,
                        path: path.clone(),
                        unescaped: *unescaped,
                    });
                }
                Some(first) if first.path != *path => {
                    return Err(Some(What::Ambiguous {
                        uri: excerpt(uri),
                        paths: [first.path.clone(), path.clone()],
                    }));
                }
                Some(_) => {}
            }
        }
        if let Some(found) = found {
            return match site.kind {
                Kind::Unknown => Err(Some(What::Mention {
                    uri: excerpt(uri),
                    more: 0,
                })),
                _ => Ok(found),
            };
        }
        if site.kind == Kind::Unknown {
            return Err(None);
        }
        let uri = excerpt(uri);
        let (value, first) = all.into_iter().next().ok_or(None)?;
        Err(match first.target {
            Target::Elsewhere if is_rooted(value) => Some(What::Rooted { uri }),
            Target::Elsewhere => None,
            _ if site.kind == Kind::Service => Some(What::Absent { uri }),
            Target::Outside => Some(What::Outside { uri }),
            Target::Path(_) => Some(What::Missing { uri }),
        })
    }
}

/// The values of a link in all contexts.
fn values<'s>(value: &'s Substituted) -> impl Iterator<Item = &'s str> {
    let (one, several) = match value {
        Substituted::One(one) => (Some(&**one), &[][..]),
        Substituted::Several(all) => (None, &all[..]),
        Substituted::Unknown(..) => (None, &[][..]),
    };
    one.into_iter().chain(several.iter().map(String::as_str))
}

impl Site<'_> {
    /// A link as the syntax of this place requires it.
    fn quoted(&self, link: String) -> String {
        if self.needs_quotes && link.contains(',') {
            format!("\"{link}\"")
        } else {
            link
        }
    }

    /// Removes the byte range that the playlist states.
    fn remove_range(&self, edits: &mut Edits) {
        for span in self.range.iter().flat_map(|range| &range.spans) {
            edits.remove(span.clone());
        }
    }
}

/// Writes the byte range of a link in the standard's syntax. `false` if this place has none.
fn write_range(site: &Site, part: Span, text: &str, edits: &mut Edits) -> bool {
    let Span { offset, size } = part;
    let syntax = match site.kind {
        Kind::Segment => {
            // With the same line end as the link.
            let end = line_end(text, &text[site.uri.end..]);
            format!("#EXT-X-BYTERANGE:{size}@{offset}{end}")
        }
        Kind::Map | Kind::Part => format!(",BYTERANGE=\"{size}@{offset}\""),
        Kind::Hint => format!(",BYTERANGE-START={offset},BYTERANGE-LENGTH={size}"),
        Kind::Rendition
        | Kind::Report
        | Kind::Key
        | Kind::Other
        | Kind::Service
        | Kind::Unknown => return false,
    };
    edits.replace(site.insert..site.insert, syntax);
    true
}

/// Raises EXT-X-VERSION to what byte ranges need: 4 for EXT-X-BYTERANGE, 6 for EXT-X-MAP in anything
/// but an I-frame playlist (section 8).
fn with_version(text: &str) -> String {
    const TAG: &str = "#EXT-X-VERSION:";
    let needed = if text.contains("#EXT-X-MAP:") { 6 } else { 4 };
    let mut edits = Edits::default();
    let line = text
        .find(TAG)
        .filter(|at| *at == 0 || text[..*at].ends_with(['\n', '\r']));
    if let Some(at) = line {
        let start = at + TAG.len();
        let end = text[start..]
            .find(['\r', '\n'])
            .map_or(text.len(), |len| start + len);
        let version: u64 = text[start..end].trim().parse().unwrap_or(0);
        if version < needed {
            edits.replace(start..end, needed.to_string());
        }
    } else if let Some((_, first)) = lines(text).next() {
        let end = line_end(
            text,
            text[first.clone()].trim_start_matches(|c| c != '\r' && c != '\n'),
        );
        edits.replace(first.end..first.end, format!("{TAG}{needed}{end}"));
    }
    edits.apply(text)
}

/// The line end of the line that `rest` begins in.
fn line_end(text: &str, rest: &str) -> &'static str {
    let rest = rest.trim_start_matches([' ', '\t']);
    if rest.starts_with("\r\n") {
        "\r\n"
    } else if rest.starts_with('\r') && !text.contains('\n') {
        "\r"
    } else {
        "\n"
    }
}
