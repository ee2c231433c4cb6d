//! A set of bytes as ranges.

use std::ops::{Deref, Range};

use super::overlap;

/// A set of bytes, kept as ranges that are in order, not empty, and do not touch each other.
///
/// It dereferences to the slice of these ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeSet(Vec<Range<u64>>);

impl RangeSet {
    /// An empty set.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Takes ranges that are in order, not empty, and do not touch each other; `None` for others.
    pub fn from_sorted(ranges: Vec<Range<u64>>) -> Option<Self> {
        let are_full = ranges.iter().all(|range| range.start < range.end);
        let are_apart = ranges.windows(2).all(|pair| pair[0].end < pair[1].start);
        (are_full && are_apart).then_some(Self(ranges))
    }

    /// Adds the bytes of a range.
    pub fn insert(&mut self, mut new: Range<u64>) {
        if new.is_empty() {
            return;
        }
        // Those that it overlaps or touches become one with it.
        let first = self.0.partition_point(|old| old.end < new.start);
        let last = self.0.partition_point(|old| old.start <= new.end);
        if let Some(merged) = self.0.get(first..last)
            && let (Some(front), Some(back)) = (merged.first(), merged.last())
        {
            new = new.start.min(front.start)..new.end.max(back.end);
        }
        self.0.splice(first..last, [new]);
    }

    /// Removes the bytes of a range.
    pub fn remove(&mut self, hole: &Range<u64>) {
        if self.first_in(hole).is_some() {
            let old = std::mem::take(&mut self.0).into_iter();
            self.0 = old.flat_map(|range| super::without(range, hole)).collect();
        }
    }

    /// Removes the `index`th range.
    ///
    /// # Panics
    /// If there is no such range.
    pub fn remove_at(&mut self, index: usize) {
        self.0.remove(index);
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether all bytes of `wanted` are in the set.
    pub fn covers(&self, wanted: &Range<u64>) -> bool {
        wanted.is_empty() || self.first_in(wanted).as_ref() == Some(wanted)
    }

    /// The first run of bytes of `wanted` that is in the set.
    pub fn first_in(&self, wanted: &Range<u64>) -> Option<Range<u64>> {
        let at = self.0.partition_point(|range| range.end <= wanted.start);
        let run = overlap(self.0.get(at)?, wanted);
        (!run.is_empty()).then_some(run)
    }

    /// The parts of `wanted` that are not in the set, in order.
    pub fn gaps(&self, wanted: &Range<u64>) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut at = wanted.start;
        while let Some(run) = self.first_in(&(at..wanted.end)) {
            if run.start > at {
                gaps.push(at..run.start);
            }
            at = run.end;
        }
        if at < wanted.end {
            gaps.push(at..wanted.end);
        }
        gaps
    }

    /// The number of bytes in the set.
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }
}

impl FromIterator<Range<u64>> for RangeSet {
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        let mut set = Self::new();
        ranges.into_iter().for_each(|range| set.insert(range));
        set
    }
}

impl Deref for RangeSet {
    type Target = [Range<u64>];

    fn deref(&self) -> &[Range<u64>] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UNIVERSE: u64 = 40;

    fn range() -> impl Strategy<Value = Range<u64>> {
        (0..UNIVERSE, 0..12u64).prop_map(|(start, len)| start..(start + len).min(UNIVERSE))
    }

    /// Which bytes a range has.
    fn bytes(ranges: &[Range<u64>]) -> Vec<u64> {
        ranges.iter().cloned().flatten().collect()
    }

    proptest! {
        /// The set agrees with a list of booleans after any insertions and removals.
        #[test]
        fn agrees_with_a_bitmap(
            steps in prop::collection::vec((any::<bool>(), range()), 0..20),
            wanted in range(),
        ) {
            let (mut set, mut bitmap) = (RangeSet::new(), [false; UNIVERSE as usize]);
            for (is_insert, range) in steps {
                bitmap[range.start as usize..range.end as usize].fill(is_insert);
                if is_insert {
                    set.insert(range);
                } else {
                    set.remove(&range);
                }
            }
            let is_in = |at: &u64| bitmap[*at as usize];
            let members: Vec<u64> = (0..UNIVERSE).filter(is_in).collect();
            prop_assert_eq!(bytes(&set), members);
            prop_assert_eq!(Some(set.clone()), RangeSet::from_sorted(set.to_vec()));
            prop_assert_eq!(set.bytes(), bitmap.iter().filter(|is_in| **is_in).count() as u64);
            prop_assert_eq!(set.covers(&wanted), wanted.clone().all(|at| is_in(&at)));
            let missing: Vec<u64> = wanted.clone().filter(|at| !is_in(at)).collect();
            prop_assert_eq!(bytes(&set.gaps(&wanted)), missing);
            let first = wanted.clone().find(is_in);
            prop_assert_eq!(set.first_in(&wanted).map(|run| run.start), first);
        }
    }

    #[test]
    fn ranges_that_touch_become_one() {
        let mut set = RangeSet::new();
        for range in [10..20, 30..40, 20..30, 5..5] {
            set.insert(range);
        }
        assert_eq!(set.to_vec(), vec![Range { start: 10, end: 40 }]);
    }

    #[test]
    fn from_sorted_refuses_what_is_not_sorted_and_apart() {
        let touching = vec![0..5, 5..7];
        let unsorted = vec![6..7, 0..5];
        let empty = vec![Range { start: 3, end: 3 }];
        for ranges in [touching, unsorted, empty] {
            assert_eq!(RangeSet::from_sorted(ranges), None);
        }
    }
}
