//! JSON (RFC 8259): finds strings, and the members whose values are URLs.

use std::ops::Range;

use serde::de::IgnoredAny;

use super::spot::Spot;

/// Endings of the names of members that hold a URL: in asset lists (URI), steering manifests
/// (RELOAD-URI), chapters and storyboards (url), and players' lists of sources and tracks.
const ADDRESSES: [&str; 9] = [
    "uri",
    "url",
    "src",
    "href",
    "file",
    "image",
    "poster",
    "thumbnail",
    "sprite",
];

pub(in super::super) fn is_json(text: &str) -> bool {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let begins = text.trim_start().starts_with(['{', '[']);
    begins && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

pub(super) fn spots(text: &str, visit: &mut dyn FnMut(Spot)) {
    let mut is_address = false;
    let mut at = 0;
    while let Some(string) = string(text, at) {
        at = string.end + 1;
        let raw = &text[string.clone()];
        let Some(value) = decoded(raw) else { continue };
        let is_name = text[at..].trim_start().starts_with(':');
        if is_name {
            let name = value.to_ascii_lowercase();
            let name = name.strip_suffix('s').unwrap_or(&name);
            is_address = ADDRESSES.iter().any(|end| name.ends_with(end));
        } else if is_address || value.contains('.') {
            visit(Spot {
                at: string,
                value,
                is_link: is_address,
            });
        }
    }
}

/// The next string at or behind `from`, without its quotes.
fn string(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let start = from + bytes.get(from..)?.iter().position(|b| *b == b'"')? + 1;
    let mut at = start;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(start..at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn decoded(raw: &str) -> Option<String> {
    if !raw.contains('\\') {
        return Some(raw.to_owned());
    }
    serde_json::from_str(&format!("\"{raw}\"")).ok()
}
