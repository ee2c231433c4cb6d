//! One request, one answer.

use std::io;
use std::ops::Range;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use futures_util::StreamExt;

use super::conditions::{self, Verdict};
use super::form::Form;
use super::paths::{Place, place};
use super::range::{self, Asked};
use super::window::{has_window, window};
use super::{Blob, Node, block, listing, media};
use crate::content::Cid;
use crate::source::Priority;

/// Methods that every path of the node has.
const ALLOW: &str = "GET, HEAD, OPTIONS";

/// What the content of a CID may be kept for: for ever, and this is how long gateways say
/// (path gateway specification, "Cache-Control").
pub(super) const IMMUTABLE: &str = "public, max-age=29030400, immutable";

/// Answers a request to `node`.
pub(super) async fn answer(node: Node, request: Request) -> Response<Body> {
    let mut response = match *request.method() {
        Method::GET | Method::HEAD => match place(request.uri().path()) {
            Place::List => {
                let page = listing::html(&node.list().await);
                list("text/html; charset=utf-8", page)
            }
            Place::Json => list("application/json", listing::json(&node.list().await)),
            Place::Blob(cid, name) => match Form::of(&request) {
                Form::File => match node.find(&cid).await {
                    Some(blob) => match name {
                        Some(name) if !has_range(&request) && !node.is_name_of(&cid, &name) => {
                            refusal(StatusCode::NOT_FOUND, &below(&cid, &name))
                        }
                        name => blob_answer(blob, name, &request),
                    },
                    None => refusal(
                        StatusCode::NOT_FOUND,
                        "this node has no such blob, or not yet",
                    ),
                },
                Form::Block => {
                    let holder = node.find_block(&cid).await;
                    block::answer(holder, &cid, &request)
                }
                Form::Other => refusal(
                    StatusCode::NOT_ACCEPTABLE,
                    "this node serves files, ranges of them, and raw blocks; no other format",
                ),
            },
            Place::Nowhere(why) => refusal(StatusCode::NOT_FOUND, &why),
        },
        Method::OPTIONS => options(request.headers()),
        _ => {
            let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, "read only");
            let headers = response.headers_mut();
            headers.insert(header::ALLOW, HeaderValue::from_static(ALLOW));
            response
        }
    };
    let headers = response.headers_mut();
    // Fetch standard, "CORS protocol": any page may read what is here, and see these headers.
    set(headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    set(
        headers,
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        "Accept-Ranges, Content-Length, Content-Range, Date, ETag",
    );
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if request.method() == Method::HEAD {
        // The headers stay, Content-Length among them (RFC 9110, section 9.3.2).
        *response.body_mut() = Body::empty();
    }
    response
}

fn has_range(request: &Request) -> bool {
    has_window(request.uri().query())
}

/// Why a name below a CID is not found. Answered with the whole archive instead, a player would
/// download gigabytes as a picture.
fn below(cid: &Cid, name: &str) -> String {
    format!(
        "this node does not look into archives, and knows '{name}' only by its range: add ?range=OFFSET,SIZE, as the links in playlists have it ('getfattr -n user.aiozfs.range FILE' in a mount tells it); the whole archive is at /ipfs/{cid}"
    )
}

