//! Archive formats: from the bytes of a blob to an index of entries and their extents. Pure: no I/O, no
//! async, no clock.
//!
//! An [`Index`] lists the [`Entry`]s of an archive in the order in which they lie in the blob, and can be
//! stored and restored ([`Element`]). It does not depend on the bytes of a format; `zip` is the one format
//! there is:
//!
//! - [`IndexParser`] asks for ranges of the blob, is fed their bytes in pieces of any size, and ends as
//!   an [`Index`].
//! - [`HeaderCheck`] compares an entry's local header with the index and finds the [`Extent`] of its data.
//! - [`NewEntry`] and [`end_records`] make the records of a new archive.

mod bytes;
mod compact;
mod elements;
mod entry;
mod error;
mod index;
mod layout;
mod stored;
mod survey;
mod zip;

pub use elements::{Element, Pull, Push, pull_all, pull_bytes, push_all};
pub use entry::{Entry, EntryId, Extent, Kind, Method, Timestamp};
pub use error::{Error, Hidden};
pub use index::Index;
pub use stored::FORMAT as STORED_FORMAT;
pub use survey::Survey;
pub use zip::{
    CRC_AT, Encoding, HeaderCheck, IndexParser, MAX_ALIGN, MAX_NAME, NewEntry, ParseOptions, TAIL,
    UnknownEncoding, end_records,
};
