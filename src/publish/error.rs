//! Why an archive is not in the store.

use std::fmt;

use crate::source;

/// Why an archive is not in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The store cannot be reached, or refuses.
    Store {
        /// What was asked of it.
        doing: &'static str,
        /// Why that failed.
        error: source::Error,
        /// The store's code, such as `NoSuchUpload`; empty without one.
        code: String,
    },
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
        let is_bucket = matches!(self, Error::Store { code, .. } if code == "NoSuchBucket");
        self.status() == Some(404) && !is_bucket
    }

    /// The HTTP status of a refusal.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Error::Store {
                error: source::Error::Refused { status, .. },
                ..
            } => Some(*status),
            _ => None,
        }
    }

    /// Whether the upload does not exist any more: it was completed or given up by somebody.
    pub(super) fn is_no_such_upload(&self) -> bool {
        matches!(self, Error::Store { code, .. } if code == "NoSuchUpload")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Store { doing, error, .. } => write!(f, "cannot {doing}: {error}"),
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
