//! Relative references (RFC 3986), and range links in their queries.

use std::borrow::Cow;
use std::ops::Range;

use percent_encoding::percent_decode_str;

use crate::ranges::decimal;

/// The longest path of a ZIP entry in bytes, with each byte escaped.
const LONGEST_PATH: usize = 3 * u16::MAX as usize;

/// Consecutive bytes of the archive or of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The offset of the first byte.
    pub offset: u64,
    /// The length in bytes.
    pub size: u64,
}

impl Span {
    /// All of a file of this size.
    pub(crate) const fn whole(size: u64) -> Self {
        Self { offset: 0, size }
    }

    /// The offset behind the last byte.
    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(self.size)
    }

    /// Converts a part that is relative to this span to an absolute one. `None` if it reaches beyond
    /// the span's end.
    pub(super) fn part(&self, part: Span) -> Option<Span> {
        let end = part.offset.checked_add(part.size)?;
        let offset = self.offset.checked_add(part.offset)?;
        (end <= self.size).then_some(Span { offset, ..part })
    }

    /// Converts an absolute part to one relative to this span. `None` if it is not within the span.
    pub(super) fn within(&self, part: Span) -> Option<Span> {
        let offset = part.offset.checked_sub(self.offset)?;
        let place = Span { offset, ..part };
        self.part(place).map(|_| place)
    }
}

/// The target of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// Not a file of the folder: another server, an absolute path, or nothing.
    Elsewhere,
    /// A path that leaves the folder by `..`.
    Outside,
    /// The path of a file, which may not exist.
    Path(String),
}

/// Resolves a reference in the file `base`. Both paths are relative to the packed folder. `None` if
/// the reference is absolute or leads out of the folder.
pub fn resolve(base: &str, uri: &str) -> Option<String> {
    match target(base, uri) {
        Target::Path(path) => Some(path),
        _ => None,
    }
}

/// Resolves a reference in the file `base` by RFC 3986 and the WHATWG URL standard.
pub(super) fn target(base: &str, uri: &str) -> Target {
    let (path, _, _) = split(uri);
    if path.is_empty() || path.starts_with(['/', '\\']) || has_scheme(uri) {
        return Target::Elsewhere;
    }
    // "If url is special and c is U+005C (\)" it separates like a slash (WHATWG, path state).
    let path = if path.contains('\\') {
        Cow::Owned(path.replace('\\', "/"))
    } else {
        Cow::Borrowed(path)
    };
    // File names are UTF-8. A path that does not decode to UTF-8 was not meant to be decoded.
    let decoded = percent_decode_str(&path).decode_utf8();
    join(base, &decoded.unwrap_or(Cow::Borrowed(&path)))
}

/// Joins a path to the folder of the file `base`.
fn join(base: &str, path: &str) -> Target {
    if path.len() > LONGEST_PATH {
        return Target::Elsewhere;
    }
    let mut components: Vec<&str> = base.split('/').collect();
    components.pop();
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." => match components.pop() {
                Some(_) => {}
                None => return Target::Outside,
            },
            name => components.push(name),
        }
    }
    if components.is_empty() {
        Target::Elsewhere
    } else {
        Target::Path(components.join("/"))
    }
}

/// A resolved reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Located {
    pub(super) target: Target,
    /// Set if the file was found by its name written without escapes.
    pub(super) unescaped: Option<Unescaped>,
}

/// A file name in a reference without the escapes that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unescaped {
    /// The length in bytes of the query and fragment behind the name.
    tail: usize,
    /// Whether `%` is a character of the name and does not begin an escape.
    percent: bool,
}

/// Finds the file that a reference means. `has` says whether a file exists.
///
/// Resolves the reference as browsers do. If that file does not exist, looks for one whose name the
/// reference contains without escapes (`ep #9.ts`, `what?.ts`, `50%41.ts`, `a: b.ts`).
pub(super) fn locate(base: &str, uri: &str, has: &dyn Fn(&str) -> bool) -> Located {
    let target = target(base, uri);
    if !matches!(&target, Target::Path(path) if has(path))
        && let Some((path, unescaped)) = locate_unescaped(base, uri, has)
    {
        return Located {
            target: Target::Path(path),
            unescaped: Some(unescaped),
        };
    }
    Located {
        target,
        unescaped: None,
    }
}

