//! Values in the order of their last use.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Values by key. The caller bounds them: it drops those whose last use is the longest ago.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    /// With the time of use.
    values: HashMap<K, (V, u64)>,
    /// By time of use.
    order: BTreeMap<u64, K>,
    uses: u64,
}

impl<K: Copy + Eq + Hash, V> Recent<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn contains(&self, key: K) -> bool {
        self.values.contains_key(&key)
    }

    /// A value, which counts as used now.
    pub(crate) fn get(&mut self, key: K) -> Option<&V> {
        let (value, used) = self.values.get_mut(&key)?;
        self.order.remove(used);
        self.uses += 1;
        self.order.insert(self.uses, key);
        *used = self.uses;
        Some(value)
    }

    /// Puts a value in, which counts as used now. Returns the one that had its key.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let before = self.remove(key);
        self.uses += 1;
        self.order.insert(self.uses, key);
        self.values.insert(key, (value, self.uses));
        before
    }

    pub(crate) fn remove(&mut self, key: K) -> Option<V> {
        let (value, used) = self.values.remove(&key)?;
        self.order.remove(&used);
        Some(value)
    }

    /// Removes the value whose last use is the longest ago.
    pub(crate) fn remove_oldest(&mut self) -> Option<V> {
        let (_, key) = self.order.pop_first()?;
        self.values.remove(&key).map(|(value, _)| value)
    }

    /// Removes the values of all keys that `which` is true for.
    pub(crate) fn remove_all(&mut self, which: impl Fn(&K) -> bool) -> Vec<V> {
        let removed = self.values.extract_if(|key, _| which(key));
        let removed = removed.map(|(_, (value, used))| {
            self.order.remove(&used);
            value
        });
        removed.collect()
    }
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self {
            values: HashMap::new(),
            order: BTreeMap::new(),
            uses: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_used_longest_ago_is_the_oldest() {
        let mut recent = Recent::default();
        for key in 0..5 {
            assert_eq!(recent.insert(key, key * 10), None);
        }
        assert_eq!(recent.get(0), Some(&0));
        assert_eq!(recent.insert(1, 11), Some(10));
        assert_eq!(recent.get(7), None);
        assert_eq!(recent.remove(3), Some(30));
        assert_eq!(recent.len(), 4);
        let mut order = Vec::new();
        while let Some(value) = recent.remove_oldest() {
            order.push(value);
        }
        assert_eq!(order, [20, 40, 0, 11]);
    }

    #[test]
    fn values_that_were_removed_are_not_the_oldest() {
        let mut recent = Recent::default();
        for key in 0..6 {
            recent.insert(key, key);
        }
        let mut even = recent.remove_all(|key| key % 2 == 0);
        even.sort_unstable();
        assert_eq!(even, [0, 2, 4]);
        assert_eq!((recent.len(), recent.remove_oldest()), (3, Some(1)));
    }
}
