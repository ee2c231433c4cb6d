//! The comparison of an entry's header with the index, in either format.

use std::ops::Range;

use super::entry::Extent;
use super::error::Error;
use super::{tar, zip};

/// Compares an entry's header in the blob with the index. This detects servers that give wrong bytes, archives
/// whose records contradict each other, and an index of another archive.
#[derive(Debug, Clone)]
pub enum HeaderCheck {
    /// A local header of a ZIP.
    Zip(zip::HeaderCheck),
    /// A header of a tar.
    Tar(tar::HeaderCheck),
}

impl HeaderCheck {
    /// The range of the blob that [`confirm`](Self::confirm) needs.
    pub fn range(&self) -> Range<u64> {
        match self {
            HeaderCheck::Zip(check) => check.range(),
            HeaderCheck::Tar(check) => check.range(),
        }
    }

    /// The probable extent of the data, for read-ahead. In a tar it is exact.
    pub fn predicted(&self) -> Extent {
        match self {
            HeaderCheck::Zip(check) => check.predicted(),
            HeaderCheck::Tar(check) => check.extent(),
        }
    }

    /// Whether the data could begin at `offset`: after the header, and ending before the next structure.
    pub fn allows(&self, offset: u64) -> bool {
        match self {
            HeaderCheck::Zip(check) => check.allows(offset),
            HeaderCheck::Tar(check) => check.extent().offset == offset,
        }
    }

    /// The extent of the data, from the header's bytes, which are those of [`range`](Self::range).
    ///
    /// # Errors
    /// If the header contradicts the index.
    pub fn confirm(&self, bytes: &[u8]) -> Result<Extent, Error> {
        match self {
            HeaderCheck::Zip(check) => check.confirm(bytes),
            HeaderCheck::Tar(check) => check.confirm(bytes),
        }
    }
}
