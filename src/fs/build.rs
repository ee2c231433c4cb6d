//! Builds a tree from an index.
//!
//! Works in passes, since later entries of the archive take precedence: directories with entries, then
//! directories that paths imply, then other entries, and last entries whose name is taken. The work is
//! linear in the size of the index.

use std::collections::HashMap;
use std::sync::Arc;

use super::attr::TreeOptions;
use super::hard_links::HardLinks;
use super::names::{Implied, Names, split_last};
use super::node::{NOWHERE, Node, ROOT};
use super::order::Orders;
use super::tree::{Totals, Tree};
use crate::archive::{EntryId, Index, Kind, Timestamp};

/// The longest file name on Linux, in bytes (NAME_MAX).
const LONGEST_NAME: usize = 255;

/// Length of ` (4294967295)`, the longest suffix of an entry whose name was taken.
const LONGEST_NUMBER: usize = 13;

impl Tree {
    /// Builds the tree of `index`.
    pub fn build(index: Arc<Index>, options: TreeOptions) -> Self {
        let mut builder = Builder {
            names: Names::new(&index),
            index: &index,
        };
        builder.add_directories();
        builder.add_parents();
        let taken = builder.add_files();
        builder.rename(taken);
        let names = builder.names;
        finish(index, options, names)
    }
}

struct Builder<'a> {
    index: &'a Index,
    names: Names,
}

impl Builder<'_> {
    /// Adds directories that have entries, shorter paths first, so that each exists before a longer path
    /// implies it. Of several entries the last in the central directory counts.
    fn add_directories(&mut self) {
        let index = self.index;
        let dirs = index.ids().filter(|id| index.kind(*id) == Kind::Dir);
        let mut dirs: Vec<EntryId> = dirs.collect();
        dirs.sort_by_key(|id| {
            let later_first = u32::MAX - index.directory_order(*id);
            (index.path(*id).len(), later_first)
        });
        for id in dirs {
            let (above, name) = split_last(index.path(id));
            let parent = self.directory(above.len(), id);
            if self.names.find(index, parent, name).is_none() {
                self.names.parents[node(id) as usize] = parent;
                self.names.insert(index, node(id));
            }
        }
    }

    /// Sets the parents of all other entries, and adds implied directories.
    fn add_parents(&mut self) {
        let mut last: (&[u8], Node) = (b"", ROOT);
        for id in files(self.index) {
            let (above, _) = split_last(self.index.path(id));
            if above != last.0 {
                last = (above, self.directory(above.len(), id));
            }
            self.names.parents[node(id) as usize] = last.1;
        }
    }

    /// Adds entries that are not directories. Returns those whose name is taken.
    fn add_files(&mut self) -> Vec<EntryId> {
        let index = self.index;
        let mut taken = Vec::new();
        for id in files(index) {
            let node = node(id);
            let Some(holder) = self.names.insert(index, node) else {
                continue;
            };
            match self.names.entry(index, holder) {
                Some(other)
                    if index.kind(other) != Kind::Dir
                        && index.directory_order(other) < index.directory_order(id) =>
                {
                    self.names.replace(index, holder, node);
                    taken.push(other);
                }
                _ => taken.push(id),
            }
        }
        taken
    }

    /// Renames entries whose name was taken: `name (1).ext` and so on, in the order of the central
    /// directory.
    fn rename(&mut self, mut taken: Vec<EntryId>) {
        let index = self.index;
        taken.sort_by_key(|id| index.directory_order(*id));
        // The last number used for each parent, stem and extension. Without it, entries of one name would
        // take quadratic time.
        let mut used: HashMap<(Node, Vec<u8>, &[u8]), u32> = HashMap::new();
        for id in taken {
            let (_, name) = split_last(index.path(id));
            let (stem, extension) = split_extension(name);
            let room = LONGEST_NAME - LONGEST_NUMBER - extension.len();
            let stem = shorten(stem, room).to_vec();
            let (node, parent) = (node(id), self.names.parent(node(id)));
            let number = used.entry((parent, stem.clone(), extension)).or_default();
            let new = loop {
                *number += 1;
                let number = format!(" ({number})");
                let new = [&stem, number.as_bytes(), extension].concat();
                if self.names.find(index, parent, &new).is_none() {
                    break new;
                }
            };
            self.names.renamed.insert(node, new.into_boxed_slice());
            self.names.insert(index, node);
        }
    }

    /// The directory named by the first `len` bytes of an entry's path. Adds it and its parents if they
    /// do not exist.
    fn directory(&mut self, len: usize, id: EntryId) -> Node {
        let index = self.index;
        let path = &index.path(id)[..len];
        let (mut here, mut start) = (ROOT, 0);
        while start < len {
            let slash = path[start..].iter().position(|b| *b == b'/');
            let end = slash.map_or(len, |at| start + at);
            here = match self.names.find(index, here, &path[start..end]) {
                Some(dir) => dir,
                None => self.imply(here, id, start..end),
            };
            start = end + 1;
        }
        here
    }

    fn imply(&mut self, parent: Node, entry: EntryId, name: std::ops::Range<usize>) -> Node {
        // A node takes at least a byte of some entry's name, and all names together have fewer
        // bytes than a u32 can count; see `Index`.
        let new = Node::try_from(self.names.parents.len()).expect("fewer nodes than name bytes");
        self.names.parents.push(parent);
        self.names.implied.push(Implied {
            // An index has fewer entries than a u32 can count.
            entry: entry.index() as u32,
            // A path has at most 65,535 bytes.
            name: name.start as u32..name.end as u32,
            mtime: Timestamp::default(),
        });
        self.names.insert(self.index, new);
        new
    }
}

