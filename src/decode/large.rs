//! A large entry: decoders on their way through it, and the reads that wait for its blocks.

mod pass;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::sync::{OnceCell, oneshot};
use tokio_util::sync::CancellationToken;

use super::blocks::{BLOCK, Blocks, Bytes};
use super::checkpoint::Point;
use super::codec::Coding;
use super::error::Error;
use super::keys::Keys;
use super::lanes::{Lanes, Task};
use super::points::Points;
use super::shelf::Shelf;
use super::walk::{Goal, Ground, Walk};
use super::workers::Workers;
use crate::archive::{Entry, EntryId};
use crate::reader::{self, Archive};

/// After its data was found to be wrong, an entry is not decoded again for this long.
const STILL_WRONG: Duration = Duration::from_secs(2);

/// The most decoders that rest, over all entries.
const RESTING: usize = 8;

/// Called with an entry whose content turned out to be wrong after some of it was given out.
pub type OnWrong = dyn Fn(EntryId) + Send + Sync;

/// What all entries share.
pub(super) struct Shared {
    pub(super) archive: Arc<Archive>,
    pub(super) workers: Workers,
    pub(super) blocks: Blocks,
    pub(super) points: Points,
    pub(super) keys: Keys,
    pub(super) shelf: Option<Box<dyn Shelf>>,
    pub(super) closed: CancellationToken,
    /// Bytes for blocks and for decoders together.
    pub(super) memory: u64,
    /// Memory of the decoders under way, in bytes.
    pub(super) decoders: AtomicU64,
    pub(super) on_wrong: OnceLock<Arc<OnWrong>>,
    /// Decoders that rest, those that have rested longest first.
    pub(super) resting: Mutex<VecDeque<(Weak<Large>, u64)>>,
}

/// A large entry.
pub(super) struct Large {
    pub(super) id: EntryId,
    entry: Entry,
    coding: Coding,
    shared: Arc<Shared>,
    /// Whether the kept checkpoints have been loaded.
    is_ready: OnceCell<()>,
    state: Mutex<State>,
}

struct State {
    lanes: Lanes<Decoder>,
    waiting: BTreeMap<u64, Vec<oneshot::Sender<Result<Bytes, Error>>>>,
    /// Why its data is wrong, from which block on, and when that was found.
    wrong: Option<(u64, Error, Instant)>,
    /// How many times in a row it was decoded anew because it was wrong.
    retries: u32,
    /// How many times its data was found to be wrong. What a decoder of an earlier epoch knows may be wrong.
    epoch: u64,
}

/// A walk whose memory counts.
struct Decoder {
    walk: Walk,
    epoch: u64,
    memory: u64,
    shared: Arc<Shared>,
}

/// How a decoder's run ended.
enum Ended {
    /// It rests, or has been dropped.
    Resting,
    /// It is at the end of the entry.
    AtEnd,
    /// The data was found to be wrong since it began.
    Outdated,
}

