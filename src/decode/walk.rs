//! One decoder on its way through a large entry.

use std::sync::Arc;

use crc32fast::Hasher;
use tokio_util::sync::CancellationToken;

use super::blocks::BLOCK;
use super::checkpoint::Point;
use super::cipher::Key;
use super::codec::{self, Codec, Coding, Input};
use super::error::Error;
use super::input::{Need, StoredInput};
use super::points::Points;
use super::workers::{Turn, Workers};
use crate::archive::{Entry, EntryId};
use crate::reader::Archive;

/// A walk that has decoded this much knows how well its part of the entry is compressed, in plain bytes.
const KNOWN: u64 = 1 << 20;

/// Stored bytes that are needed beyond the estimate, in bytes: a compressor's blocks differ.
const SLACK: u64 = 32 * 1024;

/// A decoder, its position, and the CRC-32 of all plain bytes before it.
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
}

/// What a walk goes through.
pub(super) struct Ground<'a> {
    pub(super) archive: &'a Arc<Archive>,
    pub(super) id: EntryId,
    pub(super) entry: &'a Entry,
    pub(super) coding: Coding,
    /// If it is encrypted.
    pub(super) key: Option<Arc<Key>>,
    pub(super) points: &'a Points,
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
        ground: &Ground,
        from: Option<&Point>,
        goal: Goal,
        workers: &Workers,
        cancelled: &CancellationToken,
    ) -> Result<Self, Error> {
        let (need, turn) = (Arc::new(Need::default()), workers.turn());
        turn.take();
        let coding = ground.coding;
        let encryption = ground.entry.encryption;
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
            ground.archive.clone(),
            ground.id,
            began.1,
            end,
            need.clone(),
            turn.clone(),
            cancelled.clone(),
        );
        let mut walk = Self {
            codec: Box::new(Nothing),
            coding,
            position: began.0,
            crc: Hasher::new_with_initial(crc32),
            crc32: ground.entry.crc32,
            need,
            turn,
            began,
        };
        walk.expect(goal);
        let from = from.map(|from| &from.checkpoint);
        let input: Box<dyn Input> = match (encryption, &ground.key) {
            (None, _) => Box::new(input),
            (Some(_), Some(key)) => key.input(Box::new(input), from)?,
            (Some(_), None) => return Err(Error::NoPassword),
        };
        walk.codec = codec::open(&coding, input, from)?;
        Ok(walk)
    }

    /// Offset of the next plain byte.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn turn(&self) -> &Turn {
        &self.turn
    }

    /// Memory of its decoder, in bytes.
    pub(super) fn memory(&self) -> u64 {
        self.codec.memory()
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
    pub(super) fn fill(&mut self, ground: &Ground, buffer: &mut Vec<u8>) -> Result<(), Error> {
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
            self.position += count as u64;
            if self.position < size && ground.points.is_due(ground.id, self.position) {
                self.add_point(ground);
            }
        }
        if self.position == size {
            self.finish()?;
        }
        Ok(())
    }

    fn add_point(&mut self, ground: &Ground) {
        if let Some(checkpoint) = self.codec.checkpoint() {
            debug_assert_eq!(checkpoint.output, self.position);
            let crc32 = self.crc.clone().finalize();
            ground.points.add(ground.id, Point { checkpoint, crc32 });
        }
    }

    fn finish(&mut self) -> Result<(), Error> {
        let size = self.coding.size;
        if self.codec.read(&mut [0])? != 0 {
            return Err(Error::TooLong { size });
        }
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
}
