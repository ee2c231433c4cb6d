//! A hash table of nodes by name, which is stored as it is.
//!
//! Open addressing with linear probing; nodes are never removed. The table has only node numbers: the
//! caller compares the names.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use super::node::{Node, ROOT};

/// An empty slot: the root has no name, so its number is free.
const FREE: Node = ROOT;

/// Nodes by the hashes of their names.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// The length is a power of two, and at least one slot is empty; the default table has no slots.
    slots: Vec<Node>,
    taken: usize,
    /// Random keys of the hash, so that an archive's names cannot be chosen to collide.
    keys: [u64; 2],
}

impl Table {
    /// An empty table with room for `nodes`.
    pub(super) fn with_capacity(nodes: usize) -> Self {
        let random = RandomState::new();
        Self {
            slots: vec![FREE; slots_for(nodes)],
            taken: 0,
            keys: [random.hash_one(1), random.hash_one(2)],
        }
    }

    /// A table from its stored parts; `None` if they do not fit a tree of `nodes`.
    pub(super) fn from_parts(slots: Vec<Node>, keys: [u64; 2], nodes: usize) -> Option<Self> {
        let is_node = |node: &Node| (*node as usize) < nodes;
        let taken = slots.iter().filter(|node| **node != FREE).count();
        let is_sound =
            slots.len().is_power_of_two() && taken < slots.len() && slots.iter().all(is_node);
        is_sound.then_some(Self { slots, taken, keys })
    }

    /// The parts to store.
    pub(super) fn parts(&self) -> (&[Node], [u64; 2]) {
        (&self.slots, self.keys)
    }

    /// The hash of a name in a directory.
    pub(super) fn hash(&self, dir: Node, name: &[u8]) -> u64 {
        // The keys must be stored, and a `RandomState` does not reveal its own.
        #[expect(deprecated, reason = "the other hashers of std do not take keys")]
        let mut hasher = std::hash::SipHasher::new_with_keys(self.keys[0], self.keys[1]);
        (dir, name).hash(&mut hasher);
        hasher.finish()
    }

    /// The node with this hash for which `is_it` is true.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(Node) -> bool) -> Option<Node> {
        self.slot(hash, is_it).map(|slot| self.slots[slot])
    }

    /// Replaces the node `old`, which has this hash, by `new`.
    pub(super) fn replace(&mut self, hash: u64, old: Node, new: Node) {
        if let Some(slot) = self.slot(hash, |node| node == old) {
            self.slots[slot] = new;
        }
    }

    /// Adds a node, unless a node for which `is_it` is true exists: then returns that. `hash_of` gives the
    /// hashes of nodes in the table.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        node: Node,
        is_it: impl Fn(Node) -> bool,
        hash_of: impl Fn(&Self, Node) -> u64,
    ) -> Option<Node> {
        if slots_for(self.taken + 1) > self.slots.len() {
            let slots = vec![FREE; self.slots.len() * 2];
            for old in std::mem::replace(&mut self.slots, slots) {
                if old != FREE {
                    self.put(hash_of(self, old), old);
                }
            }
        }
        for slot in self.from(hash) {
            match self.slots[slot] {
                FREE => {
                    self.slots[slot] = node;
                    break;
                }
                taken if is_it(taken) => return Some(taken),
                _ => {}
            }
        }
        self.taken += 1;
        None
    }

    fn put(&mut self, hash: u64, node: Node) {
        let free = self.from(hash).find(|slot| self.slots[*slot] == FREE);
        if let Some(slot) = free {
            self.slots[slot] = node;
        }
    }

    fn slot(&self, hash: u64, is_it: impl Fn(Node) -> bool) -> Option<usize> {
        let slots = self.from(hash);
        let mut taken = slots.take_while(|slot| self.slots[*slot] != FREE);
        taken.find(|slot| is_it(self.slots[*slot]))
    }

    /// All slots in probing order for a hash.
    fn from(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let mask = self.slots.len().wrapping_sub(1);
        (0..self.slots.len()).map(move |step| (hash as usize).wrapping_add(step) & mask)
    }
}

/// The number of slots for `nodes`: a load of at most three quarters, so that probing is short.
fn slots_for(nodes: usize) -> usize {
    (nodes + nodes / 3 + 2).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_equal_hashes_are_found() {
        let mut table = Table::with_capacity(0);
        let hash = |node: Node| u64::from(node % 7) << 40 | u64::from(node % 5);
        for node in 1..500 {
            assert_eq!(
                table.insert(hash(node), node, |found| found == node, |_, old| hash(old)),
                None
            );
        }
        for node in 1..500 {
            assert_eq!(table.find(hash(node), |found| found == node), Some(node));
        }
        assert_eq!(table.find(hash(500), |found| found == 500), None);
        let again = table.insert(hash(3), 500, |found| found == 3, |_, old| hash(old));
        assert_eq!((again, table.taken), (Some(3), 499));
        table.replace(hash(7), 7, 600);
        assert_eq!(table.find(hash(7), |found| found == 600), Some(600));
        assert_eq!(table.find(hash(7), |found| found == 7), None);

        let (slots, keys) = table.parts();
        let kept = |slots: &[Node]| Table::from_parts(slots.to_vec(), keys, 601);
        let again = kept(slots).expect("a table");
        assert_eq!(again.find(hash(7), |found| found == 600), Some(600));
        assert_eq!(again.hash(3, b"name"), table.hash(3, b"name"));
        assert_ne!(
            again.hash(3, b"name"),
            Table::with_capacity(0).hash(3, b"name")
        );
        assert!(
            Table::from_parts(slots.to_vec(), keys, 600).is_none(),
            "no such node"
        );
        assert!(kept(&[1, 2, 3, 4]).is_none(), "a search would not end");
        assert!(kept(&[1, 0, 0]).is_none() && kept(&[]).is_none());
    }
}
