//! What has been learned of one member: how fast it is, what it can do, and whether it rests.
//!
//! A pure state machine: what happened goes in with the time it happened at, and nothing here
//! waits. Chance comes in as a number, too.

use std::time::Duration;

use tokio::time::Instant;

use super::hedge::Latencies;
use super::limit::Limit;
use super::rate::Rate;
use crate::source::Error;

/// The first rest after a failure is at most this; each further failure doubles it.
const FIRST_REST: Duration = Duration::from_millis(500);

/// The longest rest that we choose for what may pass.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// How long one rests that has given its verdict: it has not got the blob, it serves no ranges.
const VERDICT: Duration = Duration::from_secs(60);

/// How long one rests that gave wrong bytes.
const ASIDE: Duration = Duration::from_secs(300);

/// A Retry-After beyond this is not honoured: nobody knows that far ahead.
const LONGEST_ORDER: Duration = Duration::from_secs(300);

/// Fewer bytes than this say nothing: servers were seen to drip a byte a second.
pub(super) const MEANINGFUL: u64 = 1024;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// A range of the blob.
    Data,
    /// A raw block of the tree behind it.
    Block,
}

/// How willingly a member is asked; the lesser, the sooner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Nothing is wrong with it.
    Ready,
    /// It failed, and is asked if nobody else is left; who rests longest comes last.
    Resting(Instant),
    /// It said when to come back (Retry-After), and is left alone until then.
    Ordered,
    /// It has another blob.
    Expelled,
}

#[derive(Debug)]
struct Rest {
    until: Instant,
    is_ordered: bool,
    error: Option<Error>,
}

/// What is known of one member.
#[derive(Debug)]
pub(super) struct Health {
    latency: Option<f64>,
    latencies: Latencies,
    rate: Rate,
    heard: Option<Instant>,
    unheard_bytes: u64,
    /// Bytes that were asked for and have not come.
    pub(super) awaited: u64,
    data: Side,
    blocks: Side,
    expelled: bool,
    limit: Limit,
}

/// How one kind of request fares. A gateway may give ranges and no blocks, or blocks and no ranges: its
/// answer to one says nothing about the other.
#[derive(Debug, Default)]
struct Side {
    failures: u32,
    rest: Option<Rest>,
    /// It has said that it cannot do that at all.
    cannot: bool,
}

