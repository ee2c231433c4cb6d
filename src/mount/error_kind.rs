//! One word for the kind of a failure, for statistics.
//!
//! The matches have no `_` arm: a new error does not compile until it has a word here. The words are
//! documented in `doc/MONITORING.md`.

use crate::volume::FileError;
use crate::{decode, reader};

/// The kind of a failed request of a program; `None` if the failure is the right answer, as for a name that
/// does not exist.
pub(super) fn of(error: &FileError) -> Option<&'static str> {
    match error {
        FileError::NotFound | FileError::IsDirectory | FileError::NotALink => None,
        FileError::Link(_) => Some("link"),
        FileError::Playlist { .. } => Some("archive"),
        FileError::Read(error) => Some(of_read(error)),
        FileError::Decode(error) => Some(of_decode(error)),
    }
}

fn of_read(error: &reader::Error) -> &'static str {
    match error {
        reader::Error::Source(error) => error.kind(),
        reader::Error::Archive(_) => "archive",
        reader::Error::Deadline { .. } => "deadline",
        reader::Error::Checksum { .. } | reader::Error::Outdated { .. } => "checksum",
        reader::Error::Closed => "closed",
    }
}

fn of_decode(error: &decode::Error) -> &'static str {
    use decode::Error as E;
    match error {
        E::Read(error) => of_read(error),
        E::Damaged { .. } | E::TooLong { .. } | E::TooShort { .. } => "archive",
        E::Checksum { .. } | E::Forged => "checksum",
        E::Unsupported { .. } | E::UnsupportedEncryption => "unsupported",
        E::TooMuchMemory { .. } => "memory",
        E::NoPassword | E::WrongPassword | E::DataOrPassword(_) => "password",
        E::Cancelled => "closed",
    }
}
