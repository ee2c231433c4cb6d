//! Fetches a leaf by range or as a raw block.
//!
//! Ranges come first, since one covers many leaves. Some gateways refuse ranges and serve all blocks. If a
//! range is refused permanently, the leaf is requested as a block at once; if temporarily, the block is
//! requested while the range is still retried, and the first answer wins.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::{Instant, timeout};

use super::data::Data;
use crate::source::{Chunk, Error, Priority, Result};

/// How long a temporarily refused range is tried alone: two or three times.
const ALONE: Duration = Duration::from_millis(300);

/// The same if the previous leaf came as a block: long enough for a read from disk.
const ALONE_AGAIN: Duration = Duration::from_millis(20);

/// After this time without bytes, a demand read also requests the block after any error.
const STALLED: Duration = Duration::from_secs(5);

/// Errors this long before the request count, too.
const LATELY: Duration = Duration::from_secs(1);

/// What arrived first.
#[derive(Debug)]
pub(super) enum Delivery {
    /// A part of the leaf, by range.
    Chunk(Chunk),
    /// The whole leaf.
    Block(Vec<u8>),
}

/// Waits for `chunk`, which comes from `data`, or for `block`.
///
/// # Errors
/// If both fail, the range's error, which says more; but the block's if the tree itself is malformed.
pub(super) async fn range_or_block<P, B>(
    chunk: P,
    block: impl FnOnce() -> B,
    data: &Data,
    priority: Priority,
) -> Result<Delivery>
where
    P: Future<Output = Result<Chunk>>,
    B: Future<Output = Result<Vec<u8>>>,
{
    let asked = Instant::now();
    let mut chunk = pin!(chunk);
    let mut pause = if data.is_refused() {
        ALONE_AGAIN
    } else {
        ALONE
    };
    // Read-ahead is not retried for long and not worth a second request.
    let is_worth_it = priority == Priority::Demand || data.is_refused();
    let trouble = loop {
        match timeout(pause, &mut chunk).await {
            Ok(Ok(chunk)) => {
                data.range_served(&chunk);
                return Ok(Delivery::Chunk(chunk));
            }
            Ok(Err(error)) if leads_to_blocks(&error, is_worth_it) => {
                return block_instead(error, block(), data).await;
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => pause = ALONE,
        }
        let hints = data.source().hints();
        let trouble = hints.trouble_within(asked.elapsed() + LATELY);
        if is_worth_it
            && let Some(trouble) = trouble
            && (refuses(trouble) || asked.elapsed() >= STALLED)
        {
            break trouble.clone();
        }
    };
    let block = pin!(block());
    match select(chunk, block).await {
        Either::Left((Ok(chunk), _)) => {
            data.range_served(&chunk);
            Ok(Delivery::Chunk(chunk))
        }
        Either::Left((Err(error), block)) => block_instead(error, block, data).await,
        Either::Right((Ok(bytes), _)) => {
            data.range_refused(&trouble);
            Ok(Delivery::Block(bytes))
        }
        Either::Right((Err(_), chunk)) => chunk.await.map(Delivery::Chunk),
    }
}

/// A leaf of which the cache may have the bytes, and otherwise no server gives the range.
pub(super) async fn kept_or_block<B>(
    kept: impl Future<Output = Result<Vec<Chunk>>>,
    block: impl FnOnce() -> B,
    data: &Data,
) -> Result<Vec<Delivery>>
where
    B: Future<Output = Result<Vec<u8>>>,
{
    match kept.await {
        Ok(chunks) => {
            chunks.iter().for_each(|chunk| data.range_served(chunk));
            Ok(chunks.into_iter().map(Delivery::Chunk).collect())
        }
        Err(error) if leads_to_blocks(&error, true) => {
            Ok(vec![block_instead(error, block(), data).await?])
        }
        Err(error) => Err(error),
    }
}

async fn block_instead(
    error: Error,
    block: impl Future<Output = Result<Vec<u8>>>,
    data: &Data,
) -> Result<Delivery> {
    log::debug!("{error}; asking for a raw block");
    match block.await {
        Ok(bytes) => {
            data.range_refused(&error);
            Ok(Delivery::Block(bytes))
        }
        Err(wrong @ Error::Unsupported { .. }) => Err(wrong),
        Err(_) => Err(error),
    }
}

/// Whether a server refused a range, permanently or temporarily.
fn refuses(error: &Error) -> bool {
    match error {
        Error::Status { .. }
        | Error::Refused { .. }
        | Error::NotFound { .. }
        | Error::NoRanges { .. }
        | Error::Encoded { .. }
        | Error::BadAnswer { .. }
        // For example a redirect that is not followed.
        | Error::Unsupported { .. } => true,
        Error::Unreachable { .. }
        | Error::Untrusted { .. }
        | Error::NoNetwork { .. }
        | Error::Offline
        | Error::Timeout { .. }
        | Error::Cut { .. }
        // This error is about blocks.
        | Error::NoRawBlocks { .. }
        | Error::Forged { .. }
        | Error::Changed { .. }
        | Error::Io { .. }
        | Error::OutOfBlob { .. }
        | Error::Misconfigured { .. } => false,
    }
}

/// Whether to request the block after this error of the range.
fn leads_to_blocks(error: &Error, is_worth_it: bool) -> bool {
    match error {
        // It may be cached.
        Error::Offline | Error::NoNetwork { .. } => true,
        error => refuses(error) && (is_worth_it || !error.is_transient()),
    }
}
