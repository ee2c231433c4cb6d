//! Windows of the line, and what of them is bad.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use crate::source::{Error, Priority, Source};

/// How much is fetched with one request, in bytes.
const WINDOW: u64 = 4 << 20;

/// What is told to be bad where a source cannot say it more precisely: a page of a disk.
const PAGE: u64 = 4096;

/// Consecutive bytes of the line, or why they could not be had.
pub(super) struct Piece {
    pub(super) range: Range<u64>,
    pub(super) bytes: Result<Bytes, Error>,
}

/// Cuts ranges of the line into windows that end with leaves, as far as those are known.
pub(super) fn windows(
    source: Arc<dyn Source>,
    ranges: Vec<Range<u64>>,
) -> impl Iterator<Item = Range<u64>> {
    ranges.into_iter().flat_map(move |range| {
        let source = source.clone();
        let mut at = range.start;
        std::iter::from_fn(move || {
            let start = at;
            let most = range.end.min(start + WINDOW);
            if start >= most {
                return None;
            }
            at = source
                .verification_unit(start..most)
                .end
                .min(range.end)
                .max(most);
            Some(start..at)
        })
    })
}

/// Fetches a window. What is wrong with some bytes is told in their place; what keeps all from
/// coming, a server that is gone for one, is an error.
pub(super) async fn fetch(source: &dyn Source, window: Range<u64>) -> Result<Vec<Piece>, Error> {
    let mut pieces = Vec::new();
    let mut at = window.start;
    while at < window.end {
        let mut good = BytesMut::new();
        let ended = read(source, at..window.end, &mut good).await;
        let end = at + good.len() as u64;
        if end > at {
            pieces.push(Piece {
                range: at..end,
                bytes: Ok(good.freeze()),
            });
        }
        at = end;
        let Err(error) = ended else {
            continue;
        };
        if !is_of_bytes(&error) {
            return Err(error);
        }
        let page = at..(at / PAGE + 1) * PAGE;
        let bad_end = source
            .verification_unit(page.start..page.end.min(window.end))
            .end;
        let bad = at..bad_end.clamp(at + 1, window.end);
        at = bad.end;
        pieces.push(Piece {
            range: bad,
            bytes: Err(error),
        });
    }
    Ok(pieces)
}

async fn read(source: &dyn Source, range: Range<u64>, good: &mut BytesMut) -> Result<(), Error> {
    let mut stream = source.read(range.clone(), Priority::Demand);
    while let Some(chunk) = stream.next().await {
        good.extend_from_slice(&chunk?.bytes);
    }
    let got = good.len() as u64;
    match got == range.end - range.start {
        true => Ok(()),
        false => Err(Error::Unsupported {
            what: format!("of bytes {}-{} only {got} came", range.start, range.end - 1),
        }),
    }
}

/// Whether an error is about these bytes alone, so that others may be better.
fn is_of_bytes(error: &Error) -> bool {
    match error {
        Error::Forged { .. }
        | Error::Io { .. }
        | Error::Encoded { .. }
        | Error::BadAnswer { .. } => true,
        // What is wrong with a CID's tree is so below one of its nodes.
        Error::Unsupported { .. } => true,
        Error::Unreachable { .. }
        | Error::Untrusted { .. }
        | Error::NoNetwork { .. }
        | Error::Offline
        | Error::Timeout { .. }
        | Error::Cut { .. }
        | Error::Status { .. }
        | Error::NotFound { .. }
        | Error::NoRanges { .. }
        | Error::NoRawBlocks { .. }
        | Error::Changed { .. }
        | Error::OutOfBlob { .. } => false,
    }
}