/// The blob's part that is asked for, or why not.
fn blob_answer(blob: Blob, name: Option<String>, request: &Request) -> Response<Body> {
    let query = request.uri().query();
    let window = match window(query, blob.size) {
        Ok(window) => window,
        Err(why) => return refusal(StatusCode::BAD_REQUEST, &why),
    };
    let etag = etag(&blob, &window);
    let len = window.end - window.start;
    let media_type = match name {
        Some(name) => media::of(&name),
        // A window on a blob is not what the blob's own name says.
        None if has_window(query) => media::of(""),
        None => media::of(&blob.name),
    };
    let mut headers = HeaderMap::new();
    set(&mut headers, header::ETAG, &etag);
    set(&mut headers, header::CACHE_CONTROL, IMMUTABLE);
    set(&mut headers, header::ACCEPT_RANGES, "bytes");
    set(&mut headers, header::VARY, "Accept");
    match conditions::evaluate(request.headers(), &etag) {
        Verdict::Go => {}
        Verdict::NotModified => return with(StatusCode::NOT_MODIFIED, headers, Body::empty()),
        Verdict::Failed => {
            return refusal(StatusCode::PRECONDITION_FAILED, "it has another ETag");
        }
    }
    let asked = match request.headers().get(header::RANGE) {
        // Ranges are defined for GET alone (RFC 9110, section 14.2).
        Some(range)
            if request.method() == Method::GET
                && conditions::range_counts(request.headers(), &etag) =>
        {
            range::asked(range.to_str().unwrap_or_default(), len)
        }
        _ => Asked::Whole,
    };
    let (status, part) = match asked {
        Asked::Whole => (StatusCode::OK, 0..len),
        Asked::Part(part) => {
            let says = format!("bytes {}-{}/{len}", part.start, part.end - 1);
            set(&mut headers, header::CONTENT_RANGE, &says);
            (StatusCode::PARTIAL_CONTENT, part)
        }
        Asked::Unsatisfiable => {
            let why = format!("there are {len} bytes");
            let mut response = refusal(StatusCode::RANGE_NOT_SATISFIABLE, &why);
            let says = format!("bytes */{len}");
            set(response.headers_mut(), header::CONTENT_RANGE, &says);
            set(response.headers_mut(), header::ACCEPT_RANGES, "bytes");
            return response;
        }
    };
    set(&mut headers, header::CONTENT_TYPE, &media_type);
    let length = (part.end - part.start).to_string();
    set(&mut headers, header::CONTENT_LENGTH, &length);
    let body = match *request.method() {
        Method::HEAD => Body::empty(),
        _ => body(&blob, window.start + part.start..window.start + part.end),
    };
    with(status, headers, body)
}

/// The bytes of a range, read as the client takes them. An error in the middle breaks the
/// connection: the client sees that bytes are missing, and never others in their place.
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
            log::warn!("{name}: broke off an answer: {e}");
            Err(io::Error::other(e))
        }
    }))
}

/// The strong entity tag of a window on a blob. No comma in it: see [`conditions`].
fn etag(blob: &Blob, window: &Range<u64>) -> String {
    match *window == (0..blob.size) {
        true => format!("\"{}\"", blob.cid),
        false => format!("\"{}.{}-{}\"", blob.cid, window.start, window.end),
    }
}

/// To OPTIONS: what may be done here, and by whom (Fetch standard, "CORS-preflight fetch").
///
/// Players send headers of their own, and of the page that they are on. None of them means anything
/// here, and a refused preflight would keep the player from asking at all: each header that is
/// asked for is allowed by name, as `*` would not cover Authorization.
fn options(asked: &HeaderMap) -> Response<Body> {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (header::ALLOW, ALLOW),
        (header::ACCESS_CONTROL_ALLOW_METHODS, ALLOW),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "*, Authorization, Range",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
        (
            header::VARY,
            "Access-Control-Request-Headers, Access-Control-Request-Private-Network",
        ),
    ] {
        set(&mut headers, name, value);
    }
    if asked.contains_key(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.remove(header::ACCESS_CONTROL_ALLOW_HEADERS);
        for names in asked.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.append(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
    }
    // Private Network Access (<https://wicg.github.io/private-network-access/>): a page of the
    // internet may ask a node on this machine or in this network.
    if asked.contains_key("access-control-request-private-network") {
        let name = HeaderName::from_static("access-control-allow-private-network");
        set(&mut headers, name, "true");
    }
    with(StatusCode::NO_CONTENT, headers, Body::empty())
}

fn list(media_type: &str, text: String) -> Response<Body> {
    text_answer(StatusCode::OK, media_type, "no-cache", text)
}

pub(super) fn refusal(status: StatusCode, why: &str) -> Response<Body> {
    let text = format!("{why}\n");
    text_answer(status, "text/plain; charset=utf-8", "no-store", text)
}

fn text_answer(
    status: StatusCode,
    media_type: &str,
    cache_control: &str,
    text: String,
) -> Response<Body> {
    let mut headers = HeaderMap::new();
    set(&mut headers, header::CONTENT_TYPE, media_type);
    set(&mut headers, header::CACHE_CONTROL, cache_control);
    set(
        &mut headers,
        header::CONTENT_LENGTH,
        &text.len().to_string(),
    );
    with(status, headers, Body::from(text))
}

pub(super) fn with(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

pub(super) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    let value = HeaderValue::from_str(value);
    headers.insert(
        name,
        value.expect("our values are ASCII without control characters"),
    );
}
