//! What can be wrong with the names of a library, and why an archive of it is not open.

use thiserror::Error;

use crate::volume::OpenError;

/// What is wrong with a name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum NameError {
    #[error("'{name}' cannot be the name of an archive: {why}")]
    Bad { name: String, why: &'static str },
    #[error("two archives have the name '{0}'")]
    Twice(String),
    #[error("'{name}' would be inside the archive '{archive}'; give one of them another name")]
    Below { name: String, archive: String },
}

/// Why there is no list of the archives of a library. The texts are for people.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ListError {
    /// What the user wrote is wrong: a line of the list, or the names in it.
    #[error("{0}")]
    Wrong(String),
    /// A file cannot be read, or a server does not answer.
    #[error("{0}")]
    Unreadable(String),
}

impl From<NameError> for ListError {
    fn from(error: NameError) -> Self {
        ListError::Wrong(error.to_string())
    }
}

/// Why an archive of a library is not open.
#[derive(Debug, Clone, PartialEq, Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum Unopened {
    #[error("{0}")]
    Open(Box<OpenError>),
    /// The options do not fit it.
    #[error("{0}")]
    Setup(String),
    /// It is a directory, which was added to the library.
    #[error("it is a directory")]
    Directory,
    /// It was opened before, and is another archive now. It has new inode numbers.
    #[error("it has changed since it was opened before")]
    Changed,
    #[error("it has more than 268 million names; mount it alone, without a library")]
    TooManyNames,
    /// The list does not name it any longer, or the mount ends.
    #[error("it is no longer in the library")]
    Gone,
}

impl From<OpenError> for Unopened {
    fn from(error: OpenError) -> Self {
        Unopened::Open(Box::new(error))
    }
}
