//! All members and what is known of them: whose turn it is.
//!
//! Shared by whoever asks the same servers, for data and for blocks: what one learns, all know.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::health::{Health, Standing, Want};
use super::hedge::Budget;
use crate::source::chance;
use crate::source::{Error, Origin, Priority};
use crate::source::{Gate, Pass};

/// How much faster another must be expected to be, to be taken over one that serves well:
/// changing costs connections.
const BETTER: f64 = 0.7;

/// What members are compared by: the time for so many bytes.
const USUAL: u64 = 1 << 20;

/// One in so many read-ahead requests goes to a member that has not been heard for
/// [`UNHEARD`]: who is never asked can never show that it is better.
const EXPLORE: u64 = 50;
const UNHEARD: Duration = Duration::from_secs(30);

/// Rate that is assumed of a member that has not been measured while no other has, in bytes a
/// second.
const USUAL_RATE: f64 = 10e6;

/// The members, and what is known of each.
pub struct Roster {
    names: Vec<Origin>,
    weights: Vec<f64>,
    gates: Vec<Gate>,
    stripe: bool,
    book: Mutex<Book>,
}

struct Book {
    healths: Vec<Health>,
    /// The member that serves data,
    current: usize,
    /// and the one that serves blocks.
    current_of_blocks: usize,
    budget: Budget,
    requests: u64,
    trouble: Option<(Error, Instant)>,
}

