//! The files that patterns select.

use std::ffi::OsString;

use crate::archive::Kind;
use crate::cli::Failure;
use crate::cli::patterns::Patterns;
use crate::fs::{Ino, Tree};
use crate::ranges::arrange_by_key;

/// Files to extract, and the directories that they need.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// In the order in which they lie in the archive, which reads it from start to end.
    pub(super) files: Vec<Ino>,
    pub(super) links: Vec<Ino>,
    /// Each after its parent.
    pub(super) directories: Vec<Ino>,
    /// Bytes of all files.
    pub(super) bytes: u64,
}

impl Selection {
    /// What `patterns` select of a tree; without any, all. A pattern that selects nothing is an error.
    pub(super) fn new(tree: &Tree, patterns: &[OsString]) -> Result<Self, Failure> {
        let mut patterns = Patterns::of_tree(patterns, tree)?;
        let mut selection = Self::default();
        let mut ahead = vec![Ino::ROOT];
        while let Some(directory) = ahead.pop() {
            // After `.` and `..`.
            for line in tree.read_dir(directory, 2).into_iter().flatten() {
                if patterns.select(&tree.path(line.ino)) {
                    selection.add(tree, line.ino, line.kind);
                }
                if line.kind == Kind::Dir {
                    ahead.push(line.ino);
                }
            }
        }
        patterns.finish()?;
        arrange_by_key(&mut selection.files, |ino| tree.entry(*ino));
        Ok(selection)
    }

    fn add(&mut self, tree: &Tree, ino: Ino, kind: Kind) {
        match kind {
            Kind::Dir => self.directories.push(ino),
            Kind::Symlink => self.links.push(ino),
            Kind::File | Kind::Special => {
                self.bytes += tree.attr(ino).map_or(0, |attr| attr.size);
                self.files.push(ino);
            }
        }
    }
}
