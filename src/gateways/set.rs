//! The members and what is known of them. Decides which one is asked next.
//!
//! All requests to the same servers, for data and for blocks, share one set.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::health::{Health, Want};
use super::hedge::Budget;
use super::member::Availability;
use super::status::{MemberStatus, Tally, hosts};
use crate::source::{Error, Gate, Origin, Pass, Priority, Trouble};

/// Another member is taken instead of the serving one if it is expected to need less than this share of its
/// time. A change costs connections.
const CHANGE_BELOW: f64 = 0.7;

/// Members are compared by the time that they need for this many bytes.
const USUAL_SIZE: u64 = 1 << 20;

/// One read-ahead request in this many goes to a member that has sent nothing for [`STALE`]. Otherwise a
/// member that became faster would not be noticed.
const EXPLORE: u64 = 50;
const STALE: Duration = Duration::from_secs(30);

/// The least delay until a request to the only member counts as stalled. No other member could answer sooner, and
/// requests for other archives on the same connections may be the cause.
const ALONE: Duration = Duration::from_secs(1);

/// The rate that is assumed while no member has been measured, in bytes a second.
const USUAL_RATE: f64 = 10e6;

/// The members, and what is known of each.
pub struct GatewaySet {
    names: Vec<Origin>,
    weights: Vec<f64>,
    gates: Vec<Gate>,
    /// Whether read-ahead is spread over all members.
    pub(super) stripe: bool,
    state: Mutex<State>,
}

struct State {
    healths: Vec<Health>,
    tallies: Vec<Tally>,
    /// The member that serves data.
    current: usize,
    /// The member that serves blocks.
    current_for_blocks: usize,
    budget: Budget,
    requests: u64,
    trouble: Option<Trouble>,
    /// While requests for data are paused: the error that they get, and until when.
    paused: Option<(Error, Instant)>,
}

impl GatewaySet {
    pub(super) fn new(members: Vec<(Origin, f64)>, connections: usize, stripe: bool) -> Arc<Self> {
        let (names, weights): (Vec<Origin>, Vec<f64>) = members.into_iter().unzip();
        let count = names.len();
        let heaviest = (0..count)
            .rev()
            .max_by(|a, b| weights[*a].total_cmp(&weights[*b]));
        Arc::new(Self {
            names,
            weights,
            gates: (0..count).map(|_| Gate::new(connections)).collect(),
            stripe,
            state: Mutex::new(State {
                healths: (0..count).map(|_| Health::new(connections)).collect(),
                tallies: vec![Tally::default(); count],
                current: heaviest.unwrap_or(0),
                current_for_blocks: heaviest.unwrap_or(0),
                budget: Budget::new(),
                requests: 0,
                trouble: None,
                paused: None,
            }),
        })
    }

    /// How many members there are.
    fn len(&self) -> usize {
        self.names.len()
    }

    /// What is known of each member, in the order of their preference.
    pub fn status(&self) -> Vec<MemberStatus> {
        let (state, now) = (self.state.lock(), Instant::now());
        let members = hosts(&self.names).into_iter().enumerate();
        let status = members.map(|(at, name)| {
            let (health, tally) = (&state.healths[at], state.tallies[at].clone());
            MemberStatus {
                name,
                state: health.availability(Want::Data, now),
                is_serving: at == state.current,
                latency: health.latency,
                bytes: tally.bytes,
                ranges: tally.ranges,
                blocks: tally.blocks,
                errors: tally.errors,
            }
        });
        status.collect()
    }

    /// The member's name for logs and errors.
    pub(super) fn name(&self, index: usize) -> &Origin {
        &self.names[index]
    }

    /// The member that serves data.
    pub(super) fn current(&self) -> usize {
        self.state.lock().current
    }

    /// The members that may be asked for `bytes` now, the best first, without those in `tried`. Also returns
    /// how many of them are available; these come before those in back-off.
    pub(super) fn candidates(
        &self,
        want: Want,
        bytes: u64,
        priority: Priority,
        tried: &[usize],
    ) -> (Vec<usize>, usize) {
        let now = Instant::now();
        let mut state = self.state.lock();
        let availability = |at: &usize| state.healths[*at].availability(want, now);
        let mut candidates: Vec<usize> = (0..self.len())
            .filter(|at| !tried.contains(at) && availability(at) < Availability::RetryAfter)
            .collect();
        let available = candidates.iter();
        let available = available.filter(|at| availability(at) == Availability::Available);
        let available = available.count();
        let is_spread = self.stripe && want == Want::Data && priority == Priority::Prefetch;
        let cost = |at: &usize| {
            if is_spread {
                self.finish_time(&state.healths, *at, bytes)
            } else {
                self.cost(&state, want, *at)
            }
        };
        candidates.sort_by(|a, b| {
            let order = availability(a).cmp(&availability(b));
            order.then_with(|| cost(a).total_cmp(&cost(b)))
        });
        if tried.is_empty() && priority == Priority::Prefetch && !is_spread && available > 1 {
            state.requests += 1;
            let is_stale = |at: &usize| {
                let progress = state.healths[*at].progress;
                progress.is_none_or(|at| now.saturating_duration_since(at) > STALE)
            };
            if state.requests.is_multiple_of(EXPLORE)
                && let Some(found) = candidates[..available].iter().position(is_stale)
            {
                candidates[..=found].rotate_right(1);
            }
        }
        (candidates, available)
    }

