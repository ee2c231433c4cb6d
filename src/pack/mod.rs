//! A folder to an archive.
//!
//! [`Plan::of`] looks at a folder and decides everything but checksums: order, places, and with
//! them the range links of its playlists, for these need no content but the playlists' own.
//! [`Plan::write`] then copies in one go. The same folder gives the same bytes on every machine.
//!
//! The order: what playlists point to, as it is played, one rendition after another; everything
//! else; and last the playlists, each behind what it points to, right before the central
//! directory. So playback reads the line forward, and one read of the tail brings the index and
//! the playlists.
//!
//! Directories get entries only where they are empty: the others follow from the names, and
//! their times change with every file that comes or goes.

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
