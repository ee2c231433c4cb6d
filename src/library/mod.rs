//! Many archives in one tree of names. Nothing of an archive is fetched before a program looks into it.
//!
//! The sync part is the [`Snapshot`](snapshot::Snapshot): names, and the inode numbers of their archives. It
//! never changes; a reload replaces it as a whole. A library has [two](shown::Shown): its list, and the names that
//! programs looked up. The async part is the [`Slot`](slot::Slot) of each archive,
//! which opens it once for all who wait, and closes it when nobody has used it for a while.
//!
//! A [`Library`] with a single archive at its root has that archive's own inode numbers, and costs nothing more.

mod archives;
mod directory;
mod error;
mod file;
mod gone;
mod inode;
mod item;
mod many;
mod names;
mod open_ones;
mod past;
mod shared;
mod shown;
mod slot;
mod snapshot;
mod status;
mod walk;

pub use archives::{Archives, LibraryOptions, OpenRequest};
pub use directory::{Child, Directory};
pub use error::{ListError, NameError, Unopened};
pub use file::File;
pub use item::Item;
pub use many::{Change, Found};
pub use names::Reloaded;
pub use past::Totals;
pub use shared::Library;
pub use status::{ArchiveStatus, State, Sums};
