//! The codecs, one a file.

pub(super) mod stored;
