//! Read-ahead: which bytes will be wanted next.
//!
//! Sequential walks are detected on the line, not on open files: playing the segments of a
//! rendition is one walk over the line, whatever files the player opens and closes on the way. A
//! walk goes along **legs**: the rest of the file being read, and behind it those files that will
//! probably be read next (`succession.rs` says which). Files that are neighbours on the line make
//! one leg, fetched in one run of large requests through the local headers between.
//! Pure: reads go in, ranges to fetch come out; `line.rs` does the fetching.
//!
//! A walk begins with a small first range, so that a random read costs little more than its bytes,
//! and with what is asked for alone where one read after the other was a jump.
//! Each time the reader comes back for more, and more so when it had to wait, the window grows, up
//! to what the link can have in flight (see `pace.rs`).

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use tokio::time::Instant;

use super::block::overlap;
use super::counters::Stream;

/// What the first read of a walk fetches at the least, and half of the window it begins with, in
/// bytes. Two of the kernel's read-ahead requests: the second then waits for bytes already on
/// their way.
pub(super) const FIRST_WINDOW: u64 = 256 * 1024;

/// After so many walks in a row that were one read each, whoever reads that file jumps about in it, and
/// gets no more than is asked for.
const JUMPS: usize = 3;

/// A read of so many bytes is the word of somebody who means to go on: `cp`, or the kernel's own
/// read-ahead where it may be raised.
const LARGE: u64 = 512 * 1024;

/// How many times its length a walk that begins with such a read looks ahead.
const LARGE_WINDOW: u64 = 4;

/// Reads may come this many bytes out of order and still belong to one walk: the kernel's
/// read-ahead is served by several threads.
const SLACK: u64 = 1024 * 1024;

/// And so many times their own length: of large ones, too, several are on their way at once. (Each
/// that was taken for a walk of its own had its own read-ahead: a sequential read held twice the
/// memory.)
const SLACK_IN_READS: u64 = 4;

/// Whoever begins to read elsewhere in a file has left a walk in it that has been silent for so long:
/// a seek. Readers that share a file come back sooner, or wait.
const LEFT: Duration = Duration::from_millis(100);

/// A walk in another file is given up after so long. Players come back every second or so.
const LEFT_ELSEWHERE: Duration = Duration::from_secs(3);

/// How many walks are followed at once; the one not heard of for longest makes room.
const MAX_WALKS: usize = 24;

/// Files closer than this on the line, in bytes, are fetched in one run: what lies between (a
/// directory's entry, padding, a data descriptor) costs less than a request.
const GAP: u64 = 16 * 1024;

/// How long the part next to the reader is, in parts; those further ahead are longer, up to one.
/// If all began with the same length at the same time, they would end at the same time: the reader
/// would wait for all of them, and then all connections for a round trip.
const NEAREST: f64 = 0.5;

/// How many times its window a reader gets that asks for much at once and has to wait for it.
const LEAP: u64 = 8;

/// The same where parts follow each other without a pause: then they need not be long, and fewer come
/// in vain should it stop.
const LEAP_WITHOUT_PAUSE: u64 = 24;

/// But not less than this many bytes.
const LEAST: u64 = 512 * 1024;

/// Names a walk for as long as it is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct WalkId(u64);

/// One sequential walk.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) id: WalkId,
    /// The end of what has been read, in the first leg.
    next: u64,
    /// Never empty. The first is the one being read.
    legs: VecDeque<Range<u64>>,
    /// What has been asked for: all of the legs before this one, and this one as far as this.
    ahead: (usize, u64),
    /// What was asked for last behind the leg's end, for it had to be widened: held, for the way
    /// will probably lead on there.
    beyond: Range<u64>,
    window: u64,
    /// What its first read fetches at the least, in bytes.
    first: u64,
    /// Whether its reader has come back for more.
    went_on: bool,
    /// How many bytes its reader has found there since it last had to wait,
    found: u64,
    /// and when that was.
    waited_at: Option<Instant>,
    /// When it was last heard of, in reads,
    heard: u64,
    /// and by the clock.
    heard_at: Instant,
    /// Whether its reader has gone elsewhere.
    left: bool,
}

/// All walks that are followed.
#[derive(Debug, Default)]
pub(super) struct Walks {
    walks: Vec<Walk>,
    reads: u64,
    born: u64,
    /// Whether connections need not be idle for a round trip between parts.
    pub(super) without_pause: bool,
}

