//! A walk: one codec on its way through a large entry.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::blocks::BLOCK;
use super::checkpoint::Point;
use super::codec::{self, Codec, Input};
use super::error::Error;
use super::input::{self, Need, StoredInput};
use super::shared::Shared;
use super::workers::Turn;
use crate::archive::{Entry, EntryId};
use crc32fast::Hasher;

/// A walk that has decoded this much knows how well its part of the entry is compressed, in plain bytes.
const KNOWN: u64 = 1 << 20;

/// Stored bytes that are needed beyond the estimate, in bytes: a compressor's blocks differ.
const SLACK: u64 = 32 * 1024;

/// What a walk holds besides the memory of its codec, in bytes: stored bytes that it has read, and a block.
const BESIDES: u64 = input::LONGEST + BLOCK;

/// A codec, its position, and the CRC-32 of all plain bytes before it.
pub(super) struct Walk {
    shared: Arc<Shared>,
    id: EntryId,
    codec: Box<dyn Codec>,
    entry: Entry,
    /// Offset of the next plain byte.
    position: u64,
    crc: Hasher,
    need: Arc<Need>,
    turn: Turn,
    /// Where it began: offsets of plain and stored bytes.
    began: (u64, u64),
    /// How many times the entry's data had been found to be wrong when it began.
    epoch: u64,
}

/// How far a walk is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Goal {
    /// Offset in the plain bytes.
    pub(super) plain: u64,
    /// Whether its reader will probably go on to the end of the entry.
    pub(super) is_sequential: bool,
}

impl Walk {
    /// Begins at a checkpoint, or at the start of the entry. Takes a turn, which the caller gives back.
    pub(super) fn begin(
        shared: Arc<Shared>,
        id: EntryId,
        entry: Entry,
        from: Option<&Point>,
        goal: Goal,
        epoch: u64,
    ) -> Result<Self, Error> {
        let (need, turn) = (Arc::new(Need::default()), shared.workers.turn());
        turn.take();
        let encryption = entry.encryption;
        let before = encryption.map_or(0, |encryption| encryption.overhead().0);
        let began = from.map_or((0, before), |from| {
            let input = from.checkpoint.input.saturating_add(before);
            (from.checkpoint.output, input)
        });
        need.advance(began.1);
        let end = entry.compressed_size;
        if began.1 > end || began.0 > entry.size {
            return Err(Error::damaged(began.1, "its checkpoint is damaged"));
        }
        let crc32 = from.map_or(0, |from| from.crc32);
        let input = StoredInput::new(&shared, id, began.1..end, need.clone(), turn.clone());
        let closed = shared.closed.clone();
        let mut share = (shared.memory).share_of(turn.clone(), closed, BESIDES);
        // Before it reads a header, which tells what the codec needs.
        share.take(0)?;
        expect(&need, &entry, began, began.0, goal);
        let from = from.map(|from| &from.checkpoint);
        let key = shared.keys.get(id);
        let input: Box<dyn Input> = match (encryption, key) {
            (None, _) => Box::new(input),
            (Some(_), Some(key)) => key.input(Box::new(input), from)?,
            (Some(_), None) => return Err(Error::NoPassword),
        };
        Ok(Self {
            shared,
            id,
            codec: codec::open(&entry, input, from, share)?,
            entry,
            position: began.0,
            crc: Hasher::new_with_initial(crc32),
            need,
            turn,
            began,
            epoch,
        })
    }

    /// Offset of the next plain byte.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn turn(&self) -> &Turn {
        &self.turn
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Tells the input how many stored bytes will be needed.
    pub(super) fn expect(&self, goal: Goal) {
        expect(&self.need, &self.entry, self.began, self.position, goal);
    }

    /// Decodes to the end of the present block, or of the entry, into `buffer`. Gives `keep` checkpoints, and the walk's
    /// epoch. The last bytes of an entry are given out only if its size and its CRC-32 are right.
    pub(super) fn fill(
        &mut self,
        buffer: &mut Vec<u8>,
        keep: &dyn Fn(Point, u64),
    ) -> Result<(), Error> {
        let size = self.entry.size;
        let end = size.min((self.position / BLOCK + 1) * BLOCK);
        buffer.resize((end - self.position) as usize, 0);
        let mut filled = 0;
        while filled < buffer.len() {
            let count = self.codec.read(&mut buffer[filled..])?;
            if count == 0 {
                let actual = self.position;
                return Err(Error::TooShort { size, actual });
            }
            self.crc.update(&buffer[filled..filled + count]);
            filled += count;
            self.shared.work.plain.fetch_add(count as u64, Relaxed);
            self.position += count as u64;
            if self.position < size
                && self.shared.points.is_due(self.id, self.position)
                && let Some(checkpoint) = self.codec.checkpoint()
            {
                debug_assert_eq!(checkpoint.output, self.position);
                let crc32 = self.crc.clone().finalize();
                keep(Point { checkpoint, crc32 }, self.epoch);
            }
        }
        if self.position == size {
            self.finish()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Error> {
        let size = self.entry.size;
        if self.codec.read(&mut [0])? != 0 {
            return Err(Error::TooLong { size });
        }
        self.codec.finish()?;
        Error::compare_crc32(self.entry.crc32, self.crc.clone().finalize())
    }
}

/// Tells the input how many stored bytes a walk will need that has come from `began` to `position`.
fn expect(need: &Need, entry: &Entry, began: (u64, u64), position: u64, goal: Goal) {
    let (plain, stored) = (position - began.0, need.consumed() - began.1);
    let (of, from) = if plain >= KNOWN {
        (stored, plain)
    } else {
        (entry.compressed_size, entry.size.max(1))
    };
    let left = goal.plain.saturating_sub(position);
    let estimate = u128::from(left) * u128::from(of) / u128::from(from);
    let estimate = u64::try_from(estimate).unwrap_or(u64::MAX);
    let needed = (need.consumed().saturating_add(estimate)).saturating_add(SLACK);
    let limit = if goal.is_sequential {
        u64::MAX
    } else {
        needed.saturating_add(SLACK)
    };
    need.set(needed, limit);
}
