//! A large entry: walks through it, and the reads that wait for its blocks.

mod pass;

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::sync::{OnceCell, oneshot};

use super::blocks::{BLOCK, Bytes};
use super::checkpoint::Point;
use super::checkpoint_store::CheckpointStore;
use super::codec::Coding;
use super::error::Error;
use super::memory::{Resting, Rests};
use super::schedule::{Schedule, Task};
use super::shared::Shared;
use super::walk::{Goal, KeepsPoints, Surroundings, Walk};
use crate::archive::{Entry, EntryId};
use crate::reader;

/// After its data was found to be wrong, an entry is not decoded again for this long.
const STILL_WRONG: Duration = Duration::from_secs(2);

/// A large entry.
pub(super) struct Large {
    pub(super) id: EntryId,
    entry: Entry,
    coding: Coding,
    shared: Arc<Shared>,
    /// Whether the stored checkpoints have been loaded.
    is_ready: OnceCell<()>,
    state: Mutex<State>,
}

struct State {
    schedule: Schedule<Walk>,
    waiting: BTreeMap<u64, Vec<oneshot::Sender<Result<Bytes, Error>>>>,
    /// Why its data is wrong, from which block on, and when that was found.
    wrong: Option<(u64, Error, Instant)>,
    /// How many times in a row it was decoded anew because it was wrong.
    retries: u32,
    /// How many times its data was found to be wrong. What a walk of an earlier epoch knows may be wrong.
    epoch: u64,
}

/// Why a walk stopped.
enum Stop {
    /// It rests, or has been dropped.
    Resting,
    /// It is at the end of the entry.
    AtEnd,
    /// The data was found to be wrong since it began.
    Outdated,
    /// It has not begun: the reads that it was for have ended.
    Unwanted,
}

impl Large {
    pub(super) fn new(id: EntryId, entry: Entry, coding: Coding, shared: Arc<Shared>) -> Self {
        let blocks = coding.size.div_ceil(BLOCK);
        let schedule = Schedule::new(blocks, shared.most_ahead);
        Self {
            id,
            entry,
            coding,
            shared,
            is_ready: OnceCell::new(),
            state: Mutex::new(State {
                schedule,
                waiting: BTreeMap::new(),
                wrong: None,
                retries: 0,
                epoch: 0,
            }),
        }
    }

