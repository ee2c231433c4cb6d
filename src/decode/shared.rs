//! What all entries of an archive share.

use std::collections::HashSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::blocks::Blocks;
use super::checkpoint_store::CheckpointStore;
use super::decoding::Decoding;
use super::keys::Keys;
use super::memory::Memory;
use super::password::Password;
use super::points::Points;
use super::workers::Workers;
use crate::archive::EntryId;
use crate::reader::Archive;

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

/// What all entries of an archive share.
pub(super) struct Shared {
    pub(super) archive: Arc<Archive>,
    pub(super) work: Work,
    pub(super) workers: Workers,
    pub(super) blocks: Blocks,
    pub(super) points: Points,
    pub(super) keys: Keys,
    pub(super) store: Option<Box<dyn CheckpointStore>>,
    pub(super) closed: CancellationToken,
    /// Of codecs and small entries, of all archives.
    pub(super) memory: Arc<Memory>,
    /// The most blocks that a walk goes ahead of its reader.
    pub(super) most_ahead: u64,
    pub(super) on_wrong: OnceLock<Arc<OnWrong>>,
    /// Large entries of which blocks were given out since their data was last found to be wrong.
    pub(super) given_out: Mutex<HashSet<EntryId>>,
}

impl Shared {
    pub(super) fn new(
        archive: Arc<Archive>,
        store: Option<Box<dyn CheckpointStore>>,
        spacing: Option<u64>,
        password: Option<Password>,
        decoding: &Decoding,
    ) -> Self {
        let common = decoding.of(&archive);
        let number = common.next_archive();
        Self {
            archive,
            work: Work::default(),
            workers: common.workers.of_archive(),
            blocks: common.blocks.of_archive(number),
            points: common.points.of_archive(number, spacing),
            keys: Keys::new(password),
            store,
            closed: CancellationToken::new(),
            memory: common.memory.clone(),
            most_ahead: common.most_ahead,
            on_wrong: OnceLock::new(),
            given_out: Mutex::default(),
        }
    }
}
