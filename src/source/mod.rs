//! Where bytes come from.
//!
//! A [`Source`] gives ranges of one immutable blob. Local files, HTTP servers and memory are
//! kinds of it; retrying, proving and caching are decorators: a `Source` over a `Source`. The
//! reader at the top of the stack neither knows nor cares how deep it is.
//!
//! Nothing here trusts the other side: a kind of source either gives exactly the bytes that were
//! asked for, from the first of the range on and in order, or an [`Error`] that says what the
//! server did instead.

mod blocks;
mod error;
mod file;
mod file_at;
mod gate;
mod memory;
mod offline;
mod retry;
pub(crate) mod sync;
pub(crate) mod verdict;

pub use blocks::{Blocks, Proof};
pub use error::{Error, Result};
pub use file::File;
pub use file_at::{FileAt, Stamp};
pub use gate::{Gate, Pass};
pub use memory::Memory;
pub use offline::Offline;
pub use retry::{Backoff, Retry, chance};

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

/// Gives ranges of one immutable blob.
///
/// The contract, which `tests/source_contract.rs` runs against every kind and decorator:
///
/// - [`read`](Source::read) yields the range's bytes in order, without gaps, and then ends; or it
///   yields some of them, then one [`Error`], and ends. It never yields a byte beyond the range.
/// - A chunk may be empty: it says that bytes have come, though they are still on trial.
/// - Dropping the stream cancels the read, including whatever it runs in the background.
/// - A range that is empty yields nothing; one that leaves the blob is [`Error::OutOfBlob`] and is
///   never sent to a server.
/// - All methods may be called at once from many tasks.
pub trait Source: Send + Sync + 'static {
    /// Finds out how long the blob is and, with luck in the same round trip, its last bytes.
    ///
    /// `tail` is how many bytes from the end the caller will want next; a source that can bring
    /// them for nothing does, others leave [`Opened::tail`] empty. Called before any other method;
    /// calling it again is harmless.
    fn open(&self, tail: u64) -> BoxFuture<'_, Result<Opened>>;

    /// Reads `range`, which lies within the blob.
    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream;

    /// The smallest range around `range` that can be proven on its own: whole leaves under
    /// verification, the range itself otherwise. A caller that wants no byte twice asks for
    /// ranges that are their own granule.
    fn verification_unit(&self, range: Range<u64>) -> Range<u64> {
        range
    }

    /// Where a read had better end that is to end at `end` or a little behind it: where a piece ends
    /// that the source has as a whole, so that two reads do not both look for it.
    fn preferred_end(&self, end: u64) -> u64 {
        end
    }

    /// Says that what `origin` gave for `range` was wrong. The source puts that origin aside and
    /// drops the bytes if it keeps them.
    fn reject(&self, origin: &Origin, range: Range<u64>) {
        let _ = (origin, range);
    }

    /// Offers bytes of the blob that have come by another way, and are proven: a source that keeps what
    /// passes keeps them, too.
    fn keep(&self, chunk: &Chunk) {
        let _ = chunk;
    }

    /// What tells this state of the blob from any other that its name may stand for at another
    /// time; known once it was opened. `None` if nothing does, or if its name is enough.
    fn version(&self) -> Option<String> {
        None
    }

    /// Says that up to `reads` reads may be under way soon, those that are now among them. A source
    /// that needs connections for them makes those that lack, in the background. Returns how many
    /// could be under way by now without having to wait for a connection, those that are now among
    /// them; a source that gains nothing from several says 1. Must be called within a tokio runtime.
    fn warm_up(&self, reads: usize) -> usize {
        let _ = reads;
        1
    }

    /// How many bytes before the end of a read another one had better begin, so that its bytes follow
    /// without a pause: its request can be on its way while the last bytes of the first one come, over
    /// the same connection. `None` if each read takes a connection to its end.
    fn early_by(&self) -> Option<u64> {
        None
    }

    /// How many reads under way at once are worth it, as far as is known: more would bring nothing
    /// sooner, or that is being tried out. `None` where as many are as there may be.
    fn at_once(&self) -> Option<usize> {
        None
    }

    /// Says how long the blob is, as is known from elsewhere: a proof, another server. A source
    /// that would learn it from its server then needs no [`open`](Source::open), and takes an
    /// answer that says another size for wrong.
    fn expect_size(&self, size: u64) {
        let _ = size;
    }

    /// How many bytes have come in all, those on trial among them, where they come earlier than they
    /// are given out: whoever measures the link would else see it stand still and leap.
    fn received(&self) -> Option<u64> {
        None
    }

    /// How many bytes have come and not been given out yet, for they are on trial: they are not under
    /// way any more.
    fn unverified(&self) -> u64 {
        0
    }

    /// What went wrong last, not longer than `within` ago: for whoever has waited in vain while
    /// others were asked and asked again, and wants to say why.
    fn trouble(&self, within: Duration) -> Option<Error> {
        let _ = within;
        None
    }
}

/// What [`Source::open`] found.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Length of the blob in bytes.
    pub size: u64,
    /// The end of the blob, if it came along.
    pub tail: Option<Chunk>,
}

/// Consecutive bytes of a blob.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Where in the blob the first byte lies.
    pub offset: u64,
    /// The bytes. May be a slice of a larger buffer: whoever keeps them copies them.
    pub bytes: Bytes,
    /// Who gave them.
    pub origin: Origin,
}

impl Chunk {
    /// The part of the blob that this chunk is.
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.bytes.len() as u64
    }
}

/// The chunks of a read, in order. Dropping it cancels the read.
pub type ChunkStream = BoxStream<'static, Result<Chunk>>;

/// How urgent a read is; where there are not enough connections, demand goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Bytes that may be wanted soon.
    Prefetch,
    /// Somebody waits for these bytes.
    Demand,
}

/// Who gave some bytes: a server or a file, by a name fit for logs (never with credentials).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    name: Arc<str>,
    is_kept: bool,
}

impl Origin {
    /// An origin of this name. The caller has taken all secrets out of it.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            is_kept: false,
        }
    }

    /// What was kept on this machine since it came from elsewhere.
    pub fn kept(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            is_kept: true,
        }
    }

    /// Whether it is what was kept, and nobody was asked.
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