impl Health {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            latency: None,
            latencies: Latencies::default(),
            rate: Rate::default(),
            heard: None,
            unheard_bytes: 0,
            awaited: 0,
            data: Side::default(),
            blocks: Side::default(),
            expelled: false,
            limit: Limit::new(limit),
        }
    }

    /// How willingly it is asked now.
    pub(super) fn standing(&self, want: Want, now: Instant) -> Standing {
        if self.expelled {
            return Standing::Expelled;
        }
        let side = self.side(want);
        if let Some(rest) = side.rest.as_ref().filter(|rest| now < rest.until) {
            return match rest.is_ordered {
                true => Standing::Ordered,
                false => Standing::Resting(rest.until),
            };
        }
        match side.cannot {
            // Not for ever: it may learn. But after all who are known to be able.
            true => Standing::Resting(now),
            false => Standing::Ready,
        }
    }

    fn side(&self, want: Want) -> &Side {
        match want {
            Want::Data => &self.data,
            Want::Block => &self.blocks,
        }
    }

    fn side_mut(&mut self, want: Want) -> &mut Side {
        match want {
            Want::Data => &mut self.data,
            Want::Block => &mut self.blocks,
        }
    }

    /// Seconds that `bytes` would take, judging by what was seen; `None` before anything was.
    pub(super) fn expected(&self, bytes: u64) -> Option<f64> {
        let (latency, rate) = (self.latency?, self.rate.get()?);
        Some(latency + (self.awaited + bytes) as f64 / rate)
    }

    /// Seconds to the first byte, on average.
    pub(super) fn latency(&self) -> Option<f64> {
        self.latency
    }

    /// Bytes a second.
    pub(super) fn rate(&self) -> Option<f64> {
        self.rate.get()
    }

    /// After which silence it has kept silent for long.
    pub(super) fn delay(&self) -> Duration {
        self.latencies.delay()
    }

    /// Whether nothing has come from it, on any part, for long.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        let heard = |at: Instant| now.saturating_duration_since(at) < self.delay();
        !self.heard.is_some_and(heard)
    }

    /// When it was last heard.
    pub(super) fn heard(&self) -> Option<Instant> {
        self.heard
    }

    /// How many requests it takes at once.
    pub(super) fn limit(&self) -> usize {
        self.limit.get()
    }

    /// A request for `bytes` was sent.
    pub(super) fn asked(&mut self, bytes: u64, now: Instant) {
        self.rate.asked(now);
        self.awaited += bytes;
    }

    /// A request has ended, however; `left` of its bytes have not come.
    pub(super) fn ended(&mut self, left: u64, now: Instant) {
        self.rate.ended(now);
        self.awaited = self.awaited.saturating_sub(left);
    }

    /// An answer began after this time.
    pub(super) fn began(&mut self, after: Duration) {
        let seen = after.as_secs_f64();
        self.latency = Some(match self.latency {
            None => seen,
            Some(known) => known + (seen - known) * 0.2,
        });
        self.latencies.add(after);
    }

    /// Bytes came.
    pub(super) fn came(&mut self, bytes: u64, now: Instant) {
        self.awaited = self.awaited.saturating_sub(bytes);
        self.unheard_bytes += bytes;
        if self.unheard_bytes >= MEANINGFUL {
            (self.unheard_bytes, self.heard) = (0, Some(now));
        }
        self.rate.came(bytes, now);
    }

    /// A request was answered to its end.
    pub(super) fn served(&mut self, want: Want, now: Instant) {
        self.heard = Some(now);
        self.limit.served();
        let side = self.side_mut(want);
        (side.failures, side.cannot) = (0, false);
        // Wrong bytes are not made good by right ones.
        let stays = |rest: &Rest| rest.error.is_none() && now < rest.until;
        if !side.rest.as_ref().is_some_and(stays) {
            side.rest = None;
        }
    }

    /// A request failed. `chance` in 0..1: how much of the rest it gets, so that many clients do
    /// not come back at once ("full jitter").
    pub(super) fn failed(&mut self, error: &Error, want: Want, chance: f64, now: Instant) {
        if let Error::Status { status: 429, .. } = error {
            self.limit.refused(now);
        }
        let side = self.side_mut(want);
        match error {
            // The caller's mistake.
            Error::OutOfBlob { .. } => {}
            Error::Forged { .. } => self.forged(now),
            // What does not get through to it is no answer.
            Error::NoNetwork { .. } | Error::Unreachable { .. } | Error::Timeout { .. } => {
                self.silent(error, chance, now);
            }
            Error::NoRanges {
                has_served: false, ..
            } => {
                side.cannot = true;
                side.rest_for(VERDICT, false, error, now);
            }
            Error::NoRawBlocks { .. } => side.cannot = true,
            error if error.is_transient() => match error.retry_after() {
                Some(after) => side.rest_for(after, true, error, now),
                None => side.back_off(error, chance, now),
            },
            error => side.rest_for(VERDICT, false, error, now),
        }
    }

    /// It gave wrong bytes.
    pub(super) fn forged(&mut self, now: Instant) {
        for side in [&mut self.data, &mut self.blocks] {
            side.rest = Some(Rest {
                until: now + ASIDE,
                is_ordered: false,
                error: None,
            });
        }
    }

    /// It kept silent on all parts, or cannot be reached.
    pub(super) fn silent(&mut self, error: &Error, chance: f64, now: Instant) {
        for side in [&mut self.data, &mut self.blocks] {
            side.back_off(error, chance, now);
        }
    }

    /// It has another blob, and is never asked again.
    pub(super) fn expel(&mut self) {
        self.expelled = true;
    }

    /// Why it is left alone, with the time that is left.
    pub(super) fn order(&self, want: Want, now: Instant) -> Option<Error> {
        let rest = self
            .side(want)
            .rest
            .as_ref()
            .filter(|rest| rest.is_ordered)?;
        match rest.error.clone()? {
            Error::Status { origin, status, .. } => Some(Error::Status {
                origin,
                status,
                retry_after: Some(rest.until.saturating_duration_since(now)),
            }),
            error => Some(error),
        }
    }
}

