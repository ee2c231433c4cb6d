//! The places in a companion's text where a link may stand.

use std::ops::Range;

use super::super::address::path_of;

/// A part of a text that may be a link.
#[derive(Debug)]
pub(super) struct Spot {
    /// Its bytes in the text.
    pub(super) at: Range<usize>,
    /// Its value: the text with the escapes of its own syntax decoded.
    pub(super) value: String,
    /// Whether players look for a link here.
    pub(super) is_link: bool,
}

/// Visits the words of a text that may be file names with an extension. White space, quotes and
/// brackets separate words.
pub(super) fn words(text: &str, within: Range<usize>, visit: &mut dyn FnMut(Spot)) {
    let separates = |c: char| c.is_whitespace() || "\"'`<>()[]{}|,;=".contains(c);
    let part = &text[within.clone()];
    let mut at = within.start;
    for word in part.split_inclusive(separates) {
        let name = word.trim_end_matches(separates);
        let has_extension = path_of(name)
            .rsplit_once('.')
            .is_some_and(|(stem, extension)| !stem.is_empty() && !extension.is_empty());
        if has_extension {
            visit(Spot {
                at: at..at + name.len(),
                value: name.to_owned(),
                is_link: false,
            });
        }
        at += word.len();
    }
}
