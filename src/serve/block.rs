//! Raw blocks, with which clients verify ranges (trustless gateway specification,
//! <https://specs.ipfs.tech/http-gateways/trustless-gateway/>).

use std::io;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response, StatusCode, header};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::ready;
use futures_util::stream;

use super::blob::Blob;
use super::form::RAW;
use super::response::{IMMUTABLE, body, by_conditions, refusal, response, set};
use super::window::has_window;
use crate::content::{Block, Cid};

/// Answers with the block that `cid` names, given the blob that it belongs to.
pub(super) fn answer(found: Option<(Blob, Block)>, cid: &Cid, request: &Parts) -> Response<Body> {
    if has_window(request.uri.query()) {
        return refusal(
            StatusCode::BAD_REQUEST,
            "a raw block has no ranges: remove 'range' from the query",
        );
    }
    // An identity CID contains its block. Clients ask for one to find out whether a gateway works.
    if let Some(inlined) = cid.inlined() {
        let inlined = Bytes::copy_from_slice(inlined);
        return whole(cid, request, inlined.len() as u64, inlined.into());
    }
    match found {
        Some((blob, block)) => whole(cid, request, block.len(), stored(&blob, block)),
        None => refusal(
            StatusCode::NOT_FOUND,
            "this node has no such block, or not yet",
        ),
    }
}

/// A block of `len` bytes.
fn whole(cid: &Cid, request: &Parts, len: u64, body: Body) -> Response<Body> {
    let mut headers = HeaderMap::new();
    let etag = format!("\"{cid}.raw\"");
    set(&mut headers, header::ETAG, &etag);
    set(&mut headers, header::CACHE_CONTROL, IMMUTABLE);
    set(&mut headers, header::VARY, "Accept");
    if let Some(response) = by_conditions(request, &etag, &headers) {
        return response;
    }
    set(&mut headers, header::CONTENT_TYPE, RAW);
    set(&mut headers, header::CONTENT_LENGTH, &len.to_string());
    // Browsers must save a block, not show it.
    let disposition = format!("attachment; filename=\"{cid}.bin\"");
    set(&mut headers, header::CONTENT_DISPOSITION, &disposition);
    response(StatusCode::OK, headers, body)
}

/// The bytes of a block. Those of a leaf are read from the blob as the client takes them.
fn stored(blob: &Blob, block: Block) -> Body {
    let (before, range, behind) = match block {
        Block::Node(block) => return block.into(),
        Block::Leaf {
            before,
            range,
            behind,
        } => (before, range, behind),
    };
    let framing = |bytes: Vec<u8>| stream::once(ready(Ok::<_, io::Error>(Bytes::from(bytes))));
    let data = body(blob, range).into_data_stream();
    let data = data.map(|bytes| bytes.map_err(io::Error::other));
    Body::from_stream(framing(before).chain(data).chain(framing(behind)))
}
