//! A SegmentList (5.3.9.3) in the place of what a representation got by a template.

use std::borrow::Cow;
use std::fmt::Write;

use super::super::edit::Edits;
use super::dom::{Dom, Element, Id, escaped};
use super::pieces::Representation;
use super::sidx::Indexed;
use super::{Written, first_last};

/// Attributes of what it replaces that a list has no use for: what they say is written out in it.
/// (The first number of a list's segments says nothing of their times, and some players skip as
/// many.)
const WRITTEN_OUT: [&str; 8] = [
    "media",
    "index",
    "initialization",
    "bitstreamSwitching",
    "startNumber",
    "endNumber",
    "indexRange",
    "indexRangeExact",
];

/// Puts the list into its representation: in the place of its own template if it has one.
pub(super) fn insert(
    edits: &mut Edits,
    dom: &Dom,
    text: &str,
    representation: &Representation,
    pieces: &[(bool, Written)],
) {
    let element = &dom.0[representation.element];
    with_frame_rate(edits, dom, text, representation.element);
    let layout = Layout::of(text, element);
    let list = written(dom, text, representation, pieces, &layout);
    let own = representation
        .templates
        .iter()
        .find(|id| dom.0[**id].parent == Some(representation.element));
    if let Some(own) = own {
        return edits.replace(dom.0[*own].whole.clone(), list);
    }
    let Layout {
        line_end,
        indent,
        inner,
        prefix,
    } = &layout;
    match &element.content {
        Some(content) => {
            let end = content.start + text[content.clone()].trim_end().len();
            edits.replace(end..end, format!("{line_end}{inner}{list}"));
            // `<a></a>` on one line: its end goes to a line of its own.
            if end == content.end {
                edits.replace(end..end, format!("{line_end}{indent}"));
            }
        }
        None => {
            let body = text[element.start_tag.clone()]
                .trim_end_matches("/>")
                .trim_end();
            let end = element.start_tag.start + body.len();
            let with =
                format!(">{line_end}{inner}{list}{line_end}{indent}</{prefix}Representation>");
            edits.replace(end..element.start_tag.end, with);
        }
    }
}

/// Says the frame rate of the adaptation set in the representation too, where it means the same.
/// ffmpeg (seen in 5.1) guesses a rate from 20 frames unless it stands there; if segments of a list
/// have fewer, it takes the end of the second one for the end of all.
fn with_frame_rate(edits: &mut Edits, dom: &Dom, text: &str, representation: Id) {
    const NAME: &str = "frameRate";
    let inherited = dom.0[representation]
        .parent
        .and_then(|set| dom.value(set, NAME));
    if let Some(rate) = inherited.filter(|_| dom.value(representation, NAME).is_none()) {
        let at = dom.name_end(text, representation);
        edits.replace(at..at, format!(" {NAME}=\"{}\"", escaped(rate)));
    }
}

/// How the manifest is laid out around a representation.
struct Layout {
    line_end: &'static str,
    /// White space before the representation.
    indent: String,
    /// White space before what is in it.
    inner: String,
    /// The namespace prefix, with its colon.
    prefix: String,
}

impl Layout {
    fn of(text: &str, element: &Element) -> Self {
        let start = element.start_tag.start;
        let line = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let indent = &text[line..start];
        let tag = &text[start + 1..element.start_tag.end];
        let name = tag.split(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>'));
        let prefix = name
            .map(|name| name.split_once(':').map_or("", |(prefix, _)| prefix))
            .next();
        let prefix = match prefix.unwrap_or("") {
            "" => String::new(),
            prefix => format!("{prefix}:"),
        };
        // Without lines of its own in a manifest on one line.
        if line == 0 || !indent.trim().is_empty() {
            return Self {
                line_end: "",
                indent: String::new(),
                inner: String::new(),
                prefix,
            };
        }
        Self {
            line_end: if text.contains("\r\n") { "\r\n" } else { "\n" },
            indent: indent.to_owned(),
            inner: format!("{indent}{}", step(indent)),
            prefix,
        }
    }
}

fn step(indent: &str) -> &'static str {
    if indent.contains('\t') { "\t" } else { "  " }
}

