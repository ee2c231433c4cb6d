//! Archive formats: from the bytes of a blob to an index of entries and their extents. Pure: no I/O, no
//! async, no clock.
//!
//! An [`Index`] lists the [`Entry`]s of an archive in the order of the blob, and can be stored and loaded.
//! It does not depend on the bytes of a format. `zip` is the only format: [`IndexParser`] builds an index,
//! [`HeaderCheck`] finds the [`Extent`] of an entry's data, [`NewEntry`] writes new archives.

mod bytes;
mod coding;
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
pub use entry::{AesKey, Encryption, Entry, EntryId, Extent, Kind, Method, Timestamp};
pub use error::{Error, Hidden};
pub use index::Index;
pub use stored::FORMAT as STORED_FORMAT;
pub use survey::Survey;
pub use zip::{
    CRC_AT, Encoding, HeaderCheck, IndexParser, MAX_ALIGN, MAX_NAME, NewEntry, ParseOptions, TAIL,
    UnknownEncoding, end_records,
};
