//! What is wrong with a link, and on which line.

use std::fmt;

/// A text with its links changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Linked {
    /// The text.
    pub text: String,
    /// Links that could not be followed, and were left as they are.
    pub problems: Vec<Problem>,
    /// Files (by path) that the text still points to as files of their own, playlists apart.
    pub loose: Vec<String>,
}

/// A link that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: u32,
    /// What is wrong.
    pub what: What,
}

/// What is wrong with a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// There is no such file.
    Missing {
        /// The link.
        uri: String,
    },
    /// It leads out of the folder.
    Outside {
        /// The link.
        uri: String,
    },
    /// Its byte range is not within the file.
    Beyond {
        /// The link.
        uri: String,
        /// Length of the file in bytes.
        size: u64,
    },
    /// The index of the media file that it leads to is wrong.
    Index {
        /// The link.
        uri: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It cannot be read.
    Malformed(&'static str),
    /// The file is called like a playlist and is none, for this reason.
    NoPlaylist(&'static str),
    /// With its links the playlist has become too long for whoever would take them back.
    TooLong,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Missing { uri } => write!(f, "there is no file '{uri}'"),
            What::Outside { uri } => write!(f, "'{uri}' leads out of the folder"),
            What::Beyond { uri, size } => {
                write!(
                    f,
                    "the byte range is not within '{uri}', which has {size} bytes"
                )
            }
            What::Index { uri, why } => {
                write!(f, "the segment index (sidx) of '{uri}' is damaged: {why}")
            }
            What::Malformed(what) => f.write_str(what),
            What::NoPlaylist(why) => write!(f, "packed as it is, without range links: {why}"),
            What::TooLong => write!(
                f,
                "more than {} MiB with its range links; a mount will show it as it is stored",
                super::LONGEST >> 20
            ),
        }
    }
}
