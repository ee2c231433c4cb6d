//! The cache: verified bytes on disk, shared by all mounts of this user on this machine.
//!
//! [`Cached`] is the decorator that reads cached bytes from disk and caches what comes from below;
//! [`CachedNodes`] does the same for the nodes of hash trees. Both store files of a blob, which a
//! [`Key`] names: content that never changes. `doc/CACHE.md` describes the layout of the directory.
//!
//! Invariants: every byte that is read back is compared with a checksum (and hashed again above, for a
//! CID that is verified); a failing cache causes a warning and misses, never errors; writing never
//! delays a read.

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
mod tally;
mod usage;
mod writer;

pub use artifacts::Pull;
pub use cached::{Ask, Cached};
pub use disk::{Disk, Handle, Listed, Stat};
pub use folder::Folder;
pub use key::Key;
pub use manage::{Content, Kept, Verified};
pub use nodes::CachedNodes;
pub use record::Fill;
pub use store::{Cache, CacheOptions};
pub use tally::CacheStatus;
