//! Opens an archive and reads its files, without a kernel and without a command line.
//!
//! [`open()`] takes a [`Location`] and [`Options`]. It stacks the sources (servers, retries, the cache,
//! verification, the reader), takes the index and the tree of names from the cache or builds them,
//! and gives a [`Volume`], which finds, lists and reads files. Nothing here prints.

mod archive_name;
mod content_path;
mod error;
mod files;
mod find;
mod index_file;
mod listing;
mod location;
mod location_error;
mod open;
mod options;
mod playlists;
mod recall;
mod resolve;
mod servers;
mod sources;
mod unsigned;
mod web_index;

pub use crate::gateways::MemberStatus;
pub use content_path::{ContentPath, Root};
pub use error::{FileError, FindError, IndexFileError, OpenError};
pub use files::Volume;
pub use index_file::write_index;
pub use listing::{Listed, Listing, listing};
pub use location::Location;
pub use location_error::LocationError;
pub use open::{Opened, open, open_archive};
pub use options::{Fresh, Options, Verify, open_cache};
pub use resolve::{Directory, cid_of, list};
pub use servers::{Server, Servers};
