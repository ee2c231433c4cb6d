//! Why plain bytes cannot be had.

use std::{fmt, io};

use crate::archive::{Encryption, Entry, Method};
use crate::reader;

/// Why an entry cannot be decoded.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// Its stored bytes cannot be read.
    Read(reader::Error),
    /// Its stored bytes are no valid compressed data.
    Damaged {
        /// Offset in the compressed data, near the fault.
        at: u64,
        /// What is wrong.
        what: String,
    },
    /// It has more plain bytes than the directory says.
    TooLong {
        /// The size in the directory.
        size: u64,
    },
    /// It has fewer plain bytes than the directory says.
    TooShort {
        /// The size in the directory.
        size: u64,
        /// The actual size.
        actual: u64,
    },
    /// Its plain bytes do not agree with the CRC-32 in the directory.
    Checksum {
        /// The CRC-32 in the directory.
        listed: u32,
        /// That of the bytes.
        actual: u32,
    },
    /// Its encrypted bytes do not agree with their authentication code.
    Forged,
    /// This method is not supported.
    Unsupported {
        /// The method.
        method: Method,
    },
    /// It is encrypted neither by ZipCrypto nor by WinZip's AES.
    UnsupportedEncryption,
    /// Decoding it takes more memory than is allowed. In bytes.
    TooMuchMemory {
        /// What it takes.
        needs: u64,
        /// What is allowed.
        allowed: u64,
    },
    /// It is encrypted, and no password was given.
    NoPassword,
    /// It is encrypted, and the password is wrong.
    WrongPassword,
    /// Its decrypted bytes are wrong, for this reason or because of a wrong password: ZipCrypto's check accepts one
    /// wrong password in 256.
    DataOrPassword(Box<Error>),
    /// Nobody waits for its bytes any longer.
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

impl From<reader::Error> for Error {
    fn from(error: reader::Error) -> Self {
        Error::Read(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Read(error) => error.fmt(f),
            Error::Damaged { at, what } => {
                write!(f, "its compressed data is damaged near byte {at}: {what}")
            }
            Error::TooLong { size } => write!(
                f,
                "its data has more than the {size} bytes that the central directory lists"
            ),
            Error::TooShort { size, actual } => write!(
                f,
                "its data has {actual} bytes, and the central directory lists {size}"
            ),
            Error::Checksum { listed, actual } => write!(
                f,
                "its data has the CRC-32 {actual:08x}, and the central directory lists {listed:08x}"
            ),
            Error::Forged => {
                f.write_str("its encrypted data does not agree with its authentication code")
            }
            Error::Unsupported { method } => {
                write!(f, "its compression method, {method}, is not supported")
            }
            Error::UnsupportedEncryption => f.write_str(
                "it is encrypted with PKWARE's strong encryption or an unknown one, which is not supported",
            ),
            Error::TooMuchMemory { needs, allowed } => write!(
                f,
                "decoding it takes {needs} bytes of memory, and {allowed} are allowed (--memory)"
            ),
            Error::NoPassword => f.write_str(
                "it is encrypted; give the password with --password-file or AIOZFS_PASSWORD",
            ),
            Error::WrongPassword => f.write_str("the password is wrong"),
            Error::DataOrPassword(why) => write!(
                f,
                "{why}; or the password is wrong: ZipCrypto's check accepts one wrong password in 256"
            ),
            Error::Cancelled => f.write_str("decoding was cancelled"),
        }
    }
}

impl std::error::Error for Error {}
