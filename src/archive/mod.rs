//! Archive formats: from the bytes of a blob to an index of entries and their extents. Pure: no I/O, no
//! async, no clock.
//!
//! An [`Index`] lists the [`Entry`]s of an archive in the order of the blob, and can be stored and loaded.
//! It does not depend on the bytes of a format. There are two: `zip`, whose [`IndexParser`] reads a directory at the
//! end, and `tar`, whose [`TarWalk`] goes from header to header. [`recognize`] tells a tar by its first bytes.
//! [`HeaderCheck`] finds the [`Extent`] of an entry's data, [`NewEntry`] writes new ZIP archives.

mod append;
mod bytes;
mod check;
mod coding;
mod compact;
mod elements;
mod ending;
mod entry;
mod error;
mod index;
mod layout;
mod names;
mod sparse;
mod stored;
mod survey;
mod tar;
mod zip;

pub use check::HeaderCheck;
pub use elements::{Element, Pull, Push, pull_all, pull_one, push_all, take};
pub use ending::{Ending, Format};
pub use entry::{AesKey, Encryption, Entry, EntryId, Extent, Kind, Method, Timestamp};
pub use error::{Error, Hidden};
pub use index::Index;
pub use sparse::Piece;
pub use stored::FORMAT as STORED_FORMAT;
pub use survey::Survey;
pub use tar::{Recognized, TAR_BLOCK, TarWalk, is_header, recognize};
pub use zip::{
    Encoding, IndexParser, MAX_ALIGN, MAX_NAME, NewEntry, ParseOptions, TAIL, UnknownEncoding,
    end_records,
};
