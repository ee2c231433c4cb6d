//! What can be wrong with the names of a library, and why an archive of it is not open.

use std::fmt;

use crate::volume::OpenError;

/// What is wrong with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameError {
    /// No directory can have this name.
    Bad {
        /// The name.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// Two archives have this name.
    Twice(String),
    /// The name of one archive is a directory above another one.
    Below {
        /// The name of the other one.
        name: String,
        /// The first archive.
        archive: String,
    },
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Bad { name, why } => {
                write!(f, "'{name}' cannot be the name of an archive: {why}")
            }
            NameError::Twice(name) => write!(f, "two archives have the name '{name}'"),
            NameError::Below { name, archive } => write!(
                f,
                "'{name}' would be inside the archive '{archive}'; give one of them another name"
            ),
        }
    }
}

impl std::error::Error for NameError {}

/// Why there is no list of the archives of a library. The texts are for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListError {
    /// What the user wrote is wrong: a line of the list, or the names in it.
    Wrong(String),
    /// A file cannot be read, or a server does not answer.
    Unreadable(String),
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListError::Wrong(why) | ListError::Unreadable(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ListError {}

impl From<NameError> for ListError {
    fn from(error: NameError) -> Self {
        ListError::Wrong(error.to_string())
    }
}

/// Why an archive of a library is not open.
#[derive(Debug, Clone, PartialEq)]
pub enum Unopened {
    /// It cannot be opened.
    Open(Box<OpenError>),
    /// The options do not fit it.
    Setup(String),
    /// It is a directory, which was added to the library.
    Directory,
    /// It was opened before, and is another archive now. It has new inode numbers.
    Changed,
    /// It has more names than an archive of a library can have.
    TooManyNames,
    /// The list does not name it any longer, or the mount ends.
    Gone,
}

impl fmt::Display for Unopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unopened::Open(error) => error.fmt(f),
            Unopened::Setup(why) => f.write_str(why),
            Unopened::Directory => f.write_str("it is a directory"),
            Unopened::Changed => f.write_str("it has changed since it was opened before"),
            Unopened::TooManyNames => {
                f.write_str("it has more than 268 million names; mount it alone, without a library")
            }
            Unopened::Gone => f.write_str("it is no longer in the library"),
        }
    }
}

impl std::error::Error for Unopened {}

impl From<OpenError> for Unopened {
    fn from(error: OpenError) -> Self {
        Unopened::Open(Box::new(error))
    }
}