/// The entries that are not directories.
fn files(index: &Index) -> impl Iterator<Item = EntryId> {
    index.ids().filter(|id| index.kind(*id) != Kind::Dir)
}

/// The node of an entry.
fn node(id: EntryId) -> Node {
    id.index() as Node + 1
}

/// Groups nodes by directory and computes the totals.
fn finish(index: Arc<Index>, options: TreeOptions, mut names: Names) -> Tree {
    let shown = || (1..names.parents.len() as Node).filter(|n| names.parent(*n) != NOWHERE);
    let mut first_child = vec![0u32; names.parents.len() + 1];
    let mut subdirs: HashMap<Node, u32> = HashMap::new();
    let mut totals = Totals { bytes: 0, files: 1 };
    for node in shown() {
        let parent = names.parent(node);
        first_child[parent as usize + 1] += 1;
        totals.files += 1;
        match names.entry(&index, node).map(|id| index.get(id)) {
            Some(entry) if entry.kind != Kind::Dir => {
                totals.bytes = totals.bytes.saturating_add(entry.size);
            }
            _ => *subdirs.entry(parent).or_default() += 1,
        }
    }
    for at in 1..first_child.len() {
        first_child[at] += first_child[at - 1];
    }
    let mut free = first_child.clone();
    let mut children = vec![ROOT; first_child[names.parents.len()] as usize];
    for node in shown() {
        let place = &mut free[names.parent(node) as usize];
        children[*place as usize] = node;
        *place += 1;
    }
    let root_mtime = date_implied(&index, &mut names);
    let hard_links = HardLinks::of(&index, &names);
    Tree {
        hard_links,
        index,
        options,
        names,
        first_child,
        children,
        subdirs,
        root_mtime,
        totals,
        overrides: Default::default(),
        orders: Orders::default(),
    }
}

/// Gives each implied directory the newest time of its content; returns the root's.
fn date_implied(index: &Index, names: &mut Names) -> Timestamp {
    let mut root = None;
    let mut dates: Vec<Option<Timestamp>> = vec![None; names.implied.len()];
    let mut note = |parent: Node, mtime: Option<Timestamp>, dates: &mut Vec<_>| {
        let slot = match names.implied_index(index, parent) {
            Some(at) => &mut dates[at],
            None if parent == ROOT => &mut root,
            None => return,
        };
        *slot = (*slot).max(mtime);
    };
    for id in index.ids().filter(|id| names.parent(node(*id)) != NOWHERE) {
        note(
            names.parent(node(id)),
            Some(index.get(id).mtime),
            &mut dates,
        );
    }
    // An implied directory comes after its parent, so in reverse order its content is done first.
    for at in (0..dates.len()).rev() {
        let implied = index.len() + 1 + at;
        note(names.parents[implied], dates[at], &mut dates);
    }
    for (implied, date) in names.implied.iter_mut().zip(dates) {
        implied.mtime = date.unwrap_or_default();
    }
    root.unwrap_or_default()
}

/// Splits a name into stem and extension with its dot. A dot at the beginning does not start an
/// extension, nor does one whose extension is longer than half of the longest name.
fn split_extension(name: &[u8]) -> (&[u8], &[u8]) {
    match name.iter().rposition(|b| *b == b'.') {
        Some(dot) if dot > 0 && name.len() - dot <= LONGEST_NAME / 2 => name.split_at(dot),
        _ => (name, b""),
    }
}

/// The first `room` bytes at most, cut at a UTF-8 character boundary.
fn shorten(name: &[u8], room: usize) -> &[u8] {
    if name.len() <= room {
        return name;
    }
    let is_continuation = |b: u8| b & 0xc0 == 0x80;
    let mut end = room;
    while end > 0 && is_continuation(name[end]) {
        end -= 1;
    }
    &name[..if end == 0 { room } else { end }]
}