    /// The expected time of a usual request, with an advantage for the member that serves.
    fn cost(&self, state: &State, want: Want, at: usize) -> f64 {
        let serving = match want {
            Want::Data => state.current,
            Want::Block => state.current_for_blocks,
        };
        let seconds = |at: usize| {
            let health = &state.healths[at];
            let rate = health.rate()?;
            Some((health.latency? + USUAL_SIZE as f64 / rate) / self.weights[at])
        };
        let Some(current) = seconds(serving) else {
            return f64::from(u8::from(at != serving));
        };
        match (at == serving, seconds(at)) {
            (true, _) => current * CHANGE_BELOW,
            (false, Some(seconds)) => seconds,
            (false, None) => f64::MAX,
        }
    }

    /// The time until a member would have delivered all awaited bytes and `bytes` more. To ask the member with the
    /// shortest time spreads bytes in proportion to rates.
    fn finish_time(&self, healths: &[Health], at: usize, bytes: u64) -> f64 {
        let known = healths.iter().filter_map(Health::rate);
        let fastest = known.fold(0.0, f64::max);
        let usual = if fastest > 0.0 { fastest } else { USUAL_RATE };
        let health = &healths[at];
        let expected = health.expected(bytes);
        let assumed = || (health.awaited + bytes) as f64 / usual;
        expected.unwrap_or_else(assumed) / self.weights[at]
    }

    /// The error of a read after all members failed: preferably a transient one (of these, the one with the shortest
    /// Retry-After, and last that of a server that may not exist), then any other, and "not found" last, because it
    /// tells the least.
    pub(super) fn final_error(&self, errors: Vec<Error>, want: Want) -> Error {
        let rank = |e: &Error| match e {
            Error::Unreachable {
                is_expected: false, ..
            } => (1, None),
            e if e.is_transient() => (0, e.retry_after()),
            Error::NotFound { .. } => (3, None),
            _ => (2, None),
        };
        let chosen = errors.into_iter().min_by_key(rank);
        chosen.unwrap_or_else(|| self.refusal(want))
    }

    /// The error if no member may be asked: the one with the shortest Retry-After, if there is one.
    fn refusal(&self, want: Want) -> Error {
        let now = Instant::now();
        let state = self.state.lock();
        let refusals = state.healths.iter();
        let refusals = refusals.filter_map(|health| health.retry_after(want, now));
        let soonest = refusals.min_by_key(|error| error.retry_after());
        soonest.unwrap_or_else(|| Error::Unsupported {
            what: "no gateway is left that has this blob".into(),
        })
    }

    pub(super) fn try_pass(&self, index: usize) -> Option<Pass> {
        self.gates[index].try_pass()
    }

    pub(super) async fn pass(&self, index: usize, priority: Priority) -> Pass {
        self.gates[index].pass(priority).await
    }

    /// After this time without bytes, a request to the member is stalled.
    pub(super) fn delay(&self, index: usize) -> Duration {
        let least = if self.len() == 1 {
            ALONE
        } else {
            Duration::ZERO
        };
        self.state.lock().healths[index].delay().max(least)
    }

    /// Takes a hedge out of the budget; false if there is none.
    pub(super) fn may_hedge(&self) -> bool {
        self.state.lock().budget.take()
    }

    /// Records that a request for `bytes` is sent.
    pub(super) fn asked(&self, index: usize, bytes: u64, is_hedge: bool) {
        let mut state = self.state.lock();
        state.healths[index].asked(bytes, Instant::now());
        if !is_hedge {
            state.budget.request();
        }
    }

    /// Records that an answer began after this time.
    pub(super) fn began(&self, index: usize, after: Duration) {
        self.state.lock().healths[index].began(after);
    }

    /// Records that bytes came.
    pub(super) fn came(&self, index: usize, bytes: u64) {
        let mut state = self.state.lock();
        state.healths[index].came(bytes, Instant::now());
        state.tallies[index].bytes += bytes;
    }

    /// Records that a request was answered to its end.
    pub(super) fn served(&self, index: usize, want: Want) {
        let mut state = self.state.lock();
        state.healths[index].served(want, Instant::now());
        state.tallies[index].served(want);
        self.gates[index].set_limit(state.healths[index].limit());
    }

