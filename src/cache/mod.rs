//! The cache: verified bytes on disk, shared by all mounts of this user on this machine.
//!
//! [`Cached`] is the decorator that reads cached bytes from disk and caches what comes from below;
//! [`CachedNodes`] does the same for the nodes of hash trees. Both store files of a blob, whose content never changes
//! and which a [`Key`] names. `doc/CACHE.md` describes the layout of the directory.
//!
//! Three things always hold. Every byte that is read back is compared with a checksum; bytes of a verified CID are
//! hashed again above. A failing cache causes a warning and misses, never errors. Writes never delay a read.

mod artifacts;
mod blob;
mod block;
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
pub use cached::{Ask, Cached};
pub use disk::{Disk, Handle, Listed, Stat};
pub use folder::Folder;
pub use key::Key;
pub use manage::{CachedBlob, Content, Verified};
pub use nodes::CachedNodes;
pub use record::Fill;
pub use shared::CacheStatus;
pub use store::Cache;
