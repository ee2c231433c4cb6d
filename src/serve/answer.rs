//! Answers a request.

use std::ops::Range;

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use super::blob::Blob;
use super::conditions;
use super::form::{self, Form};
use super::node::Node;
use super::paths::{Route, route};
use super::preflight::{self, METHODS};
use super::range::{self, Requested};
use super::response::{IMMUTABLE, body, by_conditions, refusal, response, set, text};
use super::window::{has_window, window};
use super::{block, listing, media, page};
use crate::content::Cid;

/// Answers a request to `node`.
pub(super) async fn answer<B>(node: &Node, request: Request<B>) -> Response<Body> {
    let (request, _body) = request.into_parts();
    let mut response = match request.method {
        Method::GET | Method::HEAD => get(node, &request).await,
        Method::OPTIONS => preflight::answer(&request.headers),
        _ => {
            let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, "the node is read-only");
            set(response.headers_mut(), header::ALLOW, METHODS);
            response
        }
    };
    let headers = response.headers_mut();
    // Fetch standard, "CORS protocol": pages of every origin may read the answer and these headers.
    set(headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    set(
        headers,
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        "Accept-Ranges, Content-Length, Content-Range, Date, ETag",
    );
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if request.method == Method::HEAD {
        // The headers stay, Content-Length included (RFC 9110, section 9.3.2).
        *response.body_mut() = Body::empty();
    }
    response
}

async fn get(node: &Node, request: &Parts) -> Response<Body> {
    match route(request.uri.path()) {
        Route::Directory(path) => directory(node, &path, request).await,
        Route::Page(name) => page_file(&name, request),
        Route::Json => json(listing::json(&node.list().await)),
        Route::Blob(..) if is_service_worker(request) => refusal(
            StatusCode::FORBIDDEN,
            "a file of an archive cannot be a service worker: it would act for the node",
        ),
        Route::Blob(cid, name) => match Form::of(request) {
            Form::File => file(node, &cid, name, request).await,
            Form::Block => block::answer(node.find_block(&cid).await, &cid, request),
            Form::Other => refusal(
                StatusCode::NOT_ACCEPTABLE,
                "this node serves files, ranges of them, and raw blocks; no other format",
            ),
        },
        Route::Unknown(why) => refusal(StatusCode::NOT_FOUND, &why),
    }
}

/// The page, or the list of a directory: for the root, the list is for clients that name JSON.
async fn directory(node: &Node, path: &str, request: &Parts) -> Response<Body> {
    let mut response = if path.is_empty() && !form::names(&request.headers, listing::MEDIA_TYPE) {
        page_file(page::DOCUMENT, request)
    } else {
        match listing::directory(&node.list().await, path) {
            Some(list) => json(list),
            None => refusal(StatusCode::NOT_FOUND, "this node serves no such directory"),
        }
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Accept"));
    response
}

fn page_file(name: &str, request: &Parts) -> Response<Body> {
    match page::find(name) {
        Some(file) => page::answer(file, request),
        None => refusal(StatusCode::NOT_FOUND, "the page has no such file"),
    }
}

/// A list, which changes.
fn json(list: String) -> Response<Body> {
    text(StatusCode::OK, listing::MEDIA_TYPE, "no-cache", list)
}

/// Whether a browser asks for the script of a service worker (Service Workers specification,
/// "Service-Worker").
fn is_service_worker(request: &Parts) -> bool {
    request.headers.contains_key("service-worker")
}

async fn file(node: &Node, cid: &Cid, name: Option<String>, request: &Parts) -> Response<Body> {
    let Some(blob) = node.find(cid).await else {
        return refusal(
            StatusCode::NOT_FOUND,
            "this node has no such blob, or not yet",
        );
    };
    let has_window = has_window(request.uri.query());
    if let Some(name) = &name
        && !has_window
        && !node.is_name_of(cid, name)
    {
        return refusal(StatusCode::NOT_FOUND, &no_such_name(cid, name));
    }
    let media_type = match name {
        Some(name) => media::of(&name),
        // The blob's own name says nothing about a part of it.
        None if has_window => media::of(""),
        None => media::of(&blob.name),
    };
    part(&blob, &media_type, request)
}

/// Why a name below a CID is not found. If the node answered with the whole archive instead, a
/// player would download gigabytes for a picture.
fn no_such_name(cid: &Cid, name: &str) -> String {
    format!(
        "this node does not look into archives, and finds '{name}' only by its range: add ?range=OFFSET,SIZE, as in the links of playlists ('getfattr -n user.aiozfs.range FILE' in a mount prints it); the whole archive is at /ipfs/{cid}"
    )
}

/// The part of the blob that the request asks for: its window, and the Range header within that.
fn part(blob: &Blob, media_type: &str, request: &Parts) -> Response<Body> {
    let window = match window(request.uri.query(), blob.size) {
        Ok(window) => window,
        Err(why) => return refusal(StatusCode::BAD_REQUEST, &why),
    };
    let etag = etag(blob, &window);
    let len = window.end - window.start;
    let mut headers = HeaderMap::new();
    set(&mut headers, header::ETAG, &etag);
    set(&mut headers, header::CACHE_CONTROL, IMMUTABLE);
    set(&mut headers, header::ACCEPT_RANGES, "bytes");
    set(&mut headers, header::VARY, "Accept");
    if let Some(response) = by_conditions(request, &etag, &headers) {
        return response;
    }
    let requested = match request.headers.get(header::RANGE) {
        // Only GET defines ranges (RFC 9110, section 14.2).
        Some(range)
            if request.method == Method::GET
                && conditions::range_applies(&request.headers, &etag) =>
        {
            range::requested(range.to_str().unwrap_or_default(), len)
        }
        _ => Requested::Whole,
    };
    let (status, part) = match requested {
        Requested::Whole => (StatusCode::OK, 0..len),
        Requested::Part(part) => {
            let value = format!("bytes {}-{}/{len}", part.start, part.end - 1);
            set(&mut headers, header::CONTENT_RANGE, &value);
            (StatusCode::PARTIAL_CONTENT, part)
        }
        Requested::Unsatisfiable => {
            let why = format!("the content has {len} bytes");
            let mut response = refusal(StatusCode::RANGE_NOT_SATISFIABLE, &why);
            let value = format!("bytes */{len}");
            set(response.headers_mut(), header::CONTENT_RANGE, &value);
            set(response.headers_mut(), header::ACCEPT_RANGES, "bytes");
            return response;
        }
    };
    set(&mut headers, header::CONTENT_TYPE, media_type);
    if media::has_scripts(media_type) {
        // A document of an archive gets an origin of its own, and no scripts.
        set(&mut headers, header::CONTENT_SECURITY_POLICY, "sandbox");
    }
    let length = (part.end - part.start).to_string();
    set(&mut headers, header::CONTENT_LENGTH, &length);
    let part = window.start + part.start..window.start + part.end;
    response(status, headers, body(blob, part))
}

/// The strong entity tag of a window on a blob. It has no comma: see [`conditions`].
fn etag(blob: &Blob, window: &Range<u64>) -> String {
    if *window == (0..blob.size) {
        format!("\"{}\"", blob.cid)
    } else {
        format!("\"{}.{}-{}\"", blob.cid, window.start, window.end)
    }
}
