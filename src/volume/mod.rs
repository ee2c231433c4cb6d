//! Opens an archive and reads its files, without a kernel and without a command line.
//!
//! [`open()`] takes a [`Location`] and [`Options`]. It stacks the sources (servers, retries, the cache,
//! verification, the reader), takes the index and the tree of names from the cache or builds them,
//! and gives a [`Volume`], which finds, lists and reads files. Nothing here prints.

mod error;
mod files;
mod find;
mod location;
mod open;
mod options;
mod playlists;
mod recall;
mod servers;
mod sources;

pub use error::{FileError, FindError, OpenError};
pub use files::Volume;
pub use location::{Location, LocationError};
pub use open::{Opened, open, open_archive};
pub use options::{Options, Verify, open_cache};
pub use servers::{Server, Servers};
