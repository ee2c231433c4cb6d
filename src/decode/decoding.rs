//! The memory and the threads for decoding, which all archives of a mount share.
//!
//! One part in three of the memory is for checkpoints. Of the rest, codecs and small entries may hold what they need, each
//! up to a bound of its own, and blocks have what is left.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use super::blocks::{BLOCK, Blocks, MOST_SPARE};
use super::memory::{LARGEST_ROOM, Memory};
use super::points::Points;
use super::workers::Workers;
use crate::reader::Archive;

/// One part in this many of the memory for decoding is for checkpoints.
const POINTS_SHARE: u64 = 3;

/// One part in this many of the rest is for small entries that are being decoded.
const SMALL_SHARE: u64 = 8;

/// One part in this many of the rest is for blocks, whatever the others hold.
const BLOCKS_SHARE: u64 = 16;

/// At most one part in this many of the rest is for buffers that are to be used again.
const SPARE_SHARE: u64 = 8;

/// Codecs may take this much together, whatever `--memory` is, in bytes: one of bzip2 needs it.
const LEAST_FOR_CODECS: u64 = 10 << 20;

/// Memory and threads for decoding. Cheap to clone; all clones are the same. Archives that share the memory of their
/// readers must share this, too.
///
/// The first archive with compressed entries takes half of its reader's memory for it. Archives without such entries
/// cost nothing.
#[derive(Clone, Default)]
pub struct Decoding(Arc<OnceLock<Arc<Common>>>);

/// What archives with compressed entries share.
pub(super) struct Common {
    pub(super) workers: Workers,
    pub(super) blocks: Blocks,
    pub(super) points: Points,
    pub(super) memory: Arc<Memory>,
    /// The most blocks that a walk goes ahead of its reader.
    pub(super) most_ahead: u64,
    limits: Limits,
    archives: AtomicU64,
}

/// How memory is divided, in bytes.
#[derive(Debug, Clone, Copy)]
struct Limits {
    points: u64,
    /// For buffers that are to be used again.
    spare: u64,
    codecs: u64,
    small: u64,
    /// For blocks, whatever the others hold.
    blocks: u64,
    /// For codecs, small entries and blocks together.
    rest: u64,
}

impl Decoding {
    /// What an archive shares with others. Must be called within a tokio runtime.
    pub(super) fn of(&self, archive: &Archive) -> Arc<Common> {
        if archive.is_stored() {
            return Arc::new(Common::new(0));
        }
        let common = || Arc::new(Common::new(archive.take_memory_for_decoding()));
        self.0.get_or_init(common).clone()
    }

    /// What is held now, in bytes: by codecs, blocks, small entries and checkpoints.
    pub fn held(&self) -> u64 {
        self.0.get().map_or(0, |common| common.held())
    }

    /// The most that is ever held, in bytes. 0 before an archive with compressed entries was opened.
    pub fn bound(&self) -> u64 {
        self.0.get().map_or(0, |common| common.limits.total())
    }
}

impl std::fmt::Debug for Decoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoding")
    }
}

impl Common {
    fn new(memory: u64) -> Self {
        let limits = Limits::of(memory);
        let blocks = Blocks::new(limits.rest, limits.spare);
        let of_blocks = blocks.of_archive(0);
        Self {
            workers: Workers::new(),
            blocks,
            points: Points::new(limits.points),
            memory: Memory::with(limits.codecs, limits.small, move |memory| {
                of_blocks.set_bound(|| limits.for_blocks(memory.held()));
            }),
            most_ahead: (limits.rest / BLOCK / 16).clamp(2, 32),
            limits,
            archives: AtomicU64::new(0),
        }
    }

    /// A number that no other archive has, and which is not 0.
    pub(super) fn next_archive(&self) -> u64 {
        self.archives.fetch_add(1, Relaxed) + 1
    }

    fn held(&self) -> u64 {
        let mut held = 0;
        // Both at the same moment.
        let of_blocks = self.blocks.set_bound(|| {
            held = self.memory.held();
            self.limits.for_blocks(held)
        });
        held + of_blocks + self.points.held()
    }
}

impl Limits {
    fn of(memory: u64) -> Self {
        let points = memory / POINTS_SHARE;
        let spare = ((memory - points) / SPARE_SHARE).min(MOST_SPARE);
        let rest = memory - points - spare;
        let small = (rest / SMALL_SHARE).max(LARGEST_ROOM);
        let blocks = rest / BLOCKS_SHARE;
        Self {
            points,
            spare,
            codecs: rest.saturating_sub(small + blocks).max(LEAST_FOR_CODECS),
            small,
            blocks,
            rest,
        }
    }

    /// What blocks may hold while codecs and small entries hold `held`.
    fn for_blocks(&self, held: u64) -> u64 {
        self.rest.saturating_sub(held).max(self.blocks)
    }

    fn total(&self) -> u64 {
        let most = self.codecs + self.small + self.blocks;
        self.points + self.spare + most.max(self.rest)
    }
}
