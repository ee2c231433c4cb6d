//! Hard links: entries that name another file of the archive instead of having data.
//!
//! They follow from the names, so they are found again when a stored tree is loaded.

use std::collections::HashMap;

use super::names::Names;
use super::node::{Node, ROOT};
use crate::archive::{EntryId, Format, Index, Kind};

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
        let mut earlier = Earlier::default();
        for id in index.hard_links() {
            let link = id.index() as Node + 1;
            let mut target = Some(link);
            for _ in 0..MAX_FOLLOWED {
                let entry = target.and_then(|node| names.entry(index, node));
                let Some(entry) = entry else { break };
                let Some(path) = hard_link(index, entry) else {
                    break;
                };
                let found = find(index, names, path);
                target = found.map(|found| earlier.before(entry, path, found, index, names));
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
        self.targets.get(&node).copied().unwrap_or(node)
    }

    /// The number of links to a file, besides its own name.
    pub(super) fn count(&self, node: Node) -> u32 {
        self.counts.get(&node).copied().unwrap_or(0)
    }
}

/// Finds the file that a link in a tar meant: the last one of its name before the link, which a later one of that
/// name has replaced. GNU tar extracts it so.
#[derive(Default)]
struct Earlier<'a>(Option<HashMap<&'a [u8], Vec<EntryId>>>);

impl<'a> Earlier<'a> {
    /// The file at `path` for the hard link `link`, for which `found` has the name now.
    fn before(
        &mut self,
        link: EntryId,
        path: &[u8],
        found: Node,
        index: &'a Index,
        names: &Names,
    ) -> Node {
        // A link may name itself: tar writes that for a file that is named twice on its command line.
        let is_behind = |id: EntryId| index.directory_order(id) >= index.directory_order(link);
        let is_replaced = names.entry(index, found).is_some_and(is_behind);
        if index.format() != Format::Tar || !is_replaced {
            return found;
        }
        // Few archives have such links.
        let by_path = self.0.get_or_insert_with(|| {
            let mut by_path: HashMap<&[u8], Vec<EntryId>> = HashMap::new();
            for id in index.ids().filter(|id| index.kind(*id) != Kind::Dir) {
                by_path.entry(index.path(id)).or_default().push(id);
            }
            by_path
        });
        let parts: Vec<&[u8]> = parts(path).collect();
        let named = by_path.get(&*parts.join(&b'/'));
        let behind = named.map_or(0, |all| all.partition_point(|id| !is_behind(*id)));
        let before = named.and_then(|all| all[..behind].last());
        before.map_or(found, |id| id.index() as Node + 1)
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
    parts(path).try_fold(ROOT, |dir, name| names.find(index, dir, name))
}

/// The components of a path without empty ones and `.`.
fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let parts = path.split(|b| *b == b'/');
    parts.filter(|part| !matches!(*part, b"" | b"."))
}
