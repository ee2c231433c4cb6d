//! The body of an accepted answer.

use std::ops::Range;
use std::time::Duration;

use super::exchange::Exchange;
use crate::source::{Chunk, Error, Origin, Result};

/// The body of an accepted answer: exactly the bytes of its range, or an error.
pub(super) struct Body {
    received: Exchange,
    range: Range<u64>,
    at: u64,
}

impl Body {
    pub(super) fn new(received: Exchange, range: Range<u64>) -> Self {
        let at = range.start;
        Self {
            received,
            range,
            at,
        }
    }

    /// Whether the next request may be sent on the connection.
    pub(super) fn is_nearly_over(&self) -> bool {
        self.received.is_nearly_over
    }

    /// The next chunk; `None` after the whole range has come. `wait`: how long the server may send nothing.
    pub(super) async fn next(&mut self, origin: &Origin, wait: Duration) -> Result<Option<Chunk>> {
        let cut = Error::Cut {
            origin: origin.clone(),
            range: self.range.clone(),
            got: self.at - self.range.start,
        };
        let next = match tokio::time::timeout(wait, self.received.chunk()).await {
            Err(_) => {
                return Err(Error::Timeout {
                    origin: origin.clone(),
                    after: wait,
                });
            }
            Ok(Err(_)) => return Err(cut),
            Ok(Ok(next)) => next,
        };
        let Some(bytes) = next else {
            return if self.at == self.range.end {
                Ok(None)
            } else {
                Err(cut)
            };
        };
        let left = self.range.end - self.at;
        if bytes.len() as u64 > left {
            return Err(Error::BadAnswer {
                origin: origin.clone(),
                range: self.range.clone(),
                what: "more bytes than it announced".into(),
            });
        }
        let offset = self.at;
        self.at += bytes.len() as u64;
        Ok(Some(Chunk {
            offset,
            bytes,
            origin: origin.clone(),
        }))
    }
}