/// What a read means for the walks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) walk: WalkId,
    pub(super) is_new: bool,
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
        now: Instant,
    ) -> Noted {
        self.reads += 1;
        let reads = self.reads;
        let walks = self.walks.iter_mut();
        let going_on = walks.filter_map(|w| w.expects(range, limit).map(|leg| (w, leg)));
        // Of two who are near, the nearer.
        if let Some((walk, leg)) =
            going_on.min_by_key(|(w, leg)| (*leg, w.next.abs_diff(range.start)))
        {
            let leap = match self.without_pause {
                true => LEAP_WITHOUT_PAUSE,
                false => LEAP,
            };
            walk.step(leg, range, limit, waits.then_some(leap), max_window);
            (walk.heard, walk.heard_at, walk.left) = (reads, now, false);
            if waits {
                walk.waited_at = Some(now);
            }
            let walk = walk.id;
            return Noted {
                walk,
                is_new: false,
                forgotten: None,
            };
        }
        let first = match self.jumps_in(limit) {
            true => 0,
            false => FIRST_WINDOW,
        };
        let forgotten = (self.walks.len() >= MAX_WALKS).then(|| self.forget_oldest());
        self.born += 1;
        let walk = WalkId(self.born);
        self.walks.push(Walk {
            id: walk,
            next: range.end,
            legs: VecDeque::from_iter(std::iter::once(range.start..limit.max(range.end))),
            ahead: (0, range.end),
            beyond: 0..0,
            // One read is not a walk yet.
            window: match range.end - range.start {
                large @ LARGE.. => LARGE_WINDOW * large.min(max_window),
                _ => 0,
            },
            first,
            went_on: false,
            found: 0,
            waited_at: waits.then_some(now),
            heard: reads,
            heard_at: now,
            left: false,
        });
        Noted {
            walk,
            is_new: true,
            forgotten: forgotten.flatten(),
        }
    }

    /// Whether the last walks that began in the file that ends at `limit` were one read each.
    fn jumps_in(&self, limit: u64) -> bool {
        let here = self.walks.iter().filter(|w| w.legs[0].end == limit);
        let mut here: Vec<(u64, bool)> = here.map(|w| (w.heard, w.went_on)).collect();
        here.sort_unstable_by_key(|(heard, _)| Reverse(*heard));
        here.len() >= JUMPS && here[..JUMPS].iter().all(|(_, went_on)| !went_on)
    }

    /// Says that whoever reads within `here` will go on with `legs`, in this order; `is_new`: not
    /// with what was said before. `max_window` bounds how far ahead the walk may look. Returns the
    /// walk.
    pub(super) fn extend(
        &mut self,
        here: &Range<u64>,
        is_new: bool,
        legs: &[Range<u64>],
        max_window: u64,
    ) -> Option<WalkId> {
        let walks = self.walks.iter_mut().filter(|w| w.reads_in(here));
        let walk = walks.max_by_key(|w| w.heard)?;
        if is_new {
            walk.legs.truncate(1);
            if walk.ahead.0 > 0 {
                walk.ahead = (0, walk.legs[0].end);
            }
        }
        for leg in legs {
            walk.add_leg(leg);
        }
        // To know the way is as good as to come back for more.
        if !legs.is_empty() {
            let known = walk.legs.iter().map(|leg| leg.end - leg.start).sum();
            walk.window = walk.window.max((max_window / 2).min(known));
        }
        Some(walk.id)
    }

    /// Forgets the walk not heard of for longest.
    pub(super) fn forget_oldest(&mut self) -> Option<WalkId> {
        let walks = self.walks.iter().enumerate();
        let (at, _) = walks.min_by_key(|(_, w)| w.heard)?;
        Some(self.walks.swap_remove(at).id)
    }

    /// The walks that nobody seems to go on with, now that `new` has begun.
    pub(super) fn left_for(&self, new: WalkId, now: Instant) -> Vec<WalkId> {
        let Some(new) = self.walks.iter().find(|w| w.id == new) else {
            return Vec::new();
        };
        let left = self.walks.iter().filter(|walk| {
            let same_file = walk.legs[0].end == new.legs[0].end;
            let after = if same_file { LEFT } else { LEFT_ELSEWHERE };
            walk.id != new.id && now.saturating_duration_since(walk.heard_at) >= after
        });
        left.map(|walk| walk.id).collect()
    }

    /// The walk of this name, if it is still followed.
    pub(super) fn get(&mut self, id: WalkId) -> Option<&mut Walk> {
        self.walks.iter_mut().find(|w| w.id == id)
    }

    /// How many of them go on, and so have a share in the memory; and how many of those had to wait
    /// within `lately` and have some of their way to go, and so share the link. (A player that had just
    /// begun counted for seconds, and who copied beside three of them took half as long again.)
    pub(super) fn going(&self, lately: Duration, now: Instant) -> (usize, usize) {
        let goes = |walk: &&Walk| {
            let silent_for = now.saturating_duration_since(walk.heard_at);
            walk.goes_on() && !walk.left && silent_for < LEFT_ELSEWHERE
        };
        let going = self.walks.iter().filter(goes);
        going.fold((0, 0), |(going, starving), walk| {
            let is_over = walk.legs.iter().all(|leg| leg.end <= walk.next);
            let waited = walk
                .waited_at
                .is_some_and(|at| now.saturating_duration_since(at) < lately);
            let shares = walk.starves() && waited && !is_over;
            (going + 1, starving + usize::from(shares))
        })
    }

    /// Those that have become more than one read, for people to look at.
    pub(super) fn streams(&self) -> Vec<Stream> {
        let mut walks: Vec<&Walk> = self.walks.iter().filter(|w| w.window > 0).collect();
        walks.sort_unstable_by_key(|w| Reverse(w.heard));
        let streams = walks.into_iter().map(|walk| Stream {
            at: walk.next,
            window: walk.window,
            ahead: walk.distance(),
        });
        streams.collect()
    }
}

