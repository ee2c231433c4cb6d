//! Attribute lists (section 4.2): `NAME=value,NAME="value, with commas"`.

use std::ops::Range;

/// An attribute, as spans of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) name: Range<usize>,
    /// The value without its quotes.
    pub(super) value: Range<usize>,
    /// From its name to the end of its value, quotes included.
    pub(super) whole: Range<usize>,
}

impl Attribute {
    /// Whether the value is quoted.
    pub(super) fn is_quoted(&self) -> bool {
        self.value.start > self.name.end + 1
    }
}

/// The attributes in `text[list]`, found one at a time: a line may have millions. Skips anything that
/// is not an attribute, up to the next comma.
pub(super) fn each(text: &str, list: Range<usize>) -> impl Iterator<Item = Attribute> {
    let bytes = text.as_bytes();
    let end_of_list = list.end;
    let find = move |from: usize, wanted: &[u8]| {
        let rest = bytes.get(from..end_of_list).unwrap_or_default();
        let at = rest.iter().position(|b| wanted.contains(b));
        at.map_or(end_of_list, |at| from + at)
    };
    let mut at = list.start;
    std::iter::from_fn(move || {
        while at < end_of_list {
            while at < end_of_list && matches!(bytes[at], b' ' | b'\t') {
                at += 1;
            }
            let start = at;
            let name_end = find(start, b"=,");
            if name_end == end_of_list || bytes[name_end] == b',' {
                at = name_end + 1;
                continue;
            }
            let begin = name_end + 1;
            let (value, end) = match bytes.get(begin) {
                Some(b'"') if begin < end_of_list => {
                    let close = find(begin + 1, b"\"");
                    (begin + 1..close, (close + 1).min(end_of_list))
                }
                _ => {
                    let end = find(begin, b",");
                    (begin..end, end)
                }
            };
            at = find(end, b",") + 1;
            return Some(Attribute {
                name: start..name_end,
                value,
                whole: start..end,
            });
        }
        None
    })
}

/// The value of the first attribute of that name.
pub(super) fn value<'t>(text: &'t str, list: &Range<usize>, name: &str) -> Option<&'t str> {
    let found = each(text, list.clone()).find(|a| &text[a.name.clone()] == name);
    found.map(|a| &text[a.value])
}

/// The span to remove for removing an attribute: it includes one of the commas next to it.
pub(super) fn removal(text: &str, list: &Range<usize>, attribute: &Attribute) -> Range<usize> {
    let whole = &attribute.whole;
    let bytes = text.as_bytes();
    if whole.start > list.start && bytes[whole.start - 1] == b',' {
        whole.start - 1..whole.end
    } else if whole.end < list.end && bytes[whole.end] == b',' {
        whole.start..whole.end + 1
    } else {
        whole.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let text = "A=1,B=\"x,y=z\", C=,junk,D=\"open";
        let found: Vec<_> = each(text, 0..text.len()).collect();
        let shown: Vec<_> = found
            .iter()
            .map(|a| (&text[a.name.clone()], &text[a.value.clone()]))
            .collect();
        assert_eq!(
            shown,
            [("A", "1"), ("B", "x,y=z"), ("C", ""), ("D", "open")]
        );
        let quoted: Vec<_> = found.iter().map(Attribute::is_quoted).collect();
        assert_eq!(quoted, [false, true, false, true]);
        let without = |at: usize| {
            let mut text = text.to_owned();
            text.replace_range(removal(&text, &(0..text.len()), &found[at]), "");
            text
        };
        assert_eq!(without(0), "B=\"x,y=z\", C=,junk,D=\"open");
        assert_eq!(without(1), "A=1, C=,junk,D=\"open");
    }
}
