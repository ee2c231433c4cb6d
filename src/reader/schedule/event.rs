//! What the scheduler and its executor tell each other.

use std::ops::Range;

use super::draft::Draft;
use super::reads::{ReadId, Wake};
use super::requests::RequestId;
use super::stream::StreamId;
use crate::reader::block::Blocks;
use crate::reader::error::Error;
use crate::source::Priority;

/// What the executor must do.
#[derive(Debug)]
pub(crate) enum Action {
    Start(Request),
    Cancel(RequestId),
    Wake(ReadId, Wake),
    /// Make this call with the scheduler unlocked.
    Call(SourceCall),
}

/// A call to the source.
#[derive(Debug)]
pub(crate) enum SourceCall {
    /// Have connections made for this many requests.
    Connect(usize),
    /// Align a draft, and pass it to [`aligned`](super::Scheduler::aligned).
    Align(Draft),
}

/// A request to start. The executor puts its bytes into the blocks.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) id: RequestId,
    pub(crate) range: Range<u64>,
    pub(crate) priority: Priority,
    pub(crate) blocks: Blocks,
}

/// A read, from its first attempt to its last.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) range: Range<u64>,
    /// The verification units that the range touches.
    pub(crate) unit: Range<u64>,
    /// The end of the file that is read.
    pub(crate) limit: u64,
    /// Set by the first attempt that could begin: the stream counts a read once.
    pub(crate) stream: Option<StreamId>,
}

/// How far a read has come.
#[derive(Debug)]
pub(crate) enum Progress {
    /// All bytes are in these blocks.
    Ready(Blocks),
    /// [`Action::Wake`] will tell when they are.
    Waiting(ReadId, Blocks),
    /// Repeat the read with a grant for this many buffers.
    NeedsMemory(usize),
    Failed(Error),
}
