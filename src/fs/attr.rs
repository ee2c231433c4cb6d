//! What a tree tells of a file.

use crate::archive::{Kind, Timestamp};

/// Names a file or directory of a tree; 1 is the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ino(pub u64);

impl Ino {
    /// The directory that everything is in.
    pub const ROOT: Ino = Ino(1);
}

/// The attributes of a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attr {
    /// Its number.
    pub ino: Ino,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, the mask applied; never setuid, setgid or sticky.
    pub perm: u16,
    /// 1 for files; for directories 2 and one more for each directory in it.
    pub nlink: u32,
    /// Length in bytes; 0 for directories.
    pub size: u64,
    /// Length in units of 512 bytes, as `du` counts.
    pub blocks512: u64,
    /// When it was last changed; of a directory without an entry of its own, the newest of what
    /// it holds.
    pub mtime: Timestamp,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Which symbolic links may be followed. All are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symlinks {
    /// All, wherever they lead.
    All,
    /// Those that cannot lead out of the tree.
    Inside,
    /// None.
    None,
}

/// Whose files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// All belong to the given user and group.
    Given,
    /// They belong to those whose numbers the archive has; what has none, to the given ones.
    Archive,
}

/// How to show an archive.
#[derive(Debug, Clone, Copy)]
pub struct TreeOptions {
    /// Owner of everything, but for what `owners` says.
    pub uid: u32,
    /// Group of everything, but for what `owners` says.
    pub gid: u32,
    /// Whether the archive has a say in that.
    pub owners: Owners,
    /// Permission bits taken away from files.
    pub fmask: u16,
    /// Permission bits taken away from directories.
    pub dmask: u16,
    /// Which symbolic links may be followed.
    pub symlinks: Symlinks,
}
