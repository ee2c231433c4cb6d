//! A directory of a library: its root, or one of nested names.

use std::sync::Arc;

use super::inode::Part;
use super::snapshot::{Node, Snapshot};
use crate::fs::Ino;

/// Bits of a position in a listing that are for the position; those above are for the snapshot.
const POSITION_BITS: u32 = 32;

/// A directory of archives and directories. It does not change: a reload makes another one.
#[derive(Clone)]
pub struct Directory {
    snapshot: Arc<Snapshot>,
    part: Part,
}

/// A name in a directory.
#[derive(Debug, Clone, Copy)]
pub struct Child<'a> {
    /// The name, which may be `.` or `..`.
    pub name: &'a str,
    /// Its inode number. It is a directory: one of the library, or the root of an archive.
    pub ino: Ino,
    /// The position after it.
    pub cookie: u64,
}

impl Directory {
    /// `None` if the part is not that of a directory.
    pub(super) fn new(snapshot: &Arc<Snapshot>, part: Part) -> Option<Self> {
        snapshot.node(part)?;
        Some(Self {
            snapshot: snapshot.clone(),
            part,
        })
    }

    pub(super) fn has_generation(&self, snapshot: &Snapshot) -> bool {
        self.snapshot.generation == snapshot.generation
    }

    /// The snapshot that a position belongs to; `None` for the beginning.
    pub(super) fn generation(cookie: u64) -> Option<u64> {
        (cookie != 0).then_some(cookie >> POSITION_BITS)
    }

    /// Its inode number.
    pub fn ino(&self) -> Ino {
        self.part.ino(Ino::ROOT)
    }

    /// The inode number of the directory above; the root is above itself.
    pub fn above(&self) -> Ino {
        let above = self.node().map(|node| self.snapshot.parent(node).part);
        above.unwrap_or(Part::ROOT).ino(Ino::ROOT)
    }

    /// The inode number of the file of this name.
    pub fn child(&self, name: &[u8]) -> Option<Ino> {
        let name = std::str::from_utf8(name).ok()?;
        let child = self.snapshot.child(self.node()?, name)?;
        Some(child.part.ino(Ino::ROOT))
    }

    /// What is in it after a position, in the order of names; 0 is the beginning.
    pub fn children(&self, cookie: u64) -> impl Iterator<Item = Child<'_>> {
        let skipped = cookie & ((1 << POSITION_BITS) - 1);
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let generation = self.snapshot.generation << POSITION_BITS;
        let node = self.node();
        let dots = node.map(|node| [(".", node), ("..", self.snapshot.parent(node))]);
        let named = node.map(|node| self.snapshot.children(node));
        let named = named
            .into_iter()
            .flat_map(move |children| children.skip(skipped.saturating_sub(2)));
        let named = named.map(|child| (&*child.name, child));
        let all = dots.into_iter().flatten().skip(skipped).chain(named);
        let cookies = (skipped as u64 + 1..).map(move |position| generation | position);
        all.zip(cookies).map(|((name, node), cookie)| Child {
            name,
            ino: node.part.ino(Ino::ROOT),
            cookie,
        })
    }

    fn node(&self) -> Option<&Node> {
        self.snapshot.node(self.part)
    }
}
