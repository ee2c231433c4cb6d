//! The times of segments, and how a list gives them.
//!
//! A list has `@duration` if that puts each segment within half a segment of its begin, which the standard
//! allows (ISO/IEC 23009-1, 5.3.9.5.3). Else it has a SegmentTimeline with an S element for each segment,
//! because dash.js 5.2 takes the first SegmentURL of a repeated S for all of its segments.

use std::fmt::Write;

use super::segments::Timing;
use super::sidx::Indexed;

/// The times of a representation's media segments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) timescale: u64,
    /// When the Period begins, in the time of the media.
    offset: u64,
    /// When the Period ends.
    end: Option<u64>,
    /// Begin and duration of each segment.
    pub(super) segments: Vec<(u64, u64)>,
    /// Whether the manifest itself gives the times by `@duration`.
    pub(super) is_regular: bool,
    /// The number of segments that the manifest names.
    pub(super) named: usize,
    /// The number of segments that the manifest names or that follow from the length of the Period.
    pub(super) expected: usize,
    /// The number of segment sequences.
    pub(super) numbers: u64,
    /// The number of segment sequences that the length of the Period calls for; 0 if unknown.
    pub(super) due: u64,
}

/// How a list gives the times of its segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// By the `@duration` of the template.
    Kept,
    Duration(u64),
    /// The attributes of S elements.
    Timeline(Vec<String>),
}

impl Times {
    pub(super) fn of(timing: &Timing) -> Self {
        Self {
            timescale: timing.timescale,
            offset: timing.offset,
            end: timing.end_of_period(),
            ..Self::default()
        }
    }

    /// The times of a file with an index. `offset` is in the units of the index.
    pub(super) fn indexed(index: &Indexed, offset: u64) -> Self {
        let segments = index.subsegments.iter();
        let segments = segments.map(|segment| (segment.time, segment.duration.into()));
        Self {
            timescale: index.timescale.into(),
            offset,
            segments: segments.collect(),
            named: index.subsegments.len(),
            expected: index.subsegments.len(),
            numbers: index.subsegments.len() as u64,
            ..Self::default()
        }
    }

    /// Begin and duration of a segment in seconds, in the time of the media.
    pub(super) fn seconds(&self, segment: usize) -> Option<(f64, f64)> {
        let (begin, duration) = *self.segments.get(segment)?;
        let scale = self.timescale as f64;
        Some((begin as f64 / scale, duration as f64 / scale))
    }

    pub(super) fn form(&self) -> Form {
        if self.is_regular {
            return Form::Kept;
        }
        match self.regular() {
            Some(duration) => Form::Duration(duration),
            None => Form::Timeline(self.entries()),
        }
    }

    /// The `@duration` that puts each segment near its begin, if there is one.
    fn regular(&self) -> Option<u64> {
        let (first, last) = (self.segments.first()?, self.segments.last()?);
        let steps = self.segments.len() as u64 - 1;
        if steps == 0 {
            return Some(first.1).filter(|duration| self.is_near(0, *duration));
        }
        let mean = last.0.checked_sub(first.0)?.saturating_add(steps / 2) / steps;
        // The mean is exact if all segments but the last are equal.
        [mean, first.1].into_iter().find(|duration| {
            let mut all = 0..self.segments.len();
            *duration > 0 && all.all(|segment| self.is_near(segment, *duration))
        })
    }

    /// Whether `duration` puts a segment near its begin: at most half of `duration` away, and at most half
    /// of the segment's own duration, unless it is the last one. If it begins before the end of the Period,
    /// so must the place where `duration` puts it, because players skip later segments.
    fn is_near(&self, segment: usize, duration: u64) -> bool {
        let put = u128::from(self.offset) + segment as u128 * u128::from(duration);
        let (begin, own) = self.segments[segment];
        let begin = u128::from(begin);
        let is_last = segment + 1 == self.segments.len();
        let most = if is_last { duration } else { duration.min(own) };
        let is_within = match self.end {
            Some(end) => put < u128::from(end) || begin >= u128::from(end),
            None => true,
        };
        is_within && 2 * put.abs_diff(begin) <= u128::from(most)
    }

    fn entries(&self) -> Vec<String> {
        // The first entry always has @t, although the default is 0.
        let mut expected = None;
        let entry = |(begin, duration): &(u64, u64)| {
            let mut entry = String::new();
            if expected != Some(*begin) {
                // Writing to a string cannot fail.
                let _ = write!(entry, " t=\"{begin}\"");
            }
            let _ = write!(entry, " d=\"{duration}\"");
            expected = begin.checked_add(*duration);
            entry
        };
        self.segments.iter().map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(end: Option<u64>, offset: u64, segments: &[(u64, u64)]) -> Form {
        let times = Times {
            timescale: 1,
            offset,
            end,
            segments: segments.to_vec(),
            ..Times::default()
        };
        times.form()
    }

    fn timeline(entries: &[&str]) -> Form {
        Form::Timeline(entries.iter().map(|entry| format!(" {entry}")).collect())
    }

    #[test]
    fn nearly_equal_segments_have_one_duration() {
        use Form::Duration;
        // All alike, but for the last.
        let alike = [(0, 20), (20, 20), (40, 7)];
        assert_eq!(form(Some(47), 0, &alike), Duration(20));
        assert_eq!(form(None, 0, &alike), Duration(20));
        // From where the Period begins.
        let later = alike.map(|(begin, duration)| (begin + 100, duration));
        assert_eq!(form(Some(147), 100, &later), Duration(20));
        // Audio, whose segments end with whole frames.
        let audio = [(0, 21), (21, 20), (41, 19), (60, 20)];
        assert_eq!(form(Some(80), 0, &audio), Duration(20));
        // The first one is no measure, the mean is.
        let short = [(0, 6), (6, 10), (16, 10), (26, 10), (36, 4)];
        assert_eq!(form(Some(40), 0, &short), Duration(9));
        // Half a segment off, and no more.
        let off = |by: u64| [(0, 20 + by), (20 + by, 20 - by), (40, 20)];
        assert_eq!(form(Some(60), 0, &off(6)), Duration(20));
        let written = ["t=\"0\" d=\"27\"", "d=\"13\"", "d=\"20\""];
        assert_eq!(form(Some(60), 0, &off(7)), timeline(&written));
    }

    #[test]
    fn irregular_segments_have_an_entry_each() {
        let one_by_one = ["t=\"0\" d=\"5\"", "d=\"5\"", "d=\"40\"", "d=\"5\""];
        let segments = [(0, 5), (5, 5), (10, 40), (50, 5)];
        assert_eq!(form(Some(55), 0, &segments), timeline(&one_by_one));
        // Where the media is ahead of the Period by more than half a segment.
        let entries = ["t=\"100\" d=\"20\"", "d=\"20\""];
        assert_eq!(form(None, 0, &[(100, 20), (120, 20)]), timeline(&entries));
        // Where a duration would put the last one behind the end of the Period.
        let entries = ["t=\"1\" d=\"9\"", "d=\"8\"", "d=\"1\""];
        let segments = [(1, 9), (10, 8), (18, 1)];
        assert_eq!(form(Some(19), 0, &segments), Form::Duration(9));
        assert_eq!(form(Some(19), 2, &segments), timeline(&entries));
    }
}
