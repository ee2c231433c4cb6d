//! Checks whether an answer is the one to the request.
//!
//! Some servers answer a range request with the whole file, another range, compressed bytes, the right
//! headers and the wrong status, or the wrong headers and the right status. So an answer is accepted only if
//! it says in full that it is exactly the range asked for (RFC 9110, sections 14.4 and 15.3.7). Pure.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG, HeaderMap, HeaderName, LAST_MODIFIED,
    RETRY_AFTER,
};

use super::codings::Codings;
use super::exchange::Exchange;
use super::head::field;
use crate::ranges::decimal;
use crate::source::verdict::{Seen, Stage, Verdict, Why, judge};
use crate::source::{Error, Origin};

/// The longest Retry-After that is honoured.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// If a blob was modified this long ago, it will not be modified again within the same second, which is
/// the resolution of Last-Modified. The margin covers clocks that differ.
const SETTLED: Duration = Duration::from_secs(2);

/// The head of an answer.
pub(super) struct Answer<'a> {
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
}

/// A `Content-Range: bytes first-last/size` (RFC 9110, section 14.4), as a half-open range.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ContentRange {
    pub(super) range: Range<u64>,
    /// `None` for `*`.
    pub(super) size: Option<u64>,
}

impl<'a> Answer<'a> {
    pub(super) fn of(exchange: &'a Exchange) -> Self {
        Self {
            status: exchange.status,
            headers: &exchange.headers,
        }
    }

    /// Accepts the answer to a request for `range` of a blob of `size` bytes; `None` if the size is not
    /// known yet. On success the body is exactly the range. Returns the blob's size if the answer tells it.
    ///
    /// # Errors
    /// What is wrong with the answer.
    pub(super) fn check(
        &self,
        origin: &Origin,
        range: &Range<u64>,
        size: Option<u64>,
    ) -> Result<Option<u64>, Error> {
        let wrong = |what: String| wrong(origin, range, what);
        match self.status {
            StatusCode::PARTIAL_CONTENT | StatusCode::OK => {}
            _ => return Err(self.refusal(origin, range, Stage::First)),
        }
        let length = self.content_length();
        let asked = range.end - range.start;
        let codings = Codings::of(self.headers);
        // If the server really sent signed chunks, the answer would be longer than the range.
        if codings.changes_content || codings.is_aws_chunked && length != Some(asked) {
            return Err(Error::Encoded {
                origin: origin.clone(),
                range: range.clone(),
                coding: codings.told,
            });
        }
        let Some(given) = self.text(CONTENT_RANGE) else {
            return self.check_without_range(origin, range, size);
        };
        let content = ContentRange::parse(given).filter(|content| content.range == *range);
        let content = content.ok_or_else(|| wrong(format!("Content-Range: {given}")))?;
        if let (Some(told), Some(known)) = (content.size, size)
            && told != known
        {
            return Err(Error::Changed {
                origin: origin.clone(),
                what: format!("it had {known} bytes and now has {told}"),
            });
        }
        match length {
            Some(length) if length != asked => {
                Err(wrong(format!("Content-Length {length} for {asked} bytes")))
            }
            _ => Ok(content.size),
        }
    }

    /// As [`check`](Self::check), for an answer without a Content-Range. Only a 200 that has exactly the bytes asked
    /// for, from the first on, can be right.
    fn check_without_range(
        &self,
        origin: &Origin,
        range: &Range<u64>,
        size: Option<u64>,
    ) -> Result<Option<u64>, Error> {
        let asked = range.end - range.start;
        let wrong = |what: String| wrong(origin, range, what);
        if self.status != StatusCode::OK {
            return Err(wrong(match self.text(CONTENT_TYPE) {
                Some(kind) if kind.starts_with("multipart/") => "a multipart answer".into(),
                _ => "status 206 without a Content-Range".into(),
            }));
        }
        let page = self.page();
        let what = match (self.content_length(), size) {
            (Some(length), Some(size)) if range.start == 0 && length == asked && size != asked => {
                return Err(wrong(format!(
                    "the blob has {size} bytes, the answer {asked}"
                )));
            }
            (Some(length), _) if range.start == 0 && length == asked => return Ok(Some(asked)),
            _ if page.is_some() => format!("it sends a page ({})", page.unwrap_or_default()),
            (Some(length), _) => format!("asked for {asked} bytes, it sends all {length}"),
            (None, _) => "it sends the whole blob".into(),
        };
        Err(Error::NoRanges {
            origin: origin.clone(),
            what,
            has_served: false,
        })
    }

