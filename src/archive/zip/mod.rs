//! The ZIP format: finds and parses the central directory, checks local headers, writes records.
//!
//! Sections cited are those of APPNOTE.TXT 6.3.10, the ZIP specification. All numbers in a ZIP are
//! little-endian.

mod builder;
mod central;
mod encoding;
mod extra;
mod header;
mod parser;
mod records;
mod tail;
mod times;
mod write;

pub use encoding::{Encoding, UnknownEncoding};
pub use header::HeaderCheck;
pub(super) use header::{AES, LOCAL_FIXED};
pub use parser::{IndexParser, ParseOptions, TAIL};
pub use write::{MAX_ALIGN, MAX_NAME, NewEntry, end_records};
