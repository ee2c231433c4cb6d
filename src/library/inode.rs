//! Inode numbers: a part for the name, and a part for the entry of the archive.
//!
//! The part of a name is a hash of the name and of where its archive is, so that a library has the same
//! inode numbers after every remount, whatever else is in it, and an archive that takes the place of another
//! gets new ones. Of several names with the same hash, the first one in the order of names has it; the others
//! try on with the hash of the next attempt.

use sha2::{Digest, Sha256};

use crate::fs::Ino;

/// Bits of the entry's part. An archive with more names than this cannot be in a library.
const ENTRY_BITS: u32 = 28;

/// Bits of the name's part. An inode number then is below 2^63: programs keep it in signed integers.
const NAME_BITS: u32 = 35;

pub(super) const LARGEST_ENTRY: u64 = (1 << ENTRY_BITS) - 1;

/// The part of an inode number that stands for a name: 0 for the root of the library, [`Part::ROOT`], alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Part(pub(super) u64);

impl Part {
    pub(super) const ROOT: Part = Part(0);

    /// The part of a name on this attempt. `source` is where its archive is; empty for a directory.
    pub(super) fn of(name: &str, source: &str, attempt: u32) -> Self {
        let mut hash = Sha256::new();
        hash.update(name);
        hash.update([0]);
        hash.update(source);
        hash.update([0]);
        hash.update(attempt.to_le_bytes());
        let hash = hash.finalize();
        let bits = hash[..8]
            .iter()
            .fold(0, |bits, byte| bits << 8 | u64::from(*byte));
        // Never that of the root.
        Self((bits >> (64 - NAME_BITS)).max(1))
    }

    pub(super) fn ino(self, entry: Ino) -> Ino {
        Ino(self.0 << ENTRY_BITS | entry.0)
    }

    pub(super) fn split(ino: Ino) -> (Self, Ino) {
        (Self(ino.0 >> ENTRY_BITS), Ino(ino.0 & LARGEST_ENTRY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_put_together_and_split() {
        let part = Part::of("films/a", "https://a.b/a.zip", 0);
        for entry in [Ino::ROOT, Ino(7), Ino(LARGEST_ENTRY)] {
            let ino = part.ino(entry);
            assert_eq!(Part::split(ino), (part, entry));
            assert!(ino.0 <= i64::MAX as u64);
        }
        assert_eq!(Part::split(Ino::ROOT), (Part::ROOT, Ino::ROOT));
    }

    /// Inode numbers must be the same after every remount, also with a later version.
    #[test]
    fn part_of_a_name_does_not_change() {
        assert_eq!(Part::of("films", "", 0), Part(12_792_728_384));
    }
}
