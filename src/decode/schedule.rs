//! Which walk serves which read of a large entry. Pure: no I/O, no threads.
//!
//! An entry is divided into blocks. The **plan** of a walk is the block that it gives next, and how far it is to go. A
//! walk goes on while a read waits for a block ahead of it, and a little further ahead of a reader that reads in
//! sequence. Then it rests, until its reader comes closer or another read can use it.

use std::ops::Range;

use super::blocks::BLOCK;

/// The most walks of an entry. A further reader waits until one of them rests.
const MOST: usize = 8;

/// A walk is preferred to a checkpoint that lies at most this many bytes ahead of it: to begin a new walk costs as much
/// as to decode these bytes.
const RESTART: u64 = 256 * 1024;

/// A walk that has a reader serves a read further ahead only if a new walk would have to decode at least this many
/// bytes more.
const DETOUR: u64 = 4 << 20;

/// How far a reader may jump ahead and still counts as one that reads in sequence, in blocks.
const JUMP: u64 = 4;

/// The most blocks ahead of a walk that its reader is assumed to ask for. Linux asks for up to 4 MiB ahead. Twice that, so
/// that two readers of the same file that are close to each other share a walk.
const ASKED: u64 = 64;

/// From this many blocks ahead on, a reader counts as one that goes on to the end.
const GOES_ON: u64 = 8;

/// The plan of a walk. `W` is the walk.
struct Plan<W> {
    /// The number of the walk.
    number: u64,
    /// The block that it gives next.
    next: u64,
    /// The end of the blocks that reads wait for.
    until: u64,
    /// Whether a reader has got a block of it.
    has_reader: bool,
    /// The block after the one that its reader has read last. Until it has read one, the block that the walk was begun for.
    read: u64,
    /// How many blocks ahead of `read` the walk goes.
    ahead: u64,
    used: u64,
    /// The walk while it rests; `None` while it decodes.
    resting: Option<W>,
}

/// The plans of all walks through an entry.
pub(super) struct Schedule<W> {
    plans: Vec<Plan<W>>,
    /// The number of blocks of the entry.
    blocks: u64,
    /// The most blocks that a walk goes ahead of its reader.
    most_ahead: u64,
    numbers: u64,
    uses: u64,
    /// A walk that made room for another.
    dropped: Option<W>,
    /// The reader of the walk that was dropped last: its `read` and `ahead`.
    lost: Option<(u64, u64)>,
}

/// What is to be done for a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Task<W> {
    /// A walk will give it.
    Coming,
    /// A walk that rested is to go on. With its number.
    GoOn(u64, W),
    /// A walk of this number is to begin at the checkpoint.
    Begin(u64),
    /// No walk is free. Ask again when one of them rests.
    Later,
}

impl<W> Plan<W> {
    /// The end of the blocks that its reader will probably read soon.
    fn ahead_end(&self) -> u64 {
        match self.ahead {
            0 => 0,
            ahead => self.read + ahead,
        }
    }

    /// Whether the walk decodes and is to give a block.
    fn will_give(&self, block: u64) -> bool {
        let end = self.until.max(self.ahead_end());
        self.resting.is_none() && (self.next..end).contains(&block)
    }

    /// The end of what its reader has asked for. At most `ASKED` blocks ahead of the walk: a read beyond that was another
    /// reader's, or was served by other walks.
    fn asked(&self) -> u64 {
        let asked = self.until.max(self.read);
        asked.clamp(self.next, self.next + ASKED)
    }

    /// Whether it is to give a block. `point` is the offset of the last checkpoint before the block.
    fn is_useful(&self, block: u64, point: u64, most_ahead: u64) -> bool {
        let (at, asked) = (self.next * BLOCK, self.asked());
        // It goes there anyway, wherever checkpoints are. Before its reader has got a first block, that is known only of what
        // continues its reads without a gap.
        let jump = if self.has_reader { JUMP } else { 0 };
        let is_next = block <= asked + jump;
        let pays = at + RESTART >= point;
        let is_far = self.has_reader && block > asked.max(self.read) + most_ahead;
        let is_detour = is_far && at < point.saturating_add(DETOUR);
        self.next <= block && (is_next || pays && !is_detour)
    }

    /// Whether a read of this block continues what the walk's reader reads. Reads that are under way at the same time
    /// end in any order. A read more than [`ASKED`] blocks ahead of the walk is that of another reader.
    fn follows(&self, block: u64) -> bool {
        let last = self.read.max(self.next) + JUMP;
        (self.read..=last.min(self.next + ASKED)).contains(&block)
    }
}

impl<W> Schedule<W> {
    pub(super) fn new(blocks: u64, most_ahead: u64) -> Self {
        Self {
            plans: Vec::new(),
            blocks,
            most_ahead,
            numbers: 0,
            uses: 0,
            dropped: None,
            lost: None,
        }
    }

    /// Whether there is no walk.
    pub(super) fn is_empty(&self) -> bool {
        self.plans.is_empty()
    }

