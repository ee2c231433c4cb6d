//! The two ways to a leaf: bytes by range, from any server, or the leaf as a raw block.
//!
//! Ranges come first: many leaves fit in one. But gateways refuse them that have every block, and what one
//! answers to a range says nothing about its blocks. So a leaf that no range brings is asked for as a
//! block: at once where ranges are refused for good; beside the range, which is still being tried, where
//! they are refused for now; and then the first to bring something counts.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::{Instant, timeout};

use super::data::Data;
use crate::source::{Chunk, Error, Priority, Result};

/// How long a range that is refused for now is tried alone: two or three times.
const ALONE: Duration = Duration::from_millis(300);

/// The same, where the leaf before came as a block: long enough for a disk that has the bytes.
const ALONE_AGAIN: Duration = Duration::from_millis(20);

/// After such a silence somebody who waits has the block asked for, too, whatever went wrong.
const STALLED: Duration = Duration::from_secs(5);

/// What has gone wrong so long before the range was asked for counts as well.
const LATELY: Duration = Duration::from_secs(1);

/// What came.
#[derive(Debug)]
pub(super) enum Came {
    /// Some of the leaf, by range.
    Piece(Chunk),
    /// All of it.
    Block(Vec<u8>),
}

/// Waits for `piece`, which comes from `data`, or else for `block`.
///
/// # Errors
/// That of the range, if neither comes, for it says more; but that of the block if it says that the
/// tree itself is wrong.
pub(super) async fn either<P, B>(
    piece: P,
    block: impl FnOnce() -> B,
    data: &Data,
    priority: Priority,
) -> Result<Came>
where
    P: Future<Output = Result<Chunk>>,
    B: Future<Output = Result<Vec<u8>>>,
{
    let asked = Instant::now();
    let mut piece = pin!(piece);
    let mut pause = if data.is_refused() {
        ALONE_AGAIN
    } else {
        ALONE
    };
    // Read-ahead is not tried for long, and not worth another request.
    let is_worth_it = priority == Priority::Demand || data.is_refused();
    let error = loop {
        match timeout(pause, &mut piece).await {
            Ok(Ok(chunk)) => {
                data.gave(&chunk);
                return Ok(Came::Piece(chunk));
            }
            Ok(Err(error)) => break Some(error),
            Err(_) => pause = ALONE,
        }
        let trouble = data.source().trouble(asked.elapsed() + LATELY);
        if is_worth_it && trouble.is_some_and(|error| refuses(&error) || asked.elapsed() >= STALLED)
        {
            break None;
        }
    };
    if let Some(error) = error {
        return if leads_to_blocks(&error, is_worth_it) {
            instead_of(error, block(), data).await
        } else {
            Err(error)
        };
    }
    let block = pin!(block());
    match select(piece, block).await {
        Either::Left((Ok(chunk), _)) => {
            data.gave(&chunk);
            Ok(Came::Piece(chunk))
        }
        Either::Left((Err(error), block)) => instead_of(error, block, data).await,
        Either::Right((Ok(bytes), _)) => {
            data.refused();
            Ok(Came::Block(bytes))
        }
        Either::Right((Err(_), piece)) => piece.await.map(Came::Piece),
    }
}

async fn instead_of(
    error: Error,
    block: impl Future<Output = Result<Vec<u8>>>,
    data: &Data,
) -> Result<Came> {
    log::debug!("{error}; asking for a raw block");
    match block.await {
        Ok(bytes) => {
            data.refused();
            Ok(Came::Block(bytes))
        }
        Err(wrong @ Error::Unsupported { .. }) => Err(wrong),
        Err(_) => Err(error),
    }
}

/// Whether this is a server's answer to a range, for good or for now.
fn refuses(error: &Error) -> bool {
    match error {
        Error::Status { .. }
        | Error::NotFound { .. }
        | Error::NoRanges { .. }
        | Error::Encoded { .. }
        | Error::BadAnswer { .. }
        // A redirect that is not followed.
        | Error::Unsupported { .. } => true,
        Error::Unreachable { .. }
        | Error::NoNetwork { .. }
        | Error::Offline
        | Error::Timeout { .. }
        | Error::Cut { .. }
        // It is of a block.
        | Error::NoRawBlocks { .. }
        | Error::Forged { .. }
        | Error::Changed { .. }
        | Error::Io { .. }
        | Error::OutOfBlob { .. } => false,
    }
}

/// Whether the block is worth asking for after the range failed so.
fn leads_to_blocks(error: &Error, is_worth_it: bool) -> bool {
    match error {
        // It may be kept on this machine.
        Error::Offline | Error::NoNetwork { .. } => true,
        error => refuses(error) && (is_worth_it || !error.is_transient()),
    }
}
