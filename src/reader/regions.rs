//! The regions of a tar: where the walk and each scout look for headers, and what they found there.
//!
//! No I/O and no clock. The walk goes from the front to the back. When it reaches the region of a scout, it takes the
//! region over: a header that the scout found there is on the walk's own way, or useless.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::archive::TAR_BLOCK;

/// The most bytes of headers that are kept.
const MAX_KEPT: usize = 8 << 20;

/// Shorter gaps, in bytes, are read through on any link.
const ALWAYS_THROUGH: u64 = 64 * 1024;
/// Longer gaps never are.
const NEVER_THROUGH: u64 = 8 << 20;

/// A scout that is sent into half a region must spare more steps than it takes to find a header.
const STEPS_TO_FIND: f64 = 2.0;

/// What is known of the link, for the number of ways that share it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    /// Seconds from a request to its first byte.
    latency: f64,
    /// Bytes a second that each way has.
    rate: f64,
}

impl Link {
    /// The share of one of this many ways in a link, whose rate is that of all connections together.
    pub(super) fn shared((latency, rate): (f64, f64), ways: usize) -> Self {
        Self {
            latency,
            rate: rate / ways.max(1) as f64,
        }
    }

    /// The longest gap that is worth reading: what one way carries while it waits for an answer.
    pub(super) fn through_limit(self) -> u64 {
        ((self.latency * self.rate) as u64).clamp(ALWAYS_THROUGH, NEVER_THROUGH)
    }

    /// How far one read leads on average, while headers are `mean` bytes apart: to the next header, or over several
    /// that lie close together.
    pub(super) fn stride(self, mean: u64) -> u64 {
        let limit = self.through_limit();
        if mean <= limit / 2 { limit } else { mean }
    }
}

/// A part of the archive that one scout, or the walk, goes through.
#[derive(Debug)]
struct Region {
    /// How far it has come.
    at: u64,
    end: u64,
    /// Mean distance of its last headers.
    mean: u64,
    /// Whether the walk or a scout is in it now.
    is_taken: bool,
}

impl Region {
    fn steps(&self, link: Link) -> f64 {
        self.end.saturating_sub(self.at) as f64 / link.stride(self.mean) as f64
    }
}

/// The regions of one archive.
#[derive(Debug)]
pub(super) struct Regions {
    walk: Region,
    /// The regions of scouts that lie before the walk, by where they begin.
    ahead: BTreeMap<u64, Region>,
    /// Where the last region ends.
    end: u64,
    ways: usize,
    link: Link,
    found: BTreeMap<u64, Vec<u8>>,
    /// Bytes in `found`.
    kept: usize,
    size: u64,
}

impl Regions {
    /// No regions yet; the archive has this size.
    pub(super) fn new(size: u64) -> Self {
        Self {
            walk: Region {
                at: 0,
                end: 0,
                mean: TAR_BLOCK,
                is_taken: true,
            },
            ahead: BTreeMap::new(),
            end: 0,
            ways: 1,
            link: Link::shared((0.0, 0.0), 1),
            found: BTreeMap::new(),
            kept: 0,
            size,
        }
    }

    /// Divides `span` among this many ways, the walk's included.
    pub(super) fn plan(&mut self, span: Range<u64>, ways: usize, link: (f64, f64), mean: u64) {
        (self.walk.at, self.walk.mean) = (span.start, mean);
        (self.end, self.ways) = (span.end, ways);
        self.link = Link::shared(link, ways);
        self.walk.end = span.end;
    }

    /// How many ways were planned.
    pub(super) fn ways(&self) -> usize {
        self.ways
    }

    /// The link as each way has it.
    pub(super) fn link(&self) -> Link {
        self.link
    }

    /// Whether scouts have been, or may be sent, behind `at`.
    pub(super) fn are_ahead(&self, at: u64) -> bool {
        at < self.end && self.ways > 1
    }

    /// Where the walk comes to the region of a scout.
    pub(super) fn walk_end(&self) -> u64 {
        let first = self.ahead.first_key_value();
        first.map_or(self.size, |(start, _)| *start)
    }

    /// Returns what a scout found at `at`, where the walk is now. Forgets what was found before it.
    pub(super) fn take(&mut self, at: u64) -> Option<Vec<u8>> {
        while let Some(first) = self.found.first_entry()
            && *first.key() <= at
        {
            let (found_at, bytes) = first.remove_entry();
            self.kept -= bytes.len();
            if found_at == at {
                return Some(bytes);
            }
        }
        None
    }

    /// Records that the walk has come to `at`, where nothing was found. Regions that begin before now belong to it.
    pub(super) fn pass(&mut self, at: u64, mean: u64) {
        while self
            .ahead
            .first_key_value()
            .is_some_and(|(start, _)| *start <= at)
        {
            self.ahead.pop_first();
        }
        (self.walk.at, self.walk.mean) = (at, mean.max(TAR_BLOCK));
        self.walk.end = self.walk_end().min(self.end);
    }

    /// Splits the region that has the most steps left. Returns its second half, a new region for a scout, and the mean
    /// distance of headers there. `None` if a scout would gain no time.
    pub(super) fn split(&mut self) -> Option<(u64, u64)> {
        if self.kept >= MAX_KEPT {
            return None;
        }
        let link = self.link;
        let taken = self.ahead.values_mut().filter(|region| region.is_taken);
        let longest = taken
            .chain([&mut self.walk])
            .max_by(|a, b| a.steps(link).total_cmp(&b.steps(link)))?;
        let spared = longest.steps(link) / 2.0 * link.latency;
        let finding = STEPS_TO_FIND * link.latency + longest.mean as f64 / link.rate;
        let middle = longest.at.midpoint(longest.end).next_multiple_of(TAR_BLOCK);
        if spared <= finding || middle >= longest.end {
            return None;
        }
        let region = Region {
            at: middle,
            end: longest.end,
            mean: longest.mean,
            is_taken: true,
        };
        longest.end = middle;
        let mean = region.mean;
        self.ahead.insert(middle, region);
        Some((middle, mean))
    }

    /// The end of the region that begins at `start`; `None` if the walk has taken it over.
    pub(super) fn end(&self, start: u64) -> Option<u64> {
        self.ahead.get(&start).map(|region| region.end)
    }

    /// Records that the scout of the region that begins at `start` has come to `at`. `distance`: how far behind the
    /// last member it is, if a new member begins there. Returns the mean distance of headers; `None` if the scout has
    /// come to the end of its region.
    pub(super) fn reach(&mut self, start: u64, at: u64, distance: Option<u64>) -> Option<u64> {
        let region = self.ahead.get_mut(&start)?;
        if let Some(distance) = distance {
            // A moving mean: members of another size soon count no more.
            region.mean = (region.mean / 4 * 3 + distance / 4).max(TAR_BLOCK);
        }
        region.at = region.at.max(at);
        (at < region.end && self.kept < MAX_KEPT).then_some(region.mean)
    }

    /// Keeps what a scout has found.
    pub(super) fn keep(&mut self, at: u64, bytes: &[u8]) {
        self.kept += bytes.len();
        if let Some(before) = self.found.insert(at, bytes.to_vec()) {
            self.kept -= before.len();
        }
    }

    /// Records that the scout of the region that begins at `start` has stopped.
    pub(super) fn leave(&mut self, start: u64) {
        if let Some(region) = self.ahead.get_mut(&start) {
            region.is_taken = false;
        }
    }

    /// How many bytes of the archive were passed.
    pub(super) fn passed(&self) -> u64 {
        let ahead = self.ahead.iter().map(|(start, region)| region.at - start);
        self.walk.at + ahead.sum::<u64>()
    }
}
