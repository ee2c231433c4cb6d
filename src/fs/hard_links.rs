//! Hard links: entries that name another file of the archive instead of having data.
//!
//! They follow from the names, so they are found again when a stored tree is loaded.

use std::collections::HashMap;

use super::names::Names;
use super::node::{Node, ROOT};
use crate::archive::{EntryId, Index, Kind};

/// The most links that are followed from one to the next.
const MAX_FOLLOWED: u32 = 40;

/// The files that hard links are.
#[derive(Debug, Default)]
pub(super) struct HardLinks {
    targets: HashMap<Node, Node>,
    /// The number of links to each target.
    counts: HashMap<Node, u32>,
}

impl HardLinks {
    /// Finds the targets of the links of `index`. A link whose target is no file of the archive remains an
    /// entry that cannot be read.
    pub(super) fn of(index: &Index, names: &Names) -> Self {
        let mut links = Self::default();
        for id in index.hard_links() {
            let link = id.index() as Node + 1;
            let mut target = Some(link);
            for _ in 0..MAX_FOLLOWED {
                let entry = target.and_then(|node| names.entry(index, node));
                let path = entry.and_then(|id| hard_link(index, id));
                let Some(path) = path else { break };
                target = find(index, names, path);
            }
            // Not a symbolic link: a relative target leads elsewhere from another directory, maybe out of
            // the mount.
            let is_file = |node: &Node| {
                let id = names.entry(index, *node);
                id.is_some_and(|id| match index.kind(id) {
                    Kind::File => hard_link(index, id).is_none(),
                    Kind::Special => true,
                    Kind::Dir | Kind::Symlink => false,
                })
            };
            if let Some(target) = target.filter(is_file) {
                links.targets.insert(link, target);
                *links.counts.entry(target).or_default() += 1;
            }
        }
        links
    }

    /// The file that a node is: itself, unless it is a link.
    pub(super) fn target(&self, node: Node) -> Node {
        if self.targets.is_empty() {
            return node;
        }
        self.targets.get(&node).copied().unwrap_or(node)
    }

    /// The number of links to a file, besides its own name.
    pub(super) fn count(&self, node: Node) -> u32 {
        self.counts.get(&node).copied().unwrap_or(0)
    }
}

/// The path that a hard link names.
fn hard_link(index: &Index, id: EntryId) -> Option<&[u8]> {
    index
        .link_target(id)
        .filter(|_| index.kind(id) == Kind::File)
}

/// The file at a path from the root. Section 4.5.7 says only that it is the name of the original file, so
/// it is looked up as the archive names it.
fn find(index: &Index, names: &Names, path: &[u8]) -> Option<Node> {
    let parts = path.split(|b| *b == b'/');
    let mut parts = parts.filter(|part| !matches!(*part, b"" | b"."));
    parts.try_fold(ROOT, |dir, name| names.find(index, dir, name))
}
