//! Sorting that is compiled once.
//!
//! The standard library's sort is some 9 KB of code for each type and order. This one moves indices instead of values, and
//! is for lists that are short or seldom sorted.

use std::cmp::Ordering;

/// Sorts a list. Equal items keep their order.
pub fn arrange<T>(items: &mut [T], mut order: impl FnMut(&T, &T) -> Ordering) {
    let mut places = sorted(items.len(), &mut |a, b| order(&items[a], &items[b]));
    // Each cycle of the permutation is moved by one place. What has its place points to itself.
    for start in 0..items.len() {
        let mut at = start;
        loop {
            let from = places[at];
            places[at] = at;
            if from == start {
                break;
            }
            items.swap(at, from);
            at = from;
        }
    }
}

/// Sorts a list by a key. Equal items keep their order.
pub fn arrange_by_key<T, K: Ord>(items: &mut [T], mut key: impl FnMut(&T) -> K) {
    arrange(items, |a, b| key(a).cmp(&key(b)));
}

/// The numbers below `len` in this order.
fn sorted(len: usize, order: &mut dyn FnMut(usize, usize) -> Ordering) -> Vec<usize> {
    let mut places: Vec<usize> = (0..len).collect();
    places.sort_by(|a, b| order(*a, *b));
    places
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lists_are_sorted_as_by_the_standard_library(list in prop::collection::vec((0u8..20, any::<u32>()), 0..200)) {
            let (mut ours, mut theirs) = (list.clone(), list);
            arrange_by_key(&mut ours, |(key, _)| *key);
            theirs.sort_by_key(|(key, _)| *key);
            prop_assert_eq!(&ours, &theirs);
            arrange(&mut ours, |a, b| b.cmp(a));
            theirs.sort_by(|a, b| b.cmp(a));
            prop_assert_eq!(ours, theirs);
        }
    }
}
