//! The walks through a large entry: how each begins, goes on, rests and ends.
//!
//! A walk that decodes belongs to its thread. While it rests it lies in the schedule, where another thread finds it.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::{Large, State, Wrong};
use crate::decode::blocks::BLOCK;
use crate::decode::checkpoint::Point;
use crate::decode::error::Error;
use crate::decode::memory::{Resting, Rests};
use crate::decode::walk::{Goal, Walk};
use crate::reader;

/// Why a walk stopped.
enum Stop {
    /// It rests.
    Resting,
    /// It is at the end of the entry.
    AtEnd,
    /// The reads that it was for have ended, or its data was found to be wrong since it began.
    Unwanted,
}

impl Large {
    /// Begins a walk at a checkpoint, or at the start of the entry, as soon as there is a thread for it. `epoch` is that of
    /// the checkpoint: until the walk begins, the data may be found to be wrong.
    pub(super) fn spawn_walk(self: &Arc<Self>, number: u64, from: Option<Arc<Point>>, epoch: u64) {
        let this = self.clone();
        self.shared.workers.spawn(move || {
            this.run(number, epoch, || {
                // Otherwise it would wait for memory and bytes for nobody.
                let Some(goal) = this.goal(number) else {
                    return Ok(Stop::Unwanted);
                };
                let walk = this.begin(from.as_deref(), goal, epoch)?;
                this.decode(number, walk)
            });
        });
    }

    /// Lets a walk that rested go on.
    pub(super) fn go_on(self: &Arc<Self>, number: u64, walk: Walk) {
        let this = self.clone();
        self.shared.workers.go_on(move || {
            this.run(number, walk.epoch(), || {
                walk.turn().take();
                this.decode(number, walk)
            });
        });
    }

    /// Runs a walk until it stops, and sees to the reads that wait then.
    fn run(self: &Arc<Self>, number: u64, epoch: u64, steps: impl FnOnce() -> Result<Stop, Error>) {
        let stopped = catch_unwind(AssertUnwindSafe(steps));
        match stopped.unwrap_or_else(|_| Err(Error::panicked())) {
            Ok(Stop::Resting) => self.store_points(false),
            Ok(Stop::AtEnd) => {
                self.store_points(true);
                self.ended(number);
            }
            Ok(Stop::Unwanted) => self.ended(number),
            Err(error) => self.failed(number, epoch, error),
        }
    }

    /// Begins a walk at a checkpoint, or at the start of the entry. It has a turn. `epoch` is that of the checkpoint.
    pub(super) fn begin(
        &self,
        from: Option<&Point>,
        goal: Goal,
        epoch: u64,
    ) -> Result<Walk, Error> {
        self.shared.work.walks.fetch_add(1, Relaxed);
        Walk::begin(self.shared.clone(), self.id, self.entry, from, goal, epoch)
    }

    /// Lets a walk that has a turn decode until it stops.
    fn decode(self: &Arc<Self>, number: u64, mut walk: Walk) -> Result<Stop, Error> {
        let mut buffer = self.shared.blocks.buffer();
        loop {
            if self.shared.closed.is_cancelled() {
                return Err(Error::Read(reader::Error::Closed));
            }
            let Some(goal) = self.goal(number) else {
                // Before another thread may go on with it.
                walk.turn().give();
                self.rest(number, walk);
                return Ok(Stop::Resting);
            };
            walk.expect(goal);
            let start = walk.position();
            self.fill(&mut walk, &mut buffer)?;
            // The walk may have begun within a block.
            if start.is_multiple_of(BLOCK) {
                match self.give(number, start / BLOCK, buffer, walk.epoch()) {
                    Some(next) => buffer = next,
                    None => return Ok(Stop::Unwanted),
                }
            }
            if walk.position() == self.entry.size {
                return Ok(Stop::AtEnd);
            }
            self.store_points(false);
            if (walk.position() / BLOCK).is_multiple_of(8) {
                walk.turn().give();
                walk.turn().take();
            }
        }
    }

