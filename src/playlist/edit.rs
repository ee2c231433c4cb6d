//! Edits of a text that leave the rest the same to the byte.

use crate::ranges::arrange_by_key;
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
        arrange_by_key(&mut self.spans, |(span, _)| (span.start, span.end));
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

/// Line ends are counted once for each block of this many bytes.
const BLOCK: usize = 1024;

/// Tells lines at a cost that does not depend on the length of the text.
pub(super) struct Lines<'t> {
    text: &'t [u8],
    /// How many line ends stand before each block.
    before: Vec<u32>,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let text = text.as_bytes();
        let mut passed = 0;
        let before = text.chunks(BLOCK).map(|block| {
            let here = passed;
            passed += ends(block);
            here
        });
        Self {
            before: before.collect(),
            text,
        }
    }

    /// The line that a byte is on, from 1.
    pub(super) fn of(&self, at: usize) -> u32 {
        let block = (at / BLOCK).min(self.before.len().saturating_sub(1));
        let rest = self.text.get(block * BLOCK..at.min(self.text.len()));
        let before = self.before.get(block).copied().unwrap_or(0);
        1 + before + ends(rest.unwrap_or_default())
    }
}

fn ends(text: &[u8]) -> u32 {
    text.iter().filter(|byte| **byte == b'\n').count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_applied_in_text_order() {
        let mut edits = Edits::default();
        edits.replace(4..5, "E");
        edits.replace(0..0, "<");
        edits.remove(1..3);
        edits.replace(2..4, "overlaps and is dropped");
        assert_eq!(edits.apply("abcdef"), "<adEf");
    }

    #[test]
    fn lines_are_counted_from_one() {
        let text = "a\n".repeat(3000);
        let lines = Lines::new(&text);
        for at in [0, 1, 2, 1023, 1024, 2048, 2049, 5999, 6000, 9000] {
            assert_eq!(lines.of(at), (at.min(6000) / 2) as u32 + 1, "{at}");
        }
        assert_eq!(Lines::new("").of(0), 1);
    }
}
