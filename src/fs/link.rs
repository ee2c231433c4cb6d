//! Where a symbolic link may lead.

use std::fmt;

use super::attr::{Ino, Symlinks};
use super::tree::Tree;
use crate::archive::Kind;

/// Why a symbolic link is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkRefused {
    /// The mount follows none.
    Disabled,
    /// Its target is absolute.
    Absolute,
    /// Its target leads, or may lead, out of the tree.
    Outside,
    /// Its target is longer than any path may be.
    TooLong,
    /// Its target is empty or has a NUL in it.
    Malformed,
}

impl fmt::Display for LinkRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LinkRefused::Disabled => "symbolic links are not followed here (symlinks=none)",
            LinkRefused::Absolute => {
                "the symbolic link's target is absolute; '-o symlinks=all' lets it be followed"
            }
            LinkRefused::Outside => {
                "the symbolic link leads out of the archive; '-o symlinks=all' lets it be followed"
            }
            LinkRefused::TooLong => "the symbolic link's target is longer than a path may be",
            LinkRefused::Malformed => "the symbolic link's target is empty or has a NUL in it",
        })
    }
}

impl Tree {
    /// Whether the link `ino` may be followed to `target`.
    pub fn check_symlink(&self, ino: Ino, target: &[u8]) -> Result<(), LinkRefused> {
        if target.is_empty() || target.contains(&0) {
            return Err(LinkRefused::Malformed);
        }
        match self.options().symlinks {
            Symlinks::All => Ok(()),
            Symlinks::None => Err(LinkRefused::Disabled),
            Symlinks::Inside if target.starts_with(b"/") => Err(LinkRefused::Absolute),
            Symlinks::Inside => {
                if self.stays_inside(ino, target) {
                    Ok(())
                } else {
                    Err(LinkRefused::Outside)
                }
            }
        }
    }

    /// Walks the target as the kernel would. Counting components is not enough: where one of them
    /// is a link itself, the `..` behind it goes up from wherever that link leads. So behind
    /// anything but a directory a `..` is refused; a path without one cannot lead outside, since
    /// every link on it is checked in its turn.
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
