//! Read-ahead: which bytes will be wanted next.
//!
//! Sequential walks are detected on the line, not on open files: playing the segments of a
//! rendition that lie side by side is one walk over the line, whatever files the player opens and
//! closes on the way. Pure: reads go in, ranges to fetch come out; `line.rs` does the fetching.
//!
//! A walk begins with a small first range, so that a random read costs little more than its bytes.
//! Each time the reader comes back for more, and more so when it had to wait, the window doubles,
//! up to what the link can have in flight (see `pace.rs`).

use std::ops::Range;

/// What the first read of a walk fetches at the least, and the window it begins with, in bytes.
/// Two of the kernel's read-ahead requests: the second then waits for bytes already on their way.
pub(super) const FIRST_WINDOW: u64 = 256 * 1024;

/// Reads may come this many bytes out of order and still belong to one walk: the kernel's
/// read-ahead is served by several threads.
const SLACK: u64 = 1024 * 1024;

/// How many walks are followed at once; the one not heard of for longest makes room.
const MAX_WALKS: usize = 24;

/// Names a walk for as long as it is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct WalkId(u64);

/// One sequential walk along the line.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) id: WalkId,
    /// The end of what has been read.
    next: u64,
    /// The end of what has been asked for.
    ahead: u64,
    window: u64,
    /// Where the line stops being worth fetching: the end of the file being read, until the walk
    /// has been seen to go on into the next one.
    limit: u64,
    /// Whether the walk has crossed from one file into its neighbour.
    crosses: bool,
    /// When it was last heard of, in reads.
    heard: u64,
}

/// All walks that are followed.
#[derive(Debug, Default)]
pub(super) struct Walks {
    walks: Vec<Walk>,
    reads: u64,
    born: u64,
}

/// What a read means for the walks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) walk: WalkId,
    /// A walk that made room for this one.
    pub(super) forgotten: Option<WalkId>,
}

impl Walks {
    /// Takes note of a read of `range` in a file that ends at `limit`. `waits`: not all of its
    /// bytes are there yet. `max_window` bounds how far ahead the walk may look.
    pub(super) fn note(
        &mut self,
        range: &Range<u64>,
        limit: u64,
        waits: bool,
        max_window: u64,
    ) -> Noted {
        self.reads += 1;
        let reads = self.reads;
        if let Some(walk) = self.walks.iter_mut().find(|w| w.expects(range.start)) {
            walk.step(range, limit, waits, max_window);
            walk.heard = reads;
            let walk = walk.id;
            return Noted {
                walk,
                forgotten: None,
            };
        }
        let forgotten = (self.walks.len() >= MAX_WALKS).then(|| self.forget_oldest(None));
        self.born += 1;
        let walk = WalkId(self.born);
        self.walks.push(Walk {
            id: walk,
            next: range.end,
            ahead: range.end,
            window: 0, // one read is not a walk yet
            limit,
            crosses: false,
            heard: reads,
        });
        Noted {
            walk,
            forgotten: forgotten.flatten(),
        }
    }

    /// Forgets the walk not heard of for longest, other than `keep`.
    pub(super) fn forget_oldest(&mut self, keep: Option<WalkId>) -> Option<WalkId> {
        let others = self.walks.iter().enumerate();
        let others = others.filter(|(_, w)| Some(w.id) != keep);
        let (at, _) = others.min_by_key(|(_, w)| w.heard)?;
        Some(self.walks.swap_remove(at).id)
    }

    /// The walk of this name, if it is still followed.
    pub(super) fn get(&mut self, id: WalkId) -> Option<&mut Walk> {
        self.walks.iter_mut().find(|w| w.id == id)
    }

    /// How many walks are followed.
    pub(super) fn len(&self) -> usize {
        self.walks.len()
    }
}

impl Walk {
    /// Whether a read that starts here goes on with this walk.
    fn expects(&self, start: u64) -> bool {
        start + SLACK >= self.next && start <= self.ahead.max(self.next) + SLACK / 8
    }

    fn step(&mut self, range: &Range<u64>, limit: u64, waits: bool, max_window: u64) {
        if range.end <= self.next {
            return;
        }
        if limit > self.limit && range.start >= self.limit {
            self.crosses = true;
        }
        self.limit = limit.max(self.limit);
        self.next = range.end;
        self.ahead = self.ahead.max(range.end);
        // A reader that waits could go faster, if the link can; one that does not wait yet soon
        // will, while the window is small.
        if waits || self.window < max_window / 4 {
            self.window *= 2;
        }
        self.window = self.window.min(max_window).max(2 * FIRST_WINDOW);
    }

    /// How far one request for `range` may go on beyond it, so that the next read finds its bytes
    /// on their way. `part` is the usual size of a request.
    pub(super) fn reach(&self, range: &Range<u64>, part: u64, line_end: u64) -> u64 {
        let reach = match self.window {
            0 => range.start + FIRST_WINDOW,
            window => range.end + part.min(window / 2),
        };
        reach.min(self.edge_of_interest(line_end)).max(range.end)
    }

    fn edge_of_interest(&self, line_end: u64) -> u64 {
        if self.crosses { line_end } else { self.limit }
    }

    /// The end of what has been read: what lies before it need not be held for this walk.
    pub(super) fn read_to(&self) -> u64 {
        self.next
    }

    /// Says that the line has been asked for as far as `end`.
    pub(super) fn asked_to(&mut self, end: u64) {
        self.ahead = self.ahead.max(end);
    }

    /// The next range to ask for, of about `part` bytes; `None` while the window is full.
    /// `line_end` is where there is nothing more worth reading.
    pub(super) fn next_part(&self, part: u64, line_end: u64) -> Option<Range<u64>> {
        let limit = self.edge_of_interest(line_end);
        let edge = (self.next + self.window).min(limit);
        if edge <= self.ahead {
            return None;
        }
        let room = edge - self.ahead;
        // A sliver now would be a request now and another one soon; the last one may be short.
        let part = part.min(self.window / 2).max(1);
        if room < part && edge < limit {
            return None;
        }
        Some(self.ahead..self.ahead + room.min(part))
    }
}
