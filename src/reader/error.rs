//! Why a read of a file can fail.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use crate::{archive, source};

/// Why a read failed.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// The source could not give the bytes.
    Source(source::Error),
    /// The archive does not say where the bytes are, or contradicts itself.
    Archive(archive::Error),
    /// The bytes did not come in time.
    Deadline {
        /// The bytes of the blob that the read waited for.
        range: Range<u64>,
        /// How long the read waited.
        after: Duration,
        /// The last error meanwhile, as far as the source knows.
        trouble: Option<source::Error>,
    },
    /// The bytes came, but do not agree with the entry's CRC-32.
    Checksum {
        /// Where the entry's data lies in the blob.
        range: Range<u64>,
    },
    /// The entry's decoder found its data to be wrong after it had given out plain bytes.
    Outdated {
        /// What the decoder found.
        why: String,
    },
    /// The reader was closed: the filesystem is being unmounted.
    Closed,
}

impl From<source::Error> for Error {
    fn from(e: source::Error) -> Self {
        Error::Source(e)
    }
}

impl From<archive::Error> for Error {
    fn from(e: archive::Error) -> Self {
        Error::Archive(e)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Source(e) => e.fmt(f),
            Error::Archive(e) => e.fmt(f),
            Error::Deadline {
                range,
                after,
                trouble,
            } => {
                write!(
                    f,
                    "bytes {}-{} did not come within {} s",
                    range.start,
                    range.end.saturating_sub(1),
                    after.as_secs_f64()
                )?;
                trouble.as_ref().map_or(Ok(()), |e| write!(f, "; {e}"))
            }
            Error::Checksum { range } => write!(
                f,
                "bytes {}-{} of the archive do not agree with the CRC-32 of their entry",
                range.start,
                range.end.saturating_sub(1)
            ),
            Error::Outdated { why } => write!(
                f,
                "{why}; a program that has it open may have got wrong bytes, and can open it again"
            ),
            Error::Closed => f.write_str("the filesystem is being unmounted"),
        }
    }
}

impl std::error::Error for Error {}
