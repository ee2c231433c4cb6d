//! Why an archive is not in the store.

use crate::stores::RequestError;

/// Why an archive is not in the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum Error {
    /// The store cannot be reached, or refuses.
    #[error(transparent)]
    Store(#[from] RequestError),
    /// The store's answer is not what its protocol says.
    #[error("cannot {doing}: the store's answer is wrong: {what}")]
    Answer { doing: &'static str, what: String },
    #[error("the archive has {got} bytes, and {expected} were announced: it changed meanwhile")]
    Length { expected: u64, got: u64 },
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