    /// What an answer has that ignores the range: the whole file, or a page; `None` for other answers.
    pub(super) fn ignored_range(&self) -> Option<Seen> {
        let is_ok = self.status == StatusCode::OK;
        is_ok.then(|| match self.page() {
            Some(_) => Seen::Page,
            None => Seen::Whole,
        })
    }

    /// The media type of a page for browsers or of the JSON of an index: no blob has it.
    fn page(&self) -> Option<&str> {
        let kind = self.text(CONTENT_TYPE)?.split(';').next()?.trim();
        let pages = ["text/html", "application/xhtml+xml", "application/json"];
        let is_page = pages.iter().any(|page| kind.eq_ignore_ascii_case(page));
        is_page.then_some(kind)
    }

    /// The error of a status that is neither 200 nor 206.
    pub(super) fn refusal(&self, origin: &Origin, range: &Range<u64>, stage: Stage) -> Error {
        let (origin, status) = (origin.clone(), self.status.as_u16());
        match judge(Seen::Status(status), stage) {
            Verdict::Final(Why::NotThere) => Error::NotFound { origin },
            Verdict::Final(Why::NoRanges) => Error::NoRanges {
                origin,
                what: format!("it answers with HTTP status {status}"),
                has_served: false,
            },
            Verdict::Final(Why::NoBlocks) => Error::NoRawBlocks {
                origin,
                what: format!("it answers with HTTP status {status}"),
            },
            Verdict::Final(Why::Wrong) => {
                let told = self.text(CONTENT_RANGE);
                let told = told.map_or(String::new(), |told| format!(", Content-Range: {told}"));
                wrong(&origin, range, format!("HTTP status {status}{told}"))
            }
            Verdict::Final(Why::Refused)
            | Verdict::Again
            | Verdict::LookAgain
            | Verdict::Anew
            | Verdict::AgainAnew => Error::Status {
                origin,
                status,
                retry_after: self.retry_after(SystemTime::now()),
            },
        }
    }

    /// Whether the answer says that the blob is empty: by 416 and `bytes */0`, or by an empty 200 (RFC 9110,
    /// section 14.1.2).
    pub(super) fn says_empty(&self) -> bool {
        match self.status {
            StatusCode::RANGE_NOT_SATISFIABLE => self
                .text(CONTENT_RANGE)
                .is_some_and(|told| told.trim() == "bytes */0"),
            StatusCode::OK => self.content_length() == Some(0),
            _ => false,
        }
    }

    /// Whether the answer to a request for `range` of a blob of `size` bytes says that the blob ends before the end of
    /// the range: by 416 (RFC 9110, section 15.5.17), or by a range that ends with the blob (section 14.1.2).
    pub(super) fn tells_earlier_end(&self, range: &Range<u64>, size: u64) -> bool {
        let Some(told) = self.text(CONTENT_RANGE) else {
            return false;
        };
        match self.status {
            StatusCode::RANGE_NOT_SATISFIABLE => {
                let end = told.trim().strip_prefix("bytes */").and_then(decimal);
                end.is_some_and(|end| end <= range.start && end < size)
            }
            StatusCode::PARTIAL_CONTENT => ContentRange::parse(told).is_some_and(|content| {
                let Range { start, end } = content.range;
                content.size == Some(end) && start == range.start && end < range.end && end < size
            }),
            _ => false,
        }
    }

    /// The strong ETag, else the Last-Modified. A weak ETag does not promise the same bytes (RFC 9110,
    /// section 8.8.1).
    pub(super) fn validator(&self) -> Option<Validator> {
        if let Some(etag) = self.text(ETAG)
            && etag.starts_with('"')
        {
            return Some(Validator::ETag(etag.to_owned()));
        }
        self.text(LAST_MODIFIED)
            .map(|date| Validator::LastModified(date.to_owned()))
    }

    /// The validator, if no other state of the blob can ever have the same: a strong ETag, or a Last-Modified
    /// whose second had passed when the answer was made (RFC 9110, section 8.8.2.2).
    pub(super) fn version(&self) -> Option<String> {
        match self.validator()? {
            Validator::ETag(etag) => Some(format!("etag {etag}")),
            Validator::LastModified(date) => {
                let then = httpdate::parse_http_date(&date).ok()?;
                let now = httpdate::parse_http_date(self.text(DATE)?).ok()?;
                let age = now.duration_since(then).ok()?;
                (age >= SETTLED).then(|| format!("date {date}"))
            }
        }
    }