impl Side {
    fn back_off(&mut self, error: &Error, chance: f64, now: Instant) {
        let longest = FIRST_REST * 2u32.saturating_pow(self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        let pause = longest.min(LONGEST_REST).mul_f64(chance.clamp(0.0, 1.0));
        self.rest_for(pause, false, error, now);
    }

    fn rest_for(&mut self, pause: Duration, is_ordered: bool, error: &Error, now: Instant) {
        let until = now + pause.min(LONGEST_ORDER);
        if self.rest.as_ref().is_none_or(|rest| rest.until < until) {
            self.rest = Some(Rest {
                until,
                is_ordered,
                error: Some(error.clone()),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Origin;

    fn status(status: u16, retry_after: Option<u64>) -> Error {
        Error::Status {
            origin: Origin::new("test"),
            status,
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn rests_double_and_end_with_the_first_success() {
        let now = Instant::now();
        let mut health = Health::new(16);
        let mut at = now;
        let mut rests = Vec::new();
        for _ in 0..9 {
            health.failed(&status(503, None), Want::Data, 1.0, at);
            let Standing::Resting(until) = health.standing(Want::Data, at) else {
                panic!("it rests");
            };
            rests.push((until - at).as_millis());
            at = until;
        }
        assert_eq!(
            rests,
            [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]
        );
        health.failed(&status(503, None), Want::Data, 1.0, at);
        health.served(Want::Data, at);
        assert_eq!(health.standing(Want::Data, at), Standing::Ready);
        // Full jitter: from no rest at all.
        health.failed(&status(503, None), Want::Data, 0.0, at);
        assert_eq!(health.standing(Want::Data, at), Standing::Ready);
    }

    #[test]
    fn retry_after_is_an_order_within_reason() {
        let now = Instant::now();
        let mut health = Health::new(16);
        health.failed(&status(429, Some(7)), Want::Data, 0.5, now);
        assert_eq!(health.limit(), 8);
        assert_eq!(health.standing(Want::Data, now + s(6)), Standing::Ordered);
        let told = health.order(Want::Data, now + s(5)).expect("an order");
        assert_eq!(told.retry_after(), Some(s(2)));
        assert_eq!(health.standing(Want::Data, now + s(7)), Standing::Ready);
        // A number that nobody can mean; it was the end of the process that added it to a time.
        health.failed(&status(503, Some(u64::MAX)), Want::Data, 0.5, now);
        assert_eq!(health.standing(Want::Data, now + s(300)), Standing::Ready);
        assert_eq!(health.limit(), 8, "503 says nothing of how many");
    }

    #[test]
    fn a_forger_stays_aside_though_it_serves() {
        let now = Instant::now();
        let mut health = Health::new(16);
        health.forged(now);
        health.served(Want::Data, now);
        let then = now + s(299);
        assert!(matches!(
            health.standing(Want::Data, then),
            Standing::Resting(_)
        ));
        assert_eq!(health.standing(Want::Data, now + ASIDE), Standing::Ready);
    }

    /// A gateway that had refused a range for a while, or for good, was not asked for the blocks that
    /// it has, and the other way round.
    #[test]
    fn ranges_and_blocks_are_judged_apart() {
        let now = Instant::now();
        let origin = || Origin::new("test");
        let what = String::new;
        let refusals = [
            status(403, None),
            status(503, None),
            status(429, Some(60)),
            Error::NotFound { origin: origin() },
            Error::NoRanges {
                origin: origin(),
                what: what(),
                has_served: false,
            },
            Error::NoRawBlocks {
                origin: origin(),
                what: what(),
            },
            Error::BadAnswer {
                origin: origin(),
                range: 0..1,
                what: what(),
            },
        ];
        for error in refusals {
            for (refused, other) in [(Want::Data, Want::Block), (Want::Block, Want::Data)] {
                let mut health = Health::new(16);
                health.failed(&error, refused, 1.0, now);
                assert_ne!(health.standing(refused, now), Standing::Ready, "{error}");
                assert_eq!(health.standing(other, now), Standing::Ready, "{error}");
                assert_eq!(health.order(other, now), None);
                health.served(other, now);
                assert_ne!(health.standing(refused, now), Standing::Ready, "{error}");
            }
        }
        // Who cannot be reached or forges does so for both.
        let unreachable = Error::Unreachable {
            origin: origin(),
            cause: what(),
        };
        let forged = Error::Forged {
            origin: origin(),
            range: 0..1,
        };
        for error in [unreachable, forged] {
            let mut health = Health::new(16);
            health.failed(&error, Want::Data, 1.0, now);
            assert_ne!(
                health.standing(Want::Block, now),
                Standing::Ready,
                "{error}"
            );
        }
    }

    /// A cache that fills answers once with the whole blob; it was asked last from then on.
    #[test]
    fn who_gives_ranges_again_is_as_good_as_before() {
        let now = Instant::now();
        let no_ranges = |has_served| Error::NoRanges {
            origin: Origin::new("test"),
            what: String::new(),
            has_served,
        };
        let mut health = Health::new(16);
        health.failed(&no_ranges(true), Want::Data, 1.0, now);
        assert_eq!(health.standing(Want::Data, now + s(1)), Standing::Ready);
        health.failed(&no_ranges(false), Want::Data, 1.0, now);
        assert_ne!(health.standing(Want::Data, now + s(61)), Standing::Ready);
        health.served(Want::Data, now + s(61));
        assert_eq!(health.standing(Want::Data, now + s(61)), Standing::Ready);
    }

    #[test]
    fn a_byte_a_second_is_silence() {
        let now = Instant::now();
        let mut health = Health::new(16);
        assert!(health.is_silent(now));
        health.asked(5000, now);
        health.began(Duration::from_millis(10));
        for i in 0..100 {
            health.came(1, now + s(i));
        }
        assert!(health.is_silent(now + s(100)));
        health.came(MEANINGFUL, now + s(100));
        assert!(!health.is_silent(now + s(100)));
    }

    #[test]
    fn what_is_to_be_expected() {
        let now = Instant::now();
        let mut health = Health::new(16);
        health.asked(8 << 20, now);
        health.asked(8 << 20, now);
        health.began(Duration::from_millis(100));
        assert_eq!(health.expected(0), None, "nothing was measured");
        for i in 1..=100 {
            health.came(50_000, now + Duration::from_millis(10 * i));
        }
        let rate = health.rate().expect("measured");
        let left = (16 << 20) - 5_000_000;
        assert_eq!(health.awaited, left);
        let expected = health.expected(0).expect("measured");
        assert!((expected - 0.1 - left as f64 / rate).abs() < 0.01);
        health.ended(left, now + s(1));
        assert_eq!(health.awaited, 0);
    }
}
