//! The MD5 hashes that stores call ETags, to compare what a store has with what it should have.
//!
//! They find accidents and leftovers, not forgers: a store is trusted with the objects of its user anyway.

use md5::{Digest, Md5};

use crate::ranges::hex;

/// The ETags that an object may have in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashes {
    /// Of an object that was sent at once.
    whole: String,
    /// Of one that was sent in parts of the usual length: the hash of their hashes, and their number.
    parts: String,
}

impl Hashes {
    /// Whether an object with this ETag has these bytes. An ETag of another kind, as encrypted objects have it,
    /// is none of them.
    pub fn are_of(&self, etag: &str) -> bool {
        let etag = bare(etag);
        etag == self.whole || etag == self.parts
    }
}

/// Computes [`Hashes`] of a stream.
pub struct PartHashes {
    whole: Md5,
    part: Md5,
    /// The hash of the hashes of the parts so far.
    parts: Md5,
    count: u64,
    part_len: u64,
    /// Bytes of the part so far.
    len: u64,
}

impl PartHashes {
    /// For an object in parts of this length.
    pub fn new(part_len: u64) -> Self {
        Self {
            whole: Md5::new(),
            part: Md5::new(),
            parts: Md5::new(),
            count: 0,
            part_len,
            len: 0,
        }
    }

    /// Adds the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.whole.update(bytes);
        let mut left = bytes;
        while !left.is_empty() {
            let room = usize::try_from(self.part_len - self.len).unwrap_or(usize::MAX);
            let (now, rest) = left.split_at(left.len().min(room));
            self.part.update(now);
            self.len += now.len() as u64;
            left = rest;
            if self.len == self.part_len {
                self.end_part();
            }
        }
    }

    fn end_part(&mut self) {
        self.parts.update(self.part.finalize_reset());
        self.count += 1;
        self.len = 0;
    }

    /// The hashes of all bytes.
    pub fn finish(mut self) -> Hashes {
        if self.len > 0 || self.count == 0 {
            self.end_part();
        }
        Hashes {
            whole: hex(self.whole.finalize()),
            parts: format!("{}-{}", hex(self.parts.finalize()), self.count),
        }
    }
}

/// Whether a part with this ETag has these bytes.
pub(super) fn is_part(etag: &str, bytes: &[u8]) -> bool {
    bare(etag) == hex(Md5::digest(bytes))
}

/// An ETag without quotes.
fn bare(etag: &str) -> String {
    etag.trim_matches('"').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ETags are those that AWS documents for these bytes: `md5sum`, and
    /// `(md5 of part 1, md5 of part 2) | md5sum` with "-2".
    #[test]
    fn etags_of_whole_objects_and_of_parts() {
        let mut hashes = PartHashes::new(4);
        for piece in [&b"ab"[..], b"cdef", b""] {
            hashes.push(piece);
        }
        let hashes = hashes.finish();
        assert!(hashes.are_of("\"e80b5017098950fc58aad83c8c14978e\""));
        let parts = [Md5::digest(b"abcd"), Md5::digest(b"ef")].concat();
        assert!(hashes.are_of(&format!("\"{}-2\"", hex(Md5::digest(parts)))));
        assert!(!hashes.are_of("\"e80b5017098950fc58aad83c8c14978f\""));
        assert!(is_part("\"E2FC714C4727EE9395F324CD2E7F331F\"", b"abcd"));
        let mut empty = PartHashes::new(4);
        empty.push(b"");
        assert!(empty.finish().are_of("d41d8cd98f00b204e9800998ecf8427e"));
    }
}
