//! Recognizes a tar, or compressed data, by the first bytes of a blob.

use super::TAR_BLOCK;
use super::header::{is_header, is_zero};

/// What the first bytes of a blob are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recognized {
    /// An uncompressed tar.
    Tar,
    /// Compressed data: the format, and a command that decompresses it.
    Compressed(&'static str, &'static str),
    /// The first entry of a ZIP.
    Zip,
}

/// The signature of a local file header (APPNOTE 4.3.7).
const LOCAL_HEADER: &[u8] = b"PK\x03\x04";

/// The longest archive without members: GNU tar fills a record, which has 20 blocks unless told otherwise.
const LONGEST_EMPTY: u64 = 64 * 1024;

/// The formats of compressed data that a tar may be in, or that are archives of another kind.
const COMPRESSED: [(&[u8], &str, &str); 8] = [
    (b"\x1f\x8b", "gzip", "gunzip"),
    (b"\x28\xb5\x2f\xfd", "Zstandard", "unzstd"),
    (b"BZh", "bzip2", "bunzip2"),
    (b"\xfd7zXZ\0", "xz", "unxz"),
    (b"\x04\x22\x4d\x18", "LZ4", "unlz4"),
    (b"LZIP", "lzip", "lzip -d"),
    (b"7z\xbc\xaf\x27\x1c", "7z", "7z x"),
    (b"Rar!\x1a\x07", "RAR", "unrar x"),
];

/// What a blob of `size` bytes is, by its first bytes; `None` if it is neither. A tar needs 512 of them.
pub fn recognize(first: &[u8], size: u64) -> Option<Recognized> {
    if let Some(block) = first.get(..TAR_BLOCK as usize) {
        let is_empty = || {
            let is_all = first.len() as u64 == size;
            size <= LONGEST_EMPTY && is_all && size.is_multiple_of(TAR_BLOCK) && is_zero(first)
        };
        if is_header(block) || is_empty() {
            return Some(Recognized::Tar);
        }
    }
    if first.starts_with(LOCAL_HEADER) {
        return Some(Recognized::Zip);
    }
    let known = COMPRESSED
        .iter()
        .find(|(magic, ..)| first.starts_with(magic));
    known.map(|(_, format, command)| Recognized::Compressed(format, command))
}
