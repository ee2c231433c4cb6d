//! Why an archive cannot be opened, and why its files cannot be read.

use thiserror::Error;

use super::location::Location;
use crate::content::{IpnsName, PathError};
use crate::fs::LinkRefused;
use crate::{decode, reader, source};

/// Why an archive cannot be opened.
#[derive(Debug, Clone, PartialEq, Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum OpenError {
    /// Verification against a CID was required, and this location is not a CID.
    #[error("{} is not a CID, and only a CID can be verified", .0.shown().1)]
    NotVerifiable(Location),
    /// The file cannot be opened, or the URL of a server is malformed. No server was asked.
    #[error(transparent)]
    Unusable(source::Error),
    /// A path below a CID leads nowhere.
    #[error(transparent)]
    Path(PathError),
    /// An IPNS name has no valid record, or stands for something that is not a path of IPFS.
    #[error("/ipns/{name}: {why}")]
    Name { name: IpnsName, why: String },
    /// It is a directory. [`listing`](super::listing()) tells which archives it has.
    #[error("{} is a directory", .0.shown().1)]
    Directory(Location),
    /// The index that was given cannot be used.
    #[error("the index {}: {}", .0.shown().1, .1)]
    Index(Box<Location>, Box<IndexFileError>),
    /// The bytes cannot be read, or they are not an archive.
    #[error(transparent)]
    Read(#[from] reader::Error),
}

impl OpenError {
    /// The index at `place` cannot be used.
    pub(super) fn index(place: &Location, why: IndexFileError) -> Self {
        OpenError::Index(Box::new(place.clone()), Box::new(why))
    }
}

impl From<source::Error> for OpenError {
    fn from(error: source::Error) -> Self {
        OpenError::Read(error.into())
    }
}

/// Why an index that was given cannot be used.
#[derive(Debug, Clone, PartialEq, Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum IndexFileError {
    /// The file cannot be read.
    #[error("{cause}")]
    Io {
        kind: std::io::ErrorKind,
        cause: String,
    },
    /// The place of the index cannot be read.
    #[error(transparent)]
    Unread(Box<OpenError>),
    #[error("it is not an index file; 'aiozfs index SOURCE -o FILE' makes one")]
    NoIndex,
    #[error("the index is damaged: its checksum is wrong; make or fetch it again")]
    Damaged,
    #[error("another version of aiozfs wrote the index; make it again with 'aiozfs index'")]
    OtherVersion,
    /// The archive has another size. Sizes are in bytes.
    #[error(
        "the index is of another archive, or of an older state of it: of {index_size} bytes, and this one has {size}; make it again with 'aiozfs index'"
    )]
    OtherSize {
        /// The size of the archive that it was made of.
        index_size: u64,
        /// The size of this archive.
        size: u64,
    },
    /// It was made of another archive, or of another state of it.
    #[error(
        "the index is of another archive, or of an older state of it: it names {}, and this archive is {}; make it again with 'aiozfs index'",
        known(.index, "no CID and no version"),
        known(.actual, "without a version")
    )]
    OtherArchive {
        /// What the index is of; empty if nothing is known.
        index: String,
        /// What the archive is; empty if nothing is known.
        actual: String,
    },
    /// The archive is verified against its CID, and a server could send any index.
    #[error(
        "the archive is verified against its CID, and an index from a URL is not; give it as a local file that you trust or by its own CID, or use '--verify crc'"
    )]
    Unverified,
}

/// The identity of an archive, or `otherwise` if none is known.
fn known<'a>(identity: &'a str, otherwise: &'a str) -> &'a str {
    match identity {
        "" => otherwise,
        identity => identity,
    }
}

/// Why a file cannot be opened, read or followed.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum FileError {
    /// The inode does not exist.
    #[error("there is no such file")]
    NotFound,
    /// It is a directory.
    #[error("it is a directory")]
    IsDirectory,
    /// It is not a symbolic link.
    #[error("it is not a symbolic link")]
    NotALink,
    /// It is a symbolic link that must not be followed.
    #[error(transparent)]
    Link(LinkRefused),
    /// The playable form of a playlist has another length than the archive declares. Lengths in bytes.
    #[error(
        "the archive declares {declared} bytes for this playlist without range links, but it has {actual}"
    )]
    Playlist {
        /// What the archive declares.
        declared: u64,
        /// The length of the playable form.
        actual: u64,
    },
    /// Its bytes cannot be read.
    #[error(transparent)]
    Read(#[from] reader::Error),
    /// Its bytes cannot be decoded. Never [`decode::Error::Read`].
    #[error(transparent)]
    Decode(decode::Error),
}

impl From<decode::Error> for FileError {
    fn from(error: decode::Error) -> Self {
        match error {
            decode::Error::Read(error) => FileError::Read(error),
            error => FileError::Decode(error),
        }
    }
}

/// Why a path leads to no file. Paths are those of the archive, without a `/` in front.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum FindError {
    /// There is no file of this name.
    #[error("the archive has no such file")]
    NotFound,
    /// This file, which is not a directory, stands before a `/`.
    #[error("{} is a file, and there is nothing below it", String::from_utf8_lossy(.path))]
    NotADirectory {
        /// Its path.
        path: Vec<u8>,
    },
    /// More symbolic links than this lead from one to the other.
    #[error("more than {0} symbolic links lead from one to the other")]
    TooManyLinks(u32),
    /// A symbolic link leads out of the archive.
    #[error(
        "the symbolic link {} leads to {}, out of the archive",
        String::from_utf8_lossy(.link),
        String::from_utf8_lossy(.target)
    )]
    Outside {
        /// The path of the link.
        link: Vec<u8>,
        /// Its target.
        target: Vec<u8>,
    },
    /// The target of a symbolic link cannot be read.
    #[error(transparent)]
    Link(FileError),
}
