//! A map of bounded weight, which forgets what was used least recently.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Values that clones share, by key. Each has a weight, and the sum of the weights is bounded.
pub struct Recent<K, V> {
    most: u64,
    held: Mutex<Held<K, V>>,
}

struct Held<K, V> {
    values: HashMap<K, Value<V>>,
    /// The keys by the time of their last use, the oldest first.
    order: BTreeMap<u64, K>,
    /// Counts uses.
    now: u64,
    weight: u64,
}

struct Value<V> {
    value: V,
    weight: u64,
    used: u64,
}

impl<K: Copy + Eq + Hash, V: Clone> Recent<K, V> {
    /// An empty map whose values weigh at most `most` together.
    pub fn new(most: u64) -> Self {
        let held = Held {
            values: HashMap::new(),
            order: BTreeMap::new(),
            now: 0,
            weight: 0,
        };
        Self {
            most,
            held: Mutex::new(held),
        }
    }

    /// The value of a key, if it is still there.
    pub fn get(&self, key: &K) -> Option<V> {
        self.held().touch(key)
    }

    /// The value of a key; one that is not there is made, with this weight.
    pub fn get_or_insert(&self, key: K, weight: u64, make: impl FnOnce() -> V) -> V {
        let mut held = self.held();
        held.touch(&key).unwrap_or_else(|| {
            let value = make();
            held.put(key, value.clone(), weight, self.most);
            value
        })
    }

    /// Sets the value of a key and its weight.
    pub fn insert(&self, key: K, value: V, weight: u64) {
        self.held().put(key, value, weight, self.most);
    }

    fn held(&self) -> MutexGuard<'_, Held<K, V>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash, V: Clone> Held<K, V> {
    fn touch(&mut self, key: &K) -> Option<V> {
        let held = self.values.get_mut(key)?;
        self.now += 1;
        self.order.remove(&held.used);
        self.order.insert(self.now, *key);
        held.used = self.now;
        Some(held.value.clone())
    }

    fn put(&mut self, key: K, value: V, weight: u64, most: u64) {
        self.remove(&key);
        self.now += 1;
        self.order.insert(self.now, key);
        let used = self.now;
        let value = Value {
            value,
            weight,
            used,
        };
        self.values.insert(key, value);
        self.weight = self.weight.saturating_add(weight);
        while self.weight > most
            && let Some((_, oldest)) = self.order.first_key_value()
        {
            let oldest = *oldest;
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &K) {
        if let Some(removed) = self.values.remove(key) {
            self.order.remove(&removed.used);
            self.weight = self.weight.saturating_sub(removed.weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_is_forgotten_first() {
        let recent = Recent::new(10);
        for key in 0..5 {
            assert_eq!(recent.get_or_insert(key, 2, || key * 10), key * 10);
        }
        assert_eq!(recent.get(&0), Some(0));
        assert_eq!(recent.get_or_insert(1, 2, || 99), 10);
        recent.insert(5, 50, 3);
        let there = |key| recent.get(&key).is_some();
        let keys: Vec<u32> = (0..6).filter(|key| there(*key)).collect();
        assert_eq!(keys, [0, 1, 4, 5], "2 and 3 were the oldest");
        // A weight that changes replaces the former one.
        recent.insert(5, 51, 1);
        assert_eq!((recent.get(&5), recent.held().weight), (Some(51), 7));
        // What is heavier than all together may be is not kept, and the bound holds.
        assert_eq!(recent.get_or_insert(6, 11, || 60), 60);
        let held = recent.held();
        assert_eq!(
            (held.weight, held.values.len(), held.order.len()),
            (0, 0, 0)
        );
    }
}
