//! Why plain bytes cannot be had.

use std::io;

use crate::archive::{Encryption, Entry, Method};
use crate::reader;

/// Why an entry cannot be decoded.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum Error {
    /// Its stored bytes cannot be read.
    #[error(transparent)]
    Read(#[from] reader::Error),
    /// Its stored bytes are no valid compressed data.
    #[error("its compressed data is damaged near byte {at}: {what}")]
    Damaged {
        /// Offset in the compressed data, near the fault.
        at: u64,
        what: String,
    },
    #[error("its data has more than the {size} bytes that the central directory lists")]
    TooLong { size: u64 },
    #[error("its data has {actual} bytes, and the central directory lists {size}")]
    TooShort { size: u64, actual: u64 },
    #[error("its data has the CRC-32 {actual:08x}, and the central directory lists {listed:08x}")]
    Checksum { listed: u32, actual: u32 },
    #[error("its encrypted data does not agree with its authentication code")]
    Forged,
    #[error("its compression method, {method}, is not supported")]
    Unsupported { method: Method },
    /// It is encrypted neither by ZipCrypto nor by WinZip's AES.
    #[error(
        "it is encrypted with PKWARE's strong encryption or an unknown one, which is not supported"
    )]
    UnsupportedEncryption,
    #[error("decoding it takes {needs} bytes of memory, and {allowed} are allowed (--memory)")]
    TooMuchMemory { needs: u64, allowed: u64 },
    /// It is encrypted, and no password was given.
    #[error("it is encrypted; give the password with --password-file or AIOZFS_PASSWORD")]
    NoPassword,
    #[error("the password is wrong")]
    WrongPassword,
    /// Its decrypted bytes are wrong, for this reason or because of a wrong password.
    #[error("{0}; or the password is wrong: ZipCrypto's check accepts one wrong password in 256")]
    DataOrPassword(Box<Error>),
    /// Nobody waits for its bytes any longer.
    #[error("decoding was cancelled")]
    Cancelled,
}

impl Error {
    pub(super) fn damaged(at: u64, what: impl Into<String>) -> Self {
        let what = what.into();
        Error::Damaged { at, what }
    }

    /// Compares the CRC-32 of the plain bytes with the one in the directory, which may be none.
    pub(super) fn compare_crc32(listed: Option<u32>, actual: u32) -> Result<(), Self> {
        match listed {
            Some(listed) if listed != actual => Err(Error::Checksum { listed, actual }),
            _ => Ok(()),
        }
    }

    /// The error behind the `io::Error` of an [`Input`](super::Input) or of a library that reads one: the
    /// input's own, or a fault of the data near offset `at` of the compressed data.
    pub fn of_io(error: io::Error, at: u64) -> Self {
        let what = error.to_string();
        let inner = error.into_inner();
        match inner.and_then(|inner| inner.downcast::<Error>().ok()) {
            Some(own) => *own,
            None => Error::Damaged { at, what },
        }
    }

    /// The same error, with the doubt about the password if `entry` leaves any.
    pub fn of_entry(self, entry: &Entry) -> Self {
        match entry.encryption {
            Some(Encryption::ZipCrypto { .. }) if self.is_of_data() => {
                Error::DataOrPassword(Box::new(self))
            }
            _ => self,
        }
    }

    /// Whether the data is at fault: other data might be right.
    pub(super) fn is_of_data(&self) -> bool {
        match self {
            Error::Damaged { .. } | Error::TooShort { .. } => true,
            Error::Read(_)
            | Error::Unsupported { .. }
            | Error::UnsupportedEncryption
            | Error::TooMuchMemory { .. }
            | Error::NoPassword
            | Error::WrongPassword
            | Error::DataOrPassword(_)
            | Error::Cancelled => false,
            whole => whole.is_of_whole(),
        }
    }

    /// Whether no byte of the content can be trusted.
    pub(super) fn is_of_whole(&self) -> bool {
        matches!(
            self,
            Error::TooLong { .. } | Error::Checksum { .. } | Error::Forged
        )
    }

    /// The error of a decoder that panicked.
    pub(super) fn panicked() -> Self {
        Error::damaged(0, "the decoder panicked")
    }
}