fn locate_unescaped(
    base: &str,
    uri: &str,
    has: &dyn Fn(&str) -> bool,
) -> Option<(String, Unescaped)> {
    /// The most places that are tried as the end of the name.
    const MOST_CUTS: usize = 8;
    let is_absolute = uri.starts_with('/') || uri.contains("://") || uri.starts_with("data:");
    if is_absolute || uri.len() > LONGEST_PATH || !uri.contains(RESERVED) {
        return None;
    }
    let cuts = uri.rmatch_indices(['#', '?']).map(|(at, _)| at);
    let cuts = std::iter::once(uri.len()).chain(cuts).take(MOST_CUTS);
    for cut in cuts {
        let name = &uri[..cut];
        let decoded = percent_decode_str(name).decode_utf8().ok();
        let readings = [(decoded, false), (Some(Cow::Borrowed(name)), true)];
        for (name, percent) in readings {
            if let Some(name) = name
                && let Target::Path(path) = join(base, &name)
                && has(&path)
            {
                let tail = uri.len() - cut;
                return Some((path, Unescaped { tail, percent }));
            }
        }
    }
    None
}

/// Characters with a special meaning in references that file names may contain.
const RESERVED: [char; 5] = ['#', '?', '%', '\\', ':'];

/// The query parameter that marks a range link whose name had no escapes before. Removing the range
/// link then removes the escapes, too.
const UNESCAPED: &str = "unescaped";

/// Adds a range link to a reference that [`locate`] resolved.
pub(super) fn add_link(uri: &str, unescaped: Option<Unescaped>, span: Span) -> String {
    let Some(Unescaped { tail, percent }) = unescaped else {
        return add_range(uri, span);
    };
    let (name, tail) = uri.split_at(uri.len().saturating_sub(tail));
    let mut escaped = String::with_capacity(uri.len() + 16);
    // A first component with a colon would be a scheme (RFC 3986, section 4.2).
    if has_scheme(name) {
        escaped.push_str("./");
    }
    for c in name.chars() {
        match c {
            '#' => escaped.push_str("%23"),
            '?' => escaped.push_str("%3F"),
            '\\' => escaped.push_str("%5C"),
            '%' if percent => escaped.push_str("%25"),
            c => escaped.push(c),
        }
    }
    let linked = add_range(&format!("{escaped}{tail}"), span);
    let (before, fragment) = linked.split_at(linked.find('#').unwrap_or(linked.len()));
    let marked = format!("{before}&{UNESCAPED}{fragment}");
    if strip_link(&marked) == uri {
        marked
    } else {
        linked
    }
}

/// Removes a range link: the inverse of [`add_link`].
pub(super) fn strip_link(uri: &str) -> String {
    let marked = find_range(uri).and_then(|(at, _)| {
        let behind = uri[at.end..].strip_prefix('&')?.strip_prefix(UNESCAPED)?;
        let is_last = behind.is_empty() || behind.starts_with('#');
        is_last.then(|| format!("{}{behind}", &uri[..at.start]))
    });
    let Some(bare) = marked else {
        return strip_range(uri);
    };
    let (path, query, fragment) = split(&bare);
    let path = match path.strip_prefix("./") {
        Some(name) if has_scheme(name) => name,
        _ => path,
    };
    let mut name = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        name.push_str(&rest[..at]);
        let (c, len) = match rest.get(at..at + 3) {
            Some("%23") => ('#', 3),
            Some("%3F") => ('?', 3),
            Some("%5C") => ('\\', 3),
            Some("%25") => ('%', 3),
            _ => ('%', 1),
        };
        name.push(c);
        rest = &rest[at + len..];
    }
    format!("{name}{rest}{query}{fragment}")
}

/// Whether a reference has a scheme, which makes it absolute (RFC 3986, section 4.3).
fn has_scheme(uri: &str) -> bool {
    let end = uri.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')));
    end.is_some_and(|end| {
        uri[end..].starts_with(':') && uri.starts_with(|c: char| c.is_ascii_alphabetic())
    })
}

/// Whether a reference is an absolute path or a `file:` URL, which no file of the folder has.
pub(super) fn is_rooted(uri: &str) -> bool {
    let is_slash = |c: char| c == '/' || c == '\\';
    let is_path = uri.starts_with(is_slash) && !uri[1..].starts_with(is_slash);
    let scheme = uri.get(..5);
    is_path || scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("file:"))
}

/// Whether a relative reference is too long to name an entry.
pub(super) fn is_too_long(uri: &str) -> bool {
    uri.len() > LONGEST_PATH && !has_scheme(uri)
}

