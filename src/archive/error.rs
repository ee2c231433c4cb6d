//! The errors of an archive.

use super::entry::Method;

/// Why an archive, or an entry of it, cannot be read. `size` is the length of the blob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum Error {
    /// It is neither a ZIP, which ends with an end-of-central-directory record, nor a tar, which begins with a
    /// header.
    #[error(
        "not a ZIP archive, and no tar: its {size} bytes do not end with an end-of-central-directory record, and do not begin with a tar header; is it complete?"
    )]
    NotAnArchive { size: u64 },
    /// It begins as a ZIP, but has no end-of-central-directory record.
    #[error(
        "not a ZIP archive that is complete: it begins as one, but its {size} bytes do not end with an end-of-central-directory record; get it again from where it came from"
    )]
    NoEnd { size: u64 },
    /// It is compressed as a whole, as `.tar.gz` files are.
    #[error(
        "the file is compressed as a whole ({format}), so no file in it can be read without decompressing all before it; unpack it with '{command}' and use the tar or ZIP in it, or pack its files with 'zip -r' or 'aiozfs pack'"
    )]
    CompressedAsWhole {
        format: &'static str,
        /// A command that decompresses it.
        command: &'static str,
    },
    #[error(
        "one part of a split ZIP archive; join its parts first ('zip -s 0 parts.zip --out whole.zip')"
    )]
    Split,
    /// A record is damaged or contradicts another.
    #[error("damaged ZIP archive: {what}, at offset {offset}")]
    Damaged {
        /// Offset in the blob.
        offset: u64,
        what: String,
    },
    /// It has more entries, or more bytes of names, than the index can hold.
    #[error(
        "the archive has too many entries: more than 4,294,967,294, or more than 4 GiB of names"
    )]
    TooManyEntries,
    #[error("'{name}' is {method} in the archive, so its content is no range of the archive")]
    Compressed { name: String, method: Method },
    #[error("'{name}' is encrypted in the archive, and cannot be read")]
    Encrypted { name: String },
    /// The entry's position, header or size cannot be right.
    #[error("'{name}' cannot be read: {what} (local header at offset {offset})")]
    BadEntry {
        name: String,
        /// Offset of its local header in the blob.
        offset: u64,
        what: String,
    },
}

impl Error {
    pub(super) fn damaged(offset: u64, what: impl Into<String>) -> Self {
        let what = what.into();
        Error::Damaged { offset, what }
    }
}

/// An entry that is not shown, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    /// Its name as stored, made printable.
    pub name: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// The reasons why an entry is not shown.
pub(super) mod hidden_reason {
    pub(in crate::archive) const NUL: &str = "its name has a NUL in it";
    pub(in crate::archive) const DOTS: &str = "its name has '..' in it";
    pub(in crate::archive) const LONG_PART: &str = "a part of its name is longer than 255 bytes";
    pub(in crate::archive) const LONG: &str = "its name is longer than 4,095 bytes";
    pub(in crate::archive) const EMPTY: &str = "its name is empty";
    pub(in crate::archive) const LONG_LINK: &str = "its target is longer than 4,095 bytes";
    pub(in crate::archive) const NO_TARGET: &str = "it is a link without a target";

    /// All of them.
    pub(in crate::archive) const ALL: [&str; 7] =
        [NUL, DOTS, LONG_PART, LONG, EMPTY, LONG_LINK, NO_TARGET];
}
