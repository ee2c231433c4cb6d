//! Verifies a leaf while its bytes arrive.

use sha2::{Digest, Sha256};

use super::node;
use super::{Cid, Codec};

/// Hashes a leaf's file bytes as they arrive, and compares the result with its CID.
///
/// A raw leaf's block is its bytes. A dag-pb leaf has a prefix and a suffix, which depend only on the
/// number of bytes and on the UnixFS type: file, or raw data in trickle trees. A leaf with another
/// encoding fails this check and must be fetched as a block.
pub(super) struct LeafCheck {
    hasher: Hasher,
    suffix: Vec<u8>,
    cid: Cid,
}

enum Hasher {
    Sha256(Box<Sha256>),
    Blake3(Box<blake3::Hasher>),
    /// Identity, or an unknown hash: all bytes are collected.
    Whole(Vec<u8>),
}

impl LeafCheck {
    /// A check of the leaf `cid` with `len` bytes of the file. `kind` is the UnixFS type of a dag-pb leaf.
    pub(super) fn new(cid: Cid, len: u64, kind: u64) -> Self {
        let (before, suffix) = match cid.codec() {
            Codec::DagPb => node::around_leaf(kind, len),
            _ => Default::default(),
        };
        let hasher = match cid.hash_code() {
            super::cid::SHA2_256 => Hasher::Sha256(Box::default()),
            super::cid::BLAKE3 => Hasher::Blake3(Box::default()),
            _ => Hasher::Whole(Vec::new()),
        };
        let mut check = Self {
            hasher,
            suffix,
            cid,
        };
        check.update(&before);
        check
    }

    /// Adds the next bytes of the file.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match &mut self.hasher {
            Hasher::Sha256(hasher) => hasher.update(bytes),
            Hasher::Blake3(hasher) => drop(hasher.update(bytes)),
            Hasher::Whole(whole) => whole.extend_from_slice(bytes),
        }
    }

    /// Whether the bytes match the CID.
    pub(super) fn matches(mut self) -> bool {
        let suffix = std::mem::take(&mut self.suffix);
        self.update(&suffix);
        match self.hasher {
            Hasher::Sha256(hasher) => self.cid.digest() == &hasher.finalize()[..],
            Hasher::Blake3(hasher) => self.cid.digest() == hasher.finalize().as_bytes(),
            Hasher::Whole(whole) => self.cid.verify(&whole).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Version;

    #[test]
    fn a_leaf_verifies_in_chunks_and_another_does_not() {
        for len in [0usize, 1, 127, 128, 16_383, 16_384, 262_144] {
            let bytes: Vec<u8> = (0..len).map(|i| (i * 31) as u8).collect();
            for cid in [
                Cid::of_block(Version::V1, Codec::Raw, &bytes),
                Cid::of_block(Version::V0, Codec::DagPb, &node::leaf(&bytes)),
            ] {
                let verified = |bytes: &[u8]| {
                    let mut check = LeafCheck::new(cid, len as u64, node::FILE);
                    bytes.chunks(1000).for_each(|piece| check.update(piece));
                    check.matches()
                };
                assert!(verified(&bytes), "{len} bytes under {cid}");
                if len > 0 {
                    let mut wrong = bytes.clone();
                    wrong[len / 2] ^= 1;
                    assert!(!verified(&wrong), "{len} bytes under {cid}");
                }
            }
        }
    }
}
