//! The tree and its queries.
//!
//! Nothing of the index is stored twice: a node's name is a slice of its entry's path, and the table of
//! names holds node numbers. An inode is its node's number plus one.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::attr::{Attr, Ino, Owners, TreeOptions};
use super::hard_links::HardLinks;
use super::names::Names;
use super::node::{NOWHERE, Node, ROOT};
use super::order::{Orders, natural};
use crate::archive::{EntryId, Index, Kind, Timestamp};

/// Default permission bits for entries without.
const FILE_MODE: u16 = 0o644;
const DIR_MODE: u16 = 0o755;
const LINK_MODE: u16 = 0o777;

/// The names, inodes and attributes of an archive.
///
/// An [`Ino`] that a lookup or a listing gives stands for a name. If that is a hard link, the file's
/// own inode, as [`Tree::inode`] and [`Attr::ino`] have it, is another.
#[derive(Debug)]
pub struct Tree {
    pub(super) index: Arc<Index>,
    pub(super) options: TreeOptions,
    pub(super) names: Names,
    pub(super) hard_links: HardLinks,
    /// `children[first_child[n]..first_child[n + 1]]` are the children of directory `n`, sorted.
    pub(super) first_child: Vec<u32>,
    pub(super) children: Vec<Node>,
    /// The number of subdirectories of directories that have any.
    pub(super) subdirs: HashMap<Node, u32>,
    pub(super) root_mtime: Timestamp,
    pub(super) totals: Totals,
    /// The sizes of files that are shown in another form than they are stored. The set of files is fixed once, before
    /// the tree is used; a size that is unknown then is set once, when the other form has been made.
    pub(super) overrides: OnceLock<HashMap<EntryId, OnceLock<u64>>>,
    pub(super) orders: Orders,
}

/// An entry of a directory listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirEntry<'a> {
    /// Its name, which may be `.` or `..`.
    pub name: &'a [u8],
    /// Its inode.
    pub ino: Ino,
    /// Its type.
    pub kind: Kind,
    /// The position after it, for [`Tree::read_dir`].
    pub cookie: u64,
}

/// Sums over the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Total size of all files, in bytes.
    pub bytes: u64,
    /// The number of files and directories, including the root.
    pub files: u64,
}

impl Tree {
    /// The file of this name in a directory.
    pub fn lookup(&self, dir: Ino, name: &[u8]) -> Option<Ino> {
        let dir = self.node(dir)?;
        self.names.find(&self.index, dir, name).map(ino)
    }

    /// The inode of the file that a name stands for: another than `ino` if the name is a hard link.
    pub fn inode(&self, name: Ino) -> Ino {
        match self.node(name) {
            Some(node) => ino(self.hard_links.target(node)),
            None => name,
        }
    }

    /// A file's attributes; `None` if there is no such inode.
    pub fn attr(&self, ino: Ino) -> Option<Attr> {
        let node = self.hard_links.target(self.node(ino)?);
        let ino = self::ino(node);
        let options = &self.options;
        let id = self.entry_of(node);
        let entry = id.map(|id| self.index.get(id));
        let kind = entry.map_or(Kind::Dir, |entry| entry.kind);
        let mode = entry.and_then(|entry| entry.mode);
        let size = match (id, entry) {
            (Some(id), Some(entry)) if kind != Kind::Dir => {
                let linked = || self.index.link_target(id).filter(|_| kind == Kind::Symlink);
                let size = || linked().map_or(entry.size, |target| target.len() as u64);
                let overridden = self.overridden(id).and_then(OnceLock::get);
                overridden.copied().unwrap_or_else(size)
            }
            _ => 0,
        };
        let owner = entry.and_then(|entry| entry.owner);
        let owner = owner.filter(|_| options.owners == Owners::Archive);
        let (uid, gid) = owner.unwrap_or((options.uid, options.gid));
        Some(Attr {
            ino,
            // The kernel assumes 0 for the root.
            generation: match ino {
                Ino::ROOT => 0,
                _ => self.index.fingerprint(id),
            },
            kind,
            perm: match kind {
                Kind::Dir => mode.unwrap_or(DIR_MODE) & !options.dmask,
                // Linux ignores the mode of a link and shows it as 0777.
                Kind::Symlink => LINK_MODE,
                Kind::File | Kind::Special => mode.unwrap_or(FILE_MODE) & !options.fmask,
            },
            nlink: match kind {
                Kind::Dir => (self.subdirs.get(&node).copied().unwrap_or(0)).saturating_add(2),
                _ => self.hard_links.count(node).saturating_add(1),
            },
            size,
            blocks512: size.div_ceil(512),
            mtime: entry.map_or_else(|| self.implied_mtime(node), |entry| entry.mtime),
            uid,
            gid,
        })
    }

    /// The entry that holds a file's data; `None` for directories.
    pub fn entry(&self, ino: Ino) -> Option<EntryId> {
        let entry = self.entry_of(self.node(ino)?)?;
        (self.index.kind(entry) != Kind::Dir).then_some(entry)
    }

    /// The entry of a file or directory; `None` for the root and implied directories.
    pub fn record(&self, ino: Ino) -> Option<EntryId> {
        self.entry_of(self.node(ino)?)
    }

    /// The inode of an entry; `None` if the entry is not shown.
    pub fn ino_of(&self, entry: EntryId) -> Option<Ino> {
        let ino = ino(entry.index() as Node + 1);
        self.node(ino).map(|_| ino)
    }

