//! Expands SegmentTemplates into the segments whose files exist.
//!
//! If a template names each segment (by a SegmentTimeline or an end number), a missing file is a gap. If
//! the number of segments follows from the length of the Period, media may end earlier: the list ends with
//! the last file that exists, and a missing file before it is a gap.

use std::collections::HashMap;

use super::super::address::{Target, target};
use super::super::problem::What;
use super::dom::{Dom, Id, Name};
use super::period::Period;
use super::resources::{Finder, Found, NamedBy, Representation, Resource};
use super::segments::{Certainty, Segment, Timing, Unclear};
use super::template::{self, Values};
use super::times::Times;

/// The most segments that the templates of one manifest may make. A day of segments of two seconds
/// in four renditions has 172,800.
pub(super) const MOST_SEGMENTS: usize = 200_000;

pub(super) const TOO_MANY: &str = "the manifest has more than 200,000 segments";

const SAME: &str = "its template gives all segments the same address";

/// A template with more missing files than this gets no links at all.
const MOST_MISSING: usize = 10_000;

/// If the length of the Period says how many segments there are, the search ends after this many missing
/// files in a row.
const LONGEST_GAP: usize = 1000;

/// The same, if nothing says how many segments there are.
const LONGEST_GAP_WITHOUT_END: usize = 10;

/// The number in an attribute of the innermost level that has it.
fn number<T: std::str::FromStr>(
    dom: &Dom,
    levels: &[Id],
    name: &str,
) -> Result<Option<T>, Unclear> {
    let mut innermost = levels.iter().rev();
    let found = innermost.find_map(|id| Some((*id, dom.value(*id, name)?)));
    let Some((at, value)) = found else {
        return Ok(None);
    };
    let number = value.trim().parse().map(Some);
    number.map_err(|_| Unclear {
        at: Some(at),
        why: "a number of the template cannot be read",
    })
}

/// The timing that levels of SegmentTemplate or SegmentList describe together. Inner attributes override
/// outer ones (5.3.9.1).
fn timing(dom: &Dom, levels: &[Id], period: Period) -> Result<Timing, Unclear> {
    let mut innermost = levels.iter().rev();
    Ok(Timing {
        timescale: number(dom, levels, "timescale")?.unwrap_or(1).max(1),
        start: number(dom, levels, "startNumber")?.unwrap_or(1),
        end: number(dom, levels, "endNumber")?,
        duration: number(dom, levels, "duration")?,
        timeline: innermost.find_map(|id| dom.child(*id, Name::SegmentTimeline)),
        offset: number(dom, levels, "presentationTimeOffset")?.unwrap_or(0),
        later: (
            number(dom, levels, "eptDelta")?.unwrap_or(0),
            number(dom, levels, "pdDelta")?.unwrap_or(0),
        ),
        presentation: number(dom, levels, "presentationDuration")?,
        sequence: number(dom, levels, "k")?.unwrap_or(1),
        period,
    })
}

/// The times of the segments of an inherited list, if it has a SegmentTimeline for all of them.
pub(super) fn times_of_list(
    dom: &Dom,
    lists: &[Id],
    period: Period,
    count: usize,
) -> Option<Times> {
    let timing = timing(dom, lists, period).ok()?;
    timing.timeline?;
    let mut times = Times::of(&timing);
    if count > 0 {
        let each = timing.each(dom, &mut |segment| {
            times.segments.push((segment.time, segment.duration));
            times.segments.len() < count
        });
        each.ok()?;
    }
    (times.segments.len() == count).then_some(times)
}

