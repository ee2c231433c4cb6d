//! Finds the file of the folder that a path means.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::archive::Kind;

/// The files of a folder by path, each with its index.
#[derive(Debug)]
pub(super) struct Names {
    folder: PathBuf,
    /// The canonical path of the folder; `None` if the folder contains no symbolic links.
    real: Option<PathBuf>,
    files: HashMap<String, usize>,
}

impl Names {
    /// Takes everything in a folder. The indices are the positions in `all`.
    pub(super) fn new<'a>(folder: &Path, all: impl Iterator<Item = (&'a str, Kind)>) -> Self {
        let mut files = HashMap::new();
        let mut has_links = false;
        for (at, (path, kind)) in all.enumerate() {
            has_links |= kind == Kind::Symlink;
            if kind == Kind::File {
                files.insert(path.to_owned(), at);
            }
        }
        let real = if has_links {
            folder.canonicalize().ok()
        } else {
            None
        };
        Self {
            folder: folder.to_owned(),
            real,
            files,
        }
    }

    /// The file of this path, or the one that its symbolic links lead to within the folder.
    pub(super) fn find(&self, path: &str) -> Option<usize> {
        if let Some(at) = self.files.get(path) {
            return Some(*at);
        }
        let root = self.real.as_ref()?;
        let real = self.folder.join(path).canonicalize().ok()?;
        let path = real.strip_prefix(root).ok()?.to_str()?;
        self.files.get(path).copied()
    }
}