    /// Makes `index` the serving member, because it gives bytes after another failed. `for_all`: the failure
    /// of the other concerns data and blocks.
    pub(super) fn took_over(&self, index: usize, want: Want, for_all: bool) {
        let mut state = self.state.lock();
        let before = (state.current, state.current_for_blocks);
        if want == Want::Data || for_all {
            state.current = index;
        }
        if want == Want::Block || for_all {
            state.current_for_blocks = index;
        }
        if before != (state.current, state.current_for_blocks) {
            log::info!("switched to {}", self.names[index]);
        }
    }

    /// Records that a request has ended; `left` of its bytes have not come.
    pub(super) fn ended(&self, index: usize, left: u64) {
        self.state.lock().healths[index].ended(left, Instant::now());
    }

    /// Records that a request failed.
    pub(super) fn failed(&self, index: usize, error: &Error, want: Want) {
        if self.len() > 1 {
            log::info!("{error}; trying another gateway, if one is left");
        }
        let mut state = self.state.lock();
        state.trouble = Some(Trouble::new(error.clone(), Instant::now()));
        state.healths[index].failed(error, want, fastrand::f64(), Instant::now());
        state.tallies[index].failed(want, error);
        self.gates[index].set_limit(state.healths[index].limit());
    }

    /// Puts a member into back-off if it is silent on all requests; returns whether it is.
    /// `silent_for`: how long the caller has waited for bytes.
    pub(super) fn finds_silent(&self, index: usize, want: Want, silent_for: Duration) -> bool {
        let now = Instant::now();
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let health = &mut state.healths[index];
        if !health.is_silent(now) {
            return false;
        }
        let error = Error::Timeout {
            origin: self.names[index].clone(),
            after: silent_for,
        };
        state.trouble = Some(Trouble::new(error.clone(), now));
        // All its requests notice the silence, but it is one failure.
        if health.availability(want, now) == Availability::Available {
            if self.names.len() > 1 {
                log::info!("{error}; trying another gateway, if one is left");
            }
            health.silent(&error, fastrand::f64(), now);
            state.tallies[index].failed(want, &error);
        }
        true
    }

    /// Why no member may be asked for data; else the last error.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let (state, now) = (self.state.lock(), Instant::now());
        let mut healths = state.healths.iter();
        if healths.all(|health| health.availability(Want::Data, now) >= Availability::RetryAfter) {
            drop(state);
            return Some(Trouble::new(self.refusal(Want::Data), now));
        }
        state.trouble.clone()
    }

    /// Records that a member gave wrong bytes.
    pub(super) fn forged(&self, index: usize) {
        let now = Instant::now();
        let mut state = self.state.lock();
        state.tallies[index].forged();
        let health = &mut state.healths[index];
        // A suspended member is still asked if there is no other. That is not worth another warning.
        let level = if health.availability(Want::Data, now) == Availability::Available {
            log::Level::Warn
        } else {
            log::Level::Debug
        };
        health.forged(now);
        drop(state);
        let name = &self.names[index];
        log::log!(level, "{name} is suspended: it gave wrong bytes");
    }

    /// Asks no member for data during `pause`. Requests for data then get `error`.
    pub(super) fn pause_data(&self, error: &Error, pause: Duration) {
        self.state.lock().paused = Some((error.clone(), Instant::now() + pause));
    }

    /// The error of requests for data, if they are [paused](Self::pause_data).
    pub(super) fn paused_error(&self) -> Option<Error> {
        let mut state = self.state.lock();
        state.paused.take_if(|(_, until)| Instant::now() >= *until);
        state.paused.as_ref().map(|(error, _)| error.clone())
    }

    /// Excludes a member for good, because it has another blob.
    pub(super) fn exclude(&self, index: usize) {
        self.state.lock().healths[index].exclude();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(members: usize) -> Arc<GatewaySet> {
        let member = |n| (Origin::new(format!("gateway {n}")), 1.0);
        GatewaySet::new((0..members).map(member).collect(), 6, false)
    }

    /// Eight readers of eight archives on one server: each archive's requests waited behind those of the others for more
    /// than 150 ms, and the log said again and again that the server was silent.
    #[test]
    fn only_a_member_that_others_can_replace_is_silent_within_a_second() {
        for (members, least) in [(1, ALONE), (2, Duration::ZERO)] {
            let set = set(members);
            for _ in 0..100 {
                set.began(0, Duration::from_millis(50));
            }
            let delay = set.delay(0);
            assert!(delay >= least, "{members} members: {delay:?}");
            assert_eq!(delay < ALONE, members > 1, "{members} members: {delay:?}");
        }
    }
}
