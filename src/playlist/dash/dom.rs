//! A manifest's elements and attributes with their places in the text.
//!
//! quick-xml finds the events; places come from its position before and behind each. Flat, so that
//! nesting of any depth costs no stack.

use std::ops::Range;

use quick_xml::Reader;
use quick_xml::escape;
use quick_xml::events::Event;

/// An element's number.
pub(super) type Id = usize;

#[derive(Debug)]
pub(super) struct Element {
    /// Without its namespace prefix.
    pub(super) name: String,
    pub(super) parent: Option<Id>,
    pub(super) children: Vec<Id>,
    pub(super) attributes: Vec<Attribute>,
    /// The start tag, `<` to `>`.
    pub(super) start_tag: Range<usize>,
    /// All of it, with its end tag.
    pub(super) whole: Range<usize>,
    /// What is between its tags; `None` for `<name/>`.
    pub(super) content: Option<Range<usize>>,
}

#[derive(Debug, Clone)]
pub(super) struct Attribute {
    pub(super) name: String,
    /// What it says, with entities put in.
    pub(super) value: String,
    /// Where it says so, without the quotes.
    pub(super) place: Range<usize>,
    /// All of it, with the white space before it.
    pub(super) whole: Range<usize>,
}

#[derive(Debug)]
pub(super) struct Dom(pub(super) Vec<Element>);

impl Dom {
    /// The elements of a text; `None` if it is not well-formed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // The reader passes over a byte order mark without counting it.
        let content = text.trim_start_matches('\u{feff}');
        let before = text.len() - content.len();
        let mut reader = Reader::from_str(content);
        let mut elements: Vec<Element> = Vec::new();
        let mut open: Vec<Id> = Vec::new();
        loop {
            let start = before + usize::try_from(reader.buffer_position()).ok()?;
            let event = reader.read_event().ok()?;
            let end = before + usize::try_from(reader.buffer_position()).ok()?;
            let is_empty = matches!(event, Event::Empty(_));
            match event {
                Event::Start(_) | Event::Empty(_) => {
                    let id = elements.len();
                    let parent = open.last().copied();
                    if let Some(parent) = parent {
                        elements[parent].children.push(id);
                    }
                    let (name, attributes) = tag(text, start..end)?;
                    elements.push(Element {
                        name,
                        parent,
                        children: Vec::new(),
                        attributes,
                        start_tag: start..end,
                        whole: start..end,
                        content: (!is_empty).then_some(end..end),
                    });
                    if !is_empty {
                        open.push(id);
                    }
                }
                Event::End(_) => {
                    let element = &mut elements[open.pop()?];
                    element.whole.end = end;
                    element.content = Some(element.start_tag.end..start);
                }
                Event::Eof => break,
                _ => {}
            }
        }
        open.is_empty().then_some(Self(elements))
    }

    pub(super) fn ids(&self) -> Range<Id> {
        0..self.0.len()
    }

    pub(super) fn child(&self, of: Id, name: &str) -> Option<Id> {
        let mut children = self.0[of].children.iter();
        children.find(|id| self.0[**id].name == name).copied()
    }

    pub(super) fn attribute(&self, of: Id, name: &str) -> Option<&Attribute> {
        self.0[of].attributes.iter().find(|a| a.name == name)
    }

    pub(super) fn value(&self, of: Id, name: &str) -> Option<&str> {
        self.attribute(of, name).map(|a| a.value.as_str())
    }

    pub(super) fn number(&self, of: Id, name: &str) -> Option<u64> {
        self.value(of, name)?.trim().parse().ok()
    }

    /// Where the name in an element's start tag ends, and attributes may be put in.
    pub(super) fn name_end(&self, text: &str, of: Id) -> usize {
        let tag = &self.0[of].start_tag;
        let name_len = text[tag.start + 1..tag.end]
            .find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>'));
        tag.start + 1 + name_len.unwrap_or(0)
    }

    /// The element and what it is in, from the outermost on.
    pub(super) fn chain(&self, of: Id) -> Vec<Id> {
        let mut chain = vec![of];
        let mut at = of;
        while let Some(parent) = self.0[at].parent {
            chain.push(parent);
            at = parent;
        }
        chain.reverse();
        chain
    }

    /// An element's text without white space around, where it is, and what it says; `None` if
    /// there are elements or comments in it.
    pub(super) fn text_of(&self, text: &str, of: Id) -> Option<(Range<usize>, String)> {
        let content = self.0[of].content.clone()?;
        let raw = text.get(content.clone())?;
        let trimmed = raw.trim();
        if trimmed.is_empty() || trimmed.contains('<') {
            return None;
        }
        let start = content.start + (raw.len() - raw.trim_start().len());
        let said = escape::unescape(trimmed).ok()?.into_owned();
        Some((start..start + trimmed.len(), said))
    }
}

/// The name and the attributes of the start tag at `span`.
fn tag(text: &str, span: Range<usize>) -> Option<(String, Vec<Attribute>)> {
    let raw = text.get(span.clone())?;
    let body = raw.strip_prefix('<')?.strip_suffix('>')?;
    let body = body.strip_suffix('/').unwrap_or(body);
    let name_len = body.find(|c: char| c.is_ascii_whitespace());
    let name_len = name_len.unwrap_or(body.len());
    let name = body[..name_len].rsplit(':').next()?.to_owned();
    let bytes = text.as_bytes();
    let (mut at, end) = (span.start + 1 + name_len, span.start + 1 + body.len());
    let mut attributes = Vec::new();
    while at < end {
        let before = at;
        while at < end && bytes[at].is_ascii_whitespace() {
            at += 1;
        }
        let equals = text.get(at..end)?.find('=').map(|len| at + len);
        let Some(equals) = equals else { break };
        let key = text[at..equals].trim_end().to_owned();
        let mut quote = equals + 1;
        while quote < end && bytes[quote].is_ascii_whitespace() {
            quote += 1;
        }
        let mark = *bytes
            .get(quote)
            .filter(|mark| matches!(mark, b'"' | b'\''))?;
        let len = text.get(quote + 1..end)?.find(char::from(mark))?;
        let place = quote + 1..quote + 1 + len;
        let value = escape::unescape(&text[place.clone()]).ok()?.into_owned();
        at = place.end + 1;
        attributes.push(Attribute {
            name: key,
            value,
            place,
            whole: before..at,
        });
    }
    Some((name, attributes))
}

/// A value fit for an attribute or an element's text.
pub(super) fn escaped(value: &str) -> String {
    escape::escape(value).into_owned()
}
