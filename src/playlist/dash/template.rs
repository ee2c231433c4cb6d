//! The addresses that a SegmentTemplate makes (ISO/IEC 23009-1, 5.3.9.4.4).

/// What stands for `$...$` in a template.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Values<'a> {
    pub(super) id: &'a str,
    pub(super) bandwidth: u64,
    pub(super) number: u64,
    /// The number of a segment within its segment sequence.
    pub(super) sub_number: u64,
    pub(super) time: u64,
}

/// The most digits that a template may ask for.
const WIDEST: usize = 64;

/// The longest address that a template may make, in bytes: twice the longest path of Linux.
const LONGEST: usize = 8192;

/// Which identifiers of single segments a template has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Varies {
    pub(super) by_segment: bool,
    pub(super) by_sub_number: bool,
}

/// A template with its values in place; `None` for an identifier that the standard does not know,
/// and for an address of more than [`LONGEST`] bytes.
pub(super) fn expand(template: &str, values: Values) -> Option<String> {
    each(template, |part| match part {
        Part::Text(text) => text.to_owned(),
        Part::Id => values.id.to_owned(),
        Part::Bandwidth(width) => padded(values.bandwidth, width),
        Part::Number(width) => padded(values.number, width),
        Part::SubNumber(width) => padded(values.sub_number, width),
        Part::Time(width) => padded(values.time, width),
    })
}

/// By what the addresses of a template differ; `None` as for [`expand`].
pub(super) fn varies(template: &str) -> Option<Varies> {
    let mut found = Varies::default();
    each(template, |part| {
        match part {
            Part::Number(_) | Part::Time(_) => found.by_segment = true,
            Part::SubNumber(_) => found.by_sub_number = true,
            Part::Text(_) | Part::Id | Part::Bandwidth(_) => {}
        }
        String::new()
    })?;
    Some(found)
}

fn padded(number: u64, width: usize) -> String {
    format!("{number:0width$}")
}

enum Part<'t> {
    Text(&'t str),
    Id,
    Bandwidth(usize),
    Number(usize),
    SubNumber(usize),
    Time(usize),
}

fn each(template: &str, mut written: impl FnMut(Part) -> String) -> Option<String> {
    if template.len() > LONGEST {
        return None;
    }
    let mut out = String::with_capacity(template.len() + 8);
    let mut parts = template.split('$');
    out.push_str(&written(Part::Text(parts.next()?)));
    while let Some(identifier) = parts.next() {
        // Without a second `$` it is no identifier.
        let after = parts.next()?;
        let (name, width) = match identifier.split_once('%') {
            Some((name, format)) => (name, Some(width(format)?)),
            None => (identifier, None),
        };
        let digits = width.unwrap_or(1);
        out.push_str(&written(match name {
            "" if width.is_none() => Part::Text("$"),
            "RepresentationID" if width.is_none() => Part::Id,
            "Bandwidth" => Part::Bandwidth(digits),
            "Number" => Part::Number(digits),
            "SubNumber" => Part::SubNumber(digits),
            "Time" => Part::Time(digits),
            _ => return None,
        }));
        out.push_str(&written(Part::Text(after)));
        if out.len() > LONGEST {
            return None;
        }
    }
    Some(out)
}

/// `0<width>d`, the only format that the standard has.
fn width(format: &str) -> Option<usize> {
    let digits = format.strip_prefix('0')?.strip_suffix('d')?;
    let is_number = digits.bytes().all(|b| b.is_ascii_digit());
    let width = is_number.then(|| digits.parse().ok()).flatten()?;
    (width <= WIDEST).then_some(width)
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
            sub_number: 2,
            time: 9000,
        };
        let table = [
            (
                "seg-$RepresentationID$-$Number%05d$.m4s",
                Some("seg-v1-00007.m4s"),
            ),
            ("$Bandwidth$/$Time$.m4s", Some("800/9000.m4s")),
            ("$Bandwidth%06d$", Some("000800")),
            ("$Number$-$SubNumber%02d$", Some("7-02")),
            ("$Number$$$x", Some("7$x")),
            ("$$$$", Some("$$")),
            ("plain.m4s", Some("plain.m4s")),
            ("$Nonsense$", None),
            ("$number$", None),
            ("$Number", None),
            ("$Number%5d$", None),
            ("$Number%0+5d$", None),
            ("$Number%05x$", None),
            ("$RepresentationID%05d$", None),
            ("$Number%099999999d$", None),
        ];
        for (template, expected) in table {
            assert_eq!(expand(template, values).as_deref(), expected, "{template}");
            assert_eq!(varies(template).is_some(), expected.is_some(), "{template}");
        }
        assert_eq!(
            varies("$RepresentationID$/$Time$"),
            Some(Varies {
                by_segment: true,
                by_sub_number: false
            })
        );
        assert_eq!(varies("$$Number$$"), Some(Varies::default()));
    }
}
