//! ZIP bytes to index and extents. Pure: no I/O, no async, no clock.
//!
//! [`IndexParser`] asks for ranges of the blob and is fed their bytes, in pieces of any size; it
//! ends as an [`Index`], which knows of every entry what the central directory says.
//! [`HeaderCheck`] compares an entry's local header with that before its data is believed.
//!
//! Sections cited are those of APPNOTE.TXT 6.3.10, the ZIP specification. All numbers in a ZIP are
//! little-endian.

mod builder;
mod bytes;
mod central;
mod elements;
mod encoding;
mod entry;
mod error;
mod extra;
mod header;
mod index;
mod layout;
mod names;
mod packed;
mod parser;
mod records;
mod stored;
mod survey;
mod tail;
mod times;
mod write;

pub use elements::{Element, Pull, Push, pull_all, pull_bytes, push_all};
pub use encoding::{Encoding, UnknownEncoding};
pub use entry::{Entry, EntryId, Extent, Kind, Method, Timestamp};
pub use error::{Error, Hidden};
pub use header::HeaderCheck;
pub use index::Index;
pub use parser::{IndexParser, ParseOptions, TAIL};
pub use stored::FORMAT as STORED_FORMAT;
pub use survey::Survey;
pub use write::{CRC_AT, MAX_ALIGN, MAX_NAME, NewEntry, end_records};
