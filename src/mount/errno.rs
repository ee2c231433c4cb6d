//! The errno of each error.
//!
//! The matches have no `_` arm: a new error does not compile until it has an errno here.

use std::io::ErrorKind;

use fuser::Errno;

use crate::content::PathError;
use crate::library::Unopened;
use crate::volume::OpenError;
use crate::{archive, decode, reader, source};

/// The errno of a failed read.
pub(super) fn of_read(error: &reader::Error) -> Errno {
    match error {
        reader::Error::Source(error) => of_source(error),
        reader::Error::Archive(error) => of_archive(error),
        reader::Error::Deadline { .. }
        | reader::Error::Checksum { .. }
        | reader::Error::Outdated { .. } => Errno::EIO,
        reader::Error::Closed => Errno::ENODEV,
    }
}

/// The errno of an entry that cannot be decoded.
pub(super) fn of_decode(error: &decode::Error) -> Errno {
    use decode::Error as E;
    match error {
        E::Read(error) => of_read(error),
        E::Damaged { .. }
        | E::TooLong { .. }
        | E::TooShort { .. }
        | E::Checksum { .. }
        | E::Forged
        | E::DataOrPassword(_)
        | E::Cancelled => Errno::EIO,
        // The archive is valid, but this filesystem does not support the entry.
        E::Unsupported { .. } | E::UnsupportedEncryption => Errno::EOPNOTSUPP,
        E::TooMuchMemory { .. } => Errno::ENOMEM,
        E::NoPassword | E::WrongPassword => Errno::EACCES,
    }
}

fn of_archive(error: &archive::Error) -> Errno {
    use archive::Error as E;
    match error {
        // The archive is valid, but this filesystem does not support the entry.
        E::Compressed { .. } | E::Encrypted { .. } => Errno::EOPNOTSUPP,
        E::NotAnArchive { .. }
        | E::NoEnd { .. }
        | E::CompressedAsWhole { .. }
        | E::Split
        | E::Damaged { .. }
        | E::TooManyEntries
        | E::BadEntry { .. } => Errno::EIO,
    }
}

fn of_source(error: &source::Error) -> Errno {
    use source::Error as E;
    match error {
        E::Unreachable { .. }
        | E::Untrusted { .. }
        | E::Timeout { .. }
        | E::Cut { .. }
        | E::Status { .. }
        | E::Refused { .. }
        | E::NotFound { .. }
        | E::NoRanges { .. }
        | E::NoRawBlocks { .. }
        | E::Encoded { .. }
        | E::BadAnswer { .. }
        | E::Forged { .. }
        | E::OutOfBlob { .. }
        | E::Unsupported { .. } => Errno::EIO,
        // Found when the source is opened, not by a read.
        E::Misconfigured { .. } => Errno::EINVAL,
        E::NoNetwork { .. } | E::Offline => Errno::ENETUNREACH,
        E::Changed { .. } => Errno::ESTALE,
        E::Io { kind, .. } => match kind {
            ErrorKind::PermissionDenied => Errno::EACCES,
            _ => Errno::EIO,
        },
    }
}

/// The errno of an archive of a library that cannot be opened. It is that of every file in it.
pub(super) fn of_unopened(error: &Unopened) -> Errno {
    match error {
        Unopened::Open(error) => of_open(error),
        Unopened::Setup(_) => Errno::EINVAL,
        Unopened::Directory => Errno::EISDIR,
        // Its name leads to the new one.
        Unopened::Changed => Errno::ESTALE,
        Unopened::TooManyNames => Errno::EFBIG,
        Unopened::Gone => Errno::ENODEV,
    }
}

fn of_open(error: &OpenError) -> Errno {
    match error {
        OpenError::NotVerifiable(_) => Errno::EINVAL,
        OpenError::Unusable(error) | OpenError::Path(PathError::Blocks(error)) => of_server(error),
        OpenError::Path(
            PathError::NotFound { .. }
            | PathError::NotADirectory { .. }
            | PathError::Symlink { .. },
        ) => Errno::ENOENT,
        OpenError::Name { .. } | OpenError::Directory(_) | OpenError::Index(..) => Errno::EIO,
        OpenError::Read(error) => match error {
            reader::Error::Source(error) => of_server(error),
            reader::Error::Deadline { .. } => Errno::ETIMEDOUT,
            error => of_read(error),
        },
    }
}

/// The errno of a server that does not give an archive. Unlike a failed read of a file, this may be told
/// apart: the archive is not there, or not allowed.
fn of_server(error: &source::Error) -> Errno {
    use source::Error as E;
    match error {
        E::NotFound { .. } => Errno::ENOENT,
        E::Timeout { .. } => Errno::ETIMEDOUT,
        E::Refused { status, .. } | E::Status { status, .. } => match status {
            401 | 403 | 407 => Errno::EACCES,
            _ => Errno::EIO,
        },
        E::Unreachable { .. }
        | E::Untrusted { .. }
        | E::Cut { .. }
        | E::NoRanges { .. }
        | E::NoRawBlocks { .. }
        | E::Encoded { .. }
        | E::BadAnswer { .. }
        | E::Forged { .. }
        | E::OutOfBlob { .. }
        | E::Unsupported { .. } => Errno::EIO,
        E::NoNetwork { .. }
        | E::Offline
        | E::Changed { .. }
        | E::Io { .. }
        | E::Misconfigured { .. } => of_source(error),
    }
}
