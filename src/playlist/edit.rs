//! Edits of a text that leave the rest the same to the byte.

use std::ops::Range;

/// Replacements of spans of a text, in any order. Of two that overlap, only the one that begins first
/// in the text is made.
///
/// All new text is in one buffer, as a playlist may have hundreds of thousands of links.
#[derive(Debug, Default)]
pub(super) struct Edits {
    /// Each span of the text, and the part of `new` that replaces it.
    spans: Vec<(Range<usize>, Range<usize>)>,
    new: String,
}

impl Edits {
    /// Replaces a span by `with`. An empty span inserts.
    pub(super) fn replace(&mut self, span: Range<usize>, with: impl AsRef<str>) {
        let start = self.new.len();
        self.new.push_str(with.as_ref());
        self.spans.push((span, start..self.new.len()));
    }

    pub(super) fn remove(&mut self, span: Range<usize>) {
        self.replace(span, "");
    }

    /// The edited text.
    pub(super) fn apply(mut self, text: &str) -> String {
        // Stable: two insertions at the same place keep their order.
        self.spans.sort_by_key(|(span, _)| (span.start, span.end));
        let mut out = String::with_capacity(text.len() + self.new.len());
        let mut at = 0;
        for (span, with) in self.spans {
            let Some(kept) = text.get(at..span.start) else {
                continue;
            };
            out.push_str(kept);
            out.push_str(&self.new[with]);
            at = span.end;
        }
        out.push_str(text.get(at..).unwrap_or_default());
        out
    }
}

/// The lines of a text, each with its number from 1 and including its line end. A carriage return
/// alone is a line end only in a text without line feeds.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (u32, Range<usize>)> {
    let end = if text.contains('\n') { '\n' } else { '\r' };
    let mut at = 0;
    (1..)
        .zip(text.split_inclusive(end))
        .map(move |(line, whole)| {
            let start = at;
            at += whole.len();
            (line, start..at)
        })
}

/// Finds the line numbers of bytes, from 1. Ascending lookups take one pass over the text.
pub(super) struct Lines<'t> {
    text: &'t str,
    at: usize,
    line: u32,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
        }
    }

    pub(super) fn of(&mut self, at: usize) -> u32 {
        if at < self.at {
            (self.at, self.line) = (0, 1);
        }
        let passed = self.text.as_bytes().get(self.at..at).unwrap_or_default();
        self.line += passed.iter().filter(|b| **b == b'\n').count() as u32;
        self.at = self.at.max(at);
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_made_in_the_order_of_the_text() {
        let mut edits = Edits::default();
        edits.replace(4..5, "E");
        edits.replace(0..0, "<");
        edits.remove(1..3);
        edits.replace(2..4, "overlaps and is dropped");
        assert_eq!(edits.apply("abcdef"), "<adEf");
    }
}
