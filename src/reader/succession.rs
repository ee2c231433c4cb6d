//! Which file will be read next.
//!
//! Players read segment after segment, `cp` file after file: each to its end, then the next. Where
//! the next is the neighbour on the line, going on is obvious after one step. In archives of other
//! writers the segments lie anywhere, and then the next one is that of the next name; that is
//! believed once two steps have followed it. Pure: what is read goes in, what to expect comes out.

use std::collections::VecDeque;

use crate::archive::EntryId;

/// Steps along the line after which it is expected to go on so.
const STEPS_BY_LINE: u32 = 1;

/// Steps by name after which they are expected to go on so.
const STEPS_BY_NAME: u32 = 2;

/// How many successions are followed at once; as many as walks.
const MOST: usize = 24;

/// The most files to plan ahead; tiny ones would otherwise fill a window by the ten thousand.
const MOST_PLANNED: usize = 1024;

/// What comes after a file.
pub(super) trait Next {
    /// On the line.
    fn on_the_line(&self, id: EntryId) -> Option<EntryId>;
    /// By name.
    fn by_name(&self, id: EntryId) -> Option<EntryId>;
    /// How many bytes it is worth.
    fn len(&self, id: EntryId) -> u64;
}

/// Files to expect.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// What was expected before no longer holds.
    pub(super) is_new: bool,
    /// What will be read, in this order, behind what was expected before.
    pub(super) files: Vec<EntryId>,
}

/// One reader going from file to file.
#[derive(Debug)]
struct Walker {
    last: EntryId,
    /// Whether that was read to its end, and then what follows it on the line and by name.
    finished: Option<(Option<EntryId>, Option<EntryId>)>,
    steps_on_the_line: u32,
    steps_by_name: u32,
    /// Behind `last`, with their lengths.
    planned: VecDeque<(EntryId, u64)>,
    heard: u64,
}

/// All readers that are followed.
#[derive(Debug, Default)]
pub(super) struct Succession {
    walkers: Vec<Walker>,
    reads: u64,
}

impl Succession {
    /// The end of a file has been read.
    pub(super) fn ended(&mut self, id: EntryId, next: &dyn Next) {
        if let Some(walker) = self.walkers.iter_mut().find(|w| w.last == id) {
            walker.finished = Some((next.on_the_line(id), next.by_name(id)));
        }
    }

    /// The beginning of a file has been read. Returns what to expect, up to `window` bytes of it.
    pub(super) fn began(&mut self, id: EntryId, window: u64, next: &dyn Next) -> Option<Plan> {
        self.reads += 1;
        let reads = self.reads;
        let Some(walker) = self.walkers.iter_mut().find(|w| w.is_followed_by(id)) else {
            if !self.walkers.iter().any(|w| w.last == id) {
                self.follow(id);
            }
            return None;
        };
        walker.heard = reads;
        walker.step(id);
        let by_name = match (walker.steps_by_name, walker.steps_on_the_line) {
            (by_name, on_the_line) if by_name >= STEPS_BY_NAME.max(on_the_line) => true,
            (_, on_the_line) if on_the_line >= STEPS_BY_LINE => false,
            _ => return None,
        };
        Some(walker.plan(id, window, next, by_name))
    }

    fn follow(&mut self, id: EntryId) {
        if self.walkers.len() >= MOST {
            let walkers = self.walkers.iter().enumerate();
            if let Some((oldest, _)) = walkers.min_by_key(|(_, w)| w.heard) {
                self.walkers.swap_remove(oldest);
            }
        }
        self.walkers.push(Walker {
            last: id,
            finished: None,
            steps_on_the_line: 0,
            steps_by_name: 0,
            planned: VecDeque::new(),
            heard: self.reads,
        });
    }
}

impl Walker {
    fn is_followed_by(&self, id: EntryId) -> bool {
        self.finished
            .is_some_and(|(a, b)| a == Some(id) || b == Some(id))
    }

    fn step(&mut self, id: EntryId) {
        let (on_the_line, by_name) = self.finished.take().unwrap_or_default();
        let count = |steps: u32, next| if next == Some(id) { steps + 1 } else { 0 };
        self.steps_on_the_line = count(self.steps_on_the_line, on_the_line);
        self.steps_by_name = count(self.steps_by_name, by_name);
        self.last = id;
    }

    fn plan(&mut self, id: EntryId, window: u64, next: &dyn Next, by_name: bool) -> Plan {
        let is_new = self
            .planned
            .pop_front()
            .is_none_or(|(expected, _)| expected != id);
        if is_new {
            self.planned.clear();
        }
        let mut ahead: u64 = self.planned.iter().map(|(_, len)| len).sum();
        let mut last = self.planned.back().map_or(id, |(id, _)| *id);
        let mut files = Vec::new();
        while ahead < window && self.planned.len() < MOST_PLANNED {
            let following = match by_name {
                true => next.by_name(last),
                false => next.on_the_line(last),
            };
            let Some(file) = following else { break };
            let len = next.len(file);
            self.planned.push_back((file, len));
            files.push(file);
            ahead = ahead.saturating_add(len);
            last = file;
        }
        Plan { is_new, files }
    }
}
