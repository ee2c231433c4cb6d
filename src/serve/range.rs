//! The `Range` header (RFC 9110, section 14).

use std::ops::Range;

/// What a `Range` header asks of a representation of a known length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// All of it: there is no (valid) range, or several.
    Whole,
    /// Exactly this, which is not empty.
    Part(Range<u64>),
    /// Nothing that is there: 416.
    Unsatisfiable,
}

/// Reads a `Range` header's value for a representation of `len` bytes.
///
/// A header that is not valid, or counts in another unit, is ignored (section 14.2). Of several
/// ranges the unsatisfiable ones are dropped; if one is left it is answered, and if more are, all
/// of the representation is (section 14.2 lets a server ignore the header): no player asks for
/// several, and a multipart answer is what clients get wrong.
pub(super) fn asked(header: &str, len: u64) -> Asked {
    let Some(specs) = parse(header) else {
        return Asked::Whole;
    };
    let is_suffix = |spec: &Spec| matches!(spec, Spec::Suffix(n) if *n > 0);
    // A suffix of nothing is satisfiable, and no Content-Range could say it (section 14.1.2).
    if len == 0 && specs.iter().any(is_suffix) {
        return Asked::Whole;
    }
    let mut parts = specs.iter().filter_map(|spec| spec.within(len));
    match (parts.next(), parts.next()) {
        (Some(part), None) => Asked::Part(part),
        (Some(_), Some(_)) => Asked::Whole,
        (None, _) => Asked::Unsatisfiable,
    }
}

/// One range-spec (section 14.1.1). Numbers beyond 64 bits are as good as the largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spec {
    /// From the first position, to the last one, included, or to the end.
    From(u64, Option<u64>),
    /// So many bytes from the end.
    Suffix(u64),
}

impl Spec {
    /// The bytes that there are of it, if any.
    fn within(self, len: u64) -> Option<Range<u64>> {
        let range = match self {
            Spec::From(first, last) => first..last.map_or(len, |last| last.saturating_add(1)),
            Spec::Suffix(count) => len.saturating_sub(count)..len,
        };
        let range = range.start..range.end.min(len);
        (!range.is_empty()).then_some(range)
    }
}

/// The ranges of a valid header in bytes.
fn parse(header: &str) -> Option<Vec<Spec>> {
    let (unit, set) = header.split_once('=')?;
    // "All range unit names are case-insensitive" (section 14.1).
    if !unit.trim_ascii().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut specs = Vec::new();
    for spec in set.split(',') {
        let spec = spec.trim_matches([' ', '\t']);
        // A recipient of a list accepts empty elements (section 5.6.1.2).
        if !spec.is_empty() {
            specs.push(parse_spec(spec)?);
        }
    }
    (!specs.is_empty()).then_some(specs)
}

fn parse_spec(spec: &str) -> Option<Spec> {
    let (first, last) = spec.split_once('-')?;
    match (first, last) {
        ("", count) => Some(Spec::Suffix(number(count)?)),
        (first, "") => Some(Spec::From(number(first)?, None)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Spec::From(first, Some(last)))
        }
    }
}

/// Digits and nothing else.
fn number(digits: &str) -> Option<u64> {
    let valid = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    valid.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::Asked::{Part, Unsatisfiable, Whole};
    use super::*;

    #[test]
    fn of_ten_bytes() {
        let table = [
            ("bytes=0-0", Part(0..1)),
            ("bytes=0-9", Part(0..10)),
            ("bytes=2-5", Part(2..6)),
            ("bytes=9-", Part(9..10)),
            ("bytes=0-", Part(0..10)),
            ("bytes=5-99", Part(5..10)),
            ("bytes=-3", Part(7..10)),
            ("bytes=-99", Part(0..10)),
            ("Bytes = 2-5 ", Part(2..6)),
            ("bytes=0-99999999999999999999999", Part(0..10)),
            ("bytes=0-18446744073709551615", Part(0..10)),
            ("bytes=10-", Unsatisfiable),
            ("bytes=10-12", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=20-,30-40", Unsatisfiable),
            ("bytes=20-,1-2", Part(1..3)),
            ("bytes= ,1-2,", Part(1..3)),
            ("bytes=0-1,4-5", Whole),
            ("bytes=5-2", Whole),
            ("bytes=5-2,1-2", Whole),
            ("bytes=", Whole),
            ("bytes=,", Whole),
            ("bytes=-", Whole),
            ("bytes=a-b", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=1 - 2", Whole),
            ("bytes=1--2", Whole),
            ("items=0-1", Whole),
            ("0-1", Whole),
            ("", Whole),
        ];
        for (header, expected) in table {
            assert_eq!(asked(header, 10), expected, "{header}");
        }
    }

    #[test]
    fn of_nothing() {
        assert_eq!(asked("bytes=0-", 0), Unsatisfiable);
        assert_eq!(asked("bytes=-5", 0), Whole);
        assert_eq!(asked("bytes=-0", 0), Unsatisfiable);
    }
}