    /// Whether nothing is under way in it.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.state();
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
        if self.state().wrong.is_some() {
            return false;
        }
        for (block, bytes) in blocks_of(range).zip(&blocks) {
            self.note_read(block);
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
        for (block, bytes) in blocks_of(range).zip(&blocks) {
            self.note_read(block);
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
                let points = store.load(self.id, self.coding).await;
                self.shared.points.add_stored(self.id, points);
            }
        };
        self.is_ready.get_or_init(|| load).await;
    }

    /// Stores the checkpoints, if enough are new, or any if `all`.
    pub(super) fn store_points(&self, all: bool) {
        // Until they are stored: otherwise they could replace what `distrust` stores.
        let _state = self.state();
        if let Some(store) = self.store()
            && let Some(points) = self.shared.points.to_store(self.id, all)
        {
            store.store(self.id, self.coding, points);
        }
    }

    /// One block, decoded if it is not in memory.
    async fn block(self: &Arc<Self>, block: u64) -> Result<Bytes, Error> {
        let receiver = {
            let mut state = self.state();
            // A walk puts blocks in while the state is locked.
            if let Some(bytes) = self.shared.blocks.get((self.id, block)) {
                return Ok(bytes);
            }
            if let Some((from, error, since)) = &state.wrong {
                if since.elapsed() < STILL_WRONG && block >= *from {
                    return Err(error.clone());
                }
                if since.elapsed() >= STILL_WRONG {
                    (state.wrong, state.retries) = (None, 0);
                }
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
        // That of the checkpoint: when the walk begins, the data may have been found to be wrong.
        let epoch = state.epoch;
        let task = state.schedule.want(block, at);
        if let Some(walk) = state.schedule.take_dropped() {
            // Not while the state is locked: it gives memory back.
            self.shared.workers.go_on(move || drop(walk));
        }
        match task {
            Task::Coming | Task::Later => {}
            Task::GoOn(number, walk) => self.go_on(number, walk),
            Task::Begin(number) => {
                let this = self.clone();
                self.shared.workers.spawn(move || {
                    let stopped = this.caught(|| {
                        // Otherwise it would wait for memory and bytes for nobody.
                        let Some(goal) = this.goal(number) else {
                            return Ok(Stop::Unwanted);
                        };
                        match this.begin(point.as_deref(), goal, epoch) {
                            Ok(walk) => this.go(number, walk),
                            Err(_) if this.state().epoch != epoch => Ok(Stop::Outdated),
                            Err(error) => Err(error),
                        }
                    });
                    this.stopped(number, stopped);
                });
            }
        }
    }

    /// Finds walks for all blocks that reads wait for.
    fn serve_all(self: &Arc<Self>, state: &mut State) {
        // A walk does not go on for reads that have ended, so it would rest and be asked again without end.
        state.waiting.retain(|_, senders| {
            senders.retain(|sender| !sender.is_closed());
            !senders.is_empty()
        });
        let waiting: Vec<u64> = state.waiting.keys().copied().collect();
        for block in waiting {
            self.serve(state, block);
        }
    }

    fn note_read(self: &Arc<Self>, block: u64) {
        let goes_on = self.state().schedule.read(block);
        if let Some((number, walk)) = goes_on {
            self.go_on(number, walk);
        }
    }

    /// Lets a walk that rested go on.
    fn go_on(self: &Arc<Self>, number: u64, walk: Walk) {
        let this = self.clone();
        self.shared.workers.go_on(move || {
            walk.turn().take();
            let stopped = this.caught(|| this.go(number, walk));
            this.stopped(number, stopped);
        });
    }

    fn caught(&self, go: impl FnOnce() -> Result<Stop, Error>) -> Result<Stop, Error> {
        let ended = catch_unwind(AssertUnwindSafe(go));
        ended.unwrap_or_else(|_| Err(Error::panicked()))
    }

    /// Begins a walk at a checkpoint, or at the start of the entry. It has a turn, which [`go`](Self::go) gives back.
    /// `epoch` is that of the checkpoint.
    fn begin(&self, from: Option<&Point>, goal: Goal, epoch: u64) -> Result<Walk, Error> {
        self.shared.work.walks.fetch_add(1, Relaxed);
        Walk::begin(&self.surroundings(), from, goal, epoch)
    }

    /// Lets a walk that has a turn decode until it is to rest.
    fn go(self: &Arc<Self>, number: u64, mut walk: Walk) -> Result<Stop, Error> {
        let turn = walk.turn().clone();
        let mut buffer = self.shared.blocks.buffer();
        let result = loop {
            if self.shared.closed.is_cancelled() {
                break Err(Error::Read(reader::Error::Closed));
            }
            let Some(goal) = self.goal(number) else {
                // Before another thread may go on with it.
                turn.give();
                self.rest(number, walk);
                return Ok(Stop::Resting);
            };
            walk.expect(goal);
            let (block, is_whole) = (
                walk.position() / BLOCK,
                walk.position().is_multiple_of(BLOCK),
            );
            let filled = walk.fill(&self.surroundings(), &mut buffer);
            if self.state().epoch != walk.epoch() {
                break Ok(Stop::Outdated);
            }
            if let Err(error) = filled {
                break Err(error);
            }
            if is_whole {
                let Some(next) = self.give(number, block, buffer, walk.epoch()) else {
                    break Ok(Stop::Outdated);
                };
                buffer = next;
            }
            if walk.position() == self.coding.size {
                break Ok(Stop::AtEnd);
            }
            self.store_points(false);
            if (walk.position() / BLOCK).is_multiple_of(8) {
                turn.give();
                turn.take();
            }
        };
        turn.give();
        result
    }

    fn stopped(self: &Arc<Self>, number: u64, stopped: Result<Stop, Error>) {
        match stopped {
            Ok(Stop::Resting) => self.store_points(false),
            Ok(Stop::AtEnd) => {
                self.store_points(true);
                let mut state = self.state();
                state.schedule.remove(number);
                state.retries = 0;
                self.serve_all(&mut state);
            }
            Ok(Stop::Outdated | Stop::Unwanted) => {
                let mut state = self.state();
                state.schedule.remove(number);
                self.serve_all(&mut state);
            }
            Err(error) => self.failed(number, error),
        }
    }

    /// Gives a block to the reads that wait for it, and keeps it if they or the walk's reader want it.
    /// Returns a buffer for the next block, or `None` if the data was found to be wrong since `epoch`.
    fn give(&self, number: u64, block: u64, buffer: Vec<u8>, epoch: u64) -> Option<Vec<u8>> {
        let mut state = self.state();
        if state.epoch != epoch {
            return None;
        }
        state.schedule.gave(number, block);
        let waiting = state.waiting.remove(&block);
        if waiting.is_none() && !state.schedule.is_ahead(number, block) {
            return Some(buffer);
        }
        let bytes = Arc::new(buffer);
        self.shared.blocks.put((self.id, block), &bytes);
        drop(state);
        for sender in waiting.into_iter().flatten() {
            // The read may have ended.
            let _ = sender.send(Ok(bytes.clone()));
        }
        Some(self.shared.blocks.buffer())
    }

    fn rest(self: &Arc<Self>, number: u64, walk: Walk) {
        let mut state = self.state();
        state.schedule.rest(number, walk);
        // What came in since the walk's goal was looked at.
        self.serve_all(&mut state);
        drop(state);
        let entry: Weak<Self> = Arc::downgrade(self);
        self.shared.memory.rests(Resting {
            id: self.id,
            number,
            entry,
        });
    }

    /// A walk has failed.
    fn failed(self: &Arc<Self>, number: u64, error: Error) {
        let mut state = self.state();
        let mut range = state.schedule.remove(number);
        if error.is_of_data() {
            self.distrust(&mut state);
            if state.retries == 0 && self.shared.archive.reject_stored(self.id) {
                state.retries += 1;
                self.serve_all(&mut state);
                return;
            }
            if error.is_of_whole() {
                range.start = 0;
            }
            range.end = u64::MAX;
            state.wrong = Some((range.start, error.clone(), Instant::now()));
        }
        let failed: Vec<u64> = state
            .waiting
            .range(range)
            .map(|(block, _)| *block)
            .collect();
        for block in failed {
            for sender in state.waiting.remove(&block).into_iter().flatten() {
                let _ = sender.send(Err(error.clone()));
            }
        }
        self.serve_all(&mut state);
        drop(state);
        if error.is_of_whole()
            && let Some(report) = self.shared.on_wrong.get()
        {
            report(self.id);
        }
    }

    /// Forgets what was decoded so far: it may be wrong, too, by other walks as well.
    fn distrust(&self, state: &mut State) {
        state.epoch += 1;
        self.shared.blocks.forget(self.id);
        self.shared.points.forget(self.id);
        // Otherwise the next mount would begin at checkpoints of wrong data.
        if let Some(store) = self.store() {
            store.store(self.id, self.coding, Vec::new());
        }
    }

    /// How far a walk is to go; `None` if it is to rest.
    fn goal(&self, number: u64) -> Option<Goal> {
        let mut state = self.state();
        let State {
            schedule, waiting, ..
        } = &mut *state;
        let is_wanted = |blocks: Range<u64>| {
            let mut senders = waiting.range(blocks).flat_map(|(_, senders)| senders);
            senders.any(|sender| !sender.is_closed())
        };
        let (until, is_sequential) = schedule.goal(number, is_wanted)?;
        Some(Goal {
            plain: until.saturating_mul(BLOCK).min(self.coding.size),
            is_sequential,
        })
    }

    fn surroundings(&self) -> Surroundings<'_> {
        Surroundings {
            shared: &self.shared,
            id: self.id,
            entry: &self.entry,
            coding: self.coding,
            keeps: self,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change leaves it consistent. A panic in between loses at most a walk, whose reads end
        // at their deadline.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rests for Large {
    fn drop_walk(&self, number: u64) {
        let walk = self.state().schedule.drop_walk(number);
        // Not while the state is locked: it gives memory back.
        drop(walk);
    }
}

impl KeepsPoints for Large {
    fn keep_point(&self, point: Point, epoch: u64) {
        // Locked until it is added, so that it is either refused or forgotten with the others.
        let state = self.state();
        if state.epoch == epoch {
            self.shared.points.add(self.id, point);
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
