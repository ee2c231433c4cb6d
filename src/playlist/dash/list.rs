//! Writes the SegmentList (5.3.9.3) that replaces the template of a representation.

use std::borrow::Cow;
use std::fmt::Write;

use super::super::edit::Edits;
use super::dom::{Dom, Id, Name, escaped};
use super::resources::{Representation, Written, first_last};
use super::times::{Form, Times};

/// Attributes of a template that the list does not take over, because its elements say the same. A
/// `@startNumber` says nothing of times in a list, and some players skip that number of segments.
const WRITTEN_OUT: [&str; 9] = [
    "media",
    "index",
    "initialization",
    "bitstreamSwitching",
    "startNumber",
    "endNumber",
    "indexRange",
    "indexRangeExact",
    "k",
];

/// Writes the list into its representation, in place of the representation's own template if it has one.
/// Returns the length of the list in bytes.
pub(super) fn insert(
    edits: &mut Edits,
    dom: &Dom,
    representation: &Representation,
    resources: &[(bool, Written)],
) -> usize {
    let text = dom.text;
    with_frame_rate(edits, dom, representation.element);
    let layout = Layout::of(dom, representation.element);
    let list = match tiles(dom, representation, resources, &layout) {
        Some(template) => template,
        None => written(dom, representation, resources, &layout),
    };
    let len = list.len();
    let own = |id: &&Id| dom.parent(**id) == Some(representation.element);
    if let Some(own) = representation.sources.iter().find(own) {
        edits.replace(dom.whole(*own), list);
        return len;
    }
    let Layout {
        line_end,
        indent,
        inner,
        prefix,
    } = &layout;
    match dom.content(representation.element) {
        Some(content) => {
            let end = content.start + text[content.clone()].trim_end().len();
            edits.replace(end..end, format!("{line_end}{inner}{list}"));
            // For `<a></a>` on one line, the end tag gets a line of its own.
            if end == content.end {
                edits.replace(end..end, format!("{line_end}{indent}"));
            }
        }
        None => {
            let tag = dom.start_tag(representation.element);
            let body = text[tag.clone()].trim_end_matches("/>").trim_end();
            let end = tag.start + body.len();
            let with =
                format!(">{line_end}{inner}{list}{line_end}{indent}</{prefix}Representation>");
            edits.replace(end..tag.end, with);
        }
    }
    len
}

/// Copies the frame rate of the AdaptationSet to the representation, where it means the same. Without it,
/// ffmpeg 5.1 guesses the rate from 20 frames; if the segments of a list have fewer, ffmpeg stops after the
/// second segment.
fn with_frame_rate(edits: &mut Edits, dom: &Dom, representation: Id) {
    const NAME: &str = "frameRate";
    let inherited = dom
        .parent(representation)
        .and_then(|set| dom.value(set, NAME));
    if let Some(rate) = inherited.filter(|_| dom.value(representation, NAME).is_none()) {
        let at = dom.name_end(representation);
        edits.replace(at..at, format!(" {NAME}=\"{}\"", escaped(&rate)));
    }
}

/// A template for a single image of tiles, because dash.js shows no thumbnails from a list.
fn tiles(
    dom: &Dom,
    representation: &Representation,
    resources: &[(bool, Written)],
    layout: &Layout,
) -> Option<String> {
    let [(false, Written { uri, range: None })] = resources else {
        return None;
    };
    let is_template = |id: &Id| dom.name(*id) == Name::SegmentTemplate;
    if !representation.is_image || !representation.sources.iter().any(is_template) {
        return None;
    }
    let mut out = format!("<{}SegmentTemplate", layout.prefix);
    let media = escaped(&uri.replace('$', "$$"));
    let _ = write!(out, " media=\"{media}\"");
    push_attributes(&mut out, &timed(dom, representation).0);
    out.push_str("/>");
    Some(out)
}

/// Longer white space before an element is not copied as indentation.
const DEEPEST: usize = 80;

/// How the manifest is laid out around a representation.
#[derive(Default)]
struct Layout {
    line_end: &'static str,
    /// White space before the representation.
    indent: String,
    /// White space before its children.
    inner: String,
    /// The namespace prefix, with its colon.
    prefix: String,
}

