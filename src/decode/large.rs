//! A large entry: the reads that wait for its blocks, and what they share with its walks.

mod pass;
mod walks;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use parking_lot::Mutex;
use tokio::sync::{OnceCell, oneshot};

use super::blocks::{BLOCK, Bytes};
use super::checkpoint_store::CheckpointStore;
use super::error::Error;
use super::schedule::{Schedule, Task};
use super::shared::Shared;
use super::walk::Walk;
use crate::archive::{Entry, EntryId};
use crate::reader;

/// After its data was found to be wrong, an entry is not decoded again for this long.
const STILL_WRONG: Duration = Duration::from_secs(2);

/// A large entry.
pub(super) struct Large {
    pub(super) id: EntryId,
    entry: Entry,
    shared: Arc<Shared>,
    /// Whether the stored checkpoints have been loaded.
    is_ready: OnceCell<()>,
    /// Each change leaves it consistent. A panic in between loses at most a walk, whose reads end at their deadline.
    state: Mutex<State>,
}

struct State {
    schedule: Schedule<Walk>,
    /// By number of the block.
    waiting: BTreeMap<u64, Vec<oneshot::Sender<Result<Bytes, Error>>>>,
    wrong: Option<Wrong>,
    /// The block at which the data was found to be wrong and fetched again, until that block or a later one is given.
    fetched_again: Option<u64>,
    /// How many times its data was found to be wrong. What a walk of an earlier epoch knows may be wrong.
    epoch: u64,
}

/// Data that is still wrong after it was fetched again.
struct Wrong {
    /// The first block that cannot be trusted.
    from: u64,
    error: Error,
    since: Instant,
}

impl Large {
    pub(super) fn new(id: EntryId, entry: Entry, shared: Arc<Shared>) -> Self {
        let blocks = entry.size.div_ceil(BLOCK);
        let schedule = Schedule::new(blocks, shared.most_ahead);
        Self {
            id,
            entry,
            shared,
            is_ready: OnceCell::new(),
            state: Mutex::new(State {
                schedule,
                waiting: BTreeMap::new(),
                wrong: None,
                fetched_again: None,
                epoch: 0,
            }),
        }
    }

