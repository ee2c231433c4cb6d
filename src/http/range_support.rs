//! Whether a server gives ranges, as its answers have shown, and whether to repeat a request after an answer
//! that is not the range. Pure.

use std::slice::Iter;
use std::time::Duration;

use crate::source::verdict::{Seen, Stage, Verdict, judge};
use crate::source::{Error, Result};

/// The pauses before a server that answered its first range with the whole file is asked again. A cache has
/// fetched enough for its first 206 within one or two round trips to its origin.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// Whether a server gives ranges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum RangeSupport {
    #[default]
    Unknown,
    Confirmed,
    Denied,
}

/// How to repeat a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Send it to the URL that redirected, for a new target.
    Anew,
    /// Send it after this pause.
    After(Duration),
}

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
    pub(super) fn confirmed(&mut self) {
        *self = Self::Confirmed;
    }

    /// Decides what to do after an answer was not accepted because of `error`. `ignored`: what it has if it ignored the
    /// range. `is_target`: the request was sent to the target of an earlier redirect.
    ///
    /// # Errors
    /// The error of the request, if it is not to be repeated.
    pub(super) fn repeat(
        &mut self,
        (ignored, is_target): (Option<Seen>, bool),
        error: Error,
        repeats: &mut Repeats,
    ) -> Result<Repeat> {
        let seen = match (&error, ignored) {
            (Error::NoRanges { .. }, Some(ignored)) => ignored,
            (Error::BadAnswer { .. } | Error::Encoded { .. }, _) => Seen::Wrong,
            _ => return Err(error),
        };
        if is_target
            && !std::mem::replace(&mut repeats.has_left_target, true)
            && judge(seen, Stage::Target) == Verdict::Anew
        {
            log::debug!("{error}; asking the URL that redirected for a new target");
            return Ok(Repeat::Anew);
        }
        let stage = if *self == Self::Confirmed {
            Stage::Middle
        } else {
            Stage::First
        };
        match (judge(seen, stage), error) {
            (Verdict::LookAgain, error) => {
                // Only the first requests are repeated, not every range.
                let pause = repeats.pauses.next().filter(|_| *self == Self::Unknown);
                let Some(pause) = pause else {
                    *self = Self::Denied;
                    return Err(error);
                };
                log::debug!("{error}; asking once more in {} ms", pause.as_millis());
                Ok(Repeat::After(*pause))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Origin;

    fn whole() -> Error {
        Error::NoRanges {
            origin: Origin::new("test"),
            what: "it sends the whole file".into(),
            has_served: false,
        }
    }

    fn repeat(
        support: &mut RangeSupport,
        is_target: bool,
        repeats: &mut Repeats,
    ) -> Result<Repeat> {
        support.repeat((Some(Seen::Whole), is_target), whole(), repeats)
    }

    #[test]
    fn whole_files_are_asked_about_twice_and_only_once_per_server() {
        let mut support = RangeSupport::default();
        let mut repeats = Repeats::new();
        for pause in PAUSES {
            let told = repeat(&mut support, false, &mut repeats).expect("another try");
            assert_eq!(told, Repeat::After(pause));
        }
        for mut repeats in [repeats, Repeats::new()] {
            let error = repeat(&mut support, false, &mut repeats).expect_err("no ranges");
            assert!(!error.is_transient());
        }
        let mut support = RangeSupport::default();
        let page = (Some(Seen::Page), false);
        let told = support.repeat(page, whole(), &mut Repeats::new());
        told.expect_err("a page does not become a file");
        support.confirmed();
        let error = repeat(&mut support, false, &mut Repeats::new()).expect_err("this time");
        assert!(error.is_transient(), "it has served ranges");
    }

    #[test]
    fn the_target_of_a_redirect_is_left_once() {
        let (mut support, mut repeats) = (RangeSupport::Confirmed, Repeats::new());
        let told = repeat(&mut support, true, &mut repeats).expect("another target");
        assert_eq!(told, Repeat::Anew);
        assert!(repeat(&mut support, true, &mut repeats).is_err());
    }
}
