//! Relative references (RFC 3986) and the range links in their queries.

use std::ops::Range;

use percent_encoding::percent_decode_str;

/// Consecutive bytes: of the archive, where an entry's data lies, or of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub offset: u64,
    /// How many bytes.
    pub size: u64,
}

impl Span {
    /// Offset behind the last byte.
    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(self.size)
    }

    /// A part of this one, given by its place within; `None` if it reaches beyond.
    pub(super) fn part(&self, part: Span) -> Option<Span> {
        let end = part.offset.checked_add(part.size)?;
        let offset = self.offset.checked_add(part.offset)?;
        (end <= self.size).then_some(Span { offset, ..part })
    }

    /// The place within this one of a span that is a part of it.
    pub(super) fn within(&self, part: Span) -> Option<Span> {
        let offset = part.offset.checked_sub(self.offset)?;
        let place = Span { offset, ..part };
        self.part(place).map(|_| place)
    }
}

/// Where a link leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// To another server, another root, or nowhere: none of ours.
    Elsewhere,
    /// Out of the folder, by `..`.
    Outside,
    /// To a file: its path.
    Path(String),
}

/// The path that a relative reference in the file `base` means, both relative to the folder that
/// everything is in. `None` if it leads elsewhere or out of the folder.
pub fn resolve(base: &str, uri: &str) -> Option<String> {
    match target(base, uri) {
        Target::Path(path) => Some(path),
        _ => None,
    }
}

pub(super) fn target(base: &str, uri: &str) -> Target {
    let (path, _, _) = split(uri);
    if path.is_empty() || path.starts_with('/') || has_scheme(uri) {
        return Target::Elsewhere;
    }
    let Ok(path) = percent_decode_str(path).decode_utf8() else {
        return Target::Elsewhere;
    };
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
    match components.is_empty() {
        true => Target::Elsewhere,
        false => Target::Path(components.join("/")),
    }
}

/// A reference with a scheme is absolute (RFC 3986, section 4.3).
fn has_scheme(uri: &str) -> bool {
    let end = uri.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')));
    end.is_some_and(|end| {
        uri[end..].starts_with(':') && uri.starts_with(|c: char| c.is_ascii_alphabetic())
    })
}

/// Path, query and fragment of a reference, the latter two with their `?` and `#`.
fn split(uri: &str) -> (&str, &str, &str) {
    let (rest, fragment) = uri.split_at(uri.find('#').unwrap_or(uri.len()));
    let (path, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
    (path, query, fragment)
}

/// The range link of a reference: the last parameter `range` of its query, if it is one, and where
/// in the reference it stands with the `?` or `&` before it.
fn find_range(uri: &str) -> Option<(Range<usize>, Span)> {
    let (path, query, _) = split(uri);
    let mut end = query.len();
    while let Some(start) = query[..end].rfind(['?', '&']) {
        if let Some(span) = query[start + 1..end].strip_prefix("range=").and_then(parse) {
            return Some((path.len() + start..path.len() + end, span));
        }
        end = start;
    }
    None
}

/// The bytes that a reference's range link names.
pub(super) fn range_of(uri: &str) -> Option<Span> {
    find_range(uri).map(|(_, span)| span)
}

/// `offset,size`, both decimal.
fn parse(text: &str) -> Option<Span> {
    let (offset, size) = text.split_once(',')?;
    let span = Span {
        offset: number(offset)?,
        size: number(size)?,
    };
    span.offset.checked_add(span.size).map(|_| span)
}

/// Digits only: `parse` alone would take a sign.
pub(super) fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// The reference with a range link; one that it has already, of another archive, gives way.
pub(super) fn add_range(uri: &str, span: Span) -> String {
    let bare = strip_range(uri);
    let (path, query, fragment) = split(&bare);
    let mark = if query.is_empty() { "?" } else { "&" };
    format!(
        "{path}{query}{mark}range={},{}{fragment}",
        span.offset, span.size
    )
}

/// The reference without its range link; the rest of a query stays.
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

/// The reference without query and fragment.
pub(super) fn path_of(uri: &str) -> &str {
    split(uri).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_links_lead() {
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
    fn range_links_come_and_go() {
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
