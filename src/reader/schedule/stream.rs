//! One sequential stream: what its reader has read, and what to request ahead of it.
//!
//! A stream leads through **extents** of the blob: the rest of the file that is being read, then the
//! files that will probably be read next. Files that are neighbours in the blob form one extent, and
//! are fetched in large requests that include the local headers between them.
//!
//! A stream begins with one small request, so that a random read costs little more than its bytes.
//! Its window grows each time the reader comes back for more, faster if the reader had to wait, up
//! to what flow control allows.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::flow::{FIRST_WINDOW, Growth};
use crate::ranges::{len, overlaps};

/// A read of this many bytes comes from a reader that means to go on: `cp`, or the kernel's
/// read-ahead where it may be raised.
const LARGE: u64 = 512 * 1024;

/// The first window of a stream that begins with a large read, as a multiple of the read.
const LARGE_WINDOW: u64 = 4;

/// Reads of one stream may be this many bytes out of order, because several threads serve the
/// kernel's read-ahead.
const REORDERING: u64 = 1024 * 1024;

/// Large reads of one stream may be out of order by this multiple of their length, because several can
/// be under way at once. Otherwise each would begin a stream of its own, which reads ahead for itself.
const REORDERING_IN_READS: u64 = 4;

/// Files closer than this in the blob, in bytes, are fetched together: what lies between (a
/// directory's entry, padding, a data descriptor) costs less than a request.
const GAP: u64 = 16 * 1024;

/// The request next to the reader has this share of the usual length. Requests further ahead are
/// longer, up to the usual length. Requests of one length that begin together would end together:
/// the reader would wait for all of them, and then the link for a round trip.
const NEAREST: f64 = 0.5;

/// Requests near the reader are not made shorter than this, in bytes.
const MIN_STAGGERED: u64 = 512 * 1024;

/// Identifies a stream while it is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct StreamId(pub(super) u64);

/// A sequential stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: StreamId,
    /// The end of what has been read, in the first extent.
    pub(super) position: u64,
    /// Never empty. The reader is in the first one.
    extents: VecDeque<Range<u64>>,
    /// What has been requested: all extents before this one, and this one up to this offset.
    requested: (usize, u64),
    /// What the last request brings beyond the end of its extent, because it ends with a
    /// verification unit. It stays in memory: the stream will probably lead there.
    overshoot: Range<u64>,
    pub(super) window: u64,
    /// Least length of the first request.
    first_request: u64,
    /// Whether the reader has come back for more.
    pub(super) has_continued: bool,
    /// Bytes that the reader has found in memory since it last had to wait.
    read_without_wait: u64,
    waited_at: Option<Instant>,
    /// Number of the last read, counted over all streams.
    pub(super) last_read: u64,
    pub(super) last_read_at: Instant,
    /// Whether the reader has gone elsewhere.
    pub(super) is_abandoned: bool,
}

/// The next request of a stream, before it is aligned to boundaries of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) range: Range<u64>,
    /// The end of the extent that the range ends in, if it ends in one.
    pub(super) extent_end: Option<u64>,
}

impl Wanted {
    /// Moves the end of the range to `boundary`, if that lies further and the extent reaches so far.
    /// A short rest of the extent is included, since it would be a request of its own.
    pub(super) fn extend_to(&mut self, boundary: u64) {
        let Some(extent_end) = self.extent_end else {
            return;
        };
        let end = boundary.max(self.range.end);
        let is_rest = extent_end.saturating_sub(end) <= len(&self.range) / 2;
        self.range.end = if is_rest { extent_end } else { end };
    }
}

impl Stream {
    /// A stream that begins with a read of `range` in a file that ends at `limit`.
    pub(super) fn new(
        id: StreamId,
        range: &Range<u64>,
        limit: u64,
        first_request: u64,
        max_window: u64,
        now: Instant,
    ) -> Self {
        let rest_of_file = range.start..limit.max(range.end);
        let window = match len(range) {
            large @ LARGE.. => LARGE_WINDOW * large.min(max_window),
            // One small read is no sequence yet.
            _ => 0,
        };
        Self {
            id,
            position: range.end,
            extents: VecDeque::from_iter([rest_of_file]),
            requested: (0, range.end),
            overshoot: 0..0,
            window,
            first_request,
            has_continued: false,
            read_without_wait: 0,
            waited_at: None,
            last_read: 0,
            last_read_at: now,
            is_abandoned: false,
        }
    }

