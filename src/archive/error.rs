//! The errors of an archive.

use std::fmt;

use super::entry::Method;

/// Why an archive, or an entry of it, cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// It is neither a ZIP, which ends with an end-of-central-directory record, nor a tar, which begins with a
    /// header.
    NotAnArchive {
        /// Length of the blob.
        size: u64,
    },
    /// It begins as a ZIP, but has no end-of-central-directory record.
    NoEnd {
        /// Length of the blob.
        size: u64,
    },
    /// It is compressed as a whole, as `.tar.gz` files are.
    CompressedAsWhole {
        /// The format.
        format: &'static str,
        /// A command that decompresses it.
        command: &'static str,
    },
    /// It is one part of a split archive.
    Split,
    /// A record is damaged or contradicts another.
    Damaged {
        /// Offset in the blob.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// It has more entries, or more bytes of names, than the index can hold.
    TooManyEntries,
    /// The entry's data is compressed.
    Compressed {
        /// The entry's name.
        name: String,
        /// The method.
        method: Method,
    },
    /// The entry's data is encrypted.
    Encrypted {
        /// The entry's name.
        name: String,
    },
    /// The entry's position, header or size cannot be right.
    BadEntry {
        /// The entry's name.
        name: String,
        /// Offset of its local header in the blob.
        offset: u64,
        /// What is wrong.
        what: String,
    },
}

impl Error {
    pub(super) fn damaged(offset: u64, what: impl Into<String>) -> Self {
        let what = what.into();
        Error::Damaged { offset, what }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotAnArchive { size } => write!(
                f,
                "not a ZIP archive, and no tar: its {size} bytes do not end with an end-of-central-directory record, and do not begin with a tar header; is it complete?"
            ),
            Error::NoEnd { size } => write!(
                f,
                "not a ZIP archive that is complete: it begins as one, but its {size} bytes do not end with an end-of-central-directory record; get it again from where it came from"
            ),
            Error::CompressedAsWhole { format, command } => write!(
                f,
                "the file is compressed as a whole ({format}), so no file in it can be read without decompressing all before it; unpack it with '{command}' and use the tar or ZIP in it, or pack its files with 'zip -r' or 'aiozfs pack'"
            ),
            Error::Split => f.write_str(
                "one part of a split ZIP archive; join its parts first ('zip -s 0 parts.zip --out whole.zip')",
            ),
            Error::Damaged { offset, what } => {
                write!(f, "damaged ZIP archive: {what}, at offset {offset}")
            }
            Error::TooManyEntries => f.write_str("the archive has too many entries: more than 4,294,967,294, or more than 4 GiB of names"),
            Error::Compressed { name, method } => write!(
                f,
                "'{name}' is {method} in the archive, so its content is no range of the archive"
            ),
            Error::Encrypted { name } => {
                write!(f, "'{name}' is encrypted in the archive, and cannot be read")
            }
            Error::BadEntry { name, offset, what } => {
                write!(f, "'{name}' cannot be read: {what} (local header at offset {offset})")
            }
        }
    }
}

impl std::error::Error for Error {}

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
