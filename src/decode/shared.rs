//! What all entries share.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use super::blocks::Blocks;
use super::checkpoint_store::CheckpointStore;
use super::keys::Keys;
use super::memory::Memory;
use super::password::Password;
use super::points::Points;
use super::workers::Workers;
use crate::archive::EntryId;
use crate::reader::Archive;

/// One part in this many of the memory for decoding is for checkpoints.
const POINTS_SHARE: u64 = 4;

/// One part in this many of the rest is for blocks, whatever the codecs take.
const BLOCKS_SHARE: u64 = 8;

/// Codecs may take this much together, whatever `--memory` is, in bytes: one of bzip2 needs it.
const LEAST_FOR_CODECS: u64 = 10 << 20;

/// Called with an entry whose content turned out to be wrong after some of it was given out.
pub type OnWrong = dyn Fn(EntryId) + Send + Sync;

/// What decoders have done so far. Small entries, which are decoded as a whole, do not count.
#[derive(Debug, Default)]
pub struct Work {
    /// How many walks have begun, each at a checkpoint or at the start of an entry.
    pub walks: AtomicU64,
    /// How many plain bytes they have decoded.
    pub plain: AtomicU64,
}

/// What all entries share.
pub(super) struct Shared {
    pub(super) archive: Arc<Archive>,
    pub(super) work: Work,
    pub(super) workers: Workers,
    pub(super) blocks: Arc<Blocks>,
    pub(super) points: Points,
    pub(super) keys: Keys,
    pub(super) store: Option<Box<dyn CheckpointStore>>,
    pub(super) closed: CancellationToken,
    /// Of codecs.
    pub(super) memory: Arc<Memory>,
    /// The most blocks that a walk goes ahead of its reader.
    pub(super) most_ahead: u64,
    pub(super) on_wrong: OnceLock<Arc<OnWrong>>,
}

impl Shared {
    pub(super) fn new(
        archive: Arc<Archive>,
        store: Option<Box<dyn CheckpointStore>>,
        spacing: Option<u64>,
        password: Option<Password>,
    ) -> Self {
        let memory = archive.memory_for_decoding();
        let for_points = memory / POINTS_SHARE;
        let memory = memory - for_points;
        let blocks = Arc::new(Blocks::new(memory));
        let for_blocks = memory / BLOCKS_SHARE;
        let for_codecs = (memory - for_blocks).max(LEAST_FOR_CODECS);
        Self {
            archive,
            work: Work::default(),
            workers: Workers::new(),
            blocks: blocks.clone(),
            points: Points::new(for_points, spacing),
            keys: Keys::new(password),
            store,
            closed: CancellationToken::new(),
            // Blocks have what codecs do not hold.
            memory: Memory::with(for_codecs, move |codecs| {
                blocks.set_bound(|| memory.saturating_sub(codecs.held()).max(for_blocks));
            }),
            most_ahead: (memory / super::blocks::BLOCK / 16).clamp(2, 32),
            on_wrong: OnceLock::new(),
        }
    }
}
