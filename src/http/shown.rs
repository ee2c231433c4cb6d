//! Whether a server gives ranges, as far as it has shown, and what follows from that for an answer that
//! is none.

use std::slice::Iter;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Duration;

use reqwest::StatusCode;

use super::link::{Link, Way};
use crate::source::verdict::{Seen, Stage, Verdict, judge};
use crate::source::{Error, Result};

/// The pauses before a server is asked again that answered its first range with the whole file. A cache
/// has fetched enough for its first 206 within a round trip to its origin, or two.
const LOOKS: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// What a server has shown.
#[derive(Default)]
pub(super) struct Shown(AtomicU8);

const NOTHING: u8 = 0;
const RANGES: u8 = 1;
const NONE: u8 = 2;

/// How one request has been asked again.
pub(super) struct Again {
    looks: Iter<'static, Duration>,
    anew: bool,
}

impl Again {
    pub(super) fn new() -> Self {
        Self {
            looks: LOOKS.iter(),
            anew: false,
        }
    }
}

impl Shown {
    /// It has given a range.
    pub(super) fn gave(&self) {
        self.0.store(RANGES, Relaxed);
    }

    /// An answer of `status`, which came by `way`, was not accepted for `error`. Returns when the same
    /// is to be asked again.
    ///
    /// # Errors
    /// What to tell, if it is not.
    pub(super) async fn ask_again(
        &self,
        (status, way): (StatusCode, Way),
        error: Error,
        link: &Link,
        again: &mut Again,
    ) -> Result<()> {
        let seen = match &error {
            Error::NoRanges { .. } if status == StatusCode::OK => Seen::Whole,
            Error::BadAnswer { .. } | Error::Encoded { .. } => Seen::Wrong,
            _ => return Err(error),
        };
        if let Way::Remembered(target) = way
            && !std::mem::replace(&mut again.anew, true)
            && judge(seen, Stage::Target) == Verdict::Anew
        {
            log::debug!("{error}; asking the origin of the redirect anew");
            link.forget(&target);
            return Ok(());
        }
        let stage = match self.0.load(Relaxed) {
            RANGES => Stage::Middle,
            _ => Stage::First,
        };
        match (judge(seen, stage), error) {
            (Verdict::LookAgain, error) => {
                // It is found out once, not with every range.
                let is_new = self.0.load(Relaxed) == NOTHING;
                let Some(pause) = again.looks.next().filter(|_| is_new) else {
                    self.0.store(NONE, Relaxed);
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
