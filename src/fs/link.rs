//! The check of symbolic links.

use thiserror::Error;

use super::attr::{Ino, Symlinks};
use super::tree::Tree;
use crate::archive::Kind;

/// Why a symbolic link is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LinkRefused {
    /// The mount follows no links.
    #[error("symbolic links are not followed here (symlinks=none)")]
    Disabled,
    /// Its target is absolute.
    #[error("the symbolic link's target is absolute; '-o symlinks=all' lets it be followed")]
    Absolute,
    /// Its target leaves, or may leave, the tree.
    #[error("the symbolic link leads out of the archive; '-o symlinks=all' lets it be followed")]
    Outside,
    /// Its target is longer than PATH_MAX.
    #[error("the symbolic link's target is longer than a path may be")]
    TooLong,
    /// Its target is empty or contains a NUL.
    #[error("the symbolic link's target is empty or has a NUL in it")]
    Malformed,
}

impl Tree {
    /// Checks whether the link `ino` may be followed to `target`.
    ///
    /// # Errors
    /// The reason, if it may not.
    pub fn check_symlink(&self, ino: Ino, target: &[u8]) -> Result<(), LinkRefused> {
        if target.is_empty() || target.contains(&0) {
            return Err(LinkRefused::Malformed);
        }
        match self.options.symlinks {
            Symlinks::All => Ok(()),
            Symlinks::None => Err(LinkRefused::Disabled),
            Symlinks::Inside if target.starts_with(b"/") => Err(LinkRefused::Absolute),
            Symlinks::Inside if self.stays_inside(ino, target) => Ok(()),
            Symlinks::Inside => Err(LinkRefused::Outside),
        }
    }

    /// Resolves the target as the kernel would. Counting components is not enough: if one of them is a
    /// link, a `..` after it goes up from that link's target. So a `..` after anything but a directory
    /// is refused. A path without `..` cannot leave the tree, since every link on it is checked itself.
    fn stays_inside(&self, ino: Ino, target: &[u8]) -> bool {
        let mut here = self.parent(ino);
        for component in target.split(|b| *b == b'/') {
            here = match component {
                b"" | b"." => here,
                b".." => match here {
                    None | Some(Ino::ROOT) => return false,
                    Some(dir) => self.parent(dir),
                },
                name => here
                    .and_then(|dir| self.lookup(dir, name))
                    .filter(|ino| self.kind(*ino) == Some(Kind::Dir)),
            };
        }
        true
    }
}
