//! A walk: one codec on its way through a large entry.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::blocks::BLOCK;
use super::checkpoint::Point;
use super::codec::{self, Codec, Coding, Input};
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
    codec: Box<dyn Codec>,
    coding: Coding,
    /// Offset of the next plain byte.
    position: u64,
    crc: Hasher,
    /// `None` if the directory has none.
    crc32: Option<u32>,
    need: Arc<Need>,
    turn: Turn,
    /// Where it began: offsets of plain and stored bytes.
    began: (u64, u64),
    /// How many times the entry's data had been found to be wrong when it began.
    epoch: u64,
}

/// The entry that a walk goes through, and what it shares with others.
pub(super) struct Surroundings<'a> {
    pub(super) shared: &'a Shared,
    pub(super) id: EntryId,
    pub(super) entry: &'a Entry,
    pub(super) coding: Coding,
    pub(super) keeps: &'a dyn KeepsPoints,
}

/// Keeps the checkpoints that a walk makes.
pub(super) trait KeepsPoints {
    /// Keeps a checkpoint, unless the entry's data was found to be wrong since `epoch`.
    fn keep_point(&self, point: Point, epoch: u64);
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
        around: &Surroundings,
        from: Option<&Point>,
        goal: Goal,
        epoch: u64,
    ) -> Result<Self, Error> {
        let (need, turn) = (Arc::new(Need::default()), around.shared.workers.turn());
        turn.take();
        let coding = around.coding;
        let encryption = around.entry.encryption;
        let before = encryption.map_or(0, |encryption| encryption.overhead().0);
        let began = from.map_or((0, before), |from| {
            let input = from.checkpoint.input.saturating_add(before);
            (from.checkpoint.output, input)
        });
        need.advance(began.1);
        let end = coding.compressed_size;
        if began.1 > end || began.0 > coding.size {
            let what = "its checkpoint is damaged".into();
            return Err(Error::Damaged { at: began.1, what });
        }
        let crc32 = from.map_or(0, |from| from.crc32);
        let input = StoredInput::new(
            around.shared.archive.clone(),
            around.id,
            began.1,
            end,
            need.clone(),
            turn.clone(),
            around.shared.closed.clone(),
        );
        let closed = around.shared.closed.clone();
        let mut share = (around.shared.memory).share_of(turn.clone(), closed, BESIDES);
        // Before it reads a header, which tells what the codec needs.
        share.take(0)?;
        let mut walk = Self {
            codec: Box::new(Nothing),
            coding,
            position: began.0,
            crc: Hasher::new_with_initial(crc32),
            crc32: around.entry.crc32,
            need,
            turn,
            began,
            epoch,
        };
        walk.expect(goal);
        let from = from.map(|from| &from.checkpoint);
        let key = around.shared.keys.get(around.id);
        let input: Box<dyn Input> = match (encryption, key) {
            (None, _) => Box::new(input),
            (Some(_), Some(key)) => key.input(Box::new(input), from)?,
            (Some(_), None) => return Err(Error::NoPassword),
        };
        walk.codec = codec::open(&coding, input, from, share)?;
        Ok(walk)
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
    pub(super) fn expect(&mut self, goal: Goal) {
        let (plain, stored) = (
            self.position - self.began.0,
            self.need.consumed() - self.began.1,
        );
        let (of, from) = if plain >= KNOWN {
            (stored, plain)
        } else {
            (self.coding.compressed_size, self.coding.size.max(1))
        };
        let left = goal.plain.saturating_sub(self.position);
        let estimate = u128::from(left) * u128::from(of) / u128::from(from);
        let estimate = u64::try_from(estimate).unwrap_or(u64::MAX);
        let needed = (self.need.consumed().saturating_add(estimate)).saturating_add(SLACK);
        let limit = if goal.is_sequential {
            u64::MAX
        } else {
            needed.saturating_add(SLACK)
        };
        self.need.set(needed, limit);
    }

    /// Decodes to the end of the present block, or of the entry, into `buffer`, and adds checkpoints. The
    /// last bytes of an entry are given out only if its size and its CRC-32 are right.
    pub(super) fn fill(
        &mut self,
        around: &Surroundings,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let size = self.coding.size;
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
            around.shared.work.plain.fetch_add(count as u64, Relaxed);
            self.position += count as u64;
            if self.position < size && around.shared.points.is_due(around.id, self.position) {
                self.add_point(around);
            }
        }
        if self.position == size {
            self.finish()?;
        }
        Ok(())
    }

    fn add_point(&mut self, around: &Surroundings) {
        if let Some(checkpoint) = self.codec.checkpoint() {
            debug_assert_eq!(checkpoint.output, self.position);
            let crc32 = self.crc.clone().finalize();
            let point = Point { checkpoint, crc32 };
            around.keeps.keep_point(point, self.epoch);
        }
    }

    fn finish(&mut self) -> Result<(), Error> {
        let size = self.coding.size;
        if self.codec.read(&mut [0])? != 0 {
            return Err(Error::TooLong { size });
        }
        self.codec.finish()?;
        let actual = self.crc.clone().finalize();
        match self.crc32 {
            Some(listed) if listed != actual => Err(Error::Checksum { listed, actual }),
            _ => Ok(()),
        }
    }
}

/// Stands for a codec until it is open.
struct Nothing;

impl Codec for Nothing {
    fn read(&mut self, _: &mut [u8]) -> Result<usize, Error> {
        Ok(0)
    }

    fn finish(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
