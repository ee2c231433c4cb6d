//! The cache: proven bytes on disk, for all mounts of this user on this machine.
//!
//! [`Cached`] is the decorator that reads from disk what is there and keeps what comes from below;
//! [`CachedBlocks`] does the same for the nodes of the trees that prove ranges. What both keep
//! belongs to a blob, which a [`Key`] names: content that can never change. `doc/DESIGN.md` has the
//! layout of the directory.
//!
//! What holds: a byte that is read back has been compared with a checksum (and, for a CID that is
//! proven, is hashed above like what comes from a network); a cache that fails is a warning and a
//! miss; writing never delays a read.

mod about;
mod beside;
mod block;
mod buffers;
mod cached;
mod direct;
mod disk;
mod doubt;
mod evict;
mod fetching;
mod folder;
mod key;
mod manage;
mod nodes;
mod piece;
mod pins;
mod record;
mod shelves;
mod store;
mod usage;
mod writer;

pub use beside::Pull;
pub use cached::Cached;
pub use disk::{Disk, Handle, Listed, Stat};
pub use folder::Folder;
pub use key::Key;
pub use manage::{Content, Kept, Verified};
pub use nodes::CachedBlocks;
pub use store::{Cache, CacheOptions};
pub use writer::Fill;
