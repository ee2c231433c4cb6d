//! When Periods begin and end (ISO/IEC 23009-1, 5.3.2.1).

use super::dom::{Dom, Id, Name};

/// A duration or a time in nanoseconds. Manifests write decimal fractions, which floats do not hold.
pub(super) type Nanos = u64;

pub(super) const SECOND: Nanos = 1_000_000_000;

/// The time of a Period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Period {
    /// How long its media may be; `None` if the manifest does not tell.
    pub(super) longest: Option<Nanos>,
    /// How long its media has to be: less than `longest` where the next Period leaves a gap.
    pub(super) shortest: Option<Nanos>,
}

/// The Periods of a manifest, in its order.
pub(super) fn periods(dom: &Dom, mpd: Id) -> Vec<(Id, Period)> {
    let of = |id, name| dom.value(id, name).and_then(|value| duration(&value));
    let ids: Vec<Id> = (dom.children(mpd))
        .filter(|id| dom.name(*id) == Name::Period)
        .collect();
    let mut starts: Vec<Option<Nanos>> = Vec::with_capacity(ids.len());
    for (i, id) in ids.iter().enumerate() {
        let start = of(*id, "start").or_else(|| match i.checked_sub(1) {
            None => Some(0),
            Some(before) => starts[before]?.checked_add(of(ids[before], "duration")?),
        });
        starts.push(start);
    }
    let whole = of(mpd, "mediaPresentationDuration");
    let period = |(i, id): (usize, &Id)| {
        let end = match starts.get(i + 1) {
            Some(next) => *next,
            None => whole,
        };
        // Times that run backwards tell nothing.
        let by_end = (starts[i].zip(end)).and_then(|(start, end)| end.checked_sub(start));
        let own = of(*id, "duration");
        // The last Period ends by its own duration, even if the presentation's is another.
        let by_end = by_end.filter(|_| own.is_none() || i + 1 < ids.len());
        let period = Period {
            longest: own.max(by_end),
            shortest: match (own, by_end) {
                (Some(own), Some(end)) => Some(own.min(end)),
                (own, end) => own.or(end),
            },
        };
        (*id, period)
    };
    ids.iter().enumerate().map(period).collect()
}

/// An xs:duration (XML Schema, part 2, 3.2.6) in nanoseconds; digits beyond are dropped. Years have
/// 365 days and months 30, as players have it, since a presentation has no calendar.
pub(super) fn duration(text: &str) -> Option<Nanos> {
    const DAY: u64 = 86_400;
    let text = text.trim().strip_prefix('P')?;
    let (date, time) = match text.split_once('T') {
        Some((_, "")) => return None,
        Some((date, time)) => (date, time),
        None => (text, ""),
    };
    if date.is_empty() && time.is_empty() {
        return None;
    }
    let date_units = [('Y', 365 * DAY), ('M', 30 * DAY), ('D', DAY)];
    let time_units = [('H', 3600), ('M', 60), ('S', 1)];
    let date = part(date, &date_units)?;
    date.checked_add(part(time, &time_units)?)
}

/// Numbers with their units, in this order, each at most once.
fn part(mut text: &str, units: &[(char, u64)]) -> Option<Nanos> {
    let mut total: Nanos = 0;
    for (unit, seconds) in units {
        let Some((number, rest)) = text.split_once(*unit) else {
            continue;
        };
        let (whole, fraction) = match number.split_once('.') {
            Some((whole, fraction)) => (whole, fraction),
            None => (number, ""),
        };
        let is_digits = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
        if !is_digits(whole) || !is_digits(fraction) || whole.len() + fraction.len() == 0 {
            return None;
        }
        let whole: u64 = if whole.is_empty() {
            0
        } else {
            whole.parse().ok()?
        };
        let billionths = format!("{fraction:0<9}");
        let billionths: u64 = billionths.get(..9)?.parse().ok()?;
        let exact = u128::from(whole) * u128::from(SECOND) + u128::from(billionths);
        let nanos = Nanos::try_from(exact * u128::from(*seconds)).ok()?;
        total = total.checked_add(nanos)?;
        text = rest;
    }
    text.is_empty().then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse_in_all_units() {
        let table = [
            ("PT1H2M3.5S", 3723.5),
            ("P1DT1S", 86_401.0),
            (" PT10S ", 10.0),
            ("P1Y2M", 36_720_000.0),
            ("PT.25S", 0.25),
            ("PT5.S", 5.0),
            ("PT1.5H", 5400.0),
            ("PT0.1234567899S", 0.123_456_789),
            ("P0D", 0.0),
        ];
        for (text, seconds) in table {
            let nanos = (seconds * 1e9_f64).round() as Nanos;
            assert_eq!(duration(text), Some(nanos), "{text}");
        }
        for wrong in [
            "",
            "10",
            "P",
            "PT",
            "PT1X",
            "P1S",
            "PT1D",
            "-PT1S",
            "PT1S2M",
            "PT1.2.3S",
            "PT+1S",
            "PT99999999999999999999S",
            "PT9999999999999999H",
            "P1DT",
        ] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    /// The lengths of Periods in seconds: the longest and the shortest.
    fn lengths(mpd: &str, inner: &str) -> Vec<(Option<u64>, Option<u64>)> {
        let text = format!("<MPD {mpd}>{inner}</MPD>");
        let dom = Dom::parse(&text).expect("a manifest");
        let found = periods(&dom, 0).into_iter();
        let in_seconds = |nanos: Option<Nanos>| nanos.map(|nanos| nanos / SECOND);
        found
            .map(|(_, period)| (in_seconds(period.longest), in_seconds(period.shortest)))
            .collect()
    }

    #[test]
    fn periods_begin_and_end_as_the_standard_says() {
        let whole = "mediaPresentationDuration='PT30S'";
        let both = |seconds| (Some(seconds), Some(seconds));
        let none = (None, None);
        let table = [
            ("<Period/>", vec![both(30)]),
            ("<Period start='PT5S'/>", vec![both(25)]),
            (
                "<Period duration='PT8S'/><Period/>",
                vec![both(8), both(22)],
            ),
            (
                "<Period duration='PT8S'/><Period duration='PT4S'/><Period/>",
                vec![both(8), both(4), both(18)],
            ),
            ("<Period/><Period start='PT8S'/>", vec![both(8), both(22)]),
            // The last one's own duration holds.
            ("<Period duration='PT9S'/>", vec![both(9)]),
            // A gap before the next one.
            (
                "<Period duration='PT8S'/><Period start='PT10S'/>",
                vec![(Some(10), Some(8)), both(20)],
            ),
            // Nothing tells when the first ends and the second begins.
            ("<Period/><Period/>", vec![none, none]),
            (
                "<Period/><Period duration='PT3S'/><Period start='PT20S'/>",
                vec![none, both(3), both(10)],
            ),
            ("<Period start='PT40S'/>", vec![none]),
        ];
        for (inner, expected) in table {
            assert_eq!(lengths(whole, inner), expected, "{inner}");
        }
        assert_eq!(lengths("", "<Period/>"), [none]);
        assert_eq!(
            lengths("", "<Period duration='PT3S'/><Period/>"),
            [both(3), none]
        );
    }
}
