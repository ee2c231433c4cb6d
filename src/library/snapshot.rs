//! Names of a library at one moment. Sync, no I/O; a reload builds a new one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::error::NameError;
use super::inode::Part;
use super::item::Item;
use super::slot::Slot;
use crate::volume::Location;

/// The position of a name in [`Snapshot::nodes`]; 0 is the root.
type NodeId = u32;

const ROOT: NodeId = 0;

/// The names, and the archives and directories that they stand for.
pub(super) struct Snapshot {
    nodes: Vec<Node>,
    parts: HashMap<Part, Place>,
    /// The parts of archives that are gone or have changed. No other archive gets them, because the kernel may still
    /// know their files.
    used: Arc<HashSet<Part>>,
}

/// A directory or an archive.
pub(super) struct Node {
    parent: NodeId,
    pub(super) part: Part,
    pub(super) content: Content,
}

pub(super) enum Content {
    Directory {
        /// The last component of its path.
        name: Box<str>,
        /// What is in it, in the order of names.
        children: Vec<NodeId>,
    },
    Archive(Arc<Slot>),
}

impl Content {
    /// An empty directory of this name.
    fn directory(name: &str) -> Self {
        Content::Directory {
            name: name.into(),
            children: Vec::new(),
        }
    }
}

impl Node {
    /// The last component of its path.
    pub(super) fn name(&self) -> &str {
        match &self.content {
            Content::Directory { name, .. } => name,
            // A name of its own would take as much memory again as all lists.
            Content::Archive(slot) => {
                let path = slot.item.name();
                path.rsplit_once('/').map_or(path, |(_, name)| name)
            }
        }
    }
}

/// What the part of an inode number stands for.
#[derive(Clone)]
enum Place {
    Here(NodeId),
    /// An archive that is no longer named. Its files may be open, or an open of one may be under way.
    Removed(Arc<Slot>),
}

/// A name that stands for something else in another snapshot, or for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Changed {
    /// The directory that has the name.
    pub(super) directory: Part,
    pub(super) name: Box<str>,
    /// What it stood for before; `None` if it is new.
    pub(super) was: Option<Part>,
}

impl Snapshot {
    /// The root alone.
    pub(super) fn empty() -> Self {
        let root = Node {
            parent: ROOT,
            part: Part::ROOT,
            content: Content::directory(""),
        };
        Self {
            nodes: vec![root],
            parts: HashMap::from([(Part::ROOT, Place::Here(ROOT))]),
            used: Arc::default(),
        }
    }

    /// The snapshot of `items`. It keeps the slot of each archive of `before` that has the same name and location,
    /// unless the slot is [stale](Slot::is_stale). It also keeps the slots of removed archives while files of them are
    /// open, and at least until the next snapshot. `other` is shown beside it. An archive that was there keeps its slot,
    /// and no new one gets a part that is in use there.
    ///
    /// # Errors
    /// If two of the names cannot stand side by side.
    pub(super) fn new(
        mut items: Vec<Item>,
        before: &Self,
        other: &Self,
    ) -> Result<Self, NameError> {
        items.sort_by(|a, b| a.name().split('/').cmp(b.name().split('/')));
        check(&items)?;
        let mut made = Self::empty();
        made.used = before.used.clone();
        // What stays keeps its part. So does what went before, as long as files of it are open.
        for (part, place) in &before.parts {
            if let Place::Removed(slot) = place
                && slot.is_in_use()
            {
                made.parts.insert(*part, place.clone());
            }
        }
        // And what goes now: until this snapshot is shown, files of it are opened.
        for slot in before.slots() {
            made.parts.insert(slot.part, Place::Removed(slot.clone()));
        }
        // The directories that lead to the item before.
        let mut path: Vec<NodeId> = vec![ROOT];
        for item in items {
            made.add(item, &mut path, [before, other]);
        }
        made.note_used(before);
        Ok(made)
    }

