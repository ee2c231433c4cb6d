//! A directory of a library: its root, or one of nested names.

use std::sync::Arc;

use super::inode::Part;
use super::shown::Shown;
use crate::fs::Ino;

/// Positions in a listing: behind `.`, and behind `..`.
const DOT: u64 = 1;
const DOTS: u64 = 2;

/// A directory of archives and directories. It does not change: a reload makes another one.
#[derive(Clone)]
pub struct Directory {
    shown: Arc<Shown>,
    part: Part,
}

/// A name in a directory.
#[derive(Debug, Clone, Copy)]
pub struct Child<'a> {
    /// The name, which may be `.` or `..`.
    pub name: &'a str,
    /// Its inode number. It is a directory: one of the library, or the root of an archive.
    pub ino: Ino,
    /// The position behind it.
    pub cookie: u64,
}

impl Directory {
    /// `None` if the part is not that of a directory.
    pub(super) fn new(shown: &Arc<Shown>, part: Part) -> Option<Self> {
        shown.node(part)?;
        Some(Self {
            shown: shown.clone(),
            part,
        })
    }

    /// Its inode number.
    pub fn ino(&self) -> Ino {
        self.part.ino(Ino::ROOT)
    }

    /// The inode number of the directory above; the root is above itself.
    pub fn above(&self) -> Ino {
        let node = self.shown.node(self.part);
        let above = node.map(|(snapshot, node)| snapshot.parent(node).part);
        above.unwrap_or(Part::ROOT).ino(Ino::ROOT)
    }

    /// The inode number of the file of this name.
    pub fn child(&self, name: &[u8]) -> Option<Ino> {
        let name = std::str::from_utf8(name).ok()?;
        let child = self.shown.child(self.part, name)?;
        Some(child.part.ino(Ino::ROOT))
    }

    /// What is in it behind a position, in the order of names; 0 is the beginning. A position is that of a name. So
    /// a listing that goes on in another directory, after a reload, has each name that both have, and none twice.
    pub fn children(&self, cookie: u64) -> impl Iterator<Item = Child<'_>> {
        let dots = [(".", self.ino(), DOT), ("..", self.above(), DOTS)];
        let dots = dots.into_iter().filter(move |(.., at)| *at > cookie);
        let dots = dots.map(|(name, ino, cookie)| Child { name, ino, cookie });
        let nodes = match cookie {
            0..=DOTS => Some(self.shown.children(self.part, None)),
            // Nothing is behind a position that no listing gave.
            _ => (self.name_at(cookie)).map(|name| self.shown.children(self.part, Some(&*name))),
        };
        let named = nodes.into_iter().flatten().map(|node| Child {
            name: node.name(),
            ino: node.part.ino(Ino::ROOT),
            cookie: DOTS + node.part.0,
        });
        dots.chain(named)
    }

    /// The name at a position, which may be gone.
    fn name_at(&self, cookie: u64) -> Option<Box<str>> {
        let part = Part(cookie - DOTS);
        match self.shown.node(part) {
            Some((snapshot, node)) => {
                (snapshot.parent(node).part == self.part).then(|| node.name().into())
            }
            None => self.shown.gone.name(part),
        }
    }
}
