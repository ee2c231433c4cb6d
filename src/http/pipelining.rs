//! Whether a server can be trusted with pipelined requests.
//!
//! Some servers drop a request that arrives while they still send an answer. A server is on trial until it has answered
//! one such request. After it has dropped two in a row, it gets no more of them.

use std::time::Duration;

use tokio::time::Instant;

/// A server on trial gets no more pipelined requests after this many unanswered ones in a row.
const MAX_FAILURES: u32 = 2;

/// For how long a server that had answered pipelined requests gets no more of them after a failure.
///
/// A network that breaks takes all connections down, and several requests with each. All failures within
/// this time count as one, and that one is not blamed on the server.
const SUSPENSION: Duration = Duration::from_secs(1);

/// A second failure within this time after the first one is blamed on the server.
const RELAPSE: Duration = Duration::from_secs(60);

/// What is known of a server's support for pipelining.
#[derive(Debug, Default)]
pub(super) struct Pipelining {
    support: Support,
    failures: u32,
    /// When a server that supported pipelining failed last.
    suspended: Option<Instant>,
}

/// Whether a server answers pipelined requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Support {
    #[default]
    Untried,
    Confirmed,
    Refused,
}

impl Pipelining {
    /// Whether a request may be pipelined now.
    pub(super) fn is_allowed(&self, now: Instant) -> bool {
        self.support != Support::Refused && !self.was_suspended_within(SUSPENSION, now)
    }

    /// Whether the server has not answered any pipelined request yet.
    pub(super) fn is_trial(&self) -> bool {
        self.support == Support::Untried
    }

    /// Stops pipelining to this server for good.
    pub(super) fn refuse(&mut self) {
        self.support = Support::Refused;
    }

    /// Records that a pipelined request was answered.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        if self.support != Support::Refused {
            self.support = Support::Confirmed;
        }
    }

    /// Records that a pipelined request was not answered.
    pub(super) fn failed(&mut self, now: Instant) {
        match self.support {
            Support::Refused => {}
            _ if self.was_suspended_within(SUSPENSION, now) => {}
            Support::Confirmed if self.was_suspended_within(RELAPSE, now) => self.refuse(),
            Support::Confirmed => {
                (self.support, self.failures) = (Support::Untried, 0);
                self.suspended = Some(now);
            }
            Support::Untried => {
                self.failures += 1;
                if self.failures >= MAX_FAILURES {
                    self.refuse();
                }
            }
        }
    }

    fn was_suspended_within(&self, time: Duration, now: Instant) -> bool {
        let is_within = |at: Instant| now.saturating_duration_since(at) < time;
        self.suspended.is_some_and(is_within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A server that has answered pipelined requests, and then loses all its connections at each of `times`.
    fn broken_at(start: Instant, times: &[Duration]) -> Pipelining {
        let mut pipelining = Pipelining::default();
        for time in times {
            pipelining.succeeded();
            for _ in 0..16 {
                pipelining.failed(start + *time);
            }
        }
        pipelining
    }

    /// All connections break when a machine wakes up or changes its network. That once turned pipelining
    /// off for as long as the server was mounted.
    #[test]
    fn a_broken_network_is_not_blamed_on_the_server() {
        let start = Instant::now();
        let once = broken_at(start, &[s(0)]);
        assert!(!once.is_allowed(start), "suspended");
        assert!(once.is_allowed(start + s(1)));
        let much_later = broken_at(start, &[s(0), s(60)]);
        assert!(!much_later.is_allowed(start + s(60)), "suspended");
        assert!(much_later.is_allowed(start + s(61)));
        let soon = broken_at(start, &[s(0), s(59)]);
        assert!(!soon.is_allowed(start + s(3600)), "blamed on the server");
    }

    #[test]
    fn two_failures_without_any_success_end_pipelining() {
        let (mut pipelining, now) = (Pipelining::default(), Instant::now());
        pipelining.failed(now);
        assert!(pipelining.is_allowed(now));
        pipelining.failed(now);
        pipelining.succeeded();
        assert!(!pipelining.is_allowed(now + s(3600)));
    }
}
