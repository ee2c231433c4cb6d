//! HLS playlists (RFC 8216bis; sections cited are those of draft-pantos-hls-rfc8216bis-18).

mod attributes;
mod site;

use site::{Kind, Site};

use super::address::{Span, Target, add_range, range_of, strip_range, target};
use super::edit::Edits;
use super::problem::{Linked, Problem, What};
use super::{Reference, Role};

/// A byte order mark must not be there (section 4.1), and sometimes is.
const BOM: char = '\u{feff}';

pub(super) fn is_hls(text: &str) -> bool {
    let text = text.strip_prefix(BOM).unwrap_or(text);
    let after = text.strip_prefix("#EXTM3U");
    after.is_some_and(|after| after.is_empty() || after.starts_with(|c: char| c.is_whitespace()))
}

pub(super) fn references(base: &str, text: &str) -> Vec<Reference> {
    let (sites, _) = sites(text);
    let reference = |site: &Site| {
        let Target::Path(path) = target(base, &site.value) else {
            return None;
        };
        Some(Reference {
            line: site.line,
            path,
            role: match site.kind {
                Kind::Segment | Kind::Map | Kind::Part => Role::Media,
                Kind::Playlist => Role::Playlist,
                Kind::Key => Role::Key,
                Kind::Hint | Kind::Other => Role::Other,
            },
        })
    };
    sites.iter().filter_map(reference).collect()
}

pub(super) fn link(base: &str, text: &str, find: &dyn Fn(&str) -> Option<Span>) -> Linked {
    change(base, text, find, &|site, entry, part, edits| {
        let place = entry.part(part);
        let place = place.expect("a part of an entry of that size");
        edits.replace(site.uri.clone(), add_range(&text[site.uri.clone()], place));
        for said in site.range.iter().flat_map(|range| &range.said) {
            edits.remove(said.clone());
        }
        Change::Done
    })
}

pub(super) fn range_links(base: &str, text: &str) -> Vec<(String, Span)> {
    let (sites, _) = sites(text);
    let link = |site: &Site| match target(base, &site.value) {
        Target::Path(path) => Some((path, range_of(&text[site.uri.clone()])?)),
        _ => None,
    };
    sites.iter().filter_map(link).collect()
}

pub(super) fn playable(base: &str, text: &str, find: &dyn Fn(&str) -> Option<Span>) -> String {
    let mut edits = Edits::default();
    for site in sites(text).0 {
        let uri = &text[site.uri.clone()];
        let (Some(link), Target::Path(path)) = (range_of(uri), target(base, &site.value)) else {
            continue;
        };
        let Some(part) = find(&path).and_then(|entry| Some((entry, entry.within(link)?))) else {
            continue;
        };
        let is_whole = part.1.offset == 0 && part.1.size == part.0.size;
        // With a byte range beside it a link would have two; whoever wrote that knows what it is.
        if site.range.is_some() || !(is_whole || say_range(&site, part.1, text, &mut edits)) {
            continue;
        }
        edits.replace(site.uri.clone(), strip_range(uri));
    }
    edits.apply(text)
}

pub(super) fn byterange(
    base: &str,
    text: &str,
    archive: &str,
    find: &dyn Fn(&str) -> Option<Span>,
) -> Linked {
    let mut linked = change(base, text, find, &|site, entry, part, edits| {
        if site.kind == Kind::Playlist {
            return Change::None;
        }
        let place = entry.part(part).expect("a part of an entry of that size");
        for said in site.range.iter().flat_map(|range| &range.said) {
            edits.remove(said.clone());
        }
        if !say_range(site, place, text, edits) {
            return Change::Loose;
        }
        edits.replace(site.uri.clone(), archive);
        Change::Done
    });
    if linked.text != text {
        linked.text = with_version(&linked.text);
    }
    linked
}

/// Says the byte range of a link as the standard does, if it does at this place.
fn say_range(site: &Site, part: Span, text: &str, edits: &mut Edits) -> bool {
    let Span { offset, size } = part;
    let said = match site.kind {
        Kind::Segment => {
            // The line ends as the link's own does.
            let end = match text[site.uri.end..]
                .trim_start_matches([' ', '\t'])
                .starts_with('\r')
            {
                true => "\r\n",
                false => "\n",
            };
            format!("#EXT-X-BYTERANGE:{size}@{offset}{end}")
        }
        Kind::Map | Kind::Part => format!(",BYTERANGE=\"{size}@{offset}\""),
        Kind::Hint => format!(",BYTERANGE-START={offset},BYTERANGE-LENGTH={size}"),
        Kind::Playlist | Kind::Key | Kind::Other => return false,
    };
    edits.replace(site.insert..site.insert, said);
    true
}

/// EXT-X-BYTERANGE needs version 4, EXT-X-MAP in anything but an I-frame playlist version 6
/// (section 8).
fn with_version(text: &str) -> String {
    const TAG: &str = "#EXT-X-VERSION:";
    let needed = match text.contains("#EXT-X-MAP:") {
        true => 6,
        false => 4,
    };
    let mut edits = Edits::default();
    let line = text
        .find(TAG)
        .filter(|at| *at == 0 || text[..*at].ends_with('\n'));
    if let Some(at) = line {
        let start = at + TAG.len();
        let end = text[start..]
            .find(['\r', '\n'])
            .map_or(text.len(), |len| start + len);
        let version: u64 = text[start..end].trim().parse().unwrap_or(0);
        if version < needed {
            edits.replace(start..end, needed.to_string());
        }
    } else if let Some(end) = text.find('\n') {
        let line_end = if text[..end].ends_with('\r') {
            "\r\n"
        } else {
            "\n"
        };
        edits.replace(end + 1..end + 1, format!("{TAG}{needed}{line_end}"));
    }
    edits.apply(text)
}

/// What became of a link.
enum Change {
    None,
    Done,
    /// It still points to a file of its own.
    Loose,
}

/// Goes through the links that lead to entries; `edit` gets the entry and the part of it.
fn change(
    base: &str,
    text: &str,
    find: &dyn Fn(&str) -> Option<Span>,
    edit: &dyn Fn(&Site, Span, Span, &mut Edits) -> Change,
) -> Linked {
    let (sites, mut problems) = sites(text);
    let mut edits = Edits::default();
    let mut loose = Vec::new();
    for site in &sites {
        let uri = text[site.uri.clone()].to_owned();
        let what = match target(base, &site.value) {
            Target::Elsewhere => continue,
            Target::Outside => What::Outside { uri },
            Target::Path(path) => match find(&path) {
                None => What::Missing { uri },
                Some(entry) => match site.part_of(entry.size) {
                    None => What::Beyond {
                        uri,
                        size: entry.size,
                    },
                    Some(part) => {
                        if let Change::Loose = edit(site, entry, part, &mut edits) {
                            loose.push(path);
                        }
                        continue;
                    }
                },
            },
        };
        let absent = matches!(what, What::Missing { .. } | What::Outside { .. });
        if !(absent && site.may_lack) {
            let line = site.line;
            problems.push(Problem { line, what });
        }
    }
    problems.sort_by_key(|problem| problem.line);
    Linked {
        text: edits.apply(text),
        problems,
        loose,
    }
}

fn sites(text: &str) -> (Vec<Site>, Vec<Problem>) {
    match is_hls(text) {
        true => site::sites(text),
        false => Default::default(),
    }
}
