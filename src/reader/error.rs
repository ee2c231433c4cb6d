//! Why a read of a file can fail.

use std::ops::Range;
use std::time::Duration;

use crate::{archive, source};

/// Why a read failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The source could not give the bytes.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The archive does not say where the bytes are, or contradicts itself.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// The bytes did not come in time.
    #[error("{} did not come within {} s{}", source::bytes(.range), .after.as_secs_f64(), after_semicolon(.trouble))]
    Deadline {
        /// The bytes of the blob that the read waited for.
        range: Range<u64>,
        /// How long the read waited.
        after: Duration,
        /// The last error meanwhile, as far as the source knows.
        trouble: Option<source::Error>,
    },
    /// The bytes came, but do not agree with the entry's CRC-32.
    #[error("{} of the archive do not agree with the CRC-32 of their entry", source::bytes(.range))]
    Checksum {
        /// Where the entry's data lies in the blob.
        range: Range<u64>,
    },
    /// The entry's decoder found its data to be wrong after it had given out plain bytes.
    #[error("{why}; a program that has it open may have got wrong bytes, and can open it again")]
    Outdated {
        /// What the decoder found.
        why: String,
    },
    /// The reader was closed: the filesystem is being unmounted.
    #[error("the filesystem is being unmounted")]
    Closed,
}

fn after_semicolon(trouble: &Option<source::Error>) -> String {
    trouble
        .as_ref()
        .map_or_else(String::new, |error| format!("; {error}"))
}
