//! What a decoder is: stored bytes in, plain bytes out, and places to restart.
//!
//! Decoders are pulled. They run on threads that may block, so an [`Input`] may wait for a network.

use std::io::{self, BufRead};

pub use super::checkpoint::{Checkpoint, Decryption};
use super::codecs;
use super::error::Error;
use super::memory::Share;
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

    /// What the decryption needs to go on at [`position`](Self::position).
    fn state(&self) -> Decryption {
        Decryption::None
    }

    /// The bytes of the buffer, which is filled if it is empty; none at the end.
    fn buffered(&mut self) -> Result<&[u8], Error> {
        let at = self.position();
        self.fill_buf().map_err(|e| Error::of_io(e, at))
    }

    /// Fills a buffer.
    fn fill(&mut self, out: &mut [u8]) -> Result<(), Error> {
        let at = self.position();
        self.read_exact(out).map_err(|e| Error::of_io(e, at))
    }

    /// The checkpoint here of a codec that has given `output` bytes and has this state.
    fn checkpoint(&self, output: u64, state: Vec<u8>) -> Checkpoint {
        Checkpoint {
            output,
            input: self.position(),
            state,
            decryption: self.state(),
        }
    }

    /// The error of data that is damaged here.
    fn damaged(&self, what: &str) -> Error {
        Error::damaged(self.position(), what)
    }

    /// Compares what authenticates the data, after a codec has found the end of its own data. Reads what is left of
    /// the data if the comparison needs it.
    ///
    /// # Errors
    /// [`Error::Forged`], or why the rest cannot be read.
    fn finish(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// A decoder of one entry.
pub trait Codec: Send {
    /// Decodes the next plain bytes into `out`, which is not empty, and returns how many; 0 at the end of
    /// the data. It need not fill `out`. It need not compare sizes or checksums that the directory has:
    /// its caller does that.
    fn read(&mut self, out: &mut [u8]) -> Result<usize, Error>;

    /// Must be called after [`read`](Self::read) has returned 0: [finishes](Input::finish) the input.
    fn finish(&mut self) -> Result<(), Error>;

    /// A place to restart exactly after the bytes that [`read`](Self::read) has returned. `None` if there
    /// is none here. A codec that finds one further on then ends a read there, and its caller asks again
    /// after each read.
    fn checkpoint(&mut self) -> Option<Checkpoint> {
        None
    }
}

/// Starts decoding at the beginning, or at a checkpoint that a codec of the same entry has made. `input`
/// begins at [`Checkpoint::input`]. A checkpoint may come from a damaged file: it must be an error, or
/// give wrong bytes, and nothing worse. The codec counts its memory in `share`, here or when it meets a header; no
/// dictionary needs to be longer than the plain data.
///
/// # Errors
/// Those of the data so far, and of [`Share::take`].
pub fn open(
    entry: &Entry,
    input: Box<dyn Input>,
    from: Option<&Checkpoint>,
    share: Share,
) -> Result<Box<dyn Codec>, Error> {
    use codecs::{bzip2, deflate, deflate64, lzma, ppmd, stored, xz, zstd};
    match entry.method {
        Method::Stored => Ok(Box::new(stored::Stored::new(input, from))),
        Method::Deflated => Ok(Box::new(deflate::Deflate::new(input, from, share)?)),
        Method::Deflated64 => Ok(Box::new(deflate64::Deflate64::new(input, from, share)?)),
        Method::Bzip2 => Ok(Box::new(bzip2::Bzip2::new(input, from, share)?)),
        Method::Zstd => Ok(Box::new(zstd::Zstd::new(entry, input, from, share))),
        Method::Xz => xz::open(entry, input, from, share),
        // These have no checkpoints.
        method if from.is_some() => Err(Error::Unsupported { method }),
        Method::Lzma => lzma::open(entry, input, share),
        Method::Ppmd => ppmd::open(entry, input, share),
        method => Err(Error::Unsupported { method }),
    }
}

/// Reads from the buffer of an [`Input`]: its [`Read::read`](io::Read::read).
pub fn read_buffered(input: &mut (impl BufRead + ?Sized), out: &mut [u8]) -> io::Result<usize> {
    let bytes = input.fill_buf()?;
    let count = bytes.len().min(out.len());
    out[..count].copy_from_slice(&bytes[..count]);
    input.consume(count);
    Ok(count)
}

/// Whether entries of this kind can be decoded.
///
/// # Errors
/// The reason, if they cannot.
pub fn check(entry: &Entry) -> Result<(), Error> {
    let method = entry.method;
    if entry.encryption == Some(Encryption::Unknown) {
        return Err(Error::UnsupportedEncryption);
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