    /// The end of the file that is being read.
    pub(super) fn file_end(&self) -> u64 {
        self.extents[0].end
    }

    /// The extent in which a read of a file that ends at `limit` continues this stream.
    pub(super) fn continues_in(&self, range: &Range<u64>, limit: u64) -> Option<usize> {
        let start = range.start;
        let reordering = if limit == self.file_end() {
            REORDERING.max(REORDERING_IN_READS * len(range))
        } else {
            REORDERING
        };
        let requested = match self.requested {
            (0, at) => at.max(self.position),
            _ => self.file_end().max(self.position),
        };
        if start + reordering >= self.position && start <= requested + REORDERING / 8 {
            return Some(0);
        }
        let mut later = self.extents.iter().skip(1);
        let extent = later.position(|extent| extent.contains(&start));
        extent.map(|extent| extent + 1)
    }

    /// Whether a read of `range` is this stream's last one, or near it.
    pub(super) fn is_near(&self, range: &Range<u64>) -> bool {
        range.end.abs_diff(self.position) <= REORDERING
    }

    /// Records a read. `waits`: some of its bytes were not in memory.
    pub(super) fn touch(&mut self, read: u64, waits: bool, now: Instant) {
        (self.last_read, self.last_read_at, self.is_abandoned) = (read, now, false);
        if waits {
            self.waited_at = Some(now);
        }
    }

    /// Moves the reader on by a read in one of the extents.
    pub(super) fn advance(
        &mut self,
        extent: usize,
        range: &Range<u64>,
        limit: u64,
        waits: bool,
        growth: Growth,
    ) {
        if extent > 0 {
            self.extents.drain(..extent);
            self.position = self.extents[0].start;
            self.requested = match self.requested {
                (at, place) if at >= extent => (at - extent, place),
                _ => (0, self.position),
            };
        }
        if waits {
            self.read_without_wait = 0;
        }
        if range.end <= self.position {
            return;
        }
        if !waits {
            self.read_without_wait += range.end - self.position;
        }
        self.position = range.end;
        self.has_continued = true;
        let first = &mut self.extents[0];
        first.end = first.end.max(limit).max(range.end);
        self.set_requested_to(range.end);
        // A reader that waits could go faster if the link can. One that does not wait yet soon will,
        // while the window is small.
        let is_small = self.window < growth.max_window / 4;
        self.window *= match (waits, is_small) {
            (true, true) if len(range) >= LARGE => growth.leap,
            (true, true) => 4,
            (true, false) | (false, true) => 2,
            (false, false) => 1,
        };
        self.window = match growth.max_window {
            0 => 0,
            most => self.window.min(most).max(2 * FIRST_WINDOW),
        };
    }

    /// Adds extents that the reader will go on with, after those known so far or, if `is_new`,
    /// instead of them.
    pub(super) fn expect(&mut self, extents: &[Range<u64>], is_new: bool, max_window: u64) {
        if is_new {
            self.extents.truncate(1);
            if self.requested.0 > 0 {
                self.requested = (0, self.file_end());
            }
        }
        for extent in extents {
            match self.extents.back_mut() {
                Some(last) if last.start <= extent.start && extent.start <= last.end + GAP => {
                    last.end = last.end.max(extent.end);
                }
                _ => self.extents.push_back(extent.clone()),
            }
        }
        // A known continuation is as good as a reader that comes back for more.
        if !extents.is_empty() {
            let known = self.extents.iter().map(len).sum();
            self.window = self.window.max((max_window / 2).min(known));
        }
    }

    /// How many bytes have been requested and not been read.
    pub(super) fn distance(&self) -> u64 {
        let (at, place) = self.requested;
        let start = |extent: usize| match extent {
            0 => self.position,
            extent => self.extents[extent].start,
        };
        let whole = (0..at).map(|extent| self.extents[extent].end.saturating_sub(start(extent)));
        whole.sum::<u64>() + place.saturating_sub(start(at))
    }

