//! What can go wrong between a read of a file and its bytes.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use crate::{archive, source};

/// Why a read did not give its bytes.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// The source could not give them.
    Source(source::Error),
    /// The archive does not say where they are, or lies about it.
    Archive(archive::Error),
    /// They did not come in time.
    Deadline {
        /// The bytes of the blob that were waited for.
        range: Range<u64>,
        /// For how long.
        after: Duration,
        /// What went wrong last meanwhile, as far as the source knows.
        trouble: Option<source::Error>,
    },
    /// They came, and do not agree with the entry's CRC-32.
    Checksum {
        /// Where the entry's data lies in the blob.
        range: Range<u64>,
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
                "its bytes {}-{} of the archive do not agree with its CRC-32",
                range.start,
                range.end.saturating_sub(1)
            ),
            Error::Closed => f.write_str("the filesystem is being unmounted"),
        }
    }
}

impl std::error::Error for Error {}
