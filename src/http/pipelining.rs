//! Whether a server can be trusted with pipelined requests.
//!
//! Some servers drop a request that arrives while they still send an answer. A server is on trial until
//! it has answered one such request, and it gets no more of them once it has dropped several.

use std::time::{Duration, Instant};

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
    pub(super) fn is_allowed(&self) -> bool {
        self.support != Support::Refused && !self.was_suspended_within(SUSPENSION)
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
    pub(super) fn failed(&mut self) {
        match self.support {
            Support::Refused => {}
            _ if self.was_suspended_within(SUSPENSION) => {}
            Support::Confirmed if self.was_suspended_within(RELAPSE) => self.refuse(),
            Support::Confirmed => {
                (self.support, self.failures) = (Support::Untried, 0);
                self.suspended = Some(Instant::now());
            }
            Support::Untried => {
                self.failures += 1;
                if self.failures >= MAX_FAILURES {
                    self.refuse();
                }
            }
        }
    }

    fn was_suspended_within(&self, time: Duration) -> bool {
        self.suspended.is_some_and(|at| at.elapsed() < time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All connections break when a machine wakes up or changes its network. That once turned pipelining
    /// off for as long as the server was mounted.
    #[test]
    fn a_broken_network_is_not_blamed_on_the_server() {
        let mut pipelining = Pipelining::default();
        let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds));
        let mut break_off = |last: Option<Instant>| {
            (pipelining.support, pipelining.suspended) = (Support::Confirmed, last);
            for _ in 0..16 {
                pipelining.failed();
            }
            assert!(!pipelining.is_allowed(), "suspended");
            pipelining.suspended = ago(2);
            pipelining.is_allowed()
        };
        assert!(break_off(None));
        assert!(break_off(ago(120)), "a second failure much later");
        assert!(!break_off(ago(10)), "a second failure soon after");
        pipelining.support = Support::Untried;
        pipelining.failed();
        assert!(pipelining.is_allowed());
        pipelining.failed();
        assert!(!pipelining.is_allowed(), "never answered one");
    }
}