    /// The type of an inode.
    pub fn kind(&self, ino: Ino) -> Option<Kind> {
        self.node(ino).map(|node| self.kind_of(node))
    }

    /// The parent directory; the root is its own parent.
    pub fn parent(&self, ino: Ino) -> Option<Ino> {
        self.node(ino)
            .map(|node| self::ino(self.names.parent(node)))
    }

    /// The path of a file from the root, without a leading `/`; empty for the root and for unknown inodes.
    pub fn path(&self, ino: Ino) -> Vec<u8> {
        let mut components = Vec::new();
        let mut node = self.node(ino).unwrap_or(ROOT);
        while node != ROOT {
            components.push(self.names.name(&self.index, node));
            node = self.names.parent(node);
        }
        components.reverse();
        components.join(&b'/')
    }

    /// The entries of a directory after the one with this cookie; 0 starts. `None` if it is not a directory.
    pub fn read_dir(&self, dir: Ino, cookie: u64) -> Option<impl Iterator<Item = DirEntry<'_>>> {
        let node = self.node(dir)?;
        if self.kind_of(node) != Kind::Dir {
            return None;
        }
        let dots = [(&b"."[..], node), (b"..", self.names.parent(node))];
        let skipped = usize::try_from(cookie).unwrap_or(usize::MAX);
        // Sliced before mapping: `skip` on the mapped iterator would look at each skipped entry, which is
        // quadratic for a large directory.
        let children = self.children_of(node);
        let children = &children[skipped.saturating_sub(2).min(children.len())..];
        let children = children.iter();
        let children = children.map(|child| (self.names.name(&self.index, *child), *child));
        let entries = dots.into_iter().skip(skipped).chain(children);
        Some(
            entries
                .zip(cookie + 1..)
                .map(|((name, node), cookie)| DirEntry {
                    name,
                    ino: ino(node),
                    kind: self.kind_of(node),
                    cookie,
                }),
        )
    }

    /// The next file in the natural order of the directory. `None` for the last file and in directories
    /// too large to sort.
    pub fn after(&self, file: Ino) -> Option<Ino> {
        let node = self.node(file)?;
        let dir = self.names.parent(node);
        let name = |node: Node| self.names.name(&self.index, node);
        let is_file = |node: &Node| self.kind_of(*node) == Kind::File;
        let order = self.orders.of(dir, self.children_of(dir), is_file, name)?;
        let at = order.binary_search_by(|other| natural(name(*other), name(node)));
        order.get(at.ok()? + 1).map(|next| ino(*next))
    }

    /// Overrides the sizes of entries, in bytes; `None` is an unknown size. Only the first call has an
    /// effect.
    pub fn override_sizes(&self, sizes: impl IntoIterator<Item = (EntryId, Option<u64>)>) {
        let lock = |size: Option<u64>| size.map_or_else(OnceLock::new, OnceLock::from);
        let sizes = sizes.into_iter().map(|(id, size)| (id, lock(size)));
        let _ = self.overrides.set(sizes.collect());
    }

    /// Whether an entry is shown in another form than it is stored.
    pub fn is_overridden(&self, id: EntryId) -> bool {
        self.overridden(id).is_some()
    }

    /// Whether a file's size is unknown. [`attr`](Self::attr) then has the entry's size, which must not be
    /// shown.
    pub fn is_pending(&self, ino: Ino) -> bool {
        let size = self.record(ino).and_then(|id| self.overridden(id));
        size.is_some_and(|size| size.get().is_none())
    }

    /// Sets the size of an overridden entry, unless it is known. Returns the size in effect; `None` if the
    /// entry is not overridden.
    pub fn settle(&self, id: EntryId, size: u64) -> Option<u64> {
        Some(*self.overridden(id)?.get_or_init(|| size))
    }

    fn overridden(&self, id: EntryId) -> Option<&OnceLock<u64>> {
        self.overrides.get()?.get(&id)
    }

    /// The number of files and directories, without the root.
    pub fn len(&self) -> usize {
        self.children.len()
    }

    /// The largest inode number.
    pub fn largest(&self) -> Ino {
        Ino(self.names.parents.len() as u64)
    }

    /// The number of directories, including the root.
    pub fn directories(&self) -> usize {
        let below: u64 = self.subdirs.values().map(|n| u64::from(*n)).sum();
        below as usize + 1
    }

    /// Whether it has only the root.
    pub fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    /// Totals for statfs(2).
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The archive's index.
    pub fn index(&self) -> &Arc<Index> {
        &self.index
    }

    pub(super) fn node(&self, ino: Ino) -> Option<Node> {
        let node = Node::try_from(ino.0.checked_sub(1)?).ok()?;
        let parent = self.names.parents.get(node as usize)?;
        (*parent != NOWHERE).then_some(node)
    }

    fn entry_of(&self, node: Node) -> Option<EntryId> {
        (self.names).entry(&self.index, self.hard_links.target(node))
    }

    fn kind_of(&self, node: Node) -> Kind {
        (self.names).kind(&self.index, self.hard_links.target(node))
    }

    pub(super) fn children_of(&self, node: Node) -> &[Node] {
        let at = node as usize;
        &self.children[self.first_child[at] as usize..self.first_child[at + 1] as usize]
    }

    fn implied_mtime(&self, node: Node) -> Timestamp {
        match self.names.implied_index(&self.index, node) {
            Some(at) => self.names.implied[at].mtime,
            None => self.root_mtime,
        }
    }
}

fn ino(node: Node) -> Ino {
    Ino(u64::from(node) + 1)
}
