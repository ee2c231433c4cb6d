//! Which node bears a name: a table of node numbers, which can be kept as it is.
//!
//! Open addressing: a node lies in the first place that was free from its hash's on. Nodes are never
//! taken out. The table has numbers alone; whoever asks knows their names.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use super::node::{Node, ROOT};

/// A place with nobody: the root has no name.
const FREE: Node = ROOT;

/// Nodes by the hashes of their names.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// A power of two of them, at least one of which is free; none in the empty one that stands
    /// for another meanwhile.
    places: Vec<Node>,
    taken: usize,
    /// Of the hash: at random, for names are the archive's choice, and shall not choose their
    /// collisions.
    keys: [u64; 2],
}

impl Table {
    /// An empty one, with room for so many nodes.
    pub(super) fn with_capacity(nodes: usize) -> Self {
        let random = RandomState::new();
        Self {
            places: vec![FREE; places_for(nodes)],
            taken: 0,
            keys: [random.hash_one(1), random.hash_one(2)],
        }
    }

    /// One that was kept; `None` if it is none of a tree of so many nodes.
    pub(super) fn kept(places: Vec<Node>, keys: [u64; 2], nodes: usize) -> Option<Self> {
        let is_node = |node: &Node| (*node as usize) < nodes;
        let taken = places.iter().filter(|node| **node != FREE).count();
        let is_sound =
            places.len().is_power_of_two() && taken < places.len() && places.iter().all(is_node);
        is_sound.then_some(Self {
            places,
            taken,
            keys,
        })
    }

    /// What is kept of it.
    pub(super) fn to_keep(&self) -> (&[Node], [u64; 2]) {
        (&self.places, self.keys)
    }

    /// The hash of a name in a directory.
    pub(super) fn hash(&self, dir: Node, name: &[u8]) -> u64 {
        // Of its keys another instance of this hash could be made, of a `RandomState`'s not.
        #[expect(deprecated, reason = "the others cannot be given keys that were kept")]
        let mut hasher = std::hash::SipHasher::new_with_keys(self.keys[0], self.keys[1]);
        (dir, name).hash(&mut hasher);
        hasher.finish()
    }

    /// The node with this hash that is the one.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(Node) -> bool) -> Option<Node> {
        self.place(hash, is_it).map(|place| self.places[place])
    }

    /// Puts `new` in the place of the node with this hash that is the one.
    pub(super) fn replace(&mut self, hash: u64, old: Node, new: Node) {
        if let Some(place) = self.place(hash, |node| node == old) {
            self.places[place] = new;
        }
    }

    /// Adds a node, unless the one with this hash `is_it`: then that is returned. `hash_of` says the
    /// hashes of those that are there.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        node: Node,
        is_it: impl Fn(Node) -> bool,
        hash_of: impl Fn(&Self, Node) -> u64,
    ) -> Option<Node> {
        if places_for(self.taken + 1) > self.places.len() {
            let places = vec![FREE; self.places.len() * 2];
            for old in std::mem::replace(&mut self.places, places) {
                if old != FREE {
                    self.put(hash_of(self, old), old);
                }
            }
        }
        for place in self.from(hash) {
            match self.places[place] {
                FREE => {
                    self.places[place] = node;
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
        let free = self.from(hash).find(|place| self.places[*place] == FREE);
        if let Some(place) = free {
            self.places[place] = node;
        }
    }

    fn place(&self, hash: u64, is_it: impl Fn(Node) -> bool) -> Option<usize> {
        let places = self.from(hash);
        let mut taken = places.take_while(|place| self.places[*place] != FREE);
        taken.find(|place| is_it(self.places[*place]))
    }

    /// All places, from that of a hash on.
    fn from(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let mask = self.places.len().wrapping_sub(1);
        (0..self.places.len()).map(move |step| (hash as usize).wrapping_add(step) & mask)
    }
}

/// A third more than there are nodes, and then the next power of two: on the way to a node, two or
/// three others are looked at at most, mostly none.
fn places_for(nodes: usize) -> usize {
    (nodes + nodes / 3 + 2).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_found_also_where_hashes_are_the_same() {
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

        let (places, keys) = table.to_keep();
        let kept = |places: &[Node]| Table::kept(places.to_vec(), keys, 601);
        let again = kept(places).expect("a table");
        assert_eq!(again.find(hash(7), |found| found == 600), Some(600));
        assert_eq!(again.hash(3, b"name"), table.hash(3, b"name"));
        assert_ne!(
            again.hash(3, b"name"),
            Table::with_capacity(0).hash(3, b"name")
        );
        assert!(
            Table::kept(places.to_vec(), keys, 600).is_none(),
            "no such node"
        );
        assert!(kept(&[1, 2, 3, 4]).is_none(), "a search would not end");
        assert!(kept(&[1, 0, 0]).is_none() && kept(&[]).is_none());
    }
}
