//! Templates written out: the segments that a SegmentTemplate means, as far as their files are there.
//!
//! Where a template names each segment (a SegmentTimeline, an end number), a missing file is a gap.
//! Where their number follows from the length of the Period, media may end earlier, and the list
//! ends with the last file that is there; a missing one before that is a gap all the same.

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

/// A template with more missing files than this is taken for a mistake as a whole.
const MOST_MISSING: usize = 10_000;

/// A gap in what the Period's length calls for is found if it is shorter than this.
const LONGEST_GAP: usize = 1000;

/// Likewise where nothing tells how many segments there are.
const LONGEST_GAP_WITHOUT_END: usize = 10;

/// A number of a level, as far as it can be read.
fn number<T: std::str::FromStr>(
    dom: &Dom,
    levels: &[Id],
    name: &str,
    why: &'static str,
) -> Result<Option<T>, Unclear> {
    let innermost = levels.iter().rev();
    let Some((at, value)) = innermost
        .filter_map(|id| Some((*id, dom.value(*id, name)?)))
        .next()
    else {
        return Ok(None);
    };
    let number = value.trim().parse().map(Some);
    number.map_err(|_| Unclear { at: Some(at), why })
}

/// What levels of SegmentTemplate or SegmentList say of time: inner attributes hold over outer ones
/// (5.3.9.1).
fn timing(dom: &Dom, levels: &[Id], period: Period) -> Result<Timing, Unclear> {
    let timelines = levels.iter().rev();
    let timeline = timelines
        .filter_map(|id| dom.child(*id, Name::SegmentTimeline))
        .next();
    let of = |name| number::<u64>(dom, levels, name, "a number of the template cannot be read");
    let moved = |name| number::<i64>(dom, levels, name, "a number of the template cannot be read");
    Ok(Timing {
        timescale: of("timescale")?.unwrap_or(1).max(1),
        start: of("startNumber")?.unwrap_or(1),
        end: of("endNumber")?,
        duration: of("duration")?,
        timeline,
        offset: of("presentationTimeOffset")?.unwrap_or(0),
        later: (
            moved("eptDelta")?.unwrap_or(0),
            moved("pdDelta")?.unwrap_or(0),
        ),
        presentation: of("presentationDuration")?,
        sequence: of("k")?.unwrap_or(1),
        period,
    })
}

/// When the segments of an inherited list are played, if it has a time line for all of them.
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
    /// What templates mean, outermost first. `false` if it cannot be told, which is a problem.
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
            at: at as u32,
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
            // Without numbers of their own they are addressed as one.
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
                // A part of the one before, which has the address of all.
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
                // It holds for all that follow.
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
        // Without a time line they count from the beginning of the Period.
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

/// The files of a template's segments.
struct Files<'f, 'a> {
    finder: &'f Finder<'a>,
    base: &'f str,
    media: &'f str,
    values: Values<'f>,
    /// Segments of sequences are counted from 1, but by some packagers from 0.
    first_sub: Option<u64>,
    found: Vec<(String, Segment)>,
    /// Those that are not there, since the last one that is.
    pending: Vec<(String, Segment)>,
    /// Where the last one leads.
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

    /// Takes a segment. `false` if no more are wanted.
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
            // On another server, all of it.
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

    /// All are told. A template without a single file is wrong, and its first one says so.
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

/// Decides what only all Periods together tell: where segments are numbered onward in one folder, a
/// Period ends before the first file of another one, unless that file has the media that is next.
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
            let at = last.at as usize;
            found.problems.push((at, What::Ends { there, due }));
        }
    }
}

/// How many media segments each representation keeps.
fn cuts(all: &[Representation]) -> Vec<usize> {
    let path = |r: &Representation, media: usize| match r.target(&r.resources[r.inits() + media]) {
        Target::Path(path) => Some(path),
        _ => None,
    };
    // By path: the Periods that begin with it, and when on the media's time line.
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
    // Segments that may be there, for others that surely have them.
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
