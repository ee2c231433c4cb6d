//! Which blocks of a blob are not on disk, remembered for a moment.
//!
//! Most reads of a new mount are of what is not there. Found out block by block, that is a failing
//! `open` each, on a thread where waiting is allowed; a shelf's directory, looked at once, tells it
//! of a thousand blocks. Others write to the same cache, so it is looked at again after a while:
//! until then theirs count as missing, and are fetched.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Blocks of a shelf.
pub(super) const SHELF: u64 = 1 << 10;

/// For so long a shelf is taken to be as it was.
const FRESH: Duration = Duration::from_secs(1);

/// The shelves of a blob, as far as they were looked at.
#[derive(Debug, Default)]
pub(super) struct Shelves(Mutex<HashMap<u64, Shelf>>);

/// What was seen of a shelf.
#[derive(Debug)]
struct Shelf {
    looked_at: Option<Instant>,
    /// A bit for each block that may be there: one that is not is missed when it is opened.
    there: [u64; (SHELF / 64) as usize],
}

impl Shelf {
    const UNKNOWN: Self = Self {
        looked_at: None,
        there: [0; (SHELF / 64) as usize],
    };

    fn add(&mut self, number: u64) {
        let at = number % SHELF;
        self.there[(at / 64) as usize] |= 1 << (at % 64);
    }

    fn is_fresh(&self, now: Instant) -> bool {
        (self.looked_at).is_some_and(|at| now.saturating_duration_since(at) < FRESH)
    }

    fn has(&self, number: u64) -> bool {
        let at = number % SHELF;
        self.there[(at / 64) as usize] & (1 << (at % 64)) != 0
    }
}

impl Shelves {
    /// Whether none of these blocks is there, as far as is known at `now`.
    pub(super) fn lack(&self, mut blocks: Range<u64>, now: Instant) -> bool {
        let shelves = self.shelves();
        blocks.all(|number| {
            let shelf = shelves.get(&(number / SHELF));
            shelf.is_some_and(|shelf| shelf.is_fresh(now) && !shelf.has(number))
        })
    }

    /// Whether the shelf of this block had better be looked at.
    pub(super) fn is_unknown(&self, number: u64, now: Instant) -> bool {
        let shelves = self.shelves();
        !(shelves.get(&(number / SHELF))).is_some_and(|shelf| shelf.is_fresh(now))
    }

    /// These blocks were on the shelf of `number` when it was looked at. Those that were added, or
    /// seen before, stay: they may have come meanwhile.
    pub(super) fn looked(&self, number: u64, at: Instant, blocks: impl Iterator<Item = u64>) {
        let mut shelves = self.shelves();
        let shelf = shelves.entry(number / SHELF).or_insert(Shelf::UNKNOWN);
        shelf.looked_at = Some(at);
        blocks.for_each(|number| shelf.add(number));
    }

    /// This block is about to be there.
    pub(super) fn add(&self, number: u64) {
        let mut shelves = self.shelves();
        let shelf = shelves.entry(number / SHELF).or_insert(Shelf::UNKNOWN);
        shelf.add(number);
    }

    fn shelves(&self) -> MutexGuard<'_, HashMap<u64, Shelf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_seen_is_missing_for_a_while() {
        let (shelves, start) = (Shelves::default(), Instant::now());
        assert!(!shelves.lack(0..1, start), "nobody has looked");
        shelves.add(7);
        assert!(!shelves.lack(0..1, start) && shelves.is_unknown(0, start));
        shelves.looked(0, start, [3, 5].into_iter());
        assert!(shelves.lack(0..3, start) && shelves.lack(8..SHELF, start));
        for there in [3, 5, 7] {
            assert!(!shelves.lack(there - 1..there + 1, start), "{there}");
        }
        assert!(!shelves.lack(SHELF - 1..SHELF + 1, start), "another shelf");
        shelves.looked(SHELF + 9, start, std::iter::empty());
        assert!(shelves.lack(SHELF - 1..SHELF + 1, start));
        shelves.add(SHELF);
        assert!(!shelves.lack(SHELF - 1..SHELF + 1, start));
        let later = start + FRESH;
        assert!(!shelves.lack(0..1, later) && shelves.is_unknown(0, later));
    }
}
