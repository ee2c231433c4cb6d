//! The numbers and times of the segments of a SegmentTemplate (ISO/IEC 23009-1, 5.3.9.4 and 5.3.9.6).

use super::dom::{Dom, Id, Name};
use super::period::{Nanos, Period, SECOND};

/// A segment of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) number: u64,
    /// Its index in its segment sequence, from 0.
    pub(super) sub: u64,
    /// When it begins, in units of the timescale, in the time of the media.
    pub(super) time: u64,
    pub(super) duration: u64,
    pub(super) certainty: Certainty,
}

/// How certain it is that a segment exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Certainty {
    /// The manifest names it.
    Named,
    /// It follows from the length of the Period. Media may end before that.
    ByLength,
    /// The end of the Period is unknown, or less than half a segment before the begin of this one: a segment
    /// may begin half a segment earlier (5.3.9.5.3).
    Possible,
}

/// The timing attributes of all levels of SegmentTemplates together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    pub(super) timescale: u64,
    /// The number of the first segment.
    pub(super) start: u64,
    /// The number of the last one.
    pub(super) end: Option<u64>,
    pub(super) duration: Option<u64>,
    pub(super) timeline: Option<Id>,
    /// When the Period begins, in the time of the media.
    pub(super) offset: u64,
    /// How much later than the Period the media begins and ends.
    pub(super) later: (i64, i64),
    /// The length of the media, if the manifest gives it apart from the Period.
    pub(super) presentation: Option<u64>,
    /// How many segments a segment sequence has, if there is no SegmentTimeline.
    pub(super) sequence: u64,
    pub(super) period: Period,
}

/// Why the segments cannot be determined, and the element of the SegmentTimeline that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unclear {
    pub(super) at: Option<Id>,
    pub(super) why: &'static str,
}

/// The longest segment sequence.
const LONGEST_SEQUENCE: u64 = 1000;

const OVERFLOW: &str = "its numbers do not fit into 64 bits";

impl Timing {
    /// The length of the media, at most up to the end of the Period, in billionths of units. Whole units
    /// are too coarse: a unit may be a second.
    fn length(&self) -> Option<u128> {
        self.of_media(self.period.longest)
    }

    fn of_media(&self, period: Option<Nanos>) -> Option<u128> {
        const BILLION: i128 = SECOND as i128;
        let exact = match (self.presentation, period) {
            (Some(said), _) => i128::from(said).checked_mul(BILLION)?,
            (None, period) => {
                let (begin, end) = self.later;
                let moved = i128::from(end) - i128::from(begin);
                // Both factors have 64 bits.
                let length = u128::from(period?) * u128::from(self.timescale);
                i128::try_from(length).ok()?.checked_add(moved * BILLION)?
            }
        };
        u128::try_from(exact.max(0)).ok()
    }

    /// When the Period ends in the time of the media, in units, rounded up.
    pub(super) fn end_of_period(&self) -> Option<u64> {
        let length = self.length()?.div_ceil(u128::from(SECOND));
        u64::try_from(length.checked_add(u128::from(self.offset))?).ok()
    }

    /// How many segments of this duration fill a length. A remainder of more than a thousandth of a segment
    /// counts as a segment; a smaller one comes from durations written with few digits.
    fn count(length: u128, duration: u64) -> u64 {
        let duration = u128::from(duration) * u128::from(SECOND);
        let (whole, rest) = (length / duration, length % duration);
        let more = rest > duration / 1000 || (whole == 0 && rest > 0);
        u64::try_from(whole)
            .unwrap_or(u64::MAX)
            .saturating_add(u64::from(more))
    }

    /// The minimum number of segments for the length of the Period.
    pub(super) fn least(&self, duration: u64) -> Option<u64> {
        let length = self.of_media(self.period.shortest)?;
        (duration > 0).then(|| Self::count(length, duration))
    }

    /// Calls `visit` with each segment in order, until it returns `false`.
    pub(super) fn each(
        &self,
        dom: &Dom,
        visit: &mut dyn FnMut(Segment) -> bool,
    ) -> Result<(), Unclear> {
        match (self.timeline, self.duration) {
            (Some(timeline), _) => self.by_timeline(dom, timeline, visit),
            (None, Some(duration)) => self.by_duration(duration, visit),
            (None, None) => {
                // One segment of the Period's length (5.3.9.5.3), unless its end is named.
                let last = self.end.unwrap_or(self.start);
                for number in self.start..=last {
                    let is_first = number == self.start;
                    let length = self.end_of_period().map(|end| end - self.offset);
                    let duration = length.filter(|_| last == self.start).unwrap_or(0);
                    let segment = Segment {
                        number,
                        sub: 0,
                        time: if is_first { self.offset } else { 0 },
                        duration,
                        certainty: Certainty::Named,
                    };
                    if !visit(segment) {
                        break;
                    }
                }
                Ok(())
            }
        }
    }