fn written(
    dom: &Dom,
    text: &str,
    representation: &Representation,
    pieces: &[(bool, Written)],
    layout: &Layout,
) -> String {
    let Layout {
        line_end,
        inner,
        prefix,
        ..
    } = layout;
    let deeper = match line_end.is_empty() {
        true => String::new(),
        false => format!("{inner}{}", step(inner)),
    };
    let mut out = format!("<{prefix}SegmentList");
    let mut attributes = attributes(dom, &representation.templates);
    if let Some(times) = &representation.times {
        in_units_of(times.timescale, &mut attributes);
    }
    for (name, value) in attributes {
        // Writing to a string cannot fail.
        let _ = write!(out, " {name}=\"{}\"", escaped(&value));
    }
    out.push('>');
    let mut line = |text: &str| {
        out.push_str(line_end);
        out.push_str(&deeper);
        out.push_str(text);
    };
    let entry = |name: &str, uri_name: &str, range_name: &str, to: &Written| {
        let range = to
            .range
            .map(|range| format!(" {range_name}=\"{}\"", first_last(range)));
        let uri = escaped(&to.uri);
        format!(
            "<{prefix}{name} {uri_name}=\"{uri}\"{}/>",
            range.unwrap_or_default()
        )
    };
    for (_, to) in pieces.iter().filter(|(is_init, _)| *is_init) {
        line(&entry("Initialization", "sourceURL", "range", to));
    }
    let timeline = |id: &Id| dom.child(*id, "SegmentTimeline");
    if let Some(times) = &representation.times {
        line(&format!("<{prefix}SegmentTimeline>"));
        let step = if deeper.is_empty() { "" } else { step(inner) };
        for s in runs(times) {
            line(&format!("{step}<{prefix}S{s}/>"));
        }
        line(&format!("</{prefix}SegmentTimeline>"));
    } else if let Some(timeline) = representation.templates.iter().rev().find_map(timeline) {
        line(&text[dom.0[timeline].whole.clone()]);
    }
    for (_, to) in pieces.iter().filter(|(is_init, _)| !*is_init) {
        line(&entry("SegmentURL", "media", "mediaRange", to));
    }
    let _ = write!(out, "{line_end}{inner}</{prefix}SegmentList>");
    out
}

/// The attributes of all levels, each once, the innermost one's value holding.
fn attributes<'a>(dom: &'a Dom, templates: &[Id]) -> Vec<(&'a str, Cow<'a, str>)> {
    let mut merged: Vec<(&str, Cow<str>)> = Vec::new();
    for attribute in templates.iter().flat_map(|id| &dom.0[*id].attributes) {
        let (name, value) = (attribute.name.as_str(), Cow::from(&attribute.value));
        match merged.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None if WRITTEN_OUT.contains(&name) => {}
            None => merged.push((name, value)),
        }
    }
    merged
}

/// Attributes that count in the timescale of SegmentBase, told in that of the file's index.
fn in_units_of(timescale: u32, attributes: &mut Vec<(&str, Cow<str>)>) {
    let number = |name: &str, attributes: &[(&str, Cow<str>)]| {
        let found = attributes.iter().find(|(known, _)| *known == name);
        found.and_then(|(_, value)| value.trim().parse::<u64>().ok())
    };
    let old = number("timescale", attributes).unwrap_or(1).max(1);
    for name in ["presentationTimeOffset", "presentationDuration"] {
        let Some(value) = number(name, attributes) else {
            continue;
        };
        // To the nearest one, which is as exact as the segments' own times are.
        let new =
            (u128::from(value) * u128::from(timescale) + u128::from(old / 2)) / u128::from(old);
        attributes
            .iter_mut()
            .filter(|(known, _)| *known == name)
            .for_each(|(_, value)| *value = new.to_string().into());
    }
    attributes.retain(|(name, _)| *name != "timescale");
    attributes.insert(0, ("timescale", timescale.to_string().into()));
}

/// The attributes of the `S` elements (5.3.9.6) that tell when segments are played.
fn runs(times: &Indexed) -> Vec<String> {
    let mut runs: Vec<(Option<u64>, u32, u32)> = Vec::new();
    // A player's first segment is at 0 unless it is told otherwise; here it is always told.
    let mut expected = None;
    for segment in &times.segments {
        let follows = expected == Some(segment.time);
        expected = segment.time.checked_add(segment.duration.into());
        match runs.last_mut() {
            Some((_, duration, more)) if follows && *duration == segment.duration => *more += 1,
            _ => runs.push(((!follows).then_some(segment.time), segment.duration, 0)),
        }
    }
    let shown = |(time, duration, more): &(Option<u64>, u32, u32)| {
        let time = time.map_or(String::new(), |time| format!(" t=\"{time}\""));
        let more = match more {
            0 => String::new(),
            more => format!(" r=\"{more}\""),
        };
        format!("{time} d=\"{duration}\"{more}")
    };
    runs.iter().map(shown).collect()
}
