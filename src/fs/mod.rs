//! Names, inodes, attributes, directory order: the tree that an index means.
//!
//! Built once from the index and then never changed. Sync, no I/O, and no types of the kernel's or
//! of a FUSE library's: [`Tree`] can be tested, listed and compared without a mount.
//!
//! Rules:
//!
//! - Inode 1 is the root. An entry's inode follows from its place on the line, so tools that sort
//!   by inode read in sequence; directories that are only implied by names come after all entries.
//!   The same archive gives the same numbers everywhere.
//! - A directory lists its files in the order of the line.
//! - Of several entries of one name the last in the central directory bears it; earlier ones are
//!   `name (1).ext`, `name (2).ext`... A name that is both a file and a directory is the directory.
//! - A file may be shown in another form than it is stored (playlists are); only its size is
//!   known here.
//! - Directories named more than once are one; the last entry gives its attributes.

mod attr;
mod build;
mod link;
mod names;
mod node;
mod order;
mod overrides;
mod range_link;
mod stored;
mod table;
mod tree;

pub use attr::{Attr, Ino, Owners, Symlinks, TreeOptions};
pub use link::LinkRefused;
pub use order::natural;
pub use range_link::range_link;
pub use stored::FORMAT as STORED_FORMAT;
pub use tree::{DirEntry, Totals, Tree};
