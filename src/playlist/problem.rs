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
    /// It cannot be read.
    Malformed(&'static str),
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
            What::Malformed(what) => f.write_str(what),
        }
    }
}