    /// Lets a walk decode to the end of its block, and keeps its checkpoints.
    pub(super) fn fill(&self, walk: &mut Walk, buffer: &mut Vec<u8>) -> Result<(), Error> {
        walk.fill(buffer, &|point, epoch| {
            // Locked until it is added, so that it is either refused or forgotten with the others.
            let state = self.state.lock();
            if state.epoch == epoch {
                self.shared.points.add(self.id, point);
            }
        })
    }

    /// Gives a block to the reads that wait for it, and keeps it if they or the walk's reader want it.
    /// Returns a buffer for the next block, or `None` if the data was found to be wrong since `epoch`.
    fn give(&self, number: u64, block: u64, buffer: Vec<u8>, epoch: u64) -> Option<Vec<u8>> {
        let mut state = self.state.lock();
        if state.epoch != epoch {
            return None;
        }
        state.schedule.gave(number, block);
        state.fetched_again.take_if(|from| block >= *from);
        let waiting = state.waiting.remove(&block);
        if waiting.is_none() && !state.schedule.is_ahead(number, block) {
            return Some(buffer);
        }
        self.shared.given_out.lock().insert(self.id);
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
        let mut state = self.state.lock();
        state.schedule.rest(number, walk);
        // What came in since the walk's goal was looked at.
        self.serve_all(&mut state);
        drop(state);
        let entry: Weak<Self> = Arc::downgrade(self);
        self.shared.memory.rests(Resting { number, entry });
    }

    /// A walk has ended without an error.
    fn ended(self: &Arc<Self>, number: u64) {
        let mut state = self.state.lock();
        state.schedule.remove(number);
        self.serve_all(&mut state);
    }

    /// A walk has failed.
    fn failed(self: &Arc<Self>, number: u64, epoch: u64, error: Error) {
        let mut state = self.state.lock();
        let blocks = state.schedule.remove(number);
        let is_outdated = state.epoch != epoch;
        let is_wrong = !is_outdated && error.is_of_data();
        if is_wrong {
            self.found_wrong(&mut state, blocks.start, &error);
        } else if !is_outdated {
            let mut lost = state.waited_for(blocks);
            lost.retain(|block| !state.schedule.is_coming(*block));
            state.fail(&lost, &error);
        }
        self.serve_all(&mut state);
        drop(state);
        if is_wrong {
            self.report_wrong();
        }
    }

    /// A walk has found that the data is wrong, when it was to give the block `from`. Fails the reads that wait, unless the
    /// data is fetched again.
    fn found_wrong(&self, state: &mut State, from: u64, error: &Error) {
        self.distrust(state, error);
        if state.fetched_again.is_none() && self.shared.archive.reject_stored(self.id) {
            state.fetched_again = Some(from);
            return;
        }
        let from = if error.is_of_whole() { 0 } else { from };
        state.wrong = Some(Wrong {
            from,
            error: error.clone(),
            since: Instant::now(),
        });
        let lost = state.waited_for(from..u64::MAX);
        state.fail(&lost, error);
    }

    /// Reports that what was given out may be wrong, too: a decoder may find an error some way behind its cause.
    pub(super) fn report_wrong(self: &Arc<Self>) {
        let this = self.clone();
        // On a thread of its own: it waits for reads under way, which may need this one.
        self.shared.workers.go_on(move || {
            if let Some(report) = this.shared.on_wrong.get() {
                report(this.id);
            }
        });
    }

    /// How far a walk is to go; `None` if it is to rest.
    fn goal(&self, number: u64) -> Option<Goal> {
        let mut state = self.state.lock();
        let State {
            schedule, waiting, ..
        } = &mut *state;
        let is_wanted = |blocks: Range<u64>| {
            let mut senders = waiting.range(blocks).flat_map(|(_, senders)| senders);
            senders.any(|sender| !sender.is_closed())
        };
        let (until, is_sequential) = schedule.goal(number, is_wanted)?;
        Some(Goal {
            plain: until.saturating_mul(BLOCK).min(self.entry.size),
            is_sequential,
        })
    }
}

impl Rests for Large {
    fn drop_walk(&self, number: u64) {
        let walk = self.state.lock().schedule.drop_walk(number);
        // Not while the state is locked: it gives memory back.
        drop(walk);
    }
}