    /// Whether nothing is under way in it.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.state.lock();
        state.schedule.is_empty() && state.waiting.is_empty()
    }

    /// Appends `range` to `out` if all of it is in memory; otherwise leaves `out` alone and returns false.
    /// Never waits.
    pub(super) fn try_read(self: &Arc<Self>, range: &Range<u64>, out: &mut Vec<u8>) -> bool {
        let blocks: Option<Vec<Bytes>> = blocks_of(range)
            .map(|block| self.shared.blocks.get((self.id, block)))
            .collect();
        let Some(blocks) = blocks else {
            return false;
        };
        let wrong = self.state.lock().wrong_before(blocks_of(range).end);
        if wrong.is_some() {
            return false;
        }
        self.note_read(range);
        for (block, bytes) in blocks_of(range).zip(&blocks) {
            copy(block, bytes, range, out);
        }
        true
    }

    /// Reads a range that does not reach beyond the end.
    pub(super) async fn read(self: &Arc<Self>, range: &Range<u64>) -> Result<Vec<u8>, Error> {
        self.get_ready().await;
        let after = self.shared.archive.timeout();
        let blocks = try_join_all(blocks_of(range).map(|block| self.block(block)));
        let blocks = tokio::time::timeout(after, blocks).await;
        let blocks = blocks.map_err(|_| self.shared.archive.missed_deadline(self.id))??;
        let mut out = Vec::with_capacity((range.end - range.start) as usize);
        self.note_read(range);
        for (block, bytes) in blocks_of(range).zip(&blocks) {
            copy(block, bytes, range, &mut out);
        }
        Ok(out)
    }

    /// Where checkpoints are kept. Those of encrypted entries, which have plain bytes in them, are not.
    fn store(&self) -> Option<&dyn CheckpointStore> {
        let store = self.shared.store.as_deref();
        store.filter(|_| self.entry.encryption.is_none())
    }

    /// Loads the stored checkpoints, once.
    async fn get_ready(&self) {
        let load = async {
            if let Some(store) = self.store() {
                let points = store.load(self.id).await;
                self.shared.points.add_stored(self.id, points);
            }
        };
        self.is_ready.get_or_init(|| load).await;
    }

    /// Stores the checkpoints, if enough are new, or any if `all`.
    pub(super) fn store_points(&self, all: bool) {
        // Until they are stored: otherwise they could replace what `distrust` stores.
        let _state = self.state.lock();
        if let Some(store) = self.store()
            && let Some(points) = self.shared.points.to_store(self.id, all)
        {
            store.store(self.id, points);
        }
    }

    /// One block, decoded if it is not in memory.
    async fn block(self: &Arc<Self>, block: u64) -> Result<Bytes, Error> {
        let receiver = {
            let mut state = self.state.lock();
            // A walk puts blocks in while the state is locked.
            if let Some(bytes) = self.shared.blocks.get((self.id, block)) {
                return Ok(bytes);
            }
            if let Some(error) = state.wrong_before(block + 1) {
                return Err(error);
            }
            let (sender, receiver) = oneshot::channel();
            state.waiting.entry(block).or_default().push(sender);
            self.serve(&mut state, block);
            receiver
        };
        let closed = || Error::Read(reader::Error::Closed);
        receiver.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Finds a walk for a block that a read waits for.
    fn serve(self: &Arc<Self>, state: &mut State, block: u64) {
        let point = self.shared.points.before(self.id, block * BLOCK);
        let at = point.as_ref().map_or(0, |point| point.checkpoint.output);
        let epoch = state.epoch;
        let task = state.schedule.want(block, at);
        if let Some(walk) = state.schedule.take_dropped() {
            // Not while the state is locked: it gives memory back.
            self.shared.workers.go_on(move || drop(walk));
        }
        match task {
            Task::Coming | Task::Later => {}
            Task::GoOn(number, walk) => self.go_on(number, walk),
            Task::Begin(number) => self.spawn_walk(number, point, epoch),
        }
    }

    /// Finds walks for all blocks that reads wait for.
    fn serve_all(self: &Arc<Self>, state: &mut State) {
        // A walk does not go on for reads that have ended, so it would rest and be asked again without end.
        state.waiting.retain(|_, senders| {
            senders.retain(|sender| !sender.is_closed());
            !senders.is_empty()
        });
        for block in state.waited_for(0..u64::MAX) {
            self.serve(state, block);
        }
    }

    fn note_read(self: &Arc<Self>, range: &Range<u64>) {
        let goes_on = self.state.lock().schedule.read(blocks_of(range));
        if let Some((number, walk)) = goes_on {
            self.go_on(number, walk);
        }
    }

    /// Forgets what was decoded so far: it may be wrong, too, by other walks as well.
    fn distrust(&self, state: &mut State, error: &Error) {
        state.epoch += 1;
        if self.shared.given_out.lock().remove(&self.id) {
            let archive = &self.shared.archive;
            archive.outdate_readers(self.id, &error.to_string());
        }
        self.shared.blocks.forget(self.id);
        self.shared.points.forget(self.id);
        // Otherwise the next mount would begin at checkpoints of wrong data.
        if let Some(store) = self.store() {
            store.store(self.id, Vec::new());
        }
    }
}

impl State {
    /// Why a block before `end` is wrong, as far as that is known.
    fn wrong_before(&mut self, end: u64) -> Option<Error> {
        let wrong = self.wrong.as_ref()?;
        if wrong.since.elapsed() >= STILL_WRONG {
            (self.wrong, self.fetched_again) = (None, None);
            return None;
        }
        (wrong.from < end).then(|| wrong.error.clone())
    }

    /// The blocks of a range that reads wait for.
    fn waited_for(&self, blocks: Range<u64>) -> Vec<u64> {
        self.waiting
            .range(blocks)
            .map(|(block, _)| *block)
            .collect()
    }

    /// Fails the reads that wait for these blocks.
    fn fail(&mut self, blocks: &[u64], error: &Error) {
        for block in blocks {
            for sender in self.waiting.remove(block).into_iter().flatten() {
                // The read may have ended.
                let _ = sender.send(Err(error.clone()));
            }
        }
    }
}

/// The numbers of the blocks that a range touches.
fn blocks_of(range: &Range<u64>) -> Range<u64> {
    if range.is_empty() {
        return 0..0;
    }
    range.start / BLOCK..range.end.div_ceil(BLOCK)
}

/// Appends the part of `range` that lies in a block.
fn copy(block: u64, bytes: &[u8], range: &Range<u64>, out: &mut Vec<u8>) {
    let start = block * BLOCK;
    let from = range.start.saturating_sub(start) as usize;
    let to = ((range.end - start) as usize).min(bytes.len());
    out.extend_from_slice(&bytes[from.min(to)..to]);
}
