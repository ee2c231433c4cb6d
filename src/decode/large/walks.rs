//! The walks through a large entry: how each begins, goes on, rests and ends.
//!
//! A walk that decodes belongs to its thread. While it rests it lies in the schedule, where another thread finds it.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::{Large, State};
use crate::decode::blocks::BLOCK;
use crate::decode::checkpoint::Point;
use crate::decode::error::Error;
use crate::decode::memory::{Resting, Rests};
use crate::decode::walk::{Goal, KeepsPoints, Surroundings, Walk};
use crate::reader;

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
    /// Begins a walk at a checkpoint, or at the start of the entry, as soon as there is a thread for it. `epoch` is that of
    /// the checkpoint: until the walk begins, the data may be found to be wrong.
    pub(super) fn spawn_walk(self: &Arc<Self>, number: u64, from: Option<Arc<Point>>, epoch: u64) {
        let this = self.clone();
        self.shared.workers.spawn(move || {
            let stopped = this.caught(|| {
                // Otherwise it would wait for memory and bytes for nobody.
                let Some(goal) = this.goal(number) else {
                    return Ok(Stop::Unwanted);
                };
                match this.begin(from.as_deref(), goal, epoch) {
                    Ok(walk) => this.go(number, walk),
                    Err(_) if this.state().epoch != epoch => Ok(Stop::Outdated),
                    Err(error) => Err(error),
                }
            });
            this.stopped(number, stopped);
        });
    }

    /// Lets a walk that rested go on.
    pub(super) fn go_on(self: &Arc<Self>, number: u64, walk: Walk) {
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
    pub(super) fn begin(
        &self,
        from: Option<&Point>,
        goal: Goal,
        epoch: u64,
    ) -> Result<Walk, Error> {
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
        self.shared.memory.rests(Resting { number, entry });
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

    pub(super) fn surroundings(&self) -> Surroundings<'_> {
        Surroundings {
            shared: &self.shared,
            id: self.id,
            entry: &self.entry,
            coding: self.coding,
            keeps: self,
        }
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
