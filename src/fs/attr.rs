//! Attributes of files, and the options of a tree.

use crate::archive::{Kind, Timestamp};

/// The inode number of a file or directory, or of one of a file's hard links; 1 is the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ino(pub u64);

impl Ino {
    /// The root directory.
    pub const ROOT: Ino = Ino(1);
}

/// The attributes of a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attr {
    /// Its inode number.
    pub ino: Ino,
    /// Differs, but for collisions, from that of the file that has this inode number in another archive; 0 for the
    /// root. The kernel puts it into file handles.
    pub generation: u32,
    /// Its type.
    pub kind: Kind,
    /// Permission bits after the mask, without setuid, setgid and sticky.
    pub perm: u16,
    /// The number of names of a file; 2 plus the number of subdirectories for directories.
    pub nlink: u32,
    /// Length in bytes; 0 for directories.
    pub size: u64,
    /// Length in units of 512 bytes, for `du`.
    pub blocks512: u64,
    /// Modification time; for a directory without an entry, the newest time of its content.
    pub mtime: Timestamp,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// Which symbolic links may be followed. All are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symlinks {
    /// All.
    All,
    /// Those that cannot leave the tree.
    Inside,
    /// None.
    None,
}

/// The source of files' owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// The user and group of [`TreeOptions`].
    Given,
    /// The ids in the archive, or those of [`TreeOptions`] for entries without.
    Archive,
}

/// How to show an archive.
#[derive(Debug, Clone, Copy)]
pub struct TreeOptions {
    /// User id, unless the archive's is used.
    pub uid: u32,
    /// Group id, unless the archive's is used.
    pub gid: u32,
    /// Whether the archive's ids are used.
    pub owners: Owners,
    /// Permission bits that files do not get.
    pub fmask: u16,
    /// Permission bits that directories do not get.
    pub dmask: u16,
    /// Which symbolic links may be followed.
    pub symlinks: Symlinks,
}
