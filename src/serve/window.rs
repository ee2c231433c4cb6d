//! The query of a range link, `?range=<offset>,<size>`: a window on a blob.

use std::ops::Range;

use percent_encoding::percent_decode_str;

use crate::ranges::decimal;

/// The window that a query asks for on a blob of `size` bytes: all of it without a `range`.
///
/// `range` must occur once, be two decimal numbers, and lie within the blob; the window may be
/// empty. Other parameters are ignored. An error is the reason for a 400; 416 is for Range headers
/// alone (RFC 9110, section 15.5.17).
pub(super) fn window(query: Option<&str>, size: u64) -> Result<Range<u64>, String> {
    let mut found = None;
    for pair in query.unwrap_or_default().split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if name != "range" {
            continue;
        }
        let value = percent_decode_str(value).decode_utf8_lossy();
        let window = parse(&value).ok_or_else(|| {
            format!("range={value} is not range=OFFSET,SIZE with two decimal numbers")
        })?;
        if found.replace(window).is_some() {
            return Err("'range' occurs more than once".into());
        }
    }
    let Some((offset, len)) = found else {
        return Ok(0..size);
    };
    match offset.checked_add(len) {
        Some(end) if end <= size => Ok(offset..end),
        _ => Err(format!(
            "range={offset},{len} is not within the {size} bytes of the blob"
        )),
    }
}

fn parse(value: &str) -> Option<(u64, u64)> {
    let (offset, len) = value.split_once(',')?;
    Some((decimal(offset)?, decimal(len)?))
}

/// Whether the query has a parameter `range`.
pub(super) fn has_window(query: Option<&str>) -> bool {
    parameter(query, "range").is_some()
}

/// The value of the query's first parameter of this name, still percent-encoded.
pub(super) fn parameter<'a>(query: Option<&'a str>, wanted: &str) -> Option<&'a str> {
    let mut pairs = query.unwrap_or_default().split('&');
    pairs.find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name == wanted).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_on_a_hundred_bytes() {
        for (query, expected) in [
            (None, 0..100),
            (Some(""), 0..100),
            (Some("x=1"), 0..100),
            (Some("xrange=1"), 0..100),
            (Some("range=0,100"), 0..100),
            (Some("range=10,20"), 10..30),
            (Some("range=10%2C20"), 10..30),
            (Some("a=b&range=10,20&c"), 10..30),
            (Some("range=100,0"), 100..100),
            (Some("range=0,0"), 0..0),
        ] {
            assert_eq!(window(query, 100), Ok(expected), "{query:?}");
        }
        for query in [
            "range",
            "range=",
            "range=5",
            "range=,",
            "range=5,",
            "range=,5",
            "range=-1,5",
            "range=+1,5",
            "range=1,5,6",
            "range=0x1,5",
            "range=1, 5",
            "range=0,101",
            "range=101,0",
            "range=18446744073709551615,1",
            "range=99999999999999999999999,1",
            "range=1,2&range=1,2",
        ] {
            assert!(window(Some(query), 100).is_err(), "{query}");
        }
    }
}
