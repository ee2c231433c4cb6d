//! Conditional requests (RFC 9110, section 13), for content that has an entity tag and no date.

use axum::http::{HeaderMap, header};

/// What the preconditions of a GET or HEAD make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Answer as if there were none.
    Go,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

/// Evaluates If-Match and If-None-Match in the order of section 13.2.2. What compares dates is
/// ignored, as sections 13.1.3 and 13.1.4 want of a resource that has none.
pub(super) fn evaluate(headers: &HeaderMap, etag: &str) -> Verdict {
    let mut if_match = headers.get_all(header::IF_MATCH).iter().peekable();
    if if_match.peek().is_some()
        && !if_match.any(|value| value.to_str().is_ok_and(|list| lists(list, etag, false)))
    {
        return Verdict::Failed;
    }
    let mut if_none_match = headers.get_all(header::IF_NONE_MATCH).iter();
    match if_none_match.any(|value| value.to_str().is_ok_and(|list| lists(list, etag, true))) {
        true => Verdict::NotModified,
        false => Verdict::Go,
    }
}

/// Whether the Range header counts (section 13.1.5): If-Range is missing or is this very tag. A
/// weak tag never is, and a date is not either, as there is none to compare it with.
pub(super) fn range_counts(headers: &HeaderMap, etag: &str) -> bool {
    match headers.get(header::IF_RANGE) {
        None => true,
        Some(value) => value.to_str().is_ok_and(|value| value.trim() == etag),
    }
}

/// Whether a list of entity tags, or `*`, holds this one. The weak comparison (section 8.8.3.2)
/// does not mind a `W/`. Our tags hold neither comma nor quote, so that a tag of somebody else
/// that does, cut at its comma, cannot be taken for one.
fn lists(list: &str, etag: &str, weakly: bool) -> bool {
    list.trim() == "*"
        || list.split(',').map(str::trim).any(|tag| {
            tag == etag || weakly && tag.strip_prefix("W/").is_some_and(|tag| tag == etag)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETAG: &str = "\"abc\"";

    fn headers(pairs: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value.parse().expect("a header value"));
        }
        headers
    }

    #[test]
    fn verdicts() {
        use header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH};
        let date = "Sat, 29 Oct 2050 19:43:31 GMT";
        for (pairs, expected) in [
            (&[][..], Verdict::Go),
            (&[(IF_NONE_MATCH, "\"abc\"")], Verdict::NotModified),
            (&[(IF_NONE_MATCH, "W/\"abc\"")], Verdict::NotModified),
            (&[(IF_NONE_MATCH, "\"x\", \"abc\"")], Verdict::NotModified),
            (&[(IF_NONE_MATCH, "*")], Verdict::NotModified),
            (&[(IF_NONE_MATCH, "\"x\"")], Verdict::Go),
            (&[(IF_NONE_MATCH, "abc")], Verdict::Go),
            (
                &[(IF_NONE_MATCH, "\"x\""), (IF_NONE_MATCH, "\"abc\"")],
                Verdict::NotModified,
            ),
            (&[(IF_MODIFIED_SINCE, date)], Verdict::Go),
            (&[(IF_MATCH, "\"abc\"")], Verdict::Go),
            (&[(IF_MATCH, "*")], Verdict::Go),
            (&[(IF_MATCH, "\"x\"")], Verdict::Failed),
            (&[(IF_MATCH, "W/\"abc\"")], Verdict::Failed),
            (
                &[(IF_MATCH, "\"x\""), (IF_NONE_MATCH, "\"abc\"")],
                Verdict::Failed,
            ),
        ] {
            assert_eq!(evaluate(&headers(pairs), ETAG), expected, "{pairs:?}");
        }
    }

    #[test]
    fn if_range() {
        let counts = |value| range_counts(&headers(&[(header::IF_RANGE, value)]), ETAG);
        assert!(range_counts(&headers(&[]), ETAG));
        assert!(counts("\"abc\""));
        assert!(!counts("\"x\""));
        assert!(!counts("W/\"abc\""));
        assert!(!counts("Sat, 29 Oct 2050 19:43:31 GMT"));
    }
}
