//! Why an archive is not in the store.

use std::fmt;

use crate::stores::RequestError;

/// Why an archive is not in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The store cannot be reached, or refuses.
    Store(RequestError),
    /// The store's answer is not what its protocol says.
    Answer {
        /// What was asked of it.
        doing: &'static str,
        /// What is wrong.
        what: String,
    },
    /// The archive came to another number of bytes than was announced.
    Length {
        /// What was announced.
        expected: u64,
        /// What came.
        got: u64,
    },
}

impl Error {
    /// Whether there is no such object.
    pub(super) fn is_not_found(&self) -> bool {
        let is_bucket = matches!(self, Error::Store(error) if error.code == "NoSuchBucket");
        self.status() == Some(404) && !is_bucket
    }

    /// The HTTP status of a refusal.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Error::Store(error) => error.status(),
            _ => None,
        }
    }

    /// Whether a condition on the object was not met: 412, or 409 if another write was under way.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self.status(), Some(409 | 412))
    }

    /// Whether the upload does not exist any more: it was completed or given up by somebody.
    pub(super) fn is_no_such_upload(&self) -> bool {
        matches!(self, Error::Store(error) if error.code == "NoSuchUpload")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Store(error) => error.fmt(f),
            Error::Answer { doing, what } => {
                write!(f, "cannot {doing}: the store's answer is wrong: {what}")
            }
            Error::Length { expected, got } => write!(
                f,
                "the archive has {got} bytes, and {expected} were announced: it changed meanwhile"
            ),
        }
    }
}

impl std::error::Error for Error {}

impl From<RequestError> for Error {
    fn from(error: RequestError) -> Self {
        Error::Store(error)
    }
}
