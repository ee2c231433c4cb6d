//! Raw blocks: a node's part in others' proofs (trustless gateway specification,
//! <https://specs.ipfs.tech/http-gateways/trustless-gateway/>).

use std::io;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, Response, StatusCode, header};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::ready;
use futures_util::stream;

use super::Blob;
use super::answer::{IMMUTABLE, body, refusal, set, with};
use super::conditions::{self, Verdict};
use super::form::RAW;
use super::window::has_window;
use crate::content::{Block, Cid};

/// The block that `cid` names, as it is. `holder`: the blob that has it.
pub(super) fn answer(
    holder: Option<(Blob, Block)>,
    cid: &Cid,
    request: &Request,
) -> Response<Body> {
    if has_window(request.uri().query()) {
        return refusal(StatusCode::BAD_REQUEST, "a block has no ranges");
    }
    // The CID itself carries the block; clients ask for such a one to see whether a gateway works.
    if let Some(inlined) = cid.inlined() {
        let inlined = Bytes::copy_from_slice(inlined);
        return found(cid, request, inlined.len() as u64, || inlined.into());
    }
    match holder {
        Some((blob, block)) => found(cid, request, block.len(), || stored(&blob, block)),
        None => refusal(
            StatusCode::NOT_FOUND,
            "this node has no such block, or not yet",
        ),
    }
}

fn found(cid: &Cid, request: &Request, len: u64, body: impl FnOnce() -> Body) -> Response<Body> {
    let mut headers = HeaderMap::new();
    let etag = format!("\"{cid}.raw\"");
    set(&mut headers, header::ETAG, &etag);
    set(&mut headers, header::CACHE_CONTROL, IMMUTABLE);
    set(&mut headers, header::VARY, "Accept");
    match conditions::evaluate(request.headers(), &etag) {
        Verdict::Go => {}
        Verdict::NotModified => return with(StatusCode::NOT_MODIFIED, headers, Body::empty()),
        Verdict::Failed => {
            return refusal(StatusCode::PRECONDITION_FAILED, "it has another ETag");
        }
    }
    set(&mut headers, header::CONTENT_TYPE, RAW);
    set(&mut headers, header::CONTENT_LENGTH, &len.to_string());
    // Nothing a browser should show, whatever the bytes look like.
    let disposition = format!("attachment; filename=\"{cid}.bin\"");
    set(&mut headers, header::CONTENT_DISPOSITION, &disposition);
    let body = match *request.method() {
        Method::HEAD => Body::empty(),
        _ => body(),
    };
    with(StatusCode::OK, headers, body)
}

/// The bytes of a block: a leaf's are read from the blob as the client takes them.
fn stored(blob: &Blob, block: Block) -> Body {
    let (before, range, behind) = match block {
        Block::Node(block) => return block.into(),
        Block::Leaf {
            before,
            range,
            behind,
        } => (before, range, behind),
    };
    let piece = |bytes: Vec<u8>| stream::once(ready(Ok::<_, io::Error>(Bytes::from(bytes))));
    let middle = body(blob, range).into_data_stream();
    let middle = middle.map(|bytes| bytes.map_err(io::Error::other));
    Body::from_stream(piece(before).chain(middle).chain(piece(behind)))
}
