//! The stored form of a tree, which is loaded without building it again.
//!
//! As with a stored index (`archive::Index::store`), the cache verifies the bytes, and this module only
//! ensures that no bytes cause a panic. [`TreeOptions`] are not stored.

use std::collections::HashMap;
use std::sync::Arc;

use super::attr::TreeOptions;
use super::hard_links::HardLinks;
use super::names::{Implied, Names};
use super::node::{NOWHERE, Node, ROOT};
use super::table::Table;
use super::tree::{Totals, Tree};
use crate::archive::{Element, Index, Pull, Push, Timestamp, pull_all, pull_one, push_all, take};

/// The version of the stored form. Increase it when the rules from index to tree change.
pub const FORMAT: u32 = 2;

/// The number of 64-bit numbers before the sections.
const COUNTS: usize = 13;

impl Element for Implied {
    const LEN: usize = 24;

    fn read(mut bytes: &[u8]) -> Self {
        let bytes = &mut bytes;
        let [entry, start, end] = take(bytes);
        Self {
            entry,
            name: start..end,
            mtime: Timestamp {
                secs: take(bytes),
                nanos: take(bytes),
            },
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        [self.entry, self.name.start, self.name.end].write(out);
        self.mtime.secs.write(out);
        self.mtime.nanos.write(out);
    }
}

impl Tree {
    /// The approximate length of the stored form in bytes.
    pub fn stored_len(&self) -> u64 {
        let (slots, _) = self.names.table.parts();
        let each = [&self.names.parents, &self.first_child, &self.children];
        let words = each.iter().map(|words| words.len()).sum::<usize>() + slots.len();
        (words * 4 + self.names.implied.len() * Implied::LEN + self.subdirs.len() * 8) as u64
    }

    /// Writes the stored form.
    pub fn store(&self, push: &mut Push) {
        let Names {
            parents,
            implied,
            renamed,
            table,
        } = &self.names;
        let (slots, keys) = table.parts();
        let mut renamed: Vec<(Node, &[u8])> =
            renamed.iter().map(|(n, name)| (*n, &**name)).collect();
        renamed.sort_unstable();
        let renamed_len: usize = renamed.iter().map(|(_, name)| name.len()).sum();
        let counts: [u64; COUNTS] = [
            parents.len() as u64,
            implied.len() as u64,
            self.children.len() as u64,
            self.subdirs.len() as u64,
            renamed.len() as u64,
            renamed_len as u64,
            self.root_mtime.secs.cast_unsigned(),
            self.root_mtime.nanos.into(),
            self.totals.bytes,
            self.totals.files,
            slots.len() as u64,
            keys[0],
            keys[1],
        ];
        push(&FORMAT.to_le_bytes());
        push_all(counts.into_iter(), push);
        push_all(parents.iter().copied(), push);
        push_all(implied.iter().cloned(), push);
        push_all(self.first_child.iter().copied(), push);
        push_all(self.children.iter().copied(), push);
        let mut subdirs: Vec<[u32; 2]> = self.subdirs.iter().map(|(dir, n)| [*dir, *n]).collect();
        subdirs.sort_unstable();
        push_all(subdirs.into_iter(), push);
        let lens = renamed.iter();
        push_all(lens.map(|(node, name)| [*node, name.len() as u32]), push);
        renamed.iter().for_each(|(_, name)| push(name));
        push_all(slots.iter().copied(), push);
    }

    /// Loads the tree of `index`; `None` if the bytes are not one.
    pub fn load(index: Arc<Index>, options: TreeOptions, pull: &mut Pull) -> Option<Self> {
        if pull_one::<u32>(pull)? != FORMAT {
            return None;
        }
        let [
            nodes,
            implied,
            children,
            subdirs,
            renamed,
            renamed_len,
            secs,
            nanos,
            bytes,
            files,
            slots,
            keys @ ..,
        ]: [u64; COUNTS] = pull_one(pull)?;
        let parents: Vec<Node> = pull_all(nodes, pull)?;
        let implied: Vec<Implied> = pull_all(implied, pull)?;
        let first_child: Vec<u32> = pull_all(nodes.checked_add(1)?, pull)?;
        let children: Vec<Node> = pull_all(children, pull)?;
        let subdirs: Vec<[u32; 2]> = pull_all(subdirs, pull)?;
        let lens: Vec<[u32; 2]> = pull_all(renamed, pull)?;
        let renamed = renamed_of(&lens, &pull_all::<u8>(renamed_len, pull)?)?;
        let slots = pull_all(slots, pull)?;
        let table = Table::from_parts(slots, keys, parents.len())?;
        let mut tree = Self {
            hard_links: HardLinks::default(),
            names: Names {
                parents,
                implied,
                renamed,
                table,
            },
            index,
            options,
            first_child,
            children,
            subdirs: subdirs.into_iter().map(|[dir, n]| (dir, n)).collect(),
            root_mtime: Timestamp {
                secs: secs.cast_signed(),
                nanos: u32::try_from(nanos).ok()?,
            },
            totals: Totals { bytes, files },
            overrides: Default::default(),
            orders: Default::default(),
        };
        if !tree.is_sound() {
            return None;
        }
        tree.hard_links = HardLinks::of(&tree.index, &tree.names);
        Some(tree)
    }

    /// Whether all numbers are in range and all paths end at the root.
    fn is_sound(&self) -> bool {
        let Names {
            parents, implied, ..
        } = &self.names;
        let nodes = parents.len() as u64;
        let is_node = |node: &Node| u64::from(*node) < nodes;
        let is_named = |implied: &Implied| implied.name_in(&self.index).is_some();
        // The parent of a shown node is shown.
        let is_shown = |node: &Node| parents.get(*node as usize).is_some_and(|p| *p != NOWHERE);
        nodes == self.index.len() as u64 + 1 + implied.len() as u64
            && nodes < u64::from(NOWHERE)
            && parents.first() == Some(&ROOT)
            && parents
                .iter()
                .all(|parent| *parent == NOWHERE || is_shown(parent))
            && self.children.iter().all(is_shown)
            && self.first_child.is_sorted()
            && self
                .first_child
                .last()
                .is_some_and(|end| *end as usize <= self.children.len())
            && self.subdirs.values().all(is_node)
            && implied.iter().all(is_named)
            && all_lead_to_the_root(parents)
    }
}

/// Whether all paths end at the root, without cycles. Visits each node at most twice.
fn all_lead_to_the_root(parents: &[Node]) -> bool {
    let mut known = vec![false; parents.len()];
    known[ROOT as usize] = true;
    let above = |node: Node| match parents[node as usize] {
        // Not shown, so no path leads over it.
        NOWHERE => ROOT,
        parent => parent,
    };
    for node in 0..parents.len() as Node {
        let (mut at, mut steps) = (node, 0);
        while !known[at as usize] {
            at = above(at);
            steps += 1;
            if steps > parents.len() {
                return false;
            }
        }
        let mut at = node;
        while !std::mem::replace(&mut known[at as usize], true) {
            at = above(at);
        }
    }
    true
}

fn renamed_of(lens: &[[u32; 2]], names: &[u8]) -> Option<HashMap<Node, Box<[u8]>>> {
    let mut left = names;
    let each = lens.iter().map(|[node, len]| {
        let (name, rest) = left.split_at_checked(*len as usize)?;
        left = rest;
        Some((*node, name.into()))
    });
    each.collect()
}
