//! The cache: proven bytes on disk, for all mounts of this user on this machine.
//!
//! [`Cached`] is the decorator that reads from disk what is there and keeps what comes from below;
//! [`CachedBlocks`] does the same for the nodes of the trees that prove ranges. What both keep
//! belongs to a blob, which a [`Key`] names: content that can never change. `doc/CACHE.md` has the
//! layout of the directory.
//!
//! What holds: a byte that is read back has been compared with a checksum (and, for a CID that is
//! proven, is hashed above like what comes from a network); a cache that fails is a warning and a
//! miss; writing never delays a read.

mod artifacts;
mod blob;
mod block;
mod budget;
mod buffers;
mod cached;
mod clock;
mod collector;
mod direct;
mod disk;
mod evict;
mod fetching;
mod folder;
mod job;
mod key;
mod manage;
mod metadata;
mod nodes;
mod pinning;
mod pins;
mod presence;
mod private;
mod quarantine;
mod read;
mod record;
mod replace;
mod shared;
mod store;
mod usage;
mod writer;

pub use artifacts::Pull;
pub use cached::Cached;
pub use disk::{Disk, Handle, Listed, Stat};
pub use folder::Folder;
pub use key::Key;
pub use manage::{Content, Kept, Verified};
pub use nodes::CachedBlocks;
pub use record::Fill;
pub use store::{Cache, CacheOptions};
