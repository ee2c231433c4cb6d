//! Whether a server gives ranges, as its answers have shown, and whether to repeat a request after an answer
//! that is not the range.

use std::slice::Iter;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Duration;

use reqwest::StatusCode;

use super::remote::{RemoteUrl, Route};
use crate::source::verdict::{Seen, Stage, Verdict, judge};
use crate::source::{Error, Result};

/// The pauses before a server that answered its first range with the whole file is asked again. A cache has
/// fetched enough for its first 206 within one or two round trips to its origin.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// Whether a server gives ranges: one of the constants below.
#[derive(Default)]
pub(super) struct RangeSupport(AtomicU8);

const UNKNOWN: u8 = 0;
const CONFIRMED: u8 = 1;
const DENIED: u8 = 2;

/// How often one request has been repeated.
pub(super) struct Repeats {
    pauses: Iter<'static, Duration>,
    has_left_target: bool,
}

impl Repeats {
    pub(super) fn new() -> Self {
        Self {
            pauses: PAUSES.iter(),
            has_left_target: false,
        }
    }
}

impl RangeSupport {
    /// Records that the server gave a range.
    pub(super) fn confirmed(&self) {
        self.0.store(CONFIRMED, Relaxed);
    }

    /// Decides what to do after an answer with `status`, which came by `route`, was not accepted because of
    /// `error`. Returns when it is time to repeat the request.
    ///
    /// # Errors
    /// The error of the request, if it is not to be repeated.
    pub(super) async fn wait_to_repeat(
        &self,
        (status, route): (StatusCode, Route),
        error: Error,
        remote: &RemoteUrl,
        repeats: &mut Repeats,
    ) -> Result<()> {
        let seen = match &error {
            Error::NoRanges { .. } if status == StatusCode::OK => Seen::Whole,
            Error::BadAnswer { .. } | Error::Encoded { .. } => Seen::Wrong,
            _ => return Err(error),
        };
        if let Route::Remembered(target) = route
            && !std::mem::replace(&mut repeats.has_left_target, true)
            && judge(seen, Stage::Target) == Verdict::Anew
        {
            log::debug!("{error}; asking the URL that redirected for a new target");
            remote.forget(&target);
            return Ok(());
        }
        let known = self.0.load(Relaxed);
        let stage = if known == CONFIRMED {
            Stage::Middle
        } else {
            Stage::First
        };
        match (judge(seen, stage), error) {
            (Verdict::LookAgain, error) => {
                // Only the first requests are repeated, not every range.
                let pause = repeats.pauses.next().filter(|_| known == UNKNOWN);
                let Some(pause) = pause else {
                    self.0.store(DENIED, Relaxed);
                    return Err(error);
                };
                log::debug!("{error}; asking once more in {} ms", pause.as_millis());
                tokio::time::sleep(*pause).await;
                Ok(())
            }
            (Verdict::Again, Error::NoRanges { origin, what, .. }) => Err(Error::NoRanges {
                origin,
                what,
                has_served: true,
            }),
            (_, error) => Err(error),
        }
    }
}