    /// Adds an archive, which comes after all others in the order of names.
    fn add(&mut self, item: Item, path: &mut Vec<NodeId>, before: [&Self; 2]) {
        let known = before.iter().find_map(|before| before.slot_of(item.name()));
        let above: Vec<&str> = match item.name().rsplit_once('/') {
            Some((above, _)) => above.split('/').collect(),
            None => Vec::new(),
        };
        let shared = above.iter().zip(&path[1..]);
        let shared = shared.take_while(|(name, node)| self.nodes[**node as usize].name() == **name);
        let depth = shared.count();
        path.truncate(1 + depth);
        for (at, name) in above.iter().enumerate().skip(depth) {
            let whole = above[..=at].join("/");
            let mut known = before.iter();
            let part = known.find_map(|before| before.directory_part(&whole));
            let part = part.unwrap_or_else(|| self.free(before, &whole, ""));
            let parent = path[path.len() - 1];
            path.push(self.push(parent, part, Content::directory(name)));
        }
        let parent = path[path.len() - 1];
        let directory = self.nodes[parent as usize].part;
        let is_stale = known.is_some_and(|known| known.is_stale());
        let kept = known.filter(|known| !is_stale && known.item == item);
        let slot = kept.cloned().unwrap_or_else(|| {
            let part = self.free(before, item.name(), &item.location().shown().1);
            let slot = Slot::new(item, part, directory);
            Arc::new(if is_stale { slot.asking() } else { slot })
        });
        self.push(parent, slot.part, Content::Archive(slot));
    }

    fn push(&mut self, parent: NodeId, part: Part, content: Content) -> NodeId {
        let id = self.nodes.len() as NodeId;
        self.nodes.push(Node {
            parent,
            part,
            content,
        });
        self.parts.insert(part, Place::Here(id));
        if let Content::Directory { children, .. } = &mut self.nodes[parent as usize].content {
            children.push(id);
        }
        id
    }

    /// Notes the parts of archives of `before` that are not in this snapshot. What a CID names cannot change, and
    /// programs can look up any number of CIDs.
    fn note_used(&mut self, before: &Self) {
        let gone = before.slots().filter(|slot| {
            let is_here = self.node(slot.part).is_some();
            let may_change = !matches!(slot.item.location(), Location::Cid(_));
            !is_here && (may_change || slot.is_stale())
        });
        let gone: Vec<Part> = gone.map(|slot| slot.part).collect();
        if !gone.is_empty() {
            Arc::make_mut(&mut self.used).extend(gone);
        }
    }

    /// A part that no other name has, and none had before: the kernel may still know files of it.
    fn free(&self, before: [&Self; 2], name: &str, source: &str) -> Part {
        let is_taken = |part: &Part| {
            let mut before = before.iter();
            self.has(*part) || before.any(|before| before.has(*part) || before.used.contains(part))
        };
        let mut attempts = (0..).map(|attempt| Part::of(name, source, attempt));
        let free = attempts.find(|part| !is_taken(part));
        free.unwrap_or(Part::ROOT) // never: there are more parts than memory for names
    }

    /// The part of the directory at this path, or of what seemed to be an archive there and is a directory.
    fn directory_part(&self, path: &str) -> Option<Part> {
        let node = self.find(path)?;
        let is_directory = match &node.content {
            Content::Directory { .. } => true,
            Content::Archive(slot) => slot.is_directory(),
        };
        is_directory.then_some(node.part)
    }

    /// The archive at this path.
    pub(super) fn slot_of(&self, path: &str) -> Option<&Arc<Slot>> {
        match &self.find(path)?.content {
            Content::Directory { .. } => None,
            Content::Archive(slot) => Some(slot),
        }
    }

    pub(super) fn has_name(&self, path: &str) -> bool {
        self.find(path).is_some()
    }

    fn find(&self, path: &str) -> Option<&Node> {
        let mut names = path.split('/');
        names.try_fold(&self.nodes[ROOT as usize], |here, name| {
            self.child(here, name)
        })
    }

    /// The node of a part that is named.
    pub(super) fn node(&self, part: Part) -> Option<&Node> {
        match self.parts.get(&part)? {
            Place::Here(id) => self.nodes.get(*id as usize),
            Place::Removed(_) => None,
        }
    }

    /// Whether a part stands for something: a directory, or an archive, also one that is named no longer.
    pub(super) fn has(&self, part: Part) -> bool {
        self.parts.contains_key(&part)
    }

