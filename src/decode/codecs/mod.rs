//! The codecs, one a file.

pub(super) mod deflate;
mod inflate;
pub(super) mod stored;
