//! Which blocks of a blob are on disk, remembered for a second.
//!
//! Most reads of a new mount are misses. Without this index, each would cost a failing `open` on a
//! blocking thread. One listing of a group's directory answers for 1,024 blocks. Other processes
//! write to the same cache, so a listing is renewed after a second; until then their new blocks count as
//! missing, and are fetched.

use std::collections::HashMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::ranges::RangeSet;

/// The number of blocks in a group; a group has a directory of its own.
pub(super) const GROUP: u64 = 1 << 10;

/// How long a listing is trusted.
const FRESH: Duration = Duration::from_secs(1);

/// The listed groups of a blob.
#[derive(Debug, Default)]
pub(super) struct PresenceIndex(Mutex<HashMap<u64, Group>>);

/// What a listing of a group showed.
#[derive(Debug, Default)]
struct Group {
    looked_at: Option<Instant>,
    /// The numbers of blocks that may exist; a removed block may still be among them.
    there: RangeSet,
}

impl Group {
    fn add(&mut self, number: u64) {
        self.there.insert(number..number + 1);
    }

    fn is_fresh(&self, now: Instant) -> bool {
        (self.looked_at).is_some_and(|at| now.saturating_duration_since(at) < FRESH)
    }
}

impl PresenceIndex {
    /// Whether a listing that can be trusted at `now` shows none of these blocks.
    pub(super) fn lacks(&self, blocks: Range<u64>, now: Instant) -> bool {
        let groups = self.0.lock();
        (blocks.start / GROUP..blocks.end.div_ceil(GROUP)).all(|number| {
            let group = groups.get(&number).filter(|group| group.is_fresh(now));
            group.is_some_and(|group| group.there.first_in(&blocks).is_none())
        })
    }

    /// Whether the group of this block has no listing that can be trusted.
    pub(super) fn is_unknown(&self, number: u64, now: Instant) -> bool {
        let groups = self.0.lock();
        !(groups.get(&(number / GROUP))).is_some_and(|group| group.is_fresh(now))
    }

    /// Records a listing of the group of block `number`. Blocks that were added or listed before stay:
    /// they may have come meanwhile.
    pub(super) fn listed(&self, number: u64, at: Instant, blocks: impl Iterator<Item = u64>) {
        let mut groups = self.0.lock();
        let group = groups.entry(number / GROUP).or_default();
        group.looked_at = Some(at);
        blocks.for_each(|number| group.add(number));
    }

    /// Records that a block is about to be written.
    pub(super) fn add(&self, number: u64) {
        let mut groups = self.0.lock();
        groups.entry(number / GROUP).or_default().add(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unlisted_block_is_missing_for_a_second() {
        let (index, start) = (PresenceIndex::default(), Instant::now());
        assert!(!index.lacks(0..1, start), "nothing was listed");
        index.add(7);
        assert!(!index.lacks(0..1, start) && index.is_unknown(0, start));
        index.listed(0, start, [3, 5].into_iter());
        assert!(index.lacks(0..3, start) && index.lacks(8..GROUP, start));
        for there in [3, 5, 7] {
            assert!(!index.lacks(there - 1..there + 1, start), "{there}");
        }
        assert!(!index.lacks(GROUP - 1..GROUP + 1, start), "another group");
        index.listed(GROUP + 9, start, std::iter::empty());
        assert!(index.lacks(GROUP - 1..GROUP + 1, start));
        index.add(GROUP);
        assert!(!index.lacks(GROUP - 1..GROUP + 1, start));
        let later = start + FRESH;
        assert!(!index.lacks(0..1, later) && index.is_unknown(0, later));
    }
}
