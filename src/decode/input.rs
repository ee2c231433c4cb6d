//! The stored bytes of an entry as an [`Input`]: from memory, or through the archive's reader.

use std::io::{self, BufRead, Read};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio_util::sync::CancellationToken;

use super::codec::{Input, read_buffered};
use super::error::Error;
use super::shared::Shared;
use super::workers::Turn;
use crate::archive::EntryId;
use crate::reader::Archive;

/// The shortest and the longest read of stored bytes, in bytes. The archive's reader takes long reads for sequential
/// ones, and fetches further ahead of them.
const SHORTEST: u64 = 64 * 1024;
pub(super) const LONGEST: u64 = 512 * 1024;

impl Input for io::Cursor<Vec<u8>> {
    fn position(&self) -> u64 {
        io::Cursor::position(self)
    }
}

/// The stored bytes that a walk expects to need, which bound its read-ahead.
#[derive(Debug, Default)]
pub(super) struct Need {
    /// Up to this offset they are needed.
    needed: AtomicU64,
    /// Read-ahead may go up to this offset.
    limit: AtomicU64,
    /// Offset of the next byte that was not consumed.
    consumed: AtomicU64,
}

impl Need {
    pub(super) fn set(&self, needed: u64, limit: u64) {
        self.needed.store(needed, Relaxed);
        self.limit.store(limit, Relaxed);
    }

    /// Offset of the next byte that was not consumed.
    pub(super) fn consumed(&self) -> u64 {
        self.consumed.load(Relaxed)
    }

    pub(super) fn advance(&self, to: u64) {
        self.consumed.store(to, Relaxed);
    }
}

/// The stored bytes of an entry, through the archive's reader: from its memory, or from the network,
/// while another decoder gets the turn.
pub(super) struct StoredInput {
    archive: Arc<Archive>,
    id: EntryId,
    /// Where the chunk begins, and the entry ends, in the entry's stored bytes.
    at: u64,
    end: u64,
    chunk: Vec<u8>,
    consumed: usize,
    need: Arc<Need>,
    turn: Turn,
    cancelled: CancellationToken,
}

impl StoredInput {
    /// These of the entry's stored bytes.
    pub(super) fn new(
        shared: &Shared,
        id: EntryId,
        range: Range<u64>,
        need: Arc<Need>,
        turn: Turn,
    ) -> Self {
        Self {
            archive: shared.archive.clone(),
            id,
            at: range.start,
            end: range.end,
            chunk: Vec::new(),
            consumed: 0,
            need,
            turn,
            cancelled: shared.closed.clone(),
        }
    }

    fn next_chunk(&mut self) -> Result<(), Error> {
        self.at += self.chunk.len() as u64;
        self.consumed = 0;
        self.chunk.clear();
        let needed = self.need.needed.load(Relaxed).saturating_sub(self.at);
        let len = needed.clamp(SHORTEST, LONGEST).min(self.end - self.at);
        if len == 0 {
            return Ok(());
        }
        let range = self.at..self.at + len;
        let limit = self.need.limit.load(Relaxed).clamp(range.end, self.end);
        let archive = &self.archive;
        if archive.try_read_stored(self.id, &range, limit, &mut self.chunk) {
            return Ok(());
        }
        let read = async {
            tokio::select! {
                biased;
                () = self.cancelled.cancelled() => Err(Error::Cancelled),
                read = archive.read_stored(self.id, range, limit) => Ok(read?),
            }
        };
        self.chunk = self.turn.wait_for(read)?;
        Ok(())
    }
}

impl Read for StoredInput {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, out)
    }
}

impl BufRead for StoredInput {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.consumed == self.chunk.len() {
            self.next_chunk()?;
        }
        Ok(&self.chunk[self.consumed..])
    }

    fn consume(&mut self, count: usize) {
        self.consumed = (self.consumed + count).min(self.chunk.len());
        self.need.advance(self.position());
    }
}

impl Input for StoredInput {
    fn position(&self) -> u64 {
        self.at + self.consumed as u64
    }
}
