//! Raw blocks of a server (<https://specs.ipfs.tech/http-gateways/trustless-gateway/>).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;

use super::HttpOptions;
use super::answer::{Answer, Codings};
use super::exchange::Exchange;
use super::remote::{Ask, RemoteUrl};
use crate::source::verdict::Stage;
use crate::source::{BlockCheck, Chunk, Error, Origin, Result};

/// The media type of a raw block. It is sent with `?format=raw`, because some gateways heed only one of them.
const RAW: &str = "application/vnd.ipld.raw";

/// Fetches the raw block of the content at `url`, as one chunk.
///
/// # Errors
/// If the server does not give the block, gives more than `most` bytes, or gives bytes that `is_block` does not
/// accept.
pub async fn raw_block(
    url: &str,
    options: &HttpOptions,
    most: usize,
    is_block: &BlockCheck,
) -> Result<Chunk> {
    let separator = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{separator}format=raw");
    let remote = RemoteUrl::new(&url, options.clone())?;
    let (received, _) = remote.get(Ask::Whole { accept: RAW }).await?;
    let origin = remote.origin();
    check(origin, &received)?;
    let block = collect(origin, received, options.idle_timeout, most).await?;
    if !is_block(&block) {
        return Err(Error::Forged {
            origin: origin.clone(),
            range: 0..block.len() as u64,
        });
    }
    Ok(Chunk {
        offset: 0,
        bytes: block,
        origin: origin.clone(),
    })
}

fn check(origin: &Origin, response: &Exchange) -> Result<()> {
    let none = |what: String| Error::NoRawBlocks {
        origin: origin.clone(),
        what,
    };
    let answer = Answer::of(response);
    if answer.status != StatusCode::OK {
        return Err(answer.refusal(origin, &(0..1), Stage::Block));
    }
    // Other codings are no error: the caller finds out whether they changed the bytes.
    let codings = Codings::of(answer.headers);
    if codings.change_content() {
        return Err(none(format!("it sends Content-Encoding: {}", codings.told)));
    }
    let text = |name| response.headers.get(name).and_then(|v| v.to_str().ok());
    match text(CONTENT_TYPE) {
        Some(kind) if !kind.starts_with(RAW) && !kind.starts_with("application/octet-stream") => {
            Err(none(format!("it sends {kind}")))
        }
        _ => Ok(()),
    }
}

async fn collect(
    origin: &Origin,
    mut received: Exchange,
    wait: Duration,
    most: usize,
) -> Result<Bytes> {
    let mut block = BytesMut::new();
    loop {
        let next = tokio::time::timeout(wait, received.chunk()).await;
        let next = next.map_err(|_| Error::Timeout {
            origin: origin.clone(),
            after: wait,
        })?;
        let next = next.map_err(|_| Error::Cut {
            origin: origin.clone(),
            range: 0..most as u64,
            got: block.len() as u64,
        })?;
        let Some(bytes) = next else {
            return Ok(block.freeze());
        };
        if block.len() + bytes.len() > most {
            return Err(Error::NoRawBlocks {
                origin: origin.clone(),
                what: format!("it sends more than the {most} bytes that a block may have"),
            });
        }
        block.extend_from_slice(&bytes);
    }
}
