//! What a decoder is: stored bytes in, plain bytes out, and places to restart.
//!
//! Decoders are pulled. They run on threads that may block, so an [`Input`] may wait for a network.

use std::io::{self, BufRead};

pub use super::checkpoint::Checkpoint;
use super::codecs;
use super::error::Error;
use crate::archive::{Encryption, Entry, Method};

/// The compressed bytes of an entry, in order. Decryption is an input over an input, so a codec sees only
/// compressed bytes.
///
/// An input gives its own errors as [`io::Error`]s made from an [`Error`]; [`Error::of_io`] finds them
/// again behind the `io::Error` of a library.
pub trait Input: BufRead + Send {
    /// Offset of the next byte that was not consumed, from the beginning of the compressed data: without
    /// an encryption header.
    fn position(&self) -> u64;

    /// What the decryption needs to go on at [`position`](Self::position); empty if the position is
    /// enough.
    fn state(&self) -> Vec<u8> {
        Vec::new()
    }
}

/// How an entry is compressed, as the directory tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coding {
    /// The compression method.
    pub method: Method,
    /// The general purpose flags (APPNOTE 6.3.10, section 4.4.4), which some methods need.
    pub flags: u16,
    /// Length of the plain data in bytes.
    pub size: u64,
    /// Length of the stored data in bytes, with what encryption adds.
    pub compressed_size: u64,
    /// The most memory that decoding may take, in bytes: a codec that needs more for its dictionary fails
    /// with [`Error::TooMuchMemory`]. No dictionary needs to be longer than the plain data.
    pub memory: u64,
}

impl Coding {
    /// That of an entry, which may take this much memory to decode, in bytes.
    pub fn of(entry: &Entry, memory: u64) -> Self {
        Self {
            method: entry.method,
            flags: entry.flags,
            size: entry.size,
            compressed_size: entry.compressed_size,
            memory,
        }
    }
}

/// A decoder of one entry.
pub trait Codec: Send {
    /// Decodes the next plain bytes into `out`, which is not empty, and returns how many; 0 at the end of
    /// the data. It need not fill `out`. It need not compare sizes or checksums that the directory has:
    /// its caller does that.
    fn read(&mut self, out: &mut [u8]) -> Result<usize, Error>;

    /// A place to restart exactly after the bytes that [`read`](Self::read) has returned. `None` if there
    /// is none here. A codec that finds one further on then ends a read there, and its caller asks again
    /// after each read.
    fn checkpoint(&mut self) -> Option<Checkpoint> {
        None
    }

    /// Memory that it holds, in bytes.
    fn memory(&self) -> u64 {
        64 * 1024
    }
}

/// Starts decoding at the beginning, or at a checkpoint that a codec of the same entry has made. `input`
/// begins at [`Checkpoint::input`]. A checkpoint may come from a damaged file: it must be an error, or
/// give wrong bytes, and nothing worse.
pub fn open(
    coding: &Coding,
    input: Box<dyn Input>,
    from: Option<&Checkpoint>,
) -> Result<Box<dyn Codec>, Error> {
    match coding.method {
        Method::Stored => Ok(Box::new(codecs::stored::Stored::new(input, from))),
        Method::Deflated => Ok(Box::new(codecs::deflate::Deflate::new(input, from)?)),
        Method::Deflated64 => Ok(Box::new(codecs::deflate64::Deflate64::new(input, from)?)),
        Method::Bzip2 => Ok(Box::new(codecs::bzip2::Bzip2::new(input, from)?)),
        Method::Zstd => Ok(Box::new(codecs::zstd::Zstd::new(coding, input, from)?)),
        // These have no checkpoints.
        method if from.is_some() => Err(Error::Unsupported { method }),
        Method::Lzma => codecs::lzma::open(coding, input),
        Method::Xz => codecs::xz::open(coding, input),
        Method::Ppmd => codecs::ppmd::open(coding, input),
        method => Err(Error::Unsupported { method }),
    }
}

/// Whether entries of this kind can be decoded.
///
/// # Errors
/// The reason, if they cannot.
pub fn check(entry: &Entry) -> Result<(), Error> {
    let method = entry.method;
    if entry.encryption == Some(Encryption::Unknown) {
        return Err(Error::unknown_encryption());
    }
    if is_supported(method) {
        Ok(())
    } else {
        Err(Error::Unsupported { method })
    }
}

/// Whether entries of this method can be decoded.
pub fn is_supported(method: Method) -> bool {
    use Method as M;
    match method {
        M::Stored
        | M::Deflated
        | M::Deflated64
        | M::Bzip2
        | M::Lzma
        | M::Zstd
        | M::Xz
        | M::Ppmd
        | M::Sparse => true,
        M::Shrunk | M::Reduced(_) | M::Imploded | M::Other(_) => false,
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        io::Error::other(error)
    }
}
