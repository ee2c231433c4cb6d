//! Packs a folder into an archive.
//!
//! [`Plan::of`] decides everything but the checksums: the order of the entries, their offsets, and
//! with them the range links of the playlists. It reads playlists, and a few small parts of other
//! files. [`Plan::write`] then writes the archive in one pass. The same folder gives the same
//! bytes on every machine.
//!
//! The order: the files that playlists link to, in playback order, one rendition after another; all
//! other files; and the playlists, each behind the files that it links to, right before the central
//! directory. So playback reads the archive forward, and one read of its end brings the index and
//! the playlists.
//!
//! Only empty directories get entries. The others follow from the paths of their files, and their
//! modification times change with every file that is added or removed.

mod byterange;
mod copy;
mod error;
mod layout;
mod linked;
mod names;
mod options;
mod order;
mod output;
mod scan;
mod text;
mod warning;

pub use byterange::ByRange;
pub use copy::Control;
pub use error::Error;
pub use layout::{Item, Plan};
pub use options::PackOptions;
pub use output::Output;
pub use warning::Warning;