impl Walk {
    /// The leg in which this read of a file that ends at `limit` goes on with this walk.
    fn expects(&self, range: &Range<u64>, limit: u64) -> Option<usize> {
        let start = range.start;
        let slack = match limit == self.legs[0].end {
            true => SLACK.max(SLACK_IN_READS * (range.end - start)),
            false => SLACK,
        };
        let asked = match self.ahead {
            (0, at) => at.max(self.next),
            _ => self.legs[0].end.max(self.next),
        };
        if start + slack >= self.next && start <= asked + SLACK / 8 {
            return Some(0);
        }
        let later = self
            .legs
            .iter()
            .skip(1)
            .position(|leg| leg.contains(&start));
        later.map(|leg| leg + 1)
    }

    fn reads_in(&self, here: &Range<u64>) -> bool {
        (here.start..=here.end).contains(&self.next)
    }

    /// A read within a leg. `leap`: it waits, and if it is large, the window becomes so many times as
    /// large.
    fn step(
        &mut self,
        leg: usize,
        range: &Range<u64>,
        limit: u64,
        leap: Option<u64>,
        max_window: u64,
    ) {
        if leg > 0 {
            self.legs.drain(..leg);
            self.next = self.legs[0].start;
            self.ahead = match self.ahead {
                (at, place) if at >= leg => (at - leg, place),
                _ => (0, self.next),
            };
        }
        if leap.is_some() {
            self.found = 0;
        }
        if range.end <= self.next {
            return;
        }
        if leap.is_none() {
            self.found += range.end - self.next;
        }
        self.next = range.end;
        self.went_on = true;
        let first = &mut self.legs[0];
        first.end = first.end.max(limit).max(range.end);
        self.asked_to(range.end);
        // A reader that waits could go faster, if the link can; one that does not wait yet soon
        // will, while the window is small.
        let is_small = self.window < max_window / 4;
        let is_large = range.end - range.start >= LARGE;
        self.window *= match (leap, is_small) {
            (Some(leap), true) if is_large => leap,
            (Some(_), true) => 4,
            (Some(_), false) | (None, true) => 2,
            (None, false) => 1,
        };
        self.window = self.window.min(max_window).max(2 * FIRST_WINDOW);
    }

    fn add_leg(&mut self, leg: &Range<u64>) {
        let Some(last) = self.legs.back_mut() else {
            return;
        };
        let is_neighbour = last.start <= leg.start && leg.start <= last.end + GAP;
        match is_neighbour {
            true => last.end = last.end.max(leg.end),
            false => self.legs.push_back(leg.clone()),
        }
    }

    /// How many bytes have been asked for and not been read.
    fn distance(&self) -> u64 {
        let (at, place) = self.ahead;
        let begun = |leg: usize| {
            if leg == 0 {
                self.next
            } else {
                self.legs[leg].start
            }
        };
        let whole = (0..at).map(|leg| self.legs[leg].end.saturating_sub(begun(leg)));
        whole.sum::<u64>() + place.saturating_sub(begun(at))
    }

