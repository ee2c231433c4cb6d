//! The comparison of a member's header with the index.

use std::ops::Range;

use super::TAR_BLOCK;
use crate::archive::entry::Extent;
use crate::archive::error::Error;

/// Compares a member's header with the CRC-32 that the index has of it. So an index that was made of another
/// archive, or before the archive changed, gives an error and no wrong bytes.
#[derive(Debug, Clone)]
pub struct HeaderCheck {
    pub(in crate::archive) name: String,
    pub(in crate::archive) header_offset: u64,
    pub(in crate::archive) header_crc: u32,
    /// From the header to the data, in bytes.
    pub(in crate::archive) distance: u64,
    /// Length of the data in bytes.
    pub(in crate::archive) len: u64,
}

impl HeaderCheck {
    pub(in crate::archive) fn range(&self) -> Range<u64> {
        self.header_offset..self.header_offset.saturating_add(TAR_BLOCK)
    }

    pub(in crate::archive) fn extent(&self) -> Extent {
        Extent {
            offset: self.header_offset.saturating_add(self.distance),
            len: self.len,
        }
    }

    pub(in crate::archive) fn confirm(&self, bytes: &[u8]) -> Result<Extent, Error> {
        if bytes.len() as u64 == TAR_BLOCK && crc32fast::hash(bytes) == self.header_crc {
            return Ok(self.extent());
        }
        Err(Error::BadEntry {
            name: self.name.clone(),
            offset: self.header_offset,
            what: "its header is not the one that the index has; the archive has changed, or the index is of another archive".into(),
        })
    }
}
