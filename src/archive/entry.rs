//! The types that describe an entry.

use std::fmt;
use std::ops::Range;

/// An entry of an index. Ordered as the entries lie in the blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub(super) u32);

impl EntryId {
    /// Its position in the order of the blob, from 0.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    #[cfg(test)]
    pub(crate) fn at(index: u32) -> Self {
        Self(index)
    }
}

/// A contiguous part of the blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Offset of the first byte.
    pub offset: u64,
    /// Length in bytes.
    pub len: u64,
}

impl Extent {
    /// The same as a range.
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.len
    }
}

/// The compression method of an entry (section 4.4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Not compressed: the only one that can be read by ranges.
    Stored,
    /// Compressed with Deflate.
    Deflated,
    /// Any other, by its number.
    Other(u16),
}

impl Method {
    pub(super) fn of(number: u16) -> Self {
        match number {
            0 => Method::Stored,
            8 => Method::Deflated,
            number => Method::Other(number),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Method::Stored => f.write_str("stored"),
            Method::Deflated => f.write_str("deflated"),
            Method::Other(number) => write!(f, "method {number}"),
        }
    }
}

/// The type of an entry, from its Unix mode or its name (directories end in a slash).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link; its data is the target.
    Symlink,
    /// A device, FIFO or socket. Shown as a regular file.
    Special,
}

/// A moment, as seconds and nanoseconds since 1970-01-01 00:00 UTC; seconds may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Timestamp {
    /// Whole seconds.
    pub secs: i64,
    /// Nanoseconds on top, below one billion.
    pub nanos: u32,
}

/// The attributes of an entry, from the central directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Offset of its local header in the blob.
    pub header_offset: u64,
    /// Length of its content in bytes.
    pub size: u64,
    /// Length of its data in the archive in bytes; the same as `size` for a stored entry.
    pub compressed_size: u64,
    /// CRC-32 of its content (section 4.4.7).
    pub crc32: u32,
    /// How its data is compressed.
    pub method: Method,
    /// Whether its data is encrypted (section 4.4.4, bit 0).
    pub encrypted: bool,
    /// Its type.
    pub kind: Kind,
    /// Unix permission bits without setuid, setgid and sticky, if its writer kept them.
    pub mode: Option<u16>,
    /// Numbers of its user and group, if its writer kept them.
    pub owner: Option<(u32, u32)>,
    /// When its content was last changed. DOS times count as UTC.
    pub mtime: Timestamp,
}
