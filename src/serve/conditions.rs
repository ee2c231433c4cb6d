//! Conditional requests (RFC 9110, section 13) for content with an entity tag and no date.

use axum::http::{HeaderMap, header};

/// The outcome of a request's preconditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Answer as if the request had none.
    Proceed,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

/// Evaluates If-Match and If-None-Match in the order of section 13.2.2. Ignores preconditions that
/// compare dates: sections 13.1.3 and 13.1.4 require that of a resource without a date.
pub(super) fn evaluate(headers: &HeaderMap, etag: &str) -> Verdict {
    let mut if_match = headers.get_all(header::IF_MATCH).iter().peekable();
    if if_match.peek().is_some()
        && !if_match.any(|value| value.to_str().is_ok_and(|list| lists(list, etag, false)))
    {
        return Verdict::Failed;
    }
    let mut if_none_match = headers.get_all(header::IF_NONE_MATCH).iter();
    if if_none_match.any(|value| value.to_str().is_ok_and(|list| lists(list, etag, true))) {
        Verdict::NotModified
    } else {
        Verdict::Proceed
    }
}

/// Whether the Range header applies (section 13.1.5): If-Range is missing or equals the entity tag.
/// A weak tag or a date never does.
pub(super) fn range_applies(headers: &HeaderMap, etag: &str) -> bool {
    match headers.get(header::IF_RANGE) {
        None => true,
        Some(value) => value.to_str().is_ok_and(|value| value.trim() == etag),
    }
}

/// Whether `list` is `*` or contains `etag`. The weak comparison (section 8.8.3.2) ignores `W/`.
///
/// The list is split at every comma, those inside of tags included. The parts of such a tag cannot
/// equal one of the node's, which have quotes at both ends and no comma.
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
            (&[][..], Verdict::Proceed),
            (&[(IF_NONE_MATCH, "\"abc\"")], Verdict::NotModified),
            (&[(IF_NONE_MATCH, "W/\"abc\"")], Verdict::NotModified),
            (&[(IF_NONE_MATCH, "\"x\", \"abc\"")], Verdict::NotModified),
            (&[(IF_NONE_MATCH, "*")], Verdict::NotModified),
            (&[(IF_NONE_MATCH, "\"x\"")], Verdict::Proceed),
            (&[(IF_NONE_MATCH, "abc")], Verdict::Proceed),
            (
                &[(IF_NONE_MATCH, "\"x\""), (IF_NONE_MATCH, "\"abc\"")],
                Verdict::NotModified,
            ),
            (&[(IF_MODIFIED_SINCE, date)], Verdict::Proceed),
            (&[(IF_MATCH, "\"abc\"")], Verdict::Proceed),
            (&[(IF_MATCH, "*")], Verdict::Proceed),
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
        let applies = |value| range_applies(&headers(&[(header::IF_RANGE, value)]), ETAG);
        assert!(range_applies(&headers(&[]), ETAG));
        assert!(applies("\"abc\""));
        assert!(!applies("\"x\""));
        assert!(!applies("W/\"abc\""));
        assert!(!applies("Sat, 29 Oct 2050 19:43:31 GMT"));
    }
}
