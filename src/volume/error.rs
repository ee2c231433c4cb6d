//! Why an archive cannot be opened, and why its files cannot be read.

use std::fmt;

use super::location::Location;
use crate::content::{IpnsName, PathError};
use crate::fs::LinkRefused;
use crate::{decode, reader, source};

/// Why an archive cannot be opened.
#[derive(Debug, Clone, PartialEq)]
pub enum OpenError {
    /// Verification against a CID was required, and this location is not a CID.
    NotVerifiable(Location),
    /// The file cannot be opened, or the URL of a server is malformed. No server was asked.
    Unusable(source::Error),
    /// A path below a CID leads nowhere.
    Path(PathError),
    /// An IPNS name has no valid record, or stands for something that is not a path of IPFS.
    Name {
        /// The name.
        name: IpnsName,
        /// What is wrong.
        why: String,
    },
    /// It is a directory. [`listing`](super::listing()) tells which archives it has.
    Directory(Location),
    /// The index that was given cannot be used.
    Index(Box<Location>, Box<IndexFileError>),
    /// The bytes cannot be read, or they are not an archive.
    Read(reader::Error),
}

/// Why an index that was given cannot be used.
#[derive(Debug, Clone, PartialEq)]
pub enum IndexFileError {
    /// The file cannot be read.
    Io {
        /// The kind of the error.
        kind: std::io::ErrorKind,
        /// The text of the error.
        cause: String,
    },
    /// The place of the index cannot be read.
    Unread(Box<OpenError>),
    /// It is no index of aiozfs.
    NoIndex,
    /// Its checksum is wrong.
    Damaged,
    /// Another version of aiozfs wrote it.
    OtherVersion,
    /// The archive has another size. Sizes are in bytes.
    OtherSize {
        /// The size of the archive that it was made of.
        index_size: u64,
        /// The size of this archive.
        size: u64,
    },
    /// It was made of another archive, or of another state of it.
    OtherArchive {
        /// What the index is of; empty if nothing is known.
        index: String,
        /// What the archive is.
        actual: String,
    },
    /// The archive is verified against its CID, and a server could send any index.
    Unverified,
}

impl fmt::Display for IndexFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IndexFileError::Io { cause, .. } => f.write_str(cause),
            IndexFileError::Unread(error) => error.fmt(f),
            IndexFileError::NoIndex => {
                f.write_str("it is not an index file; 'aiozfs index SOURCE -o FILE' makes one")
            }
            IndexFileError::Damaged => f.write_str(
                "the index is damaged: its checksum is wrong; make or fetch it again",
            ),
            IndexFileError::OtherVersion => f.write_str(
                "another version of aiozfs wrote the index; make it again with 'aiozfs index'",
            ),
            IndexFileError::OtherSize { index_size, size } => write!(
                f,
                "the index is of another archive, or of an older state of it: of {index_size} bytes, and this one has {size}; make it again with 'aiozfs index'"
            ),
            IndexFileError::OtherArchive { index, actual } => {
                let index = if index.is_empty() { "no CID and no version" } else { index };
                let actual = if actual.is_empty() { "without a version" } else { actual };
                write!(
                    f,
                    "the index is of another archive, or of an older state of it: it names {index}, and this archive is {actual}; make it again with 'aiozfs index'"
                )
            }
            IndexFileError::Unverified => f.write_str(
                "the archive is verified against its CID, and an index from a URL is not; give it as a local file that you trust or by its own CID, or use '--verify crc'",
            ),
        }
    }
}

impl OpenError {
    /// The index at `place` cannot be used.
    pub(super) fn index(place: &Location, why: IndexFileError) -> Self {
        OpenError::Index(Box::new(place.clone()), Box::new(why))
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::NotVerifiable(location) => write!(
                f,
                "{} is not a CID, and only a CID can be verified",
                location.shown().1
            ),
            OpenError::Unusable(error) => error.fmt(f),
            OpenError::Path(error) => error.fmt(f),
            OpenError::Name { name, why } => write!(f, "/ipns/{name}: {why}"),
            OpenError::Directory(location) => write!(f, "{} is a directory", location.shown().1),
            OpenError::Index(location, why) => {
                write!(f, "the index {}: {why}", location.shown().1)
            }
            OpenError::Read(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<source::Error> for OpenError {
    fn from(error: source::Error) -> Self {
        OpenError::Read(error.into())
    }
}

impl From<reader::Error> for OpenError {
    fn from(error: reader::Error) -> Self {
        OpenError::Read(error)
    }
}

/// Why a file cannot be opened, read or followed.
#[derive(Debug, Clone, PartialEq)]
pub enum FileError {
    /// The inode does not exist.
    NotFound,
    /// It is a directory.
    IsDirectory,
    /// It is not a symbolic link.
    NotALink,
    /// It is a symbolic link that must not be followed.
    Link(LinkRefused),
    /// The playable form of a playlist has another length than the archive declares. Lengths in bytes.
    Playlist {
        /// What the archive declares.
        declared: u64,
        /// The length of the playable form.
        actual: u64,
    },
    /// Its bytes cannot be read.
    Read(reader::Error),
    /// Its bytes cannot be decoded. Never [`decode::Error::Read`].
    Decode(decode::Error),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileError::NotFound => f.write_str("there is no such file"),
            FileError::IsDirectory => f.write_str("it is a directory"),
            FileError::NotALink => f.write_str("it is not a symbolic link"),
            FileError::Link(why) => why.fmt(f),
            FileError::Playlist { declared, actual } => write!(
                f,
                "the archive declares {declared} bytes for this playlist without range links, but it has {actual}"
            ),
            FileError::Read(error) => error.fmt(f),
            FileError::Decode(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for FileError {}

impl From<reader::Error> for FileError {
    fn from(error: reader::Error) -> Self {
        FileError::Read(error)
    }
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
#[derive(Debug, Clone, PartialEq)]
pub enum FindError {
    /// There is no file of this name.
    NotFound,
    /// This file, which is not a directory, stands before a `/`.
    NotADirectory {
        /// Its path.
        path: Vec<u8>,
    },
    /// More symbolic links than this lead from one to the other.
    TooManyLinks(u32),
    /// A symbolic link leads out of the archive.
    Outside {
        /// The path of the link.
        link: Vec<u8>,
        /// Its target.
        target: Vec<u8>,
    },
    /// The target of a symbolic link cannot be read.
    Link(FileError),
}

impl fmt::Display for FindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy;
        match self {
            FindError::NotFound => f.write_str("the archive has no such file"),
            FindError::NotADirectory { path } => {
                write!(f, "{} is a file, and there is nothing below it", text(path))
            }
            FindError::TooManyLinks(most) => write!(
                f,
                "more than {most} symbolic links lead from one to the other"
            ),
            FindError::Outside { link, target } => write!(
                f,
                "the symbolic link {} leads to {}, out of the archive",
                text(link),
                text(target)
            ),
            FindError::Link(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for FindError {}
