//! The book of the line: which blocks are in memory, which ranges are on their way, who waits.
//!
//! Everything that must be decided at one moment lives here, behind the one lock in `line.rs`:
//! that is how no byte is asked for twice. Nothing here waits or does I/O.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::ahead::{WalkId, Walks};
use super::block::{Block, blocks_of, overlap, without};
use super::error::Error;
use super::pace::Pace;
use crate::source::{self, Priority};

/// A range that failed fails again at once for this long. After an error on a read-ahead request
/// the kernel asks for the same page by itself, and that must not cost a second deadline.
const FAILURE_REMEMBERED: Duration = Duration::from_secs(1);

/// The blocks that a range touches, held so that they stay.
pub(super) type Blocks = Vec<Arc<Block>>;

/// Why a waiter was woken.
pub(super) enum Wake {
    /// All its bytes are there.
    Ready,
    /// What it waited for was cancelled or was only read-ahead: look again, and ask for it.
    Again,
    /// Its bytes cannot be had.
    Failed(Error),
}

/// One range on its way.
pub(super) struct Part {
    /// What has not come yet.
    pub(super) left: Range<u64>,
    pub(super) priority: Priority,
    pub(super) walk: Option<WalkId>,
    /// Whether some of it has come.
    pub(super) has_begun: bool,
    /// Ends the task that fetches it.
    pub(super) abort: Option<AbortHandle>,
}

struct Waiter {
    range: Range<u64>,
    blocks: Blocks,
    wake: oneshot::Sender<Wake>,
}

pub(super) struct Ledger {
    blocks: HashMap<u64, Weak<Block>>,
    parts: HashMap<u64, Part>,
    next_part: u64,
    waiters: Vec<Waiter>,
    failures: Vec<(Range<u64>, Error, Instant)>,
    /// What each walk has fetched and not yet read, so that it is not evicted before it is.
    pinned: HashMap<WalkId, Blocks>,
    pub(super) walks: Walks,
    pub(super) pace: Pace,
    /// What the source had received in all when that was last asked.
    received: u64,
}

impl Ledger {
    /// Books for a line whose read-ahead may have so many parts on their way at once, and so many
    /// bytes.
    pub(super) fn new(connections: usize, memory: u64) -> Self {
        Self {
            blocks: HashMap::new(),
            parts: HashMap::new(),
            next_part: 0,
            waiters: Vec::new(),
            failures: Vec::new(),
            pinned: HashMap::new(),
            walks: Walks::default(),
            pace: Pace::new(connections, memory, Instant::now()),
            received: 0,
        }
    }

    /// The blocks of `range`, or how many of them are not in memory.
    pub(super) fn find(&self, range: &Range<u64>) -> Result<Blocks, usize> {
        let numbers = blocks_of(range);
        let wanted = (numbers.end - numbers.start) as usize;
        let found: Blocks = numbers.filter_map(|n| self.block(n)).collect();
        match wanted - found.len() {
            0 => Ok(found),
            lacking => Err(lacking),
        }
    }

    /// The blocks of `range`, made where there are none. `make` gives a new block of that number;
    /// `None` if it has no more to give, and then nothing is returned.
    pub(super) fn find_or_make(
        &mut self,
        range: &Range<u64>,
        mut make: impl FnMut(u64) -> Option<Block>,
    ) -> Option<Blocks> {
        let mut found = Blocks::new();
        for number in blocks_of(range) {
            let block = match self.block(number) {
                Some(block) => block,
                None => {
                    let block = Arc::new(make(number)?);
                    self.blocks.insert(number, Arc::downgrade(&block));
                    block
                }
            };
            found.push(block);
        }
        self.sweep();
        Some(found)
    }

    pub(super) fn block(&self, number: u64) -> Option<Arc<Block>> {
        self.blocks.get(&number)?.upgrade()
    }

    /// Forgets blocks that nobody holds, once they are most of the map.
    fn sweep(&mut self) {
        if self.blocks.len() > 1024 && self.blocks.len() == self.blocks.capacity() {
            self.blocks.retain(|_, block| block.strong_count() > 0);
        }
    }

    /// What of `range` is neither there nor on its way.
    pub(super) fn unasked(&self, range: &Range<u64>, blocks: &[Arc<Block>]) -> Vec<Range<u64>> {
        let mut lacking: Vec<Range<u64>> = Vec::new();
        for gap in blocks.iter().flat_map(|block| block.missing(range)) {
            match lacking.last_mut() {
                Some(last) if last.end == gap.start => last.end = gap.end,
                _ => lacking.push(gap),
            }
        }
        for part in self.parts.values() {
            lacking = lacking
                .into_iter()
                .flat_map(|gap| without(gap, &part.left))
                .collect();
        }
        lacking
    }

    /// Enters a part; its task is told by [`set_task`](Self::set_task).
    pub(super) fn begin_part(&mut self, part: Part) -> u64 {
        self.next_part += 1;
        self.parts.insert(self.next_part, part);
        self.next_part
    }