impl Layout {
    fn of(dom: &Dom, element: Id) -> Self {
        let text = dom.text;
        let tag = dom.start_tag(element);
        let start = tag.start;
        // Reads no further back than the white space: a manifest may be one long line.
        let before = text[..start].trim_end_matches([' ', '\t']);
        let indent = &text[before.len()..start];
        let is_line = before.ends_with('\n') && indent.len() <= DEEPEST;
        let tag = &text[start + 1..tag.end];
        let name = tag.split(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>'));
        let prefix = name
            .map(|name| name.split_once(':').map_or("", |(prefix, _)| prefix))
            .next();
        let prefix = match prefix.unwrap_or("") {
            "" => String::new(),
            prefix => format!("{prefix}:"),
        };
        // In a manifest on one line, the list is on that line, too.
        if !is_line {
            return Self {
                prefix,
                ..Self::default()
            };
        }
        Self {
            line_end: if before.ends_with("\r\n") {
                "\r\n"
            } else {
                "\n"
            },
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
    representation: &Representation,
    resources: &[(bool, Written)],
    layout: &Layout,
) -> String {
    let Layout {
        line_end,
        inner,
        prefix,
        ..
    } = layout;
    let deeper = if line_end.is_empty() {
        String::new()
    } else {
        format!("{inner}{}", step(inner))
    };
    let mut out = format!("<{prefix}SegmentList");
    let (attributes, form) = timed(dom, representation);
    push_attributes(&mut out, &attributes);
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
    for (_, to) in resources.iter().filter(|(is_init, _)| *is_init) {
        line(&entry("Initialization", "sourceURL", "range", to));
    }
    let timeline = |id: &Id| dom.child(*id, Name::SegmentTimeline);
    match form {
        Some(Form::Timeline(entries)) => {
            line(&format!("<{prefix}SegmentTimeline>"));
            let step = if deeper.is_empty() { "" } else { step(inner) };
            for s in entries {
                line(&format!("{step}<{prefix}S{s}/>"));
            }
            line(&format!("</{prefix}SegmentTimeline>"));
        }
        Some(Form::Duration(_) | Form::Kept) => {}
        None => {
            let mut sources = representation.sources.iter().rev();
            if let Some(timeline) = sources.find_map(timeline) {
                line(&dom.text[dom.whole(timeline)]);
            }
        }
    }
    for (_, to) in resources.iter().filter(|(is_init, _)| !*is_init) {
        line(&entry("SegmentURL", "media", "mediaRange", to));
    }
    let _ = write!(out, "{line_end}{inner}</{prefix}SegmentList>");
    out
}

type Attributes<'a> = Vec<(&'a str, Cow<'a, str>)>;

fn push_attributes(out: &mut String, attributes: &Attributes) {
    for (name, value) in attributes {
        // Writing to a string cannot fail.
        let _ = write!(out, " {name}=\"{}\"", escaped(value));
    }
}

/// The attributes of a list, and the form in which it gives the times of its segments.
fn timed<'a>(dom: &Dom<'a>, representation: &Representation) -> (Attributes<'a>, Option<Form>) {
    let mut attributes = attributes(dom, &representation.sources);
    let times = representation.times.as_ref();
    let form = times.map(Times::form);
    if let Some(times) = times {
        in_units_of(times.timescale, &mut attributes);
    }
    if !matches!(form, Some(Form::Kept) | None) {
        attributes.retain(|(name, _)| *name != "duration");
    }
    if let Some(Form::Duration(duration)) = form {
        attributes.push(("duration", duration.to_string().into()));
    }
    (attributes, form)
}

/// The attributes of all levels. Inner levels override outer ones.
fn attributes<'a>(dom: &Dom<'a>, sources: &[Id]) -> Attributes<'a> {
    let mut merged: Attributes = Vec::new();
    for attribute in sources.iter().flat_map(|id| dom.attributes(*id)) {
        let (name, value) = (attribute.name, attribute.value);
        match merged.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None if WRITTEN_OUT.contains(&name) => {}
            None => merged.push((name, value)),
        }
    }
    merged
}

/// Converts attributes from the manifest's timescale to another one, that of a file's index.
fn in_units_of(timescale: u64, attributes: &mut Attributes) {
    let number = |name: &str, attributes: &Attributes| {
        let found = attributes.iter().find(|(known, _)| *known == name);
        found.and_then(|(_, value)| value.trim().parse::<u64>().ok())
    };
    let old = number("timescale", attributes).unwrap_or(1).max(1);
    if old == timescale {
        return;
    }
    for name in ["presentationTimeOffset", "presentationDuration"] {
        let Some(value) = number(name, attributes) else {
            continue;
        };
        let new = converted(value, old, timescale);
        attributes
            .iter_mut()
            .filter(|(known, _)| *known == name)
            .for_each(|(_, value)| *value = new.to_string().into());
    }
    attributes.retain(|(name, _)| *name != "timescale");
    attributes.insert(0, ("timescale", timescale.to_string().into()));
}

/// A time in another timescale, rounded to the nearest unit. Segment times are no more exact.
pub(super) fn converted(time: u64, from: u64, to: u64) -> u128 {
    (u128::from(time) * u128::from(to) + u128::from(from / 2)) / u128::from(from.max(1))
}