impl Finder<'_> {
    /// Expands templates, outermost first. Reports a problem and returns `false` if that fails.
    pub(super) fn template(
        &mut self,
        made: &mut Representation,
        templates: &[Id],
        period: Period,
    ) -> bool {
        let Some(innermost) = templates.last().copied() else {
            return false;
        };
        if self.segments_left == 0 {
            return false;
        }
        match self.expand(made, templates, period) {
            Ok(()) => {
                made.sources = templates.to_vec();
                true
            }
            Err(Unclear { at, why }) => {
                self.report(at.unwrap_or(innermost), What::Unlinked(why));
                false
            }
        }
    }

    fn expand(
        &mut self,
        made: &mut Representation,
        templates: &[Id],
        period: Period,
    ) -> Result<(), Unclear> {
        let dom = self.dom;
        let unclear = |why| Unclear { at: None, why };
        let innermost = |name: &str| templates.iter().rev().find_map(|id| dom.value(*id, name));
        let at = templates.last().map_or(0, |id| dom.start(*id));
        let id = dom.value(made.element, "id").unwrap_or_default();
        let bandwidth = dom.value(made.element, "bandwidth");
        let bandwidth = bandwidth.and_then(|value| value.trim().parse().ok());
        let values = Values {
            id: &id,
            bandwidth: bandwidth.unwrap_or(0),
            ..Values::default()
        };
        const IDENTIFIER: &str = "its template has an identifier that is not understood";
        let resource = |uri: String, is_init| Resource {
            uri: uri.into(),
            part: None,
            named_by: NamedBy::Template { is_init },
            at,
        };
        if let Some(initialization) = innermost("initialization") {
            let is_one = template::varies(&initialization).filter(|varies| !varies.by_segment);
            let uri = is_one.and_then(|_| template::expand(&initialization, values));
            made.resources
                .push(resource(uri.ok_or(unclear(IDENTIFIER))?, true));
        }
        let Some(media) = innermost("media") else {
            return Ok(());
        };
        let varies = template::varies(&media).ok_or(unclear(IDENTIFIER))?;
        let timing = timing(dom, templates, period)?;
        let timing = if varies.by_sub_number {
            timing
        } else {
            // Without $SubNumber$, all segments of a sequence have one address.
            Timing {
                sequence: 1,
                ..timing
            }
        };
        let mut files = Files {
            finder: self,
            base: &made.base,
            media: &media,
            values,
            first_sub: None,
            found: Vec::new(),
            pending: Vec::new(),
            last: None,
            missing: 0,
            due: 0,
            why: None,
        };
        let mut first = None;
        let done = timing.each(dom, &mut |segment| {
            let first = *first.get_or_insert(segment.number);
            if !varies.by_segment && segment.number != first {
                if segment.certainty != Certainty::Possible {
                    files.why = Some(SAME);
                }
                return false;
            }
            if segment.sub > 0 && !varies.by_sub_number {
                // It is a part of the segment before, whose address names the whole sequence.
                files.lengthen(segment.duration);
                return true;
            }
            files.add(segment)
        });
        files.end();
        let (found, due, why) = (files.found, files.due, files.why);
        done?;
        if let Some(why) = why {
            if why == TOO_MANY {
                // The limit is for the manifest, so later representations get no segments either.
                self.segments_left = 0;
            }
            return Err(unclear(why));
        }
        self.segments_left -= found.len();
        let mut times = Times::of(&timing);
        times.is_regular = timing.timeline.is_none() && timing.sequence <= 1;
        times.due = match timing.duration.filter(|_| timing.timeline.is_none()) {
            Some(duration) if timing.end.is_none() && due > 0 => {
                timing.least(duration).unwrap_or(0)
            }
            _ => due,
        };
        // Without a SegmentTimeline, times count from the beginning of the Period.
        let from = timing.timeline.map_or(timing.offset, |_| 0);
        for (uri, segment) in found {
            times.named += usize::from(segment.certainty == Certainty::Named);
            times.expected += usize::from(segment.certainty != Certainty::Possible);
            times.numbers += u64::from(segment.sub == 0);
            let time = segment.time.saturating_add(from);
            times.segments.push((time, segment.duration));
            made.resources.push(resource(uri, false));
        }
        if timing.duration.is_some() || timing.timeline.is_some() {
            made.times = Some(times);
        }
        Ok(())
    }
}

/// Looks for the files of a template's segments.
struct Files<'f, 'a> {
    finder: &'f Finder<'a>,
    base: &'f str,
    media: &'f str,
    values: Values<'f>,
    /// The first $SubNumber$. It is 1 by the standard, but some packagers begin at 0.
    first_sub: Option<u64>,
    found: Vec<(String, Segment)>,
    /// Missing segments after the last one that exists.
    pending: Vec<(String, Segment)>,
    /// The target of the last segment.
    last: Option<Target>,
    missing: usize,
    /// How many segments the manifest calls for.
    due: u64,
    why: Option<&'static str>,
}

impl Files<'_, '_> {
    fn uri(&self, segment: Segment, first_sub: u64) -> Option<String> {
        let values = Values {
            number: segment.number,
            time: segment.time,
            sub_number: segment.sub + first_sub,
            ..self.values
        };
        template::expand(self.media, values)
    }

    fn is_there(&self, target: &Target) -> bool {
        match target {
            Target::Path(path) => (self.finder.size_of)(path).is_some(),
            Target::Elsewhere | Target::Outside => false,
        }
    }

