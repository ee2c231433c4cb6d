//! Attribute lists (section 4.2): `NAME=value,NAME="value, with commas"`.

use std::ops::Range;

/// One attribute, by its places in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) name: Range<usize>,
    /// The value without its quotes.
    pub(super) value: Range<usize>,
    /// From its name to the end of its value, quotes included.
    pub(super) whole: Range<usize>,
}

/// The attributes in `text[list]`. What is no attribute is passed over up to the next comma.
pub(super) fn parse(text: &str, list: Range<usize>) -> Vec<Attribute> {
    let bytes = text.as_bytes();
    let find = |from: usize, wanted: &[u8]| {
        let rest = bytes.get(from..list.end).unwrap_or_default();
        let at = rest.iter().position(|b| wanted.contains(b));
        at.map_or(list.end, |at| from + at)
    };
    let mut found = Vec::new();
    let mut at = list.start;
    while at < list.end {
        while at < list.end && matches!(bytes[at], b' ' | b'\t') {
            at += 1;
        }
        let start = at;
        let name_end = find(start, b"=,");
        if name_end == list.end || bytes[name_end] == b',' {
            at = name_end + 1;
            continue;
        }
        let begin = name_end + 1;
        let (value, end) = match bytes.get(begin) {
            Some(b'"') if begin < list.end => {
                let close = find(begin + 1, b"\"");
                (begin + 1..close, (close + 1).min(list.end))
            }
            _ => {
                let end = find(begin, b",");
                (begin..end, end)
            }
        };
        found.push(Attribute {
            name: start..name_end,
            value,
            whole: start..end,
        });
        at = find(end, b",") + 1;
    }
    found
}

/// The span that takes an attribute away with the comma that goes with it.
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
        let found = parse(text, 0..text.len());
        let shown: Vec<_> = found
            .iter()
            .map(|a| (&text[a.name.clone()], &text[a.value.clone()]))
            .collect();
        assert_eq!(
            shown,
            [("A", "1"), ("B", "x,y=z"), ("C", ""), ("D", "open")]
        );
        let without = |at: usize| {
            let mut text = text.to_owned();
            text.replace_range(removal(&text, &(0..text.len()), &found[at]), "");
            text
        };
        assert_eq!(without(0), "B=\"x,y=z\", C=,junk,D=\"open");
        assert_eq!(without(1), "A=1, C=,junk,D=\"open");
    }
}