impl Roster {
    pub(super) fn new(members: Vec<(Origin, f64)>, connections: usize, stripe: bool) -> Arc<Self> {
        let (names, weights): (Vec<_>, Vec<_>) = members.into_iter().unzip();
        let count = names.len();
        let heaviest = (0..count).rev().max_by(|a, b| {
            let (a, b): (&f64, &f64) = (&weights[*a], &weights[*b]);
            a.total_cmp(b)
        });
        Arc::new(Self {
            names,
            weights,
            gates: (0..count).map(|_| Gate::new(connections)).collect(),
            stripe,
            book: Mutex::new(Book {
                healths: (0..count).map(|_| Health::new(connections)).collect(),
                current: heaviest.unwrap_or(0),
                current_of_blocks: heaviest.unwrap_or(0),
                budget: Budget::new(),
                requests: 0,
                trouble: None,
            }),
        })
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(super) fn name(&self, index: usize) -> &Origin {
        &self.names[index]
    }

    /// The member that serves data.
    pub(super) fn current(&self) -> usize {
        self.book().current
    }

    /// Whether read-ahead is spread over all members.
    pub(super) fn is_striped(&self) -> bool {
        self.stripe
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The members that may be asked for `bytes` now, but for `tried`, the best first. Those that
    /// are ready come before those that rest; how many are ready is told.
    pub(super) fn turn(
        &self,
        want: Want,
        bytes: u64,
        priority: Priority,
        tried: &[usize],
    ) -> (Vec<usize>, usize) {
        let now = Instant::now();
        let mut book = self.book();
        let standing = |at: &usize| book.healths[*at].standing(want, now);
        let mut turn: Vec<usize> = (0..self.len())
            .filter(|at| !tried.contains(at) && standing(at) < Standing::Ordered)
            .collect();
        let ready = turn.iter().filter(|at| standing(at) == Standing::Ready);
        let ready = ready.count();
        let is_spread = self.stripe && want == Want::Data && priority == Priority::Prefetch;
        let cost = |at: &usize| match is_spread {
            true => self.share(&book.healths, *at, bytes),
            false => self.preference(&book, want, *at),
        };
        let key = |at: &usize| (standing(at), cost(at));
        turn.sort_by(|a, b| {
            let ((a_stands, a_costs), (b_stands, b_costs)) = (key(a), key(b));
            a_stands.cmp(&b_stands).then(a_costs.total_cmp(&b_costs))
        });
        if tried.is_empty() && priority == Priority::Prefetch && !is_spread && ready > 1 {
            book.requests += 1;
            let unheard = |at: &usize| {
                let heard = book.healths[*at].heard();
                heard.is_none_or(|heard| now.saturating_duration_since(heard) > UNHEARD)
            };
            if book.requests.is_multiple_of(EXPLORE)
                && let Some(found) = turn[..ready].iter().position(unheard)
            {
                turn[..=found].rotate_right(1);
            }
        }
        (turn, ready)
    }

    /// Who serves stays, unless another is much better.
    fn preference(&self, book: &Book, want: Want, at: usize) -> f64 {
        let serving = match want {
            Want::Data => book.current,
            Want::Block => book.current_of_blocks,
        };
        let seconds = |at: usize| {
            let health = &book.healths[at];
            let rate = health.rate()?;
            Some((health.latency()? + USUAL as f64 / rate) / self.weights[at])
        };
        let Some(current) = seconds(serving) else {
            return f64::from(u8::from(at != serving));
        };
        match (at == serving, seconds(at)) {
            (true, _) => current * BETTER,
            (false, Some(seconds)) => seconds,
            (false, None) => f64::MAX,
        }
    }

    /// When `bytes` more would have come from a member. Always asking who is first by this spreads
    /// bytes in proportion to rates.
    fn share(&self, healths: &[Health], at: usize, bytes: u64) -> f64 {
        let known = healths.iter().filter_map(Health::rate);
        let fastest = known.fold(0.0, f64::max);
        let usual = if fastest > 0.0 { fastest } else { USUAL_RATE };
        let health = &healths[at];
        let expected = health.expected(bytes);
        let assumed = || (health.awaited + bytes) as f64 / usual;
        expected.unwrap_or_else(assumed) / self.weights[at]
    }

    /// Why nobody may be asked, if all have said when to come back.
    pub(super) fn refusal(&self, want: Want) -> Error {
        let now = Instant::now();
        let book = self.book();
        let orders = book.healths.iter();
        let orders = orders.filter_map(|health| health.order(want, now));
        let soonest = orders.min_by_key(|error| error.retry_after());
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

    /// After which silence a member is taken for slow.
    pub(super) fn delay(&self, index: usize) -> Duration {
        self.book().healths[index].delay()
    }

    /// Takes one hedge out of the budget.
    pub(super) fn may_hedge(&self) -> bool {
        self.book().budget.take()
    }

    /// A request for `bytes` is sent.
    pub(super) fn asked(&self, index: usize, bytes: u64, is_hedge: bool) {
        let mut book = self.book();
        book.healths[index].asked(bytes, Instant::now());
        if !is_hedge {
            book.budget.request();
        }
    }

    pub(super) fn began(&self, index: usize, after: Duration) {
        self.book().healths[index].began(after);
    }

    pub(super) fn came(&self, index: usize, bytes: u64) {
        self.book().healths[index].came(bytes, Instant::now());
    }

    /// A member served to the end; after another's failure it goes on serving.
    pub(super) fn served(&self, index: usize, want: Want) {
        let mut book = self.book();
        book.healths[index].served(want, Instant::now());
        self.gates[index].set_limit(book.healths[index].limit());
    }

    /// `index` gives what is wanted where another failed. `for_all`: the other failed in a way that is
    /// no answer to what was asked, so that it will fail for the rest as well.
    pub(super) fn stepped_in(&self, index: usize, want: Want, for_all: bool) {
        let mut book = self.book();
        let before = (book.current, book.current_of_blocks);
        if want == Want::Data || for_all {
            book.current = index;
        }
        if want == Want::Block || for_all {
            book.current_of_blocks = index;
        }
        if before != (book.current, book.current_of_blocks) {
            log::info!("{} serves now", self.names[index]);
        }
    }

    pub(super) fn ended(&self, index: usize, left: u64) {
        self.book().healths[index].ended(left, Instant::now());
    }

    pub(super) fn failed(&self, index: usize, error: &Error, want: Want) {
        if self.len() > 1 {
            log::info!("{error}; asking another gateway if there is one");
        }
        let mut book = self.book();
        book.trouble = Some((error.clone(), Instant::now()));
        book.healths[index].failed(error, want, chance(), Instant::now());
        self.gates[index].set_limit(book.healths[index].limit());
    }

    /// If nothing comes from `index` on any part, it rests; true then.
    pub(super) fn finds_silent(&self, index: usize, want: Want) -> bool {
        let now = Instant::now();
        let mut guard = self.book();
        let book = &mut *guard;
        let health = &mut book.healths[index];
        if !health.is_silent(now) {
            return false;
        }
        let error = Error::Timeout {
            origin: self.names[index].clone(),
            after: health.delay(),
        };
        book.trouble = Some((error.clone(), now));
        // Every part of it finds that out; it is one failure.
        if health.standing(want, now) == Standing::Ready {
            log::info!("{error}; asking another gateway if there is one");
            health.silent(&error, chance(), now);
        }
        true
    }

    /// What went wrong last, if it is not longer ago than `within`; or why nobody may be asked for data.
    pub(super) fn trouble(&self, within: Duration) -> Option<Error> {
        let (book, now) = (self.book(), Instant::now());
        let mut healths = book.healths.iter();
        if healths.all(|health| health.standing(Want::Data, now) >= Standing::Ordered) {
            drop(book);
            return Some(self.refusal(Want::Data));
        }
        let (error, at) = book.trouble.clone()?;
        (at.elapsed() <= within).then_some(error)
    }

    pub(super) fn forged(&self, index: usize) {
        let now = Instant::now();
        let mut book = self.book();
        let health = &mut book.healths[index];
        // A member that rests is still asked if there is no other: nothing new is told then.
        let level = if health.standing(Want::Data, now) == Standing::Ready {
            log::Level::Warn
        } else {
            log::Level::Debug
        };
        health.forged(now);
        drop(book);
        let name = &self.names[index];
        log::log!(level, "{name} is put aside: it gave wrong bytes");
    }

    pub(super) fn expel(&self, index: usize) {
        self.book().healths[index].expel();
    }
}