    /// Adds a segment. Returns whether the search goes on.
    fn add(&mut self, segment: Segment) -> bool {
        let first_sub = match self.first_sub {
            Some(first) => first,
            None => {
                let from_zero = self.uri(segment, 0);
                let first = u64::from(
                    !from_zero.is_some_and(|uri| self.is_there(&target(self.base, &uri))),
                );
                self.first_sub = Some(first);
                first
            }
        };
        let Some(uri) = self.uri(segment, first_sub) else {
            self.why = Some("its template makes an address that is too long");
            return false;
        };
        let target = target(self.base, &uri);
        if target == Target::Elsewhere {
            // All segments are on another server.
            self.found.clear();
            return false;
        }
        if self.last.as_ref() == Some(&target) {
            self.why = Some(SAME);
            return false;
        }
        self.due += u64::from(segment.certainty != Certainty::Possible && segment.sub == 0);
        let is_there = self.is_there(&target);
        self.last = Some(target);
        self.pending.push((uri, segment));
        if is_there || segment.certainty == Certainty::Named {
            self.missing += self.pending.len() - usize::from(is_there);
            self.found.append(&mut self.pending);
        }
        if self.found.len() > self.finder.segments_left {
            self.why = Some(TOO_MANY);
        } else if self.missing > MOST_MISSING {
            self.why = Some("more than 10,000 of its segments are not there");
        }
        let longest_gap = match segment.certainty {
            Certainty::Possible => LONGEST_GAP_WITHOUT_END,
            Certainty::ByLength | Certainty::Named => LONGEST_GAP,
        };
        self.why.is_none() && self.pending.len() < longest_gap
    }

    fn lengthen(&mut self, duration: u64) {
        let last = self.pending.last_mut().or(self.found.last_mut());
        if let Some((_, segment)) = last {
            segment.duration = segment.duration.saturating_add(duration);
        }
    }

    /// Ends the search. If no file exists, the first segment is kept, so that its missing file is reported.
    fn end(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        if self.found.is_empty()
            && let Some(first) = pending.into_iter().next()
            && first.1.certainty != Certainty::Possible
        {
            self.found.push(first);
            self.due = 0;
        }
    }
}

/// Cuts representations where another Period begins. If segments of several Periods lie in one folder and
/// are numbered onward, a Period ends before the first file of the next Period, unless that file has the
/// media that comes next.
pub(super) fn trim_periods(found: &mut Found) {
    let has_periods =
        (found.representations.windows(2)).any(|pair| pair[0].period != pair[1].period);
    if has_periods {
        let cuts = cuts(&found.representations);
        for (representation, media) in found.representations.iter_mut().zip(cuts) {
            let inits = representation.inits();
            representation.resources.truncate(inits + media);
            if let Some(times) = &mut representation.times {
                let dropped = (times.segments.len() - media.min(times.segments.len())) as u64;
                times.numbers = times.numbers.saturating_sub(dropped);
                times.segments.truncate(media);
            }
        }
    }
    for representation in &found.representations {
        if let (Some(times), Some(last)) = (&representation.times, representation.resources.last())
            && times.due > times.numbers + 1
        {
            let (there, due) = (times.numbers, times.due);
            found.problems.push((last.at, What::Ends { there, due }));
        }
    }
}

/// The number of media segments that each representation keeps.
fn cuts(all: &[Representation]) -> Vec<usize> {
    let path = |r: &Representation, media: usize| match r.target(&r.resources[r.inits() + media]) {
        Target::Path(path) => Some(path),
        _ => None,
    };
    // For each path: the Periods that begin with it, and its time in the media.
    let mut starts: HashMap<String, Vec<(usize, f64)>> = HashMap::new();
    for r in all {
        if let Some((time, _)) = r.times.as_ref().and_then(|times| times.seconds(0))
            && let Some(path) = path(r, 0)
        {
            starts.entry(path).or_default().push((r.period, time));
        }
    }
    let is_of_another = |r: &Representation, times: &Times, media: usize| {
        let Some(path) = path(r, media) else {
            return false;
        };
        let Some((time, duration)) = times.seconds(media) else {
            return false;
        };
        let others = starts.get(&path).into_iter().flatten();
        others
            .filter(|(period, _)| *period != r.period)
            .any(|(_, start)| (start - time).abs() > duration / 2.0 || media >= times.expected)
    };
    let mut kept = Vec::with_capacity(all.len());
    // Segments that possibly belong to a representation. They are cut if another one needs them.
    let mut perhaps: HashMap<String, Vec<(usize, usize)>> = HashMap::new();
    for (number, r) in all.iter().enumerate() {
        let media = r.resources.len() - r.inits();
        let Some(times) = r
            .times
            .as_ref()
            .filter(|times| times.due > 0 || times.named > 0)
        else {
            kept.push(media);
            continue;
        };
        let mut soft = times.named.max(1)..media;
        let end = soft
            .find(|media| is_of_another(r, times, *media))
            .unwrap_or(media);
        kept.push(end);
        for media in times.expected.max(1)..end {
            if let Some(path) = path(r, media) {
                perhaps.entry(path).or_default().push((number, media));
            }
        }
    }
    if perhaps.is_empty() {
        return kept;
    }
    for r in all {
        let expected = r.times.as_ref().map_or(0, |times| times.expected);
        for media in 0..expected.min(r.resources.len() - r.inits()) {
            let claims = path(r, media).and_then(|path| perhaps.get(&path));
            for (number, media) in claims.into_iter().flatten() {
                if all[*number].period != r.period {
                    kept[*number] = kept[*number].min(*media);
                }
            }
        }
    }
    kept
}
