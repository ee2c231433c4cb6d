//! The codecs, one a file.

pub(super) mod bzip2;
pub(super) mod deflate;
pub(super) mod deflate64;
mod inflate;
pub(super) mod lzma;
mod packed;
pub(super) mod ppmd;
mod sequential;
pub(super) mod stored;
pub(super) mod xz;
pub(super) mod zstd;