    /// A read waits for a block. `point` is the offset of the last checkpoint at or before it, 0 for the
    /// start of the entry. May drop a walk: see [`take_dropped`](Self::take_dropped).
    pub(super) fn want(&mut self, block: u64, point: u64) -> Task<W> {
        self.uses += 1;
        let uses = self.uses;
        if let Some(plan) = self.plans.iter_mut().find(|plan| plan.will_give(block)) {
            plan.until = plan.until.max(block + 1);
            return Task::Coming;
        }
        let most_ahead = self.most_ahead;
        let plans = self.plans.iter_mut();
        let useful = plans.filter(|plan| plan.is_useful(block, point, most_ahead));
        if let Some(plan) = useful.max_by_key(|plan| plan.next) {
            (plan.until, plan.used) = (plan.until.max(block + 1), uses);
            return match plan.resting.take() {
                Some(walk) => Task::GoOn(plan.number, walk),
                None => Task::Coming,
            };
        }
        if self.plans.len() >= MOST && self.drop_resting().is_none() {
            return Task::Later;
        }
        // The reader of a walk that was dropped still reads in sequence.
        let follows = |lost: &mut (u64, u64)| (lost.0..=lost.0 + JUMP).contains(&block);
        let lost = self.lost.take_if(follows);
        self.numbers += 1;
        self.plans.push(Plan {
            number: self.numbers,
            next: point.div_ceil(BLOCK),
            until: block + 1,
            has_reader: lost.is_some(),
            read: block,
            ahead: lost.map_or(0, |(_, ahead)| ahead),
            used: uses,
            resting: None,
        });
        Task::Begin(self.numbers)
    }

    /// A reader got all blocks that it asked for at once. Returns a walk that is to go on ahead of it, and its number.
    pub(super) fn read(&mut self, blocks: Range<u64>) -> Option<(u64, W)> {
        self.uses += 1;
        let plans = self.plans.iter_mut();
        let following = plans.filter(|plan| blocks.clone().any(|block| plan.follows(block)));
        let plan = following.max_by_key(|plan| plan.read)?;
        plan.used = self.uses;
        // One read is no sequence, except at the start of the entry. Decoding ahead of it would delay the next read of a
        // program that jumps.
        if plan.has_reader || blocks.start == 0 {
            let asked = (blocks.end - blocks.start).min(self.most_ahead);
            plan.ahead = (plan.ahead * 2).clamp(asked, self.most_ahead);
        }
        plan.has_reader = true;
        plan.read = blocks.end;
        let goal = plan.ahead_end().min(self.blocks);
        // Not for each block: to go on costs a change of threads.
        if plan.next < goal && plan.next <= plan.read + plan.ahead / 2 {
            let walk = plan.resting.take()?;
            return Some((plan.number, walk));
        }
        None
    }

    /// The block before which a walk is to stop, and whether its reader will probably
    /// go on to the end; `None` if it is to rest. `is_wanted`: whether reads wait for blocks of a range.
    pub(super) fn goal(
        &self,
        number: u64,
        is_wanted: impl Fn(Range<u64>) -> bool,
    ) -> Option<(u64, bool)> {
        let plan = self.plan(number)?;
        let ahead = plan.ahead_end().min(self.blocks);
        let demand = plan.next..plan.until.min(self.blocks);
        let until = if !demand.is_empty() && is_wanted(demand.clone()) {
            demand.end.max(ahead)
        } else {
            ahead
        };
        (plan.next < until).then_some((until, plan.ahead >= GOES_ON))
    }

    /// Whether a walk's reader will probably read a block.
    pub(super) fn is_ahead(&self, number: u64, block: u64) -> bool {
        self.plan(number)
            .is_some_and(|plan| (plan.read..plan.ahead_end()).contains(&block))
    }

    /// A walk has given a block.
    pub(super) fn gave(&mut self, number: u64, block: u64) {
        if let Some(plan) = self.plan_mut(number) {
            plan.next = block + 1;
        }
    }

    /// A walk rests.
    pub(super) fn rest(&mut self, number: u64, walk: W) {
        if let Some(plan) = self.plan_mut(number) {
            plan.resting = Some(walk);
        }
    }

    /// Removes a walk. Returns the blocks that reads may wait for.
    pub(super) fn remove(&mut self, number: u64) -> Range<u64> {
        let place = self.plans.iter().position(|plan| plan.number == number);
        place.map_or(0..0, |place| {
            let plan = self.plans.swap_remove(place);
            plan.next..plan.until.max(plan.next)
        })
    }

    /// Removes a walk if it rests, and returns it.
    pub(super) fn drop_walk(&mut self, number: u64) -> Option<W> {
        let rests = |plan: &Plan<W>| plan.number == number && plan.resting.is_some();
        let place = self.plans.iter().position(rests)?;
        let plan = self.plans.swap_remove(place);
        if plan.has_reader {
            self.lost = Some((plan.read, plan.ahead));
        }
        plan.resting
    }

    /// Whether a walk that decodes is to give a block.
    pub(super) fn is_coming(&self, block: u64) -> bool {
        self.plans.iter().any(|plan| plan.will_give(block))
    }

    /// The walk that the last call of [`want`](Self::want) has dropped.
    pub(super) fn take_dropped(&mut self) -> Option<W> {
        self.dropped.take()
    }

    /// Drops the walk that rests and was used least recently.
    fn drop_resting(&mut self) -> Option<()> {
        let resting = self.plans.iter().filter(|plan| plan.resting.is_some());
        let number = resting.min_by_key(|plan| plan.used)?.number;
        self.dropped = self.drop_walk(number);
        Some(())
    }

    fn plan(&self, number: u64) -> Option<&Plan<W>> {
        self.plans.iter().find(|plan| plan.number == number)
    }

    fn plan_mut(&mut self, number: u64) -> Option<&mut Plan<W>> {
        self.plans.iter_mut().find(|plan| plan.number == number)
    }
}

#[cfg(test)]
mod tests;
