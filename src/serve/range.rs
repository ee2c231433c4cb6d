//! The `Range` header (RFC 9110, section 14).

use std::ops::Range;

use crate::ranges::decimal;

/// What a `Range` header asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Requested {
    /// The whole representation: the header has no valid range, or several.
    Whole,
    /// This part, which is not empty.
    Part(Range<u64>),
    /// No byte of the representation: 416.
    Unsatisfiable,
}

/// Evaluates the value of a `Range` header for a representation of `len` bytes.
///
/// A header that is invalid or in another unit is ignored (section 14.2), as are unsatisfiable
/// ranges if others are satisfiable. A header with several satisfiable ranges is ignored, too, as
/// section 14.2 permits: no player sends one, and many clients misread multipart answers.
pub(super) fn requested(header: &str, len: u64) -> Requested {
    let Some(specs) = parse(header) else {
        return Requested::Whole;
    };
    let is_suffix = |spec: &Spec| matches!(spec, Spec::Suffix(n) if *n > 0);
    // A suffix of an empty representation is satisfiable (section 14.1.2), but no Content-Range
    // can express it.
    if len == 0 && specs.iter().any(is_suffix) {
        return Requested::Whole;
    }
    let mut parts = specs.iter().filter_map(|spec| spec.within(len));
    match (parts.next(), parts.next()) {
        (Some(part), None) => Requested::Part(part),
        (Some(_), Some(_)) => Requested::Whole,
        (None, _) => Requested::Unsatisfiable,
    }
}

/// A range-spec (section 14.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spec {
    /// From the first position to the last one, inclusive, or to the end.
    From(u64, Option<u64>),
    /// This number of bytes at the end.
    Suffix(u64),
}

impl Spec {
    /// Its bytes within a representation of `len` bytes; `None` if there are none.
    fn within(self, len: u64) -> Option<Range<u64>> {
        let range = match self {
            Spec::From(first, last) => first..last.map_or(len, |last| last.saturating_add(1)),
            Spec::Suffix(count) => len.saturating_sub(count)..len,
        };
        let range = range.start..range.end.min(len);
        (!range.is_empty()).then_some(range)
    }
}

/// The ranges of a header; `None` if it is invalid or in another unit than bytes.
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

/// A number of digits alone. One beyond 64 bits counts as the largest: both lie behind every end.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| decimal(digits).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::Requested::{Part, Unsatisfiable, Whole};
    use super::*;

    #[test]
    fn ranges_of_ten_bytes() {
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
            assert_eq!(requested(header, 10), expected, "{header}");
        }
    }

    #[test]
    fn ranges_of_an_empty_blob() {
        assert_eq!(requested("bytes=0-", 0), Unsatisfiable);
        assert_eq!(requested("bytes=-5", 0), Whole);
        assert_eq!(requested("bytes=-0", 0), Unsatisfiable);
    }
}
