//! The comparison of an entry's header with the index, in either format.

use std::ops::Range;

use super::entry::Extent;
use super::error::Error;
use super::tar::TAR_BLOCK;
use super::zip;

/// Compares an entry's header in the blob with the index. This detects servers that give wrong bytes, archives
/// whose records contradict each other, and an index of another archive.
#[derive(Debug, Clone)]
pub enum HeaderCheck {
    /// A local header of a ZIP.
    Zip(zip::HeaderCheck),
    /// A header of a tar, which is compared by its CRC-32.
    Tar {
        /// The entry's name.
        name: String,
        /// Offset of the header.
        header_offset: u64,
        /// CRC-32 of the header.
        header_crc: u32,
        /// The extent of the data.
        extent: Extent,
    },
}

impl HeaderCheck {
    /// The range of the blob that [`confirm`](Self::confirm) needs.
    pub fn range(&self) -> Range<u64> {
        match self {
            HeaderCheck::Zip(check) => check.range(),
            HeaderCheck::Tar { header_offset, .. } => {
                *header_offset..header_offset.saturating_add(TAR_BLOCK)
            }
        }
    }

    /// The probable extent of the data, for read-ahead. In a tar it is exact.
    pub fn predicted(&self) -> Extent {
        match self {
            HeaderCheck::Zip(check) => check.predicted(),
            HeaderCheck::Tar { extent, .. } => *extent,
        }
    }

    /// Whether the data could begin at `offset`: after the header, and ending before the next structure.
    pub fn allows(&self, offset: u64) -> bool {
        match self {
            HeaderCheck::Zip(check) => check.allows(offset),
            HeaderCheck::Tar { extent, .. } => extent.offset == offset,
        }
    }

    /// The extent of the data, from the header's bytes, which are those of [`range`](Self::range).
    ///
    /// # Errors
    /// If the header contradicts the index.
    pub fn confirm(&self, bytes: &[u8]) -> Result<Extent, Error> {
        match self {
            HeaderCheck::Zip(check) => check.confirm(bytes),
            HeaderCheck::Tar {
                header_crc, extent, ..
            } if bytes.len() as u64 == TAR_BLOCK && crc32fast::hash(bytes) == *header_crc => {
                Ok(*extent)
            }
            HeaderCheck::Tar {
                name,
                header_offset,
                ..
            } => Err(Error::BadEntry {
                name: name.clone(),
                offset: *header_offset,
                what: "its header is not the one that the index has; the archive has changed, or the index is of another archive".into(),
            }),
        }
    }
}
