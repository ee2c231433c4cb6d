//! What a library shows at one moment: the names of its list, and archives that only programs looked up.
//!
//! Archives that were looked up are a snapshot of their own, because it is small: a lookup makes it anew, and must not
//! cost more if the list is longer. In the root, the two stand side by side, and no name is in both. A directory below
//! the root is in one of them.

use std::sync::Arc;

use super::gone::Gone;
use super::inode::Part;
use super::slot::Slot;
use super::snapshot::{Node, Snapshot};

/// The names at one moment.
#[derive(Clone)]
pub(super) struct Shown {
    /// The names of the list, and those in directories of archives.
    pub(super) listed: Arc<Snapshot>,
    /// Names in the root that programs looked up.
    pub(super) looked_up: Arc<Snapshot>,
    /// What was shown before.
    pub(super) gone: Gone,
}

impl Shown {
    /// The root alone.
    pub(super) fn empty() -> Self {
        Self {
            listed: Arc::new(Snapshot::empty()),
            looked_up: Arc::new(Snapshot::empty()),
            gone: Gone::default(),
        }
    }

    fn both(&self) -> [&Snapshot; 2] {
        [&self.listed, &self.looked_up]
    }

    /// The node of a part that is named, and the snapshot that has it.
    pub(super) fn node(&self, part: Part) -> Option<(&Snapshot, &Node)> {
        let mut both = self.both().into_iter();
        both.find_map(|snapshot| Some((snapshot, snapshot.node(part)?)))
    }

    pub(super) fn is_named(&self, part: Part) -> bool {
        self.node(part).is_some()
    }

    /// Whether a part stands for something: a directory, or an archive, also one that is named no longer.
    pub(super) fn has(&self, part: Part) -> bool {
        self.both().iter().any(|snapshot| snapshot.has(part))
    }

    /// The archive of a part, which may be named no longer.
    pub(super) fn slot(&self, part: Part) -> Option<&Arc<Slot>> {
        // A name that was looked up may have become a directory of the other snapshot. There it is named.
        if let Some((snapshot, _)) = self.node(part) {
            return snapshot.slot(part);
        }
        let mut both = self.both().into_iter();
        both.find_map(|snapshot| snapshot.slot(part))
    }

    /// The file of this name in a directory.
    pub(super) fn child(&self, directory: Part, name: &str) -> Option<&Node> {
        let mut both = self.both().into_iter();
        both.find_map(|snapshot| snapshot.child(snapshot.node(directory)?, name))
    }

    /// What is in a directory behind this name, in the order of names; all of it without a name.
    pub(super) fn children<'a>(
        &'a self,
        directory: Part,
        behind: Option<&str>,
    ) -> impl Iterator<Item = &'a Node> + use<'a> {
        let [listed, looked_up] = self.both().map(|snapshot| {
            let node = snapshot.node(directory);
            let children = node.map(|node| snapshot.children_behind(node, behind));
            children.into_iter().flatten()
        });
        merged(listed, looked_up, |a, b| a.name() <= b.name())
    }

    /// All archives that are named, in the order of names.
    pub(super) fn slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        let [listed, looked_up] = self.both().map(Snapshot::slots);
        merged(listed, looked_up, |a, b| {
            let [a, b] = [a, b].map(|slot| slot.item.name().split('/'));
            a.le(b)
        })
    }

    /// How many names there are, the root included.
    pub(super) fn len(&self) -> usize {
        // Each of the two has a root.
        self.both().map(Snapshot::len).iter().sum::<usize>() - 1
    }
}

/// The items of two sorted iterators in their order.
fn merged<T>(
    a: impl Iterator<Item = T>,
    b: impl Iterator<Item = T>,
    is_first: impl Fn(&T, &T) -> bool,
) -> impl Iterator<Item = T> {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    std::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some(next), Some(other)) if is_first(next, other) => a.next(),
        (Some(_), None) => a.next(),
        _ => b.next(),
    })
}
