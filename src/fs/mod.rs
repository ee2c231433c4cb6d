//! The file tree of an index: names, inodes, attributes, directory order.
//!
//! A [`Tree`] is built once from an index. It is sync, does no I/O, and has no types of the kernel or of a
//! FUSE library, so it can be tested, listed and compared without a mount.
//!
//! Rules:
//!
//! - Inode 1 is the root. Entries are numbered in the order of the blob, so tools that sort by inode read
//!   sequentially; directories that only names imply come after all entries. The same archive has the
//!   same inodes everywhere.
//! - A directory lists its files in the order of the blob.
//! - Of several entries with one name the last in the central directory gets it; earlier ones become
//!   `name (1).ext`, `name (2).ext`... A directory takes precedence over a file.
//! - A file may be shown in another form than it is stored, as playlists are; the tree knows only the
//!   size of that form.
//! - A hard link has the inode and the attributes of the file that it names.
//! - Several entries of one directory are one; the last gives its attributes.

mod attr;
mod build;
mod hard_links;
mod link;
mod names;
mod node;
mod order;
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