/// The path, query and fragment of a reference. Query and fragment include their `?` and `#`.
fn split(uri: &str) -> (&str, &str, &str) {
    let (rest, fragment) = uri.split_at(uri.find('#').unwrap_or(uri.len()));
    let (path, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
    (path, query, fragment)
}

/// The range link of a reference: the last valid parameter `range` of its query, and its position in
/// the reference, including the `?` or `&` before it.
fn find_range(uri: &str) -> Option<(Range<usize>, Span)> {
    let (path, query, _) = split(uri);
    let mut end = query.len();
    // Only the first `?` begins the query. Another one is a character of a value.
    while let Some(start) = query[..end].rfind('&').or((end > 0).then_some(0)) {
        if let Some(span) = query[start + 1..end].strip_prefix("range=").and_then(parse) {
            return Some((path.len() + start..path.len() + end, span));
        }
        end = start;
    }
    None
}

/// The span that a reference's range link names.
pub(super) fn range_of(uri: &str) -> Option<Span> {
    find_range(uri).map(|(_, span)| span)
}

/// Parses `offset,size` in decimal.
fn parse(text: &str) -> Option<Span> {
    let (offset, size) = text.split_once(',')?;
    let span = Span {
        offset: decimal(offset)?,
        size: decimal(size)?,
    };
    span.offset.checked_add(span.size).map(|_| span)
}

/// Adds a range link to a reference, in place of an existing one.
pub(super) fn add_range(uri: &str, span: Span) -> String {
    let bare = strip_range(uri);
    let (path, query, fragment) = split(&bare);
    let mark = if query.is_empty() { "?" } else { "&" };
    format!(
        "{path}{query}{mark}range={},{}{fragment}",
        span.offset, span.size
    )
}

/// Removes a range link from a reference. The rest of its query stays.
pub(super) fn strip_range(uri: &str) -> String {
    let Some((at, _)) = find_range(uri) else {
        return uri.to_owned();
    };
    let (before, after) = (&uri[..at.start], &uri[at.end..]);
    match (uri[at.start..].starts_with('?'), after.strip_prefix('&')) {
        (true, Some(after)) => format!("{before}?{after}"),
        _ => format!("{before}{after}"),
    }
}

/// The query of a reference, without its `?`.
pub(super) fn query_of(uri: &str) -> &str {
    let query = split(uri).1;
    query.strip_prefix('?').unwrap_or(query)
}

/// The reference without query and fragment.
pub(super) fn path_of(uri: &str) -> &str {
    split(uri).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_links_resolve_to_entries() {
        let of = |base: &str, uri: &str| target(base, uri);
        let path = |p: &str| Target::Path(p.to_owned());
        assert_eq!(of("a/b.m3u8", "c.ts"), path("a/c.ts"));
        assert_eq!(of("a/b.m3u8", "../c.ts?x=1#t"), path("c.ts"));
        assert_eq!(of("a/b.m3u8", "./d//e/../c.ts"), path("a/d/c.ts"));
        assert_eq!(of("b.m3u8", "a%20b%2525.ts"), path("a b%25.ts"));
        assert_eq!(of("b.m3u8", "../c.ts"), Target::Outside);
        for elsewhere in [
            "http://h/c.ts",
            "/c.ts",
            "//h/c",
            "skd://k",
            "data:,x",
            "",
            "?q",
            "#f",
            ".",
        ] {
            assert_eq!(of("b.m3u8", elsewhere), Target::Elsewhere, "{elsewhere}");
        }
        assert_eq!(of("b.m3u8", "./a:b.ts"), path("a:b.ts"));
    }

    #[test]
    fn range_links_are_added_and_removed() {
        let span = Span {
            offset: 94,
            size: 15,
        };
        let table = [
            ("a.ts", "a.ts?range=94,15"),
            ("a.ts?x=1", "a.ts?x=1&range=94,15"),
            ("a.ts?x=1#f", "a.ts?x=1&range=94,15#f"),
            ("a.ts#f?x", "a.ts?range=94,15#f?x"),
        ];
        for (plain, linked) in table {
            assert_eq!(add_range(plain, span), linked);
            assert_eq!(range_of(linked), Some(span));
            assert_eq!(strip_range(linked), plain);
        }
        assert_eq!(add_range("a?range=1,2&b", span), "a?b&range=94,15");
        assert_eq!(strip_range("a?range=1,2&b"), "a?b");
        for none in [
            "a?range=1",
            "a?range=+1,2",
            "a?xrange=1,2",
            "a?range=18446744073709551615,1",
        ] {
            assert_eq!(range_of(none), None, "{none}");
        }
    }
}