    /// The request for a read of `range`, with bytes beyond it: the next read finds its
    /// bytes on their way. `request_len` is the usual length of a request.
    pub(super) fn demand(&self, range: &Range<u64>, request_len: u64) -> Wanted {
        let end = match self.window {
            0 => range.start + self.first_request,
            window => range.end + request_len.min(window / 2),
        };
        let range = range.start..end.min(self.file_end()).max(range.end);
        // A reader that is not sequential gets nothing beyond this range.
        if self.is_sequential() {
            self.wanted(range)
        } else {
            Wanted {
                range,
                extent_end: None,
            }
        }
    }

    /// The next range to request ahead, of about `request_len` bytes. `None` if the window is full
    /// or no continuation is known. `connections`: how many requests may be in flight.
    pub(super) fn next_request(&mut self, request_len: u64, connections: usize) -> Option<Wanted> {
        let (mut extent, mut place) = self.requested;
        while place >= self.extents[extent].end {
            extent += 1;
            place = self.extents.get(extent)?.start;
        }
        self.requested = (extent, place);
        let distance = self.distance();
        let room = self.window.saturating_sub(distance);
        let left = self.extents[extent].end - place;
        let length = request_len.min(self.window / 2).max(1);
        let staggered = length as f64 * NEAREST + distance as f64 / connections as f64;
        let least = length.min(MIN_STAGGERED);
        let length = length.min(staggered as u64).max(least).max(1);
        // A short rest would be a request of its own.
        let length = if left <= length + length / 2 {
            left
        } else {
            length
        };
        // A short request now would mean another short one soon. Only the last one may be short.
        if room < length.min(left) {
            return None;
        }
        Some(self.wanted(place..place + length))
    }

    pub(super) fn wanted(&self, range: Range<u64>) -> Wanted {
        let mut extents = self.extents.iter();
        let extent = extents.find(|extent| extent.start < range.end && range.end <= extent.end);
        Wanted {
            extent_end: extent.map(|extent| extent.end),
            range,
        }
    }

    /// Whether `range` begins where the next request ahead begins.
    pub(super) fn is_next(&self, range: &Range<u64>) -> bool {
        self.requested.1 == range.start
    }

    /// Records that the extent which contains `end` has been requested up to there.
    pub(super) fn set_requested_to(&mut self, end: u64) {
        let (extent, place) = &mut self.requested;
        let current = &self.extents[*extent];
        if *extent == 0 || current.start < end && end <= current.end {
            *place = end.max(*place);
        }
    }

    /// Records that `range`, which [`next_request`](Self::next_request) gave, has been requested, and
    /// that the request ends at `end`, possibly beyond the extent.
    pub(super) fn set_requested(&mut self, range: &Range<u64>, end: u64) {
        let (extent, place) = &mut self.requested;
        let extent_end = self.extents[*extent].end;
        self.overshoot = extent_end..end;
        let end = if *extent == 0 {
            end
        } else {
            end.min(extent_end)
        };
        *place = end.max(range.end).max(*place);
    }

    /// Whether the reader has shown that it goes on.
    pub(super) fn is_sequential(&self) -> bool {
        self.window > 2 * FIRST_WINDOW
    }

    /// Whether the reader is faster than what is fetched for it: it had to wait within a window.
    pub(super) fn is_stalled(&self) -> bool {
        self.read_without_wait < self.window
    }

    /// Whether the reader had to wait within `lately` and has something left to read.
    pub(super) fn shares_link(&self, lately: Duration, now: Instant) -> bool {
        let waited = self.waited_at.map(|at| now.saturating_duration_since(at));
        self.is_stalled()
            && waited.is_some_and(|ago| ago < lately)
            && self.extents.iter().any(|extent| extent.end > self.position)
    }

    /// Whether the reader will probably read bytes of `range`. They must then stay in memory.
    pub(super) fn will_read(&self, range: &Range<u64>) -> bool {
        let first = self.position..self.file_end().max(self.position);
        let later = self.extents.iter().skip(1);
        let mut all = later.chain([&first, &self.overshoot]);
        all.any(|extent| overlaps(extent, range))
    }

    /// Records that the reader has gone elsewhere. Requests further ahead may have been cancelled, so if the reader
    /// comes back, the stream begins anew from its position.
    pub(super) fn abandon(&mut self) {
        self.extents.truncate(1);
        self.requested = (0, self.position);
        self.window = 0;
        self.is_abandoned = true;
    }
}
