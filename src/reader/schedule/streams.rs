//! All sequential streams that are followed, and which of them a read belongs to.
//!
//! Streams are found in the blob, not per open file: playing the segments of an HLS rendition is one
//! stream, however many files the player opens and closes.

use std::cmp::Reverse;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::flow::{FIRST_WINDOW, Growth, Load};
use super::stream::{Stream, StreamId};
use crate::reader::counters::StreamStatus;

/// If this many of the last streams in a file were one read each, its reader jumps about, and gets no more than it
/// asks for.
const JUMPS: usize = 3;

/// If a stream has been idle for this long and a read starts elsewhere in the same file, the reader
/// has seeked. Readers that share a file come back sooner, or wait.
const IDLE_IN_FILE: Duration = Duration::from_millis(100);

/// If a stream has been idle for this long and a read starts in another file, the reader has gone
/// there. Players come back about every second.
const IDLE: Duration = Duration::from_secs(3);

/// How many streams are followed. The one that was read longest ago makes room.
const MAX_STREAMS: usize = 24;

/// The streams that are followed.
#[derive(Debug, Default)]
pub(super) struct Streams {
    streams: Vec<Stream>,
    reads: u64,
    last_id: u64,
}

/// The stream that a read belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) stream: StreamId,
    pub(super) is_new: bool,
    /// A stream that is not followed any more, to make room.
    pub(super) displaced: Option<StreamId>,
}

impl Streams {
    /// Records a read of `range` in a file that ends at `limit`. `waits`: some of its bytes are not
    /// in memory.
    pub(super) fn note(
        &mut self,
        range: &Range<u64>,
        limit: u64,
        waits: bool,
        growth: Growth,
        now: Instant,
    ) -> Noted {
        self.reads += 1;
        let continued = self.streams.iter_mut().filter_map(|stream| {
            let extent = stream.continues_in(range, limit)?;
            Some((stream, extent))
        });
        // If several streams match, the nearest one continues.
        let nearest = continued
            .min_by_key(|(stream, extent)| (*extent, stream.position.abs_diff(range.start)));
        if let Some((stream, extent)) = nearest {
            stream.advance(extent, range, limit, waits, growth);
            stream.touch(self.reads, waits, now);
            return Noted {
                stream: stream.id,
                is_new: false,
                displaced: None,
            };
        }
        let first_request = if growth.max_window == 0 || self.jumps_about(limit) {
            0
        } else {
            FIRST_WINDOW
        };
        let is_full = self.streams.len() >= MAX_STREAMS;
        let displaced = if is_full { self.remove_oldest() } else { None };
        self.last_id += 1;
        let id = StreamId(self.last_id);
        let mut stream = Stream::new(id, range, limit, first_request, growth.max_window, now);
        stream.touch(self.reads, waits, now);
        self.streams.push(stream);
        Noted {
            stream: id,
            is_new: true,
            displaced,
        }
    }

    /// Whether the last streams in the file that ends at `limit` were one read each.
    fn jumps_about(&self, limit: u64) -> bool {
        let here = self.streams.iter().filter(|s| s.file_end() == limit);
        let mut here: Vec<&Stream> = here.collect();
        here.sort_unstable_by_key(|stream| Reverse(stream.last_read));
        here.len() >= JUMPS && here[..JUMPS].iter().all(|stream| !stream.has_continued)
    }

    /// Records that the reader within `here` will go on with `extents`, in this order, after those
    /// announced before or, if `is_new`, instead of them. Returns its stream.
    pub(super) fn expect(
        &mut self,
        here: &Range<u64>,
        is_new: bool,
        extents: &[Range<u64>],
        max_window: u64,
    ) -> Option<StreamId> {
        let within = here.start..=here.end;
        let streams = self.streams.iter_mut();
        let readers = streams.filter(|stream| within.contains(&stream.position));
        let stream = readers.max_by_key(|stream| stream.last_read)?;
        stream.expect(extents, is_new, max_window);
        Some(stream.id)
    }

    /// Stops following the stream that was read longest ago.
    pub(super) fn remove_oldest(&mut self) -> Option<StreamId> {
        let streams = self.streams.iter().enumerate();
        let (at, _) = streams.min_by_key(|(_, stream)| stream.last_read)?;
        Some(self.streams.swap_remove(at).id)
    }

    /// The streams whose readers seem to have gone elsewhere, now that the stream `new` has begun.
    /// Streams that one of the `waiting` reads belongs to are not among them.
    pub(super) fn abandon_for(
        &mut self,
        new: StreamId,
        waiting: &[Range<u64>],
        now: Instant,
    ) -> Vec<StreamId> {
        let Some(file_end) = self.get(new).map(|stream| stream.file_end()) else {
            return Vec::new();
        };
        let abandoned = self.streams.iter_mut().filter(|stream| {
            let same_file = stream.file_end() == file_end;
            let after = if same_file { IDLE_IN_FILE } else { IDLE };
            stream.id != new
                && !stream.is_abandoned
                && now.saturating_duration_since(stream.last_read_at) >= after
                && !waiting.iter().any(|range| stream.is_near(range))
        });
        let abandoned = abandoned.map(|stream| {
            stream.abandon();
            stream.id
        });
        abandoned.collect()
    }

    /// The stream `id`, if it is still followed.
    pub(super) fn get(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.streams.iter_mut().find(|stream| stream.id == id)
    }

    /// The streams that share the memory and the link. A stalled stream shares the link if its reader
    /// had to wait within `lately`. Without that limit, a player that has just begun would count for
    /// seconds and slow down a copy.
    pub(super) fn load(&self, lately: Duration, now: Instant) -> Load {
        let active = self.streams.iter().filter(|stream| {
            let idle_for = now.saturating_duration_since(stream.last_read_at);
            stream.is_sequential() && !stream.is_abandoned && idle_for < IDLE
        });
        active.fold(Load::default(), |load, stream| Load {
            streams: load.streams + 1,
            stalled: load.stalled + usize::from(stream.shares_link(lately, now)),
        })
    }

    /// The streams of more than one read; what was read last comes first.
    pub(super) fn status(&self) -> Vec<StreamStatus> {
        let streams = self.streams.iter().filter(|stream| stream.window > 0);
        let mut streams: Vec<&Stream> = streams.collect();
        streams.sort_unstable_by_key(|stream| Reverse(stream.last_read));
        let status = streams.into_iter().map(|stream| StreamStatus {
            at: stream.position,
            window: stream.window,
            ahead: stream.distance(),
        });
        status.collect()
    }
}

#[cfg(test)]
mod tests;
