//! Where bytes come from.
//!
//! A [`Source`] gives ranges of one immutable blob. Local files, HTTP servers and memory are kinds of
//! sources. Decorators retry, verify and cache: each is a `Source` over another. The reader at the top of the
//! stack does not know how deep it is.
//!
//! No source trusts the other side. It gives exactly the bytes of a range, in order, or an [`Error`] that
//! says what the server did instead.

mod blocks;
mod error;
mod file;
mod file_at;
mod gate;
mod hints;
mod memory;
mod offline;
mod retry;
mod stamp;
pub(crate) mod sync;
mod urgency;
pub(crate) mod verdict;

pub use blocks::{BlockCheck, Blocks};
pub(crate) use error::bytes;
pub use error::{Error, Result};
pub use file::File;
pub use file_at::FileAt;
pub use gate::{Gate, Pass};
pub use hints::{Hints, Trouble};
pub use memory::Memory;
pub use offline::Offline;
pub use retry::{Backoff, OPEN_PATIENCE, Retry};
pub use stamp::Stamp;
pub use urgency::Urgency;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, ready};
use futures_util::stream::{self, BoxStream, StreamExt};

/// Gives ranges of one immutable blob.
///
/// A decorator names the source that it decorates as [`inner`](Source::inner), and writes only the methods in
/// which it differs. All others pass the call on.
///
/// The contract, which `tests/suite/http/source_contract.rs` runs against every kind and decorator:
///
/// - [`read`](Source::read) yields the range's bytes in order, without gaps, and then ends; or it
///   yields some of them, then one [`Error`], and ends. It never yields a byte beyond the range.
/// - A chunk may be empty: it says that bytes have come, but are not verified yet.
/// - Dropping the stream cancels the read and all its background work.
/// - An empty range yields nothing. A range that leaves the blob is [`Error::OutOfBlob`] and is never sent to
///   a server.
/// - Many tasks may call all methods at once.
pub trait Source: Send + Sync + 'static {
    /// The source that this one decorates; `None` if it has the bytes itself. If it chooses among several
    /// sources, the one that it would read from now.
    fn inner(&self) -> Option<&dyn Source>;

    /// Finds out the blob's size and, if that takes no further round trip, its last `tail` bytes.
    ///
    /// The caller wants these bytes next. A source that cannot bring them at no cost leaves [`Opened::tail`]
    /// empty. Called before any other method; may be called again.
    fn open(&self, tail: u64) -> BoxFuture<'_, Result<Opened>>;

    /// Reads `range`, which lies within the blob.
    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream;

    /// Says that the bytes of `range` from `origin` were wrong. The source stops using that origin for a
    /// while, and drops the bytes if it stores them.
    fn reject(&self, origin: &Origin, range: Range<u64>) {
        if let Some(inner) = self.inner() {
            inner.reject(origin, range);
        }
    }

    /// The smallest range around `range` that can be verified on its own: whole leaves of the hash tree if the
    /// source verifies, else the range itself. A caller that asks for whole verification units gets no byte
    /// twice.
    fn verification_unit(&self, range: Range<u64>) -> Range<u64> {
        match self.inner() {
            Some(inner) => inner.verification_unit(range),
            None => range,
        }
    }

    /// Identifies this state of the blob among all that its name may ever stand for. Known after the blob was
    /// opened. `None` if nothing identifies it, or if the name does.
    fn version(&self) -> Option<String> {
        self.inner()?.version()
    }

    /// For how long after it was opened the blob need not be opened again to learn its version, as its server says
    /// (RFC 9111, section 4.2). Zero if nothing says so.
    fn fresh_for(&self) -> Duration {
        self.inner().map(Source::fresh_for).unwrap_or_default()
    }

    /// What is known now about how this source is best used. Cheap: a reader asks at each event.
    fn hints(&self) -> Hints {
        self.inner().map(Source::hints).unwrap_or_default()
    }

    /// Tells what the caller knows about the blob from elsewhere.
    fn learn(&self, fact: Fact<'_>) {
        if let Some(inner) = self.inner() {
            inner.learn(fact);
        }
    }

    /// Announces up to `reads` concurrent reads, including those under way. The source makes the missing
    /// connections in the background. Returns how many reads could run now without waiting for a
    /// connection, including those under way; 1 if the source does not gain from concurrent reads. Must be
    /// called within a tokio runtime.
    fn warm_up(&self, reads: usize) -> usize {
        self.inner().map_or(1, |inner| inner.warm_up(reads))
    }
}

/// What a caller knows about a blob from elsewhere.
#[derive(Debug, Clone, Copy)]
pub enum Fact<'a> {
    /// Its size in bytes, from a hash tree or another server. The source then needs no
    /// [`open`](Source::open), and rejects answers with another size.
    Size(u64),
    /// Its version and its size in bytes, as they were when it was opened before. The source then needs no
    /// [`open`](Source::open). If what it gets is of another version, the read fails with [`Error::Changed`].
    Version(&'a str, u64),
    /// Verified bytes of it. A source that stores bytes stores these, too.
    Bytes(&'a Chunk),
    /// Servers refuse its ranges for good, and the caller has raw blocks instead. For `pause`, a range that only
    /// a server could give fails at once with `error`, so that a server gets one request for a leaf and not two.
    NoRanges {
        /// The refusal.
        error: &'a Error,
        /// Then servers are asked again: they may have been upgraded.
        pause: Duration,
    },
}

/// What [`Source::open`] found.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The blob's size in bytes.
    pub size: u64,
    /// The end of the blob, if it came with the size.
    pub tail: Option<Chunk>,
}

/// Consecutive bytes of a blob.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// The offset of the first byte in the blob.
    pub offset: u64,
    /// The bytes. They may be a slice of a larger buffer, so copy them to keep them for long.
    pub bytes: Bytes,
    /// The server or file that gave them.
    pub origin: Origin,
}

impl Chunk {
    /// The range of the blob that the chunk covers.
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.bytes.len() as u64
    }
}

/// The chunks of a read, in order. Dropping it cancels the read.
pub type ChunkStream = BoxStream<'static, Result<Chunk>>;

/// The answer to a read of `range` that needs no bytes: an error if the range leaves the blob, nothing if it is
/// empty. `None` for all other ranges. `size` is that of the blob, if it is known.
pub(crate) fn answer_without_bytes(range: &Range<u64>, size: Option<u64>) -> Option<ChunkStream> {
    match size {
        Some(size) if range.start > range.end || range.end > size => {
            let range = range.clone();
            Some(stream::once(ready(Err(Error::OutOfBlob { range, size }))).boxed())
        }
        _ => range.is_empty().then(|| stream::empty().boxed()),
    }
}

/// How urgent a read is. If connections are scarce, demand goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Read-ahead: the bytes may be needed soon.
    Prefetch,
    /// A program waits for the bytes.
    Demand,
}

/// The server or file that gave some bytes. The name is fit for logs: it never has credentials.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    name: Arc<str>,
    is_kept: bool,
}

impl Origin {
    /// An origin of this name, which must not contain secrets.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            is_kept: false,
        }
    }

    /// An origin for bytes that were stored on this machine earlier.
    pub fn kept(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            is_kept: true,
        }
    }

    /// Whether the bytes were stored on this machine, so that no server was asked.
    pub fn is_kept(&self) -> bool {
        self.is_kept
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
