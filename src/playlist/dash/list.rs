//! A SegmentList (5.3.9.3) in the place of what a representation got by a template.

use std::fmt::Write;

use super::super::edit::Edits;
use super::dom::{Dom, Element, Id, escaped};
use super::pieces::Representation;
use super::{Written, first_last};

/// Attributes of templates that a list has no use for: what they say is written out in it. (The
/// first number of a list's segments says nothing of their times, and some players skip as many.)
const WRITTEN_OUT: [&str; 6] = [
    "media",
    "index",
    "initialization",
    "bitstreamSwitching",
    "startNumber",
    "endNumber",
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
    for (name, value) in attributes(dom, &representation.templates) {
        // Writing to a string cannot fail.
        let _ = write!(out, " {name}=\"{}\"", escaped(value));
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
    if let Some(timeline) = representation.templates.iter().rev().find_map(timeline) {
        line(&text[dom.0[timeline].whole.clone()]);
    }
    for (_, to) in pieces.iter().filter(|(is_init, _)| !*is_init) {
        line(&entry("SegmentURL", "media", "mediaRange", to));
    }
    let _ = write!(out, "{line_end}{inner}</{prefix}SegmentList>");
    out
}

/// The attributes of all levels, each once, the innermost one's value holding.
fn attributes<'a>(dom: &'a Dom, templates: &[Id]) -> Vec<(&'a str, &'a str)> {
    let mut merged: Vec<(&str, &str)> = Vec::new();
    for attribute in templates.iter().flat_map(|id| &dom.0[*id].attributes) {
        let (name, value) = (attribute.name.as_str(), attribute.value.as_str());
        match merged.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None if WRITTEN_OUT.contains(&name) => {}
            None => merged.push((name, value)),
        }
    }
    merged
}
