//! Writes an archive into an object store of the S3 protocol.
//!
//! An object appears when it is complete: it is sent in parts (a multipart upload), and the last request puts
//! them together. An interrupted upload stays in the store, unseen, and the next run goes on with it
//! (`doc/decisions/0013-publish.md`). The caller streams the archive into it; memory is bounded by a few
//! parts.

mod error;
mod hashes;
mod multipart;
mod object;
mod upload;

pub use self::error::Error;
pub use self::hashes::{Hashes, PartHashes};
pub use self::object::{Existing, Object};
pub use self::upload::{Done, Sent, Upload};

/// The usual length of a part in bytes. It makes a request worth its round trip.
const PART: u64 = 8 << 20;

/// Parts longer than usual have lengths of a multiple of this.
const MIB: u64 = 1 << 20;

/// The most parts of an upload (AWS, "Amazon S3 multipart upload limits").
const MOST_PARTS: u64 = 10_000;

/// The length of all parts but the last, for an object of `size` bytes. It follows from the size, so that a
/// later run makes the same parts.
pub fn part_len(size: u64) -> u64 {
    let least = size.div_ceil(MOST_PARTS);
    PART.max(least.div_ceil(MIB) * MIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_few_enough() {
        for (size, expected) in [
            (0, PART),
            (80 << 30, 9 * MIB),
            (PART * MOST_PARTS, PART),
            (PART * MOST_PARTS + 1, PART + MIB),
            (5 << 40, 525 * MIB),
        ] {
            assert_eq!(part_len(size), expected, "{size}");
            assert!(size.div_ceil(part_len(size)) <= MOST_PARTS);
        }
    }
}