    pub(super) fn set_task(&mut self, id: u64, abort: AbortHandle) {
        if let Some(part) = self.parts.get_mut(&id) {
            part.abort = Some(abort);
        }
    }

    /// `bytes` of a part have come and are in their blocks. False if the part was cancelled.
    /// `received`: how many the source has got in all, if that is another matter, and `on_trial`, how
    /// many of them it has not given out.
    pub(super) fn arrived(
        &mut self,
        id: u64,
        came: &Range<u64>,
        received: Option<u64>,
        on_trial: u64,
    ) -> bool {
        let Some(part) = self.parts.get_mut(&id) else {
            return false;
        };
        part.left.start = came.end;
        part.has_begun = true;
        let in_flight = self.parts.values().map(|p| p.left.end - p.left.start);
        let in_flight = in_flight.sum::<u64>().saturating_sub(on_trial);
        let bytes = match received {
            Some(received) => {
                let now = self.received.max(received);
                received.saturating_sub(std::mem::replace(&mut self.received, now))
            }
            None => came.end - came.start,
        };
        (self.pace).arrived(bytes, in_flight, Instant::now());
        self.wake(came, |_| None);
        true
    }

    /// A part has ended, with all its bytes or without.
    pub(super) fn end_part(&mut self, id: u64, result: Result<(), Error>) {
        let Some(part) = self.parts.remove(&id) else {
            return;
        };
        let Err(error) = result else { return };
        match part.priority {
            Priority::Demand => {
                let bad = bad_part(&part.left, &error);
                self.wake(&part.left, |waiter| {
                    Some(match overlap(waiter, &bad).is_empty() {
                        true => Wake::Again,
                        false => Wake::Failed(error.clone()),
                    })
                });
                self.remember_failure(bad, error);
            }
            // It was worth two tries as read-ahead; whoever waits for it asks with more patience.
            Priority::Prefetch => self.wake(&part.left, |_| Some(Wake::Again)),
        }
    }

    /// Whether read-ahead of this walk may have more bytes on their way: as many as the link has use
    /// for, of which each walk may have its share however many the others have.
    /// `on_trial`: how many have come and not been given out.
    pub(super) fn has_room_for(&self, walk: WalkId, on_trial: u64) -> bool {
        let (mut all, mut own, mut others) = (0, 0, Vec::new());
        for part in self.parts.values() {
            let left = part.left.end - part.left.start;
            all += left;
            match part.walk {
                Some(of) if of == walk => own += left,
                Some(of) if !others.contains(&of) => others.push(of),
                _ => {}
            }
        }
        let most = self.pace.flight();
        all.saturating_sub(on_trial) < most || own < most / (others.len() as u64 + 1)
    }

    /// How many parts are on their way.
    pub(super) fn in_flight(&self) -> usize {
        self.parts.len()
    }

    /// Whether connections need not be idle for a round trip between parts.
    pub(super) fn go_without_pause(&mut self, do_so: bool) {
        self.pace.without_pause = do_so;
        self.walks.without_pause = do_so;
    }

    /// How many parts take a connection: not those whose answers are nearly over, with no more than
    /// `early_by` bytes to come.
    pub(super) fn busy(&self, early_by: u64) -> usize {
        let is_nearly_over =
            |part: &Part| part.has_begun && part.left.end - part.left.start <= early_by;
        let parts = self.parts.values();
        parts.filter(|part| !is_nearly_over(part)).count()
    }

    /// Waits for `range`: the receiver is told when its bytes are there. Its blocks must be all
    /// that it touches.
    pub(super) fn wait(&mut self, range: Range<u64>, blocks: Blocks) -> oneshot::Receiver<Wake> {
        let (wake, woken) = oneshot::channel();
        self.waiters.retain(|waiter| !waiter.wake.is_closed());
        self.waiters.push(Waiter {
            range,
            blocks,
            wake,
        });
        woken
    }

    /// Wakes those waiters for `range` whose bytes are all there, or for whom `otherwise` has a
    /// reason.
    fn wake(&mut self, range: &Range<u64>, otherwise: impl Fn(&Range<u64>) -> Option<Wake>) {
        let mut at = 0;
        while at < self.waiters.len() {
            let waiter = &self.waiters[at];
            let wake = if overlap(&waiter.range, range).is_empty() {
                None
            } else if waiter.blocks.iter().all(|b| b.has(&waiter.range)) {
                Some(Wake::Ready)
            } else {
                otherwise(&waiter.range)
            };
            match wake {
                // A waiter that has gone meanwhile does not hear it, and need not.
                Some(wake) => drop(self.waiters.swap_remove(at).wake.send(wake)),
                None => at += 1,
            }
        }
    }

    /// Why `range` cannot be had, if it failed a moment ago.
    pub(super) fn recent_failure(&mut self, range: &Range<u64>) -> Option<Error> {
        let now = Instant::now();
        self.failures.retain(|(_, _, until)| *until > now);
        let mut failures = self.failures.iter();
        let failed = failures.find(|(failed, ..)| !overlap(failed, range).is_empty());
        failed.map(|(_, error, _)| error.clone())
    }