    /// How far one request for `range` may go on beyond it, so that the next read finds its bytes
    /// on their way. `part` is the usual size of a request.
    pub(super) fn reach(&self, range: &Range<u64>, part: u64) -> u64 {
        let reach = match self.window {
            0 => range.start + self.first,
            window => range.end + part.min(window / 2),
        };
        reach.min(self.legs[0].end).max(range.end)
    }

    /// Whether its reader has shown that it means to go on.
    pub(super) fn goes_on(&self) -> bool {
        self.window > 2 * FIRST_WINDOW
    }

    /// Its reader has gone elsewhere: what was asked for further ahead may not come. Should it come
    /// back, it begins anew here.
    pub(super) fn leave(&mut self) {
        self.legs.truncate(1);
        self.ahead = (0, self.next);
        self.window = 0;
        self.left = true;
    }

    /// Whether its reader has gone elsewhere.
    pub(super) fn is_left(&self) -> bool {
        self.left
    }

    /// Whether a read of `range` is this walk's last one, or near it.
    pub(super) fn is_at(&self, range: &Range<u64>) -> bool {
        range.end.abs_diff(self.next) <= SLACK
    }

    /// Whether its reader is faster than what is fetched for it: it had to wait of late.
    pub(super) fn starves(&self) -> bool {
        self.found < self.window
    }

    /// Whether some of `extent` is on the way that is still to go, so that it must be held.
    pub(super) fn still_wants(&self, extent: &Range<u64>) -> bool {
        let first = self.next..self.legs[0].end.max(self.next);
        let rest = self.legs.iter().skip(1);
        let mut way = rest.chain([&first, &self.beyond]);
        way.any(|leg| !overlap(leg, extent).is_empty())
    }

    /// Whether a leg of it ends there.
    pub(super) fn has_leg_to(&self, end: u64) -> bool {
        self.legs.iter().any(|leg| leg.end == end)
    }

    /// Says that the leg which `end` is in has been asked for as far as that.
    pub(super) fn asked_to(&mut self, end: u64) {
        let (leg, place) = &mut self.ahead;
        if *leg == 0 || self.legs[*leg].start < end && end <= self.legs[*leg].end {
            *place = end.max(*place);
        }
    }

    /// Says that `part`, which [`next_part`](Self::next_part) gave, has been asked for, widened so
    /// that it ends at `end`: maybe behind the leg's own end.
    pub(super) fn asked(&mut self, part: &Range<u64>, end: u64) {
        let (leg, place) = &mut self.ahead;
        self.beyond = self.legs[*leg].end..end;
        let end = match *leg {
            0 => end,
            leg => end.min(self.legs[leg].end),
        };
        *place = end.max(part.end).max(*place);
    }

    /// The next range to ask for, of about `part` bytes; `None` while the window is full, and
    /// where the way is not known further.
    pub(super) fn next_part(&mut self, part: u64, at_once: usize) -> Option<Range<u64>> {
        let (mut leg, mut place) = self.ahead;
        while place >= self.legs[leg].end {
            leg += 1;
            place = self.legs.get(leg)?.start;
        }
        self.ahead = (leg, place);
        let distance = self.distance();
        let room = self.window.saturating_sub(distance);
        let left = self.legs[leg].end - place;
        let part = part.min(self.window / 2).max(1);
        let staggered = part as f64 * NEAREST + distance as f64 / at_once as f64;
        let part = part.min(staggered as u64).max(part.min(LEAST)).max(1);
        // What would be left over is a request of its own.
        let part = if left <= part + part / 2 { left } else { part };
        // A sliver now would be a request now and another one soon; the last one may be short.
        if room < part.min(left) {
            return None;
        }
        Some(place..place + part)
    }

    /// Lets a part that is to be asked for next end at a better place behind its end, if its leg goes
    /// on so far.
    pub(super) fn stretch(&self, part: Range<u64>, better: impl Fn(u64) -> u64) -> Range<u64> {
        let mut legs = self.legs.iter();
        match legs.find(|leg| leg.start < part.end && part.end <= leg.end) {
            Some(leg) => {
                let end = better(part.end).max(part.end);
                // What would be left over is a request of its own.
                let is_rest = leg.end.saturating_sub(end) <= (part.end - part.start) / 2;
                part.start..if is_rest { leg.end } else { end }
            }
            None => part,
        }
    }
}

#[cfg(test)]
mod tests;
