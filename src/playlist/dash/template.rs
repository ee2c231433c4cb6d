//! SegmentTemplate (ISO/IEC 23009-1, 5.3.9.4): what segments it means.

use super::dom::{Dom, Id};

/// No manifest has so many segments; a number beyond is a mistake or an attack.
const MOST: u64 = 1_000_000;

/// What stands for `$...$` in a template.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Values<'a> {
    pub(super) id: &'a str,
    pub(super) bandwidth: u64,
    pub(super) number: u64,
    pub(super) time: u64,
}

/// A template with its values put in (5.3.9.4.4); `None` for an unknown identifier.
pub(super) fn expand(template: &str, values: Values) -> Option<String> {
    let mut out = String::with_capacity(template.len() + 8);
    let mut parts = template.split('$');
    out.push_str(parts.next()?);
    while let Some(identifier) = parts.next() {
        // Without a second `$` it is no identifier.
        let after = parts.next()?;
        let (name, format) = match identifier.split_once('%') {
            Some((name, format)) => (name, Some(format)),
            None => (identifier, None),
        };
        let number = match name {
            "" if format.is_none() => {
                out.push('$');
                None
            }
            "RepresentationID" if format.is_none() => {
                out.push_str(values.id);
                None
            }
            "Number" => Some(values.number),
            "Time" => Some(values.time),
            "Bandwidth" => Some(values.bandwidth),
            _ => return None,
        };
        if let Some(number) = number {
            let width = match format {
                Some(format) => format.strip_prefix('0')?.strip_suffix('d')?.parse().ok()?,
                None => 1,
            };
            // More digits than a number has are refused rather than written.
            if width > 64 {
                return None;
            }
            out.push_str(&format!("{number:0width$}"));
        }
        out.push_str(after);
    }
    Some(out)
}

/// The times at which the segments of a SegmentTimeline begin (5.3.9.6). `end`: of the period, in
/// the timeline's unit, for those that are repeated up to it.
pub(super) fn timeline(dom: &Dom, timeline: Id, end: Option<u64>) -> Vec<u64> {
    let entries: Vec<Id> = dom.0[timeline].children.clone();
    let mut times = Vec::new();
    let mut at = 0u64;
    for (i, s) in entries.iter().enumerate() {
        if dom.0[*s].name != "S" {
            continue;
        }
        at = dom.number(*s, "t").unwrap_or(at);
        let duration = dom.number(*s, "d").unwrap_or(0);
        let repeats = dom
            .value(*s, "r")
            .and_then(|r| r.trim().parse::<i64>().ok());
        let count = match repeats.unwrap_or(0) {
            r if r >= 0 => r.unsigned_abs() + 1,
            // Up to the next one, or the end.
            _ => {
                let next = entries.get(i + 1).and_then(|next| dom.number(*next, "t"));
                let until = next.or(end).unwrap_or(at).saturating_sub(at);
                until
                    .checked_div(duration)
                    .map_or(1, |_| until.div_ceil(duration))
                    .max(1)
            }
        };
        for _ in 0..count {
            if times.len() as u64 >= MOST {
                return times;
            }
            times.push(at);
            at = at.saturating_add(duration);
        }
    }
    times
}

/// How many segments of `duration` a period has; `None` if that is not said.
pub(super) fn count(period_seconds: Option<f64>, duration: u64, timescale: u64) -> Option<u64> {
    let seconds = period_seconds.filter(|_| duration > 0)?;
    // Rounded to the thousandth of a segment: 10.0 s of 2 s are five, whatever floats say.
    let exact = seconds * timescale as f64 / duration as f64;
    Some(((exact - 0.001).ceil().max(1.0) as u64).min(MOST))
}

/// Seconds of an xs:duration, as far as manifests use it: `PT1H2M3.5S`, also with days.
pub(super) fn seconds(text: &str) -> Option<f64> {
    let (days, rest) = match text.trim().strip_prefix('P')?.split_once('T') {
        Some((days, rest)) => (days, rest),
        None => (text.trim().strip_prefix('P')?, ""),
    };
    let mut total = 0.0;
    for (text, units) in [
        (days, [('D', 86_400.0)].as_slice()),
        (rest, &[('H', 3600.0), ('M', 60.0), ('S', 1.0)]),
    ] {
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
            let number: f64 = rest[..end].parse().ok()?;
            let unit = rest[end..].chars().next()?;
            total += number * units.iter().find(|(name, _)| *name == unit)?.1;
            rest = &rest[end + 1..];
        }
    }
    (total >= 0.0 && total.is_finite()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        let values = Values {
            id: "v1",
            bandwidth: 800,
            number: 7,
            time: 9000,
        };
        let table = [
            (
                "seg-$RepresentationID$-$Number%05d$.m4s",
                Some("seg-v1-00007.m4s"),
            ),
            ("$Bandwidth$/$Time$.m4s", Some("800/9000.m4s")),
            ("$Number$$$x", Some("7$x")),
            ("plain.m4s", Some("plain.m4s")),
            ("$Nonsense$", None),
            ("$Number", None),
            ("$Number%5d$", None),
            ("$Number%099999999d$", None),
        ];
        for (template, expected) in table {
            assert_eq!(expand(template, values).as_deref(), expected, "{template}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(seconds("PT1H2M3.5S"), Some(3723.5));
        assert_eq!(seconds("P1DT1S"), Some(86_401.0));
        assert_eq!(seconds("PT10S"), Some(10.0));
        for wrong in ["", "10", "PT", "PT1X", "P1M"] {
            assert_eq!(seconds(wrong).filter(|s| *s > 0.0), None, "{wrong}");
        }
        assert_eq!(count(Some(10.0), 2, 1), Some(5));
        assert_eq!(count(Some(10.1), 2, 1), Some(6));
        assert_eq!(count(None, 2, 1), None);
    }
}