    /// Retry-After in seconds or as a date (RFC 9110, section 10.2.3).
    fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        let text = self.text(RETRY_AFTER)?;
        if let Ok(seconds) = text.trim().parse::<u64>() {
            return Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
        }
        let date = httpdate::parse_http_date(text).ok()?;
        let after = date.duration_since(now).unwrap_or_default();
        Some(after.min(MAX_RETRY_AFTER))
    }

    fn content_length(&self) -> Option<u64> {
        self.text(CONTENT_LENGTH)?.trim().parse().ok()
    }

    fn text(&self, name: HeaderName) -> Option<&'a str> {
        field(self.headers, name)
    }
}

fn wrong(origin: &Origin, range: &Range<u64>, what: String) -> Error {
    Error::BadAnswer {
        origin: origin.clone(),
        range: range.clone(),
        what,
    }
}

/// What changes whenever the content of a URL changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Validator {
    ETag(String),
    LastModified(String),
}

impl ContentRange {
    /// Parses the header's value; `None` if it is anything but one satisfied byte range.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (unit, rest) = text.trim().split_once(' ')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (span, size) = rest.trim().split_once('/')?;
        let (first, last) = span.split_once('-')?;
        let (first, last) = (decimal(first)?, decimal(last)?);
        let size = match size {
            "*" => None,
            size => Some(decimal(size)?),
        };
        let end = last.checked_add(1)?;
        if first > last || size.is_some_and(|size| end > size) {
            return None;
        }
        Some(Self {
            range: first..end,
            size,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let value = HeaderValue::from_str(value).expect("a header value");
            (HeaderName::from_static(name), value)
        });
        pairs.collect()
    }

    fn answer(status: u16, headers: &HeaderMap) -> Answer<'_> {
        let status = StatusCode::from_u16(status).expect("a status");
        Answer { status, headers }
    }

    /// The name of the verdict on an answer to a request for bytes 100-199 of a blob of 1000 bytes.
    fn verdict(status: u16, pairs: &[(&'static str, &str)]) -> &'static str {
        let headers = headers(pairs);
        let answer = answer(status, &headers);
        match answer.check(&Origin::new("test"), &(100..200), Some(1000)) {
            Ok(_) => "ok",
            Err(Error::BadAnswer { .. }) => "bad",
            Err(Error::Encoded { .. }) => "encoded",
            Err(Error::NoRanges { .. }) => "no ranges",
            Err(Error::Changed { .. }) => "changed",
            Err(Error::NotFound { .. }) => "not found",
            Err(Error::Status { .. }) => "status",
            Err(_) => "other",
        }
    }

    #[test]
    fn only_the_exact_range_is_accepted() {
        let exact = ("content-range", "bytes 100-199/1000");
        let length = ("content-length", "100");
        type Case<'a> = (u16, &'a [(&'static str, &'a str)], &'a str);
        let table: &[Case] = &[
            (206, &[exact, length], "ok"),
            (206, &[exact], "ok"),
            (206, &[("content-range", "bytes 100-199/*"), length], "ok"),
            (
                206,
                &[exact, length, ("content-encoding", "identity")],
                "ok",
            ),
            // A 200 with a Content-Range is accepted: w3link sends it.
            (200, &[exact, length], "ok"),
            (206, &[length], "bad"),
            (206, &[exact, ("content-length", "101")], "bad"),
            (206, &[("content-range", "bytes 0-99/1000"), length], "bad"),
            (
                206,
                &[("content-range", "bytes 104-203/1000"), length],
                "bad",
            ),
            (206, &[("content-range", "bytes 100-198/1000")], "bad"),
            (206, &[("content-range", "bytes 100-199/150")], "bad"),
            (206, &[("content-range", "bytes +100-199/1000")], "bad"),
            (206, &[("content-range", "items 100-199/1000")], "bad"),
            (206, &[("content-range", "nonsense")], "bad"),
            (
                206,
                &[("content-type", "multipart/byteranges; boundary=x")],
                "bad",
            ),
            (
                206,
                &[("content-range", "bytes 100-199/2000"), length],
                "changed",
            ),
            (200, &[("content-length", "1000")], "no ranges"),
            (200, &[], "no ranges"),
            (501, &[], "no ranges"),
            (404, &[], "not found"),
            (410, &[], "not found"),
            (416, &[("content-range", "bytes */1000")], "bad"),
            (304, &[], "status"),
            (451, &[], "status"),
            (429, &[("retry-after", "7")], "status"),
            (503, &[], "status"),
        ];
        for (status, pairs, expected) in table {
            assert_eq!(verdict(*status, pairs), *expected, "{status} {pairs:?}");
        }
    }

    /// Object stores keep `Content-Encoding: aws-chunked` of an upload and send it with plain bytes. Such
    /// archives could not be mounted.
    #[test]
    fn identity_and_aws_chunked_are_no_encodings() {
        let exact = ("content-range", "bytes 100-199/1000");
        let length = ("content-length", "100");
        let coded = |coding: &'static str| ("content-encoding", coding);
        for plain in [
            "",
            "identity",
            "Identity",
            "aws-chunked",
            "AWS-Chunked",
            "aws-chunked,identity",
            "aws-chunked, ",
            ",",
        ] {
            let verdict = verdict(206, &[exact, length, coded(plain)]);
            assert_eq!(verdict, "ok", "{plain:?}");
        }
        for other in ["gzip", "br", "aws-chunked,gzip", "identity, gzip", "x"] {
            let verdict = verdict(206, &[exact, length, coded(other)]);
            assert_eq!(verdict, "encoded", "{other:?}");
        }
        let twice = [exact, length, coded("aws-chunked"), coded("identity")];
        assert_eq!(verdict(206, &twice), "ok");
        let twice = [exact, length, coded("identity"), coded("gzip")];
        assert_eq!(verdict(206, &twice), "encoded");
        // Without a length, these may be the chunks of an upload.
        assert_eq!(verdict(206, &[exact, coded("aws-chunked")]), "encoded");
        let longer = ("content-length", "190");
        let chunks = [exact, longer, coded("aws-chunked")];
        assert_eq!(verdict(206, &chunks), "encoded");
        assert_eq!(verdict(206, &[exact, coded("identity")]), "ok");
    }

    #[test]
    fn a_200_is_accepted_for_the_whole_blob() {
        let headers = headers(&[("content-length", "100")]);
        let answer = answer(200, &headers);
        let origin = Origin::new("test");
        assert_eq!(answer.check(&origin, &(0..100), None), Ok(Some(100)));
        assert_eq!(answer.check(&origin, &(0..100), Some(100)), Ok(Some(100)));
        assert!(answer.check(&origin, &(0..100), Some(200)).is_err());
        assert!(answer.check(&origin, &(0..99), None).is_err());
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (text, expected) in [
            ("7", Some(7)),
            ("Sun, 06 Nov 1994 08:49:40 GMT", Some(3)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
            // This overflowed and ended the request's task.
            ("18446744073709551615", Some(24 * 60 * 60)),
        ] {
            let headers = headers(&[("retry-after", text)]);
            let answer = answer(429, &headers);
            let expected = expected.map(Duration::from_secs);
            assert_eq!(answer.retry_after(now), expected, "{text}");
        }
    }

    #[test]
    fn version_needs_a_strong_etag_or_an_old_modification_time() {
        let of = |pairs: &[(&'static str, &str)]| {
            let headers = headers(pairs);
            answer(206, &headers).version()
        };
        let then = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");
        let date = |text| ("date", text);
        assert_eq!(of(&[("etag", "\"a\""), then]), Some("etag \"a\"".into()));
        assert_eq!(of(&[("etag", "W/\"a\"")]), None);
        assert_eq!(of(&[then]), None);
        assert_eq!(of(&[then, date("Sun, 06 Nov 1994 08:49:38 GMT")]), None);
        assert_eq!(of(&[then, date("Sun, 06 Nov 1994 08:00:00 GMT")]), None);
        let later = date("Sun, 06 Nov 1994 08:49:39 GMT");
        let expected = "date Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(of(&[then, later]), Some(expected.into()));
        assert_eq!(of(&[("last-modified", "yesterday"), later]), None);
    }

    #[test]
    fn only_a_strong_etag_is_a_validator() {
        let weak = headers(&[("etag", "W/\"a\""), ("last-modified", "yesterday")]);
        let strong = headers(&[("etag", "\"a\""), ("last-modified", "yesterday")]);
        let of = |headers| answer(200, headers).validator();
        assert_eq!(of(&weak), Some(Validator::LastModified("yesterday".into())));
        assert_eq!(of(&strong), Some(Validator::ETag("\"a\"".into())));
    }
}
