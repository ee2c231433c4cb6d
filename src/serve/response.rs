//! Parts of responses.

use std::io;
use std::ops::Range;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use futures_util::StreamExt;

use super::blob::Blob;
use super::conditions::{self, Verdict};
use crate::source::Priority;

/// Cache-Control for the content of a CID, which never changes (path gateway specification,
/// "Cache-Control").
pub(super) const IMMUTABLE: &str = "public, max-age=29030400, immutable";

/// A response of these parts.
pub(super) fn response(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// A response whose body is text.
pub(super) fn text(
    status: StatusCode,
    media_type: &str,
    cache_control: &str,
    text: String,
) -> Response<Body> {
    let mut headers = HeaderMap::new();
    set(&mut headers, header::CONTENT_TYPE, media_type);
    set(&mut headers, header::CACHE_CONTROL, cache_control);
    let length = text.len().to_string();
    set(&mut headers, header::CONTENT_LENGTH, &length);
    response(status, headers, Body::from(text))
}

/// A response that says why the request is refused.
pub(super) fn refusal(status: StatusCode, why: &str) -> Response<Body> {
    let why = format!("{why}\n");
    text(status, "text/plain; charset=utf-8", "no-store", why)
}

/// The answer to a request whose preconditions are not met: 304 with `headers`, or 412 (RFC 9110, section 15.5.13).
pub(super) fn by_conditions(
    request: &Parts,
    etag: &str,
    headers: &HeaderMap,
) -> Option<Response<Body>> {
    match conditions::evaluate(&request.headers, etag) {
        Verdict::Proceed => None,
        Verdict::NotModified => Some(response(
            StatusCode::NOT_MODIFIED,
            headers.clone(),
            Body::empty(),
        )),
        Verdict::Failed => Some(refusal(
            StatusCode::PRECONDITION_FAILED,
            "the content has another ETag",
        )),
    }
}

/// Sets a header, in place of an earlier value.
pub(super) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    let value = HeaderValue::from_str(value);
    headers.insert(
        name,
        value.expect("our values are ASCII without control characters"),
    );
}

/// The bytes of a range, read as fast as the client takes them. An error breaks the connection, so
/// that the client sees that bytes are missing.
pub(super) fn body(blob: &Blob, range: Range<u64>) -> Body {
    if range.is_empty() {
        return Body::empty();
    }
    let (name, mut next) = (blob.name.clone(), range.start);
    let chunks = blob.source.read(range.clone(), Priority::Demand);
    Body::from_stream(chunks.map(move |chunk| match chunk {
        Ok(chunk) if chunk.offset == next && chunk.range().end <= range.end => {
            next = chunk.range().end;
            Ok(chunk.bytes)
        }
        Ok(_) => Err(io::Error::other("bytes out of order")),
        Err(e) => {
            log::warn!("{name}: answer cut short at byte {next}: {e}");
            Err(io::Error::other(e))
        }
    }))
}