    /// Lets `range` fail at once for a short while.
    pub(super) fn remember_failure(&mut self, range: Range<u64>, error: Error) {
        let until = Instant::now() + FAILURE_REMEMBERED;
        self.failures.push((range, error, until));
    }

    /// Holds blocks for a walk until it has read them.
    pub(super) fn pin(&mut self, walk: WalkId, blocks: Blocks) {
        self.pinned.entry(walk).or_default().extend(blocks);
    }

    /// Lets go of what the walk has read.
    pub(super) fn unpin_read(&mut self, walk: WalkId) -> Blocks {
        let Some(way) = self.walks.get(walk) else {
            return Blocks::new();
        };
        let Some(pinned) = self.pinned.get_mut(&walk) else {
            return Blocks::new();
        };
        let (ahead, read) = std::mem::take(pinned)
            .into_iter()
            .partition(|block: &Arc<Block>| way.still_wants(&block.extent()));
        *pinned = ahead;
        read
    }

    /// Ends a walk: its read-ahead is cancelled unless somebody waits for it. Returns the blocks
    /// that it held.
    pub(super) fn end_walk(&mut self, walk: WalkId) -> Blocks {
        let waiters = &self.waiters;
        let is_waited_for = |range: &Range<u64>| {
            let mut waiters = waiters.iter();
            waiters.any(|w| !overlap(&w.range, range).is_empty())
        };
        self.parts.retain(|_, part| {
            let abandoned = part.walk == Some(walk)
                && part.priority == Priority::Prefetch
                && !is_waited_for(&part.left);
            if abandoned && let Some(abort) = &part.abort {
                abort.abort();
            }
            !abandoned
        });
        self.pinned.remove(&walk).unwrap_or_default()
    }

    /// How far ahead of its reader a walk should look now, in bytes.
    pub(super) fn window(&self, now: Instant) -> u64 {
        let going = self.walks.going(self.pace.lately(), now);
        self.pace.window_of(going)
    }

    /// Cancels the read-ahead of walks that were left for `new`, one that somebody waits for. What
    /// has come of it stays, until the memory is wanted.
    pub(super) fn give_up_for(&mut self, new: WalkId) {
        for walk in self.walks.left_for(new, Instant::now()) {
            let waiters = self.waiters.iter().filter(|w| !w.wake.is_closed());
            let mut awaited = waiters.map(|waiter| waiter.range.clone());
            let Some(left) = self.walks.get(walk) else {
                continue;
            };
            if !left.is_left() && !awaited.any(|range| left.is_at(&range)) {
                left.leave();
                let held = self.end_walk(walk);
                self.pinned.insert(walk, held);
            }
        }
    }

    /// Lets go of what was fetched ahead for walks that were left.
    pub(super) fn let_go_of_left(&mut self) -> Blocks {
        let (walks, pinned) = (&mut self.walks, &mut self.pinned);
        let is_left = |walk: &WalkId| walks.get(*walk).is_none_or(|walk| walk.is_left());
        let left: Vec<WalkId> = pinned.keys().copied().collect();
        let left = left.into_iter().filter(is_left).collect::<Vec<_>>();
        let held = left.iter().filter_map(|walk| pinned.remove(walk));
        held.flatten().collect()
    }

    /// Forgets the bytes of `range`, those that are there and those that are on their way: the next
    /// read of them asks anew.
    pub(super) fn forget(&mut self, range: &Range<u64>) {
        let parts = self.parts.iter();
        let coming = parts.filter(|(_, part)| !overlap(&part.left, range).is_empty());
        let coming: Vec<u64> = coming.map(|(id, _)| *id).collect();
        for id in coming {
            let Some(part) = self.parts.remove(&id) else {
                continue;
            };
            if let Some(abort) = part.abort {
                abort.abort();
            }
            self.wake(&part.left, |_| Some(Wake::Again));
        }
        for block in blocks_of(range).filter_map(|number| self.block(number)) {
            block.forget(range);
        }
    }

    /// Ends everything: parts are cancelled, waiters are told why.
    pub(super) fn close(&mut self) {
        for (_, part) in self.parts.drain() {
            if let Some(abort) = part.abort {
                abort.abort();
            }
        }
        for waiter in self.waiters.drain(..) {
            let _ = waiter.wake.send(Wake::Failed(Error::Closed));
        }
        self.pinned.clear();
    }
}

/// What of a part that failed cannot be had: where the error says which bytes are wrong, others
/// may be as good as any.
fn bad_part(left: &Range<u64>, error: &Error) -> Range<u64> {
    let told = match error {
        Error::Source(source::Error::Forged { range, .. }) => overlap(range, left),
        _ => left.clone(),
    };
    match told.is_empty() {
        true => left.clone(),
        false => told,
    }
}

#[cfg(test)]
mod tests;
