//! What is known of one member: its latency, its rate, what it supports, and whether it is available.
//!
//! A pure state machine. It is told what happened and when; random numbers come from the caller, too.

use std::time::Duration;

use tokio::time::Instant;

use super::hedge::Latencies;
use super::limit::Limit;
use super::member::Availability;
use super::rate::Rate;
use crate::source::Error;

/// The longest back-off after the first failure. Each further failure doubles it.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);

/// The longest back-off after transient failures.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// The suspension after a permanent failure: the member does not have the blob, or serves no ranges.
const PERMANENT: Duration = Duration::from_secs(60);

/// The suspension of a member that gave wrong bytes.
const FORGED: Duration = Duration::from_secs(300);

/// The longest Retry-After that is honoured.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// Fewer bytes than this do not count as progress: some servers send a byte a second.
pub(super) const MIN_PROGRESS: u64 = 1024;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// A range of the blob.
    Data,
    /// A raw block of its hash tree.
    Block,
}

/// A time in which a member is not used, or only if no other is left.
#[derive(Debug)]
struct Suspension {
    until: Instant,
    /// Whether the server sent Retry-After.
    is_retry_after: bool,
    /// `None` if the member gave wrong bytes.
    error: Option<Error>,
}

/// What is known of one member.
#[derive(Debug)]
pub(super) struct Health {
    /// The average time to the first byte, in seconds.
    pub(super) latency: Option<f64>,
    latencies: Latencies,
    rate: Rate,
    /// When the member made progress last.
    pub(super) progress: Option<Instant>,
    /// Bytes that have come since then.
    since_progress: u64,
    /// Bytes that were requested and have not come yet.
    pub(super) awaited: u64,
    data: Record,
    blocks: Record,
    is_excluded: bool,
    limit: Limit,
}

/// What is known of one kind of request. A gateway may give ranges and no blocks, or blocks and no ranges, so
/// its answer to one kind says nothing about the other.
#[derive(Debug, Default)]
struct Record {
    /// Failures in a row.
    failures: u32,
    suspension: Option<Suspension>,
    /// Whether the server said that it does not support this kind.
    is_unsupported: bool,
}

