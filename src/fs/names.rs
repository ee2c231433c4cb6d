//! The names of nodes, and lookup by name.
//!
//! A node's name is a slice of its entry's path, so names need no memory of their own.

use std::collections::HashMap;
use std::ops::Range;

use super::node::{NOWHERE, Node, ROOT};
use super::table::Table;
use crate::archive::{EntryId, Index, Kind, Timestamp};

/// The parents and names of all nodes, with a hash table for lookup.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) parents: Vec<Node>,
    pub(super) implied: Vec<Implied>,
    /// Nodes whose name differs from their entry's.
    pub(super) renamed: HashMap<Node, Box<[u8]>>,
    pub(super) table: Table,
}

/// A directory without an entry, implied by an entry's path.
#[derive(Debug, Clone)]
pub(super) struct Implied {
    /// The position of the entry in the index.
    pub(super) entry: u32,
    /// The range of its name in the entry's path.
    pub(super) name: Range<u32>,
    pub(super) mtime: Timestamp,
}

impl Implied {
    pub(super) fn name_in<'a>(&self, index: &'a Index) -> Option<&'a [u8]> {
        let path = index.path(index.id(self.entry as usize)?);
        path.get(self.name.start as usize..self.name.end as usize)
    }
}

impl Names {
    /// Nodes for the root and the entries of `index`, not linked yet.
    pub(super) fn new(index: &Index) -> Self {
        let mut parents = vec![NOWHERE; index.len() + 1];
        parents[ROOT as usize] = ROOT;
        Self {
            parents,
            implied: Vec::new(),
            renamed: HashMap::new(),
            table: Table::with_capacity(index.len()),
        }
    }

    pub(super) fn parent(&self, node: Node) -> Node {
        self.parents[node as usize]
    }

    /// The entry of a node; `None` for the root and implied directories.
    pub(super) fn entry(&self, index: &Index, node: Node) -> Option<EntryId> {
        index.id((node as usize).checked_sub(1)?)
    }

    pub(super) fn implied_index(&self, index: &Index, node: Node) -> Option<usize> {
        (node as usize).checked_sub(index.len() + 1)
    }

    pub(super) fn kind(&self, index: &Index, node: Node) -> Kind {
        self.entry(index, node)
            .map_or(Kind::Dir, |entry| index.kind(entry))
    }

    /// The name of a node in its directory; empty for the root.
    pub(super) fn name<'a>(&'a self, index: &'a Index, node: Node) -> &'a [u8] {
        if let Some(entry) = self.entry(index, node) {
            let renamed = self.renamed.get(&node).map(|name| &**name);
            return renamed.unwrap_or_else(|| split_last(index.path(entry)).1);
        }
        let implied = self.implied_index(index, node);
        let name = implied.and_then(|at| self.implied[at].name_in(index));
        name.unwrap_or_default()
    }

    /// The node of this name in a directory.
    pub(super) fn find(&self, index: &Index, dir: Node, name: &[u8]) -> Option<Node> {
        let is_it = |node| self.parent(node) == dir && self.name(index, node) == name;
        self.table.find(self.table.hash(dir, name), is_it)
    }

    /// Adds a node with its parent and name to the table. If another node has the name, returns that
    /// instead.
    pub(super) fn insert(&mut self, index: &Index, node: Node) -> Option<Node> {
        // Moved out, so that the table can grow while `self` is borrowed.
        let mut table = std::mem::take(&mut self.table);
        let (dir, name) = (self.parent(node), self.name(index, node));
        let is_it = |other| self.parent(other) == dir && self.name(index, other) == name;
        let hash = |table: &Table, node| table.hash(self.parent(node), self.name(index, node));
        let holder = table.insert(table.hash(dir, name), node, is_it, hash);
        self.table = table;
        holder
    }

    /// Replaces `old` in the table by `new`, which has the same parent and name.
    pub(super) fn replace(&mut self, index: &Index, old: Node, new: Node) {
        let hash = self.table.hash(self.parent(old), self.name(index, old));
        self.table.replace(hash, old, new);
    }
}

/// A path's directory and last component.
pub(super) fn split_last(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}