impl Large {
    pub(super) fn new(id: EntryId, entry: Entry, coding: Coding, shared: Arc<Shared>) -> Self {
        let blocks = coding.size.div_ceil(BLOCK);
        let most_ahead = (shared.memory / BLOCK / 16).clamp(2, 32);
        Self {
            id,
            entry,
            coding,
            shared,
            is_ready: OnceCell::new(),
            state: Mutex::new(State {
                lanes: Lanes::new(blocks, most_ahead),
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
        state.lanes.is_empty() && state.waiting.is_empty()
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
    fn shelf(&self) -> Option<&dyn Shelf> {
        let shelf = self.shared.shelf.as_deref();
        shelf.filter(|_| self.entry.encryption.is_none())
    }

    /// Loads the kept checkpoints, once.
    async fn get_ready(&self) {
        let load = async {
            if let Some(shelf) = self.shelf() {
                let points = shelf.load(self.id, self.coding).await;
                self.shared.points.add_kept(self.id, points);
            }
        };
        self.is_ready.get_or_init(|| load).await;
    }

    /// Has the checkpoints kept, if enough are new, or any if `all`.
    pub(super) fn keep_points(&self, all: bool) {
        if let Some(shelf) = self.shelf()
            && let Some(points) = self.shared.points.to_keep(self.id, all)
        {
            shelf.keep(self.id, self.coding, points);
        }
    }

    /// One block, decoded if it is not in memory.
    async fn block(self: &Arc<Self>, block: u64) -> Result<Bytes, Error> {
        let receiver = {
            let mut state = self.state();
            // A decoder puts blocks in while the state is locked.
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

    /// Finds a decoder for a block that a read waits for.
    fn serve(self: &Arc<Self>, state: &mut State, block: u64) {
        let point = self.shared.points.before(self.id, block * BLOCK);
        let at = point.as_ref().map_or(0, |point| point.checkpoint.output);
        match state.lanes.want(block, at) {
            Task::Coming | Task::Later => {}
            Task::GoOn(lane, decoder) => self.run(lane, Some(decoder), None),
            Task::Begin(lane) => self.run(lane, None, point),
        }
    }

    /// Finds decoders for all blocks that reads wait for.
    fn serve_all(self: &Arc<Self>, state: &mut State) {
        let waiting: Vec<u64> = state.waiting.keys().copied().collect();
        for block in waiting {
            self.serve(state, block);
        }
    }

    fn note_read(self: &Arc<Self>, block: u64) {
        let goes_on = self.state().lanes.read(block);
        if let Some((lane, decoder)) = goes_on {
            self.run(lane, Some(decoder), None);
        }
    }

    /// Lets a lane's decoder run on a thread of its own.
    fn run(self: &Arc<Self>, lane: u64, decoder: Option<Decoder>, from: Option<Arc<Point>>) {
        let this = self.clone();
        self.shared.workers.spawn(move || {
            let run = || this.run_lane(lane, decoder, from.as_deref());
            let ended =
                catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(Error::panicked()));
            match ended {
                Ok(Ended::Resting) => this.keep_points(false),
                Ok(Ended::AtEnd) => {
                    this.keep_points(true);
                    let mut state = this.state();
                    state.lanes.remove(lane);
                    state.retries = 0;
                    this.serve_all(&mut state);
                }
                Ok(Ended::Outdated) => {
                    let mut state = this.state();
                    state.lanes.remove(lane);
                    // It may have added some since the others were forgotten.
                    this.shared.points.forget(this.id);
                    this.serve_all(&mut state);
                }
                Err(error) => this.failed(lane, error),
            }
        });
    }

    fn run_lane(
        self: &Arc<Self>,
        lane: u64,
        decoder: Option<Decoder>,
        from: Option<&Point>,
    ) -> Result<Ended, Error> {
        let mut goal = self.goal(lane);
        let mut decoder = match decoder {
            Some(decoder) => {
                decoder.walk.turn().take();
                decoder
            }
            None => self.begin(
                from,
                goal.unwrap_or(Goal {
                    plain: 0,
                    is_sequential: false,
                }),
            )?,
        };
        let turn = decoder.walk.turn().clone();
        let mut buffer = self.shared.blocks.buffer();
        let result = loop {
            if self.shared.closed.is_cancelled() {
                break Err(Error::Read(reader::Error::Closed));
            }
            let Some(to) = goal else {
                // Before another thread may go on with it.
                turn.give();
                self.rest(lane, decoder);
                return Ok(Ended::Resting);
            };
            let walk = &mut decoder.walk;
            walk.expect(to);
            let (block, is_whole) = (walk.position() / BLOCK, walk.position() % BLOCK == 0);
            let filled = walk.fill(&self.ground(), &mut buffer);
            if self.state().epoch != decoder.epoch {
                break Ok(Ended::Outdated);
            }
            if let Err(error) = filled {
                break Err(error);
            }
            if is_whole {
                let Some(next) = self.give(lane, block, buffer, decoder.epoch) else {
                    break Ok(Ended::Outdated);
                };
                buffer = next;
            }
            if walk.position() == self.coding.size {
                break Ok(Ended::AtEnd);
            }
            self.keep_points(false);
            if (walk.position() / BLOCK).is_multiple_of(8) {
                turn.give();
                turn.take();
            }
            goal = self.goal(lane);
        };
        turn.give();
        result
    }

    /// Gives a block to the reads that wait for it, and keeps it if they or the lane's reader want it.
    /// Returns a buffer for the next block, or `None` if the data was found to be wrong since `epoch`.
    fn give(&self, lane: u64, block: u64, buffer: Vec<u8>, epoch: u64) -> Option<Vec<u8>> {
        let mut state = self.state();
        if state.epoch != epoch {
            return None;
        }
        state.lanes.gave(lane, block);
        let waiting = state.waiting.remove(&block);
        if waiting.is_none() && !state.lanes.is_ahead(lane, block) {
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

    fn rest(self: &Arc<Self>, lane: u64, decoder: Decoder) {
        let mut state = self.state();
        state.lanes.rest(lane, decoder);
        // What came in since the lane's goal was looked at.
        self.serve_all(&mut state);
        drop(state);
        let this = Arc::downgrade(self);
        let mut resting = self.shared.resting();
        // It has rested before, and went on since.
        resting.retain(|(other, number)| !(other.ptr_eq(&this) && *number == lane));
        resting.push_back((this, lane));
        let longest = (resting.len() > RESTING).then(|| resting.pop_front());
        drop(resting);
        if let Some((other, lane)) = longest.flatten()
            && let Some(other) = other.upgrade()
        {
            other.state().lanes.drop_lane(lane);
        }
    }

    /// A lane's decoder has failed.
    fn failed(self: &Arc<Self>, lane: u64, error: Error) {
        let mut state = self.state();
        let mut range = state.lanes.remove(lane);
        if error.is_of_data() {
            // What was decoded so far may be wrong, too, by other decoders as well.
            state.epoch += 1;
            self.shared.blocks.forget(self.id);
            self.shared.points.forget(self.id);
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

    fn begin(&self, from: Option<&Point>, goal: Goal) -> Result<Decoder, Error> {
        let (workers, closed) = (&self.shared.workers, &self.shared.closed);
        let epoch = self.state().epoch;
        let walk = Walk::begin(&self.ground(), from, goal, workers, closed)?;
        let memory = walk.memory();
        self.shared.count_decoder(memory as i64);
        Ok(Decoder {
            walk,
            epoch,
            memory,
            shared: self.shared.clone(),
        })
    }

    /// How far a lane is to go; `None` if it is to rest.
    fn goal(&self, lane: u64) -> Option<Goal> {
        let mut state = self.state();
        let State { lanes, waiting, .. } = &mut *state;
        let is_wanted = |blocks: Range<u64>| {
            let mut senders = waiting.range(blocks).flat_map(|(_, senders)| senders);
            senders.any(|sender| !sender.is_closed())
        };
        let (until, is_sequential) = lanes.goal(lane, is_wanted)?;
        Some(Goal {
            plain: until.saturating_mul(BLOCK).min(self.coding.size),
            is_sequential,
        })
    }

    fn ground(&self) -> Ground<'_> {
        Ground {
            archive: &self.shared.archive,
            id: self.id,
            entry: &self.entry,
            coding: self.coding,
            key: self.shared.keys.get(self.id),
            points: &self.shared.points,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change leaves it consistent. A panic in between loses at most a decoder, whose reads end
        // at their deadline.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Counts memory of decoders, which the blocks then have not.
    fn count_decoder(&self, memory: i64) {
        let before = self.decoders.fetch_add(memory as u64, Relaxed);
        let decoders = before.wrapping_add(memory as u64);
        let least = self.memory / 8;
        self.blocks
            .set_bound(self.memory.saturating_sub(decoders).max(least));
    }

    fn resting(&self) -> MutexGuard<'_, VecDeque<(Weak<Large>, u64)>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        self.shared.count_decoder(-(self.memory as i64));
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
