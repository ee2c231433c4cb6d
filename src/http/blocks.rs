//! Raw blocks and IPNS records of a server (<https://specs.ipfs.tech/http-gateways/trustless-gateway/>).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;

use super::HttpOptions;
use super::answer::Answer;
use super::codings::Codings;
use super::exchange::Exchange;
use super::head::field;
use super::remote::{Ask, RemoteUrl};
use crate::source::verdict::Stage;
use crate::source::{BlockCheck, Chunk, Error, Origin, Result};

/// The media type of a raw block. It is sent with `?format=raw`, because some gateways heed only one of them.
const RAW: &str = "application/vnd.ipld.raw";

/// The media type of an IPNS record, likewise with `?format=ipns-record`.
const RECORD: &str = "application/vnd.ipfs.ipns-record";

/// Fetches the raw block of the content at `url`, as one chunk. Wrong bytes may come from a cache on the way, so
/// the server itself is then asked once.
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
    let mut block = whole(url, options, most, ("raw", RAW), false).await?;
    if !is_block(&block.bytes) {
        let origin = &block.origin;
        log::info!("{origin} gave wrong bytes; asking again, past caches on the way");
        block = whole(url, options, most, ("raw", RAW), true).await?;
    }
    if !is_block(&block.bytes) {
        return Err(Error::Forged {
            origin: block.origin.clone(),
            range: block.range(),
        });
    }
    Ok(block)
}

/// Fetches the IPNS record of the name at `url`, unverified, as one chunk.
///
/// # Errors
/// If the server does not give the record, or gives more than `most` bytes.
pub async fn ipns_record(url: &str, options: &HttpOptions, most: usize) -> Result<Chunk> {
    let record = whole(url, options, most, ("ipns-record", RECORD), false).await;
    record.map_err(|error| match error {
        Error::NoRawBlocks { origin, what } => Error::Unsupported {
            what: format!("{origin} gives no IPNS records: {what}"),
        },
        error => error,
    })
}

/// Fetches the content at `url` in a format, which is given as its name in the query and its media type.
async fn whole(
    url: &str,
    options: &HttpOptions,
    most: usize,
    (format, kind): (&str, &'static str),
    fresh: bool,
) -> Result<Chunk> {
    let separator = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{separator}format={format}");
    let remote = RemoteUrl::new(&url, options.clone())?;
    let (received, _) = remote
        .get(Ask::Whole {
            accept: kind,
            fresh,
        })
        .await?;
    let origin = remote.origin();
    check(origin, &received, kind)?;
    let bytes = collect(origin, received, options.idle_timeout, most).await?;
    let bytes = bytes.ok_or_else(|| Error::NoRawBlocks {
        origin: origin.clone(),
        what: format!("it sends more than {most} bytes"),
    })?;
    Ok(Chunk {
        offset: 0,
        bytes,
        origin: origin.clone(),
    })
}

fn check(origin: &Origin, response: &Exchange, wanted: &str) -> Result<()> {
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
    if codings.changes_content {
        return Err(none(format!("it sends Content-Encoding: {}", codings.told)));
    }
    match field(answer.headers, CONTENT_TYPE) {
        Some(kind)
            if !kind.starts_with(wanted) && !kind.starts_with("application/octet-stream") =>
        {
            Err(none(format!("it sends {kind}")))
        }
        _ => Ok(()),
    }
}

/// Reads the body of an answer; `None` if it has more than `most` bytes. `wait`: how long the server may send nothing.
pub(super) async fn collect(
    origin: &Origin,
    mut received: Exchange,
    wait: Duration,
    most: usize,
) -> Result<Option<Bytes>> {
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
            return Ok(Some(block.freeze()));
        };
        if block.len() + bytes.len() > most {
            return Ok(None);
        }
        block.extend_from_slice(&bytes);
    }
}