    fn by_duration(
        &self,
        duration: u64,
        visit: &mut dyn FnMut(Segment) -> bool,
    ) -> Result<(), Unclear> {
        let unclear = |why| Err(Unclear { at: None, why });
        if duration == 0 {
            return unclear("its segments have the duration 0");
        }
        if self.sequence > LONGEST_SEQUENCE {
            return unclear("a segment sequence has more than 1000 segments");
        }
        let sequence = self.sequence.max(1);
        let by_length = self.length().map(|length| Self::count(length, duration));
        for index in 0.. {
            let Some(number) = self.start.checked_add(index) else {
                return unclear(OVERFLOW);
            };
            let certainty = match (self.end, by_length) {
                (Some(end), _) if number > end => return Ok(()),
                (Some(_), _) => Certainty::Named,
                // If the end is unknown, at least the first segment must exist.
                (None, None) if index == 0 => Certainty::Named,
                (None, None) => Certainty::Possible,
                (None, Some(count)) if index < count => Certainty::ByLength,
                (None, Some(count)) if index == count && count > 0 => Certainty::Possible,
                (None, Some(_)) => return Ok(()),
            };
            let begins = u128::from(index) * u128::from(duration);
            let part = |sub: u64| {
                let within = u128::from(duration) * u128::from(sub) / u128::from(sequence);
                u64::try_from(begins + within).ok()
            };
            for sub in 0..sequence {
                let Some((time, next)) = part(sub).zip(part(sub + 1)) else {
                    return unclear(OVERFLOW);
                };
                let segment = Segment {
                    number,
                    sub,
                    time,
                    duration: next - time,
                    certainty,
                };
                if !visit(segment) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn by_timeline(
        &self,
        dom: &Dom,
        timeline: Id,
        visit: &mut dyn FnMut(Segment) -> bool,
    ) -> Result<(), Unclear> {
        // Segments that begin after the end of the Period do not belong to it.
        let billionths = |units: u64| u128::from(units) * u128::from(SECOND);
        let end = (self.length()).map(|length| length.saturating_add(billionths(self.offset)));
        let (mut number, mut at) = (self.start, 0u64);
        let (mut first_begin, mut last_begin) = (None, None);
        let entries = dom.children(timeline).filter(|id| dom.name(*id) == Name::S);
        let mut entries = entries.peekable();
        while let Some(s) = entries.next() {
            let unclear = |why| Unclear { at: Some(s), why };
            let S {
                t,
                d,
                r,
                n,
                k,
                has_pattern,
            } = S::of(dom, s).map_err(unclear)?;
            if has_pattern {
                return Err(unclear("patterns in a SegmentTimeline are not supported"));
            }
            let duration = d
                .filter(|d| *d > 0)
                .ok_or(unclear("an S element has no duration (@d)"))?;
            let sequence = k.unwrap_or(1).max(1);
            if sequence > LONGEST_SEQUENCE.min(duration) {
                return Err(unclear("a segment sequence (@k) is too long"));
            }
            at = t.unwrap_or(at);
            if last_begin.is_some_and(|last| at <= last) {
                return Err(unclear("the SegmentTimeline goes back in time"));
            }
            number = n.unwrap_or(number);
            let next = entries.peek().copied();
            let (count, certainty) = match (r.unwrap_or(0), next) {
                (r, _) if r >= 0 => (r.unsigned_abs().saturating_add(1), Certainty::Named),
                (_, Some(next)) => {
                    let until = S::of(dom, next).map_err(unclear)?.t;
                    let until = until.filter(|until| *until > at).ok_or(unclear(
                        "a repeat up to the next S element (@r below 0) needs a later @t there",
                    ))?;
                    (
                        Self::count(billionths(until - at), duration).max(1),
                        Certainty::Named,
                    )
                }
                (_, None) => match end {
                    Some(end) => {
                        let length = end.saturating_sub(billionths(at));
                        (Self::count(length, duration), Certainty::ByLength)
                    }
                    None => (u64::MAX, Certainty::Possible),
                },
            };
            for i in 0..count {
                if self.end.is_some_and(|end| number > end) {
                    return Ok(());
                }
                let is_behind = end.is_some_and(|end| billionths(at) >= end);
                // A SegmentTimeline that lies entirely after its Period counts from another origin.
                let is_no_more = is_behind
                    && first_begin.is_some_and(|first| end.is_some_and(|end| first < end));
                first_begin.get_or_insert(billionths(at));
                let certainty = match certainty {
                    Certainty::Named if is_no_more => Certainty::Possible,
                    Certainty::Possible if i == 0 && last_begin.is_none() => Certainty::Named,
                    certainty => certainty,
                };
                let next = at.checked_add(duration).ok_or(unclear(OVERFLOW))?;
                let part = |sub: u64| {
                    let within = u128::from(duration) * u128::from(sub) / u128::from(sequence);
                    // No overflow: the end of the sequence fits.
                    at + within as u64
                };
                for sub in 0..sequence {
                    let segment = Segment {
                        number,
                        sub,
                        time: part(sub),
                        duration: part(sub + 1) - part(sub),
                        certainty,
                    };
                    if !visit(segment) {
                        return Ok(());
                    }
                }
                last_begin = Some(at);
                at = next;
                number = number.checked_add(1).ok_or(unclear(OVERFLOW))?;
            }
        }
        Ok(())
    }
}

/// The attributes of an S element (5.3.9.6.2).
#[derive(Default)]
struct S {
    t: Option<u64>,
    d: Option<u64>,
    r: Option<i64>,
    n: Option<u64>,
    k: Option<u64>,
    has_pattern: bool,
}

impl S {
    fn of(dom: &Dom, id: Id) -> Result<Self, &'static str> {
        let mut s = Self::default();
        for attribute in dom.attributes(id) {
            let value = attribute.value.trim();
            let wrong = |_| "a number of an S element cannot be read";
            let number = || value.parse().map(Some).map_err(wrong);
            match attribute.name {
                "t" => s.t = number()?,
                "d" => s.d = number()?,
                "n" => s.n = number()?,
                "k" => s.k = number()?,
                "r" => s.r = Some(value.parse().map_err(wrong)?),
                "p" => s.has_pattern = true,
                _ => {}
            }
        }
        Ok(s)
    }
}

#[cfg(test)]
mod tests;