impl Health {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            latency: None,
            latencies: Latencies::default(),
            rate: Rate::default(),
            progress: None,
            since_progress: 0,
            awaited: 0,
            data: Record::default(),
            blocks: Record::default(),
            is_excluded: false,
            limit: Limit::new(limit),
        }
    }

    /// Whether the member is asked for `want` now.
    pub(super) fn availability(&self, want: Want, now: Instant) -> Availability {
        if self.is_excluded {
            return Availability::Excluded;
        }
        let record = self.record(want);
        let suspension = record.suspension.as_ref();
        match suspension.filter(|suspension| now < suspension.until) {
            Some(suspension) if suspension.is_retry_after => Availability::RetryAfter,
            Some(suspension) => Availability::BackingOff(suspension.until),
            // The server may support it by now, but other members go first.
            None if record.is_unsupported => Availability::BackingOff(now),
            None => Availability::Available,
        }
    }

    fn record(&self, want: Want) -> &Record {
        match want {
            Want::Data => &self.data,
            Want::Block => &self.blocks,
        }
    }

    fn record_mut(&mut self, want: Want) -> &mut Record {
        match want {
            Want::Data => &mut self.data,
            Want::Block => &mut self.blocks,
        }
    }

    /// The expected seconds for `bytes`; `None` while nothing was measured.
    pub(super) fn expected(&self, bytes: u64) -> Option<f64> {
        let (latency, rate) = (self.latency?, self.rate.get()?);
        Some(latency + (self.awaited + bytes) as f64 / rate)
    }

    /// The rate in bytes a second.
    pub(super) fn rate(&self) -> Option<f64> {
        self.rate.get()
    }

    /// After this time without bytes, a request is stalled.
    pub(super) fn delay(&self) -> Duration {
        self.latencies.delay()
    }

    /// Whether all requests to the member are stalled.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        let is_recent = |at: Instant| now.saturating_duration_since(at) < self.delay();
        !self.progress.is_some_and(is_recent)
    }

    /// How many concurrent requests the member takes.
    pub(super) fn limit(&self) -> usize {
        self.limit.get()
    }

    /// Records that a request for `bytes` was sent.
    pub(super) fn asked(&mut self, bytes: u64, now: Instant) {
        self.rate.asked(now);
        self.awaited += bytes;
    }

    /// Records that a request has ended, for any reason; `left` of its bytes have not come.
    pub(super) fn ended(&mut self, left: u64, now: Instant) {
        self.rate.ended(now);
        self.awaited = self.awaited.saturating_sub(left);
    }

    /// Records that an answer began after this time.
    pub(super) fn began(&mut self, after: Duration) {
        let seen = after.as_secs_f64();
        self.latency = Some(match self.latency {
            None => seen,
            Some(known) => known + (seen - known) * 0.2,
        });
        self.latencies.add(after);
    }

    /// Records that bytes came.
    pub(super) fn came(&mut self, bytes: u64, now: Instant) {
        self.awaited = self.awaited.saturating_sub(bytes);
        self.since_progress += bytes;
        if self.since_progress >= MIN_PROGRESS {
            (self.since_progress, self.progress) = (0, Some(now));
        }
        self.rate.came(bytes, now);
    }

    /// Records that a request was answered to its end.
    pub(super) fn served(&mut self, want: Want, now: Instant) {
        self.progress = Some(now);
        self.limit.served();
        let record = self.record_mut(want);
        (record.failures, record.is_unsupported) = (0, false);
        // A suspension because of wrong bytes stays.
        let is_over = |old: &mut Suspension| old.error.is_some() || now >= old.until;
        record.suspension.take_if(is_over);
    }

    /// Records that a request failed. `jitter` is a random number from 0 to 1 that scales the back-off, so
    /// that many clients do not come back at once ("full jitter").
    pub(super) fn failed(&mut self, error: &Error, want: Want, jitter: f64, now: Instant) {
        if let Error::Status { status: 429, .. } = error {
            self.limit.refused(now);
        }
        let record = self.record_mut(want);
        match error {
            // This is the caller's fault, not the member's.
            Error::OutOfBlob { .. } => {}
            Error::Forged { .. } => self.forged(now),
            // These concern all requests to the member.
            Error::NoNetwork { .. } | Error::Unreachable { .. } | Error::Timeout { .. } => {
                self.silent(error, jitter, now);
            }
            Error::Untrusted { .. } => {
                for record in [&mut self.data, &mut self.blocks] {
                    record.suspend(PERMANENT, false, error, now);
                }
            }
            Error::NoRanges {
                has_served: false, ..
            } => {
                record.is_unsupported = true;
                record.suspend(PERMANENT, false, error, now);
            }
            Error::NoRawBlocks { .. } => record.is_unsupported = true,
            error if error.is_transient() => match error.retry_after() {
                Some(after) => record.suspend(after, true, error, now),
                None => record.back_off(error, jitter, now),
            },
            error => record.suspend(PERMANENT, false, error, now),
        }
    }

    /// Records that the member gave wrong bytes.
    pub(super) fn forged(&mut self, now: Instant) {
        for record in [&mut self.data, &mut self.blocks] {
            record.suspension = Some(Suspension {
                until: now + FORGED,
                is_retry_after: false,
                error: None,
            });
        }
    }

    /// Records that the member is silent on all requests, or cannot be reached.
    pub(super) fn silent(&mut self, error: &Error, jitter: f64, now: Instant) {
        for record in [&mut self.data, &mut self.blocks] {
            record.back_off(error, jitter, now);
        }
    }

    /// Excludes the member for good, because it has another blob.
    pub(super) fn exclude(&mut self) {
        self.is_excluded = true;
    }

    /// The error of a member that sent Retry-After, with the time that is left of it.
    pub(super) fn retry_after(&self, want: Want, now: Instant) -> Option<Error> {
        let suspension = self.record(want).suspension.as_ref();
        let suspension = suspension.filter(|suspension| suspension.is_retry_after)?;
        match suspension.error.clone()? {
            Error::Status { origin, status, .. } => Some(Error::Status {
                origin,
                status,
                retry_after: Some(suspension.until.saturating_duration_since(now)),
            }),
            error => Some(error),
        }
    }
}

