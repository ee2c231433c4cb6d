//! Fetches windows of the archive, and finds out which bytes are bad.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use crate::source::{Error, Priority, Source};

/// The length of a request, in bytes.
const WINDOW: u64 = 4 << 20;

/// The unit in which bad bytes are reported if the source is not more precise: a page of a disk.
const PAGE: u64 = 4096;

/// A range of the archive, with its bytes or why they could not be read.
pub(super) struct Outcome {
    pub(super) range: Range<u64>,
    pub(super) bytes: Result<Bytes, Error>,
}

/// Splits ranges into windows, which end at the boundaries of leaves if these are known.
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

/// Fetches a window. An error of some bytes is in the place of these bytes. An error that concerns all
/// bytes, for example that a server is gone, is returned.
pub(super) async fn fetch(source: &dyn Source, window: Range<u64>) -> Result<Vec<Outcome>, Error> {
    let mut outcomes = Vec::new();
    let mut at = window.start;
    while at < window.end {
        let mut good = BytesMut::new();
        let ended = read(source, at..window.end, &mut good).await;
        let end = at + good.len() as u64;
        if end > at {
            outcomes.push(Outcome {
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
        outcomes.push(Outcome {
            range: bad,
            bytes: Err(error),
        });
    }
    Ok(outcomes)
}

async fn read(source: &dyn Source, range: Range<u64>, good: &mut BytesMut) -> Result<(), Error> {
    let mut stream = source.read(range.clone(), Priority::Demand);
    while let Some(chunk) = stream.next().await {
        good.extend_from_slice(&chunk?.bytes);
    }
    let got = good.len() as u64;
    if got == range.end - range.start {
        Ok(())
    } else {
        Err(Error::Unsupported {
            what: format!("of bytes {}-{} only {got} came", range.start, range.end - 1),
        })
    }
}

/// Whether an error concerns only these bytes.
fn is_of_bytes(error: &Error) -> bool {
    matches!(
        error,
        Error::Forged { .. }
            | Error::Io { .. }
            | Error::Encoded { .. }
            | Error::BadAnswer { .. }
            // A bad node of the hash tree concerns the bytes below it.
            | Error::Unsupported { .. }
    )
}