    /// The archive of a part, which may be named no longer.
    pub(super) fn slot(&self, part: Part) -> Option<&Arc<Slot>> {
        match self.parts.get(&part)? {
            Place::Removed(slot) => Some(slot),
            Place::Here(id) => match &self.nodes[*id as usize].content {
                Content::Archive(slot) => Some(slot),
                Content::Directory { .. } => None,
            },
        }
    }

    /// The node above; the root is above itself.
    pub(super) fn parent(&self, node: &Node) -> &Node {
        &self.nodes[node.parent as usize]
    }

    /// What is in a directory from this position on, in the order of names.
    pub(super) fn children_from<'a>(
        &'a self,
        directory: &'a Node,
        position: usize,
    ) -> impl Iterator<Item = &'a Node> {
        let behind = children(directory).get(position..).unwrap_or_default();
        behind.iter().map(|child| &self.nodes[*child as usize])
    }

    /// The same behind a name, or all of it without one.
    pub(super) fn children_behind<'a>(
        &'a self,
        directory: &'a Node,
        name: Option<&str>,
    ) -> impl Iterator<Item = &'a Node> + use<'a> {
        let position = name.map_or(0, |name| match self.position(directory, name) {
            Ok(at) => at + 1,
            Err(at) => at,
        });
        self.children_from(directory, position)
    }

    /// The position of a name in a directory, or where it would be.
    pub(super) fn position(&self, directory: &Node, name: &str) -> Result<usize, usize> {
        children(directory).binary_search_by(|child| self.nodes[*child as usize].name().cmp(name))
    }

    /// The file of this name in a directory.
    pub(super) fn child(&self, directory: &Node, name: &str) -> Option<&Node> {
        let at = self.position(directory, name).ok()?;
        Some(&self.nodes[children(directory)[at] as usize])
    }

    /// Whether files of archives at or below a name in the root are open, or something is read there.
    pub(super) fn is_in_use(&self, name: &str) -> bool {
        let node = self.child(&self.nodes[ROOT as usize], name);
        let mut ahead: Vec<&Node> = node.into_iter().collect();
        while let Some(node) = ahead.pop() {
            match &node.content {
                Content::Archive(slot) if slot.is_in_use() => return true,
                Content::Archive(_) => {}
                Content::Directory { .. } => ahead.extend(self.children_from(node, 0)),
            }
        }
        false
    }

    /// All archives that are named, in the order of names.
    pub(super) fn slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.nodes.iter().filter_map(|node| match &node.content {
            Content::Archive(slot) => Some(slot),
            Content::Directory { .. } => None,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// What the kernel must forget when `after` takes the place of this snapshot: names that are gone, or
    /// that stand for something else, and the absence of new ones.
    pub(super) fn changes(&self, after: &Self) -> Vec<Changed> {
        let mut changes = Vec::new();
        let mut others = vec![(&self.nodes[ROOT as usize], &after.nodes[ROOT as usize])];
        while let Some((old, new)) = others.pop() {
            let mut changed = |node: &Node, was| {
                changes.push(Changed {
                    directory: old.part,
                    name: node.name().into(),
                    was,
                });
            };
            for node in self.children_from(old, 0) {
                match after.child(new, node.name()) {
                    Some(same) if same.part == node.part => others.push((node, same)),
                    _ => changed(node, Some(node.part)),
                }
            }
            for node in after.children_from(new, 0) {
                if self.child(old, node.name()).is_none() {
                    changed(node, None);
                }
            }
        }
        changes
    }
}

fn children(node: &Node) -> &[NodeId] {
    match &node.content {
        Content::Directory { children, .. } => children,
        Content::Archive(_) => &[],
    }
}

/// Checks the names of sorted items.
fn check(items: &[Item]) -> Result<(), NameError> {
    for pair in items.windows(2) {
        let (first, second) = (pair[0].name(), pair[1].name());
        if first == second {
            return Err(NameError::Twice(first.to_owned()));
        }
        let below = second.strip_prefix(first);
        if below.is_some_and(|rest| rest.starts_with('/')) {
            return Err(NameError::Below {
                name: second.to_owned(),
                archive: first.to_owned(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