impl Record {
    fn back_off(&mut self, error: &Error, jitter: f64, now: Instant) {
        let longest = FIRST_BACKOFF * 2u32.saturating_pow(self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        let pause = longest.min(MAX_BACKOFF).mul_f64(jitter.clamp(0.0, 1.0));
        self.suspend(pause, false, error, now);
    }

    fn suspend(&mut self, pause: Duration, is_retry_after: bool, error: &Error, now: Instant) {
        let until = now + pause.min(MAX_RETRY_AFTER);
        let is_longer = |old: &Suspension| old.until < until;
        if self.suspension.as_ref().is_none_or(is_longer) {
            self.suspension = Some(Suspension {
                until,
                is_retry_after,
                error: Some(error.clone()),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Availability::{Available, BackingOff, RetryAfter};
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
    fn backoff_doubles_and_ends_with_a_success() {
        let now = Instant::now();
        let mut health = Health::new(16);
        let mut at = now;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            health.failed(&status(503, None), Want::Data, 1.0, at);
            let BackingOff(until) = health.availability(Want::Data, at) else {
                panic!("it backs off");
            };
            pauses.push((until - at).as_millis());
            at = until;
        }
        assert_eq!(
            pauses,
            [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]
        );
        health.failed(&status(503, None), Want::Data, 1.0, at);
        health.served(Want::Data, at);
        assert_eq!(health.availability(Want::Data, at), Available);
        // Full jitter: the back-off may be zero.
        health.failed(&status(503, None), Want::Data, 0.0, at);
        assert_eq!(health.availability(Want::Data, at), Available);
    }

    #[test]
    fn retry_after_is_honoured_up_to_a_limit() {
        let now = Instant::now();
        let mut health = Health::new(16);
        health.failed(&status(429, Some(7)), Want::Data, 0.5, now);
        assert_eq!(health.limit(), 8);
        assert_eq!(health.availability(Want::Data, now + s(6)), RetryAfter);
        let told = health
            .retry_after(Want::Data, now + s(5))
            .expect("an error");
        assert_eq!(told.retry_after(), Some(s(2)));
        assert_eq!(health.availability(Want::Data, now + s(7)), Available);
        // Adding this to a time once ended the process.
        health.failed(&status(503, Some(u64::MAX)), Want::Data, 0.5, now);
        assert_eq!(health.availability(Want::Data, now + s(300)), Available);
        assert_eq!(health.limit(), 8, "503 does not change the limit");
    }

    #[test]
    fn a_forger_stays_suspended_though_it_serves() {
        let now = Instant::now();
        let mut health = Health::new(16);
        health.forged(now);
        health.served(Want::Data, now);
        let then = now + s(299);
        assert!(matches!(
            health.availability(Want::Data, then),
            BackingOff(_)
        ));
        assert_eq!(health.availability(Want::Data, now + FORGED), Available);
    }

    /// A gateway that refused a range once was not asked for the blocks that it has, and the reverse.
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
                assert_ne!(health.availability(refused, now), Available, "{error}");
                assert_eq!(health.availability(other, now), Available, "{error}");
                assert_eq!(health.retry_after(other, now), None);
                health.served(other, now);
                assert_ne!(health.availability(refused, now), Available, "{error}");
            }
        }
        // These concern both kinds of requests.
        let unreachable = Error::Unreachable {
            origin: origin(),
            cause: what(),
            is_expected: false,
        };
        let untrusted = Error::Untrusted {
            origin: origin(),
            cause: what(),
        };
        let forged = Error::Forged {
            origin: origin(),
            range: 0..1,
        };
        for error in [unreachable, untrusted, forged] {
            let mut health = Health::new(16);
            health.failed(&error, Want::Data, 1.0, now);
            assert_ne!(health.availability(Want::Block, now), Available, "{error}");
        }
    }

    /// A cache that was being filled answered once with the whole blob. It was asked last from then on.
    #[test]
    fn a_member_that_gives_ranges_again_is_available() {
        let now = Instant::now();
        let no_ranges = |has_served| Error::NoRanges {
            origin: Origin::new("test"),
            what: String::new(),
            has_served,
        };
        let mut health = Health::new(16);
        health.failed(&no_ranges(true), Want::Data, 1.0, now);
        assert_eq!(health.availability(Want::Data, now + s(1)), Available);
        health.failed(&no_ranges(false), Want::Data, 1.0, now);
        assert_ne!(health.availability(Want::Data, now + s(61)), Available);
        health.served(Want::Data, now + s(61));
        assert_eq!(health.availability(Want::Data, now + s(61)), Available);
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
        health.came(MIN_PROGRESS, now + s(100));
        assert!(!health.is_silent(now + s(100)));
    }

    #[test]
    fn expected_time_counts_latency_rate_and_awaited_bytes() {
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
