//! The elements of a manifest that links depend on, with their places in the text.
//!
//! quick-xml finds the events; places come from its position before and after each. Elements of
//! other namespaces and elements that carry no links are passed over with all their content. The
//! tree holds places only: attributes are read from the text when they are asked for, so that a
//! manifest of a million elements costs 32 bytes for each.

use std::borrow::Cow;
use std::ops::Range;

use quick_xml::NsReader;
use quick_xml::escape;
use quick_xml::events::Event;
use quick_xml::name::ResolveResult;

use super::super::LONGEST;

/// The number of an element, in the order of the text.
pub(super) type Id = u32;

/// No element.
const NONE: Id = Id::MAX;

/// The most elements with links. A day of segments of two seconds in five renditions has 216,000.
const MOST_ELEMENTS: usize = 500_000;

/// The most elements, including those that carry no links and are passed over.
const MOST_TAGS: usize = 1_000_000;

/// The deepest nesting that a manifest may have; the standard's own elements need 8 levels.
const DEEPEST: u32 = 100;

/// The most attributes that an element may have: a Representation has some 40.
const MOST_ATTRIBUTES: usize = 200;

/// The longest start tag, and the longest BaseURL, in bytes. Representations look at those of all
/// levels above them.
const LONGEST_TAG: usize = 16 << 10;

/// The most Representations: 1000 Periods with 20 each.
const MOST_REPRESENTATIONS: usize = 20_000;

/// The elements that matter to links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Mpd,
    Period,
    AdaptationSet,
    Representation,
    BaseUrl,
    SegmentBase,
    SegmentList,
    SegmentTemplate,
    SegmentTimeline,
    S,
    SegmentUrl,
    Initialization,
    RepresentationIndex,
    BitstreamSwitching,
}

impl Name {
    fn of(local: &str) -> Option<Self> {
        Some(match local {
            "MPD" => Name::Mpd,
            "Period" => Name::Period,
            "AdaptationSet" => Name::AdaptationSet,
            "Representation" => Name::Representation,
            "BaseURL" => Name::BaseUrl,
            "SegmentBase" => Name::SegmentBase,
            "SegmentList" => Name::SegmentList,
            "SegmentTemplate" => Name::SegmentTemplate,
            "SegmentTimeline" => Name::SegmentTimeline,
            "S" => Name::S,
            "SegmentURL" => Name::SegmentUrl,
            "Initialization" => Name::Initialization,
            "RepresentationIndex" => Name::RepresentationIndex,
            "BitstreamSwitching" => Name::BitstreamSwitching,
            _ => return None,
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Element {
    name: Name,
    parent: Id,
    first_child: Id,
    next: Id,
    /// The start tag begins here.
    start: u32,
    /// The content begins here, behind the start tag.
    content: u32,
    /// The end tag begins here; `content` if there is none (`<name/>`).
    close: u32,
    /// The end tag ends here.
    end: u32,
}

/// Why a text is no manifest, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) at: usize,
    pub(super) why: &'static str,
    /// Whether it is no XML at all.
    pub(super) is_syntax: bool,
}

/// An attribute in the text.
#[derive(Debug, Clone)]
pub(super) struct Attribute<'t> {
    pub(super) name: &'t str,
    /// The value without the quotes, as it is written.
    pub(super) place: Range<usize>,
    /// All of it, with the white space before it.
    pub(super) whole: Range<usize>,
    /// The value, with references replaced.
    pub(super) value: Cow<'t, str>,
}

#[derive(Debug)]
pub(super) struct Dom<'t> {
    pub(super) text: &'t str,
    elements: Vec<Element>,
}

/// Whether the first element of a text is an MPD.
pub(super) fn begins_as_mpd(text: &str) -> bool {
    let mut reader = quick_xml::Reader::from_str(text.trim_start_matches('\u{feff}'));
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag) | Event::Empty(tag)) => {
                return tag.local_name().as_ref() == "MPD";
            }
            Ok(Event::Eof) | Err(_) => return false,
            Ok(_) => {}
        }
    }
}

impl<'t> Dom<'t> {
    pub(super) fn parse(text: &'t str) -> Result<Self, Wrong> {
        let refused = |at, why, is_syntax| Err(Wrong { at, why, is_syntax });
        let wrong = |at, why| refused(at, why, false);
        if text.len() as u64 > LONGEST {
            return wrong(0, "the manifest is longer than 16 MiB");
        }
        if let Some(at) = text.bytes().position(|byte| byte == 0) {
            return wrong(at, "there is a NUL character, which XML does not allow");
        }
        // The reader passes over a byte order mark without counting it.
        let body = text.trim_start_matches('\u{feff}');
        let before = text.len() - body.len();
        let mut reader = NsReader::from_str(body);
        let mut dom = Self {
            text,
            elements: Vec::new(),
        };
        // Elements that have begun, each with its last child.
        let mut open: Vec<(Id, Id)> = Vec::new();
        let mut passed_over = 0u32;
        let (mut tags, mut representations) = (0, 0);
        let mut namespace = None;
        loop {
            let start = before + reader.buffer_position() as usize;
            let (is_ours, event) = match reader.read_resolved_event() {
                Ok((of, event)) => (is_same(&mut namespace, &of, &event), event),
                Err(_) => {
                    let at = before + reader.error_position() as usize;
                    return refused(at.min(text.len()), "the XML is not well-formed", true);
                }
            };
            let end = before + reader.buffer_position() as usize;
            let (tag, is_empty) = match event {
                Event::Start(tag) => (tag, false),
                Event::Empty(tag) => (tag, true),
                Event::End(_) => {
                    if passed_over > 0 {
                        passed_over -= 1;
                    } else if let Some((id, _)) = open.pop() {
                        let element = &mut dom.elements[id as usize];
                        (element.close, element.end) = (start as u32, end as u32);
                        dom.check_text(id)?;
                    }
                    continue;
                }
                Event::Decl(declaration) => {
                    const KNOWN: [&str; 3] = ["utf-8", "utf8", "us-ascii"];
                    if let Some(Ok(name)) = declaration.encoding()
                        && !KNOWN.iter().any(|known| name.eq_ignore_ascii_case(known))
                        && !text.is_ascii()
                    {
                        return wrong(start, "it declares another encoding than UTF-8");
                    }
                    continue;
                }
                Event::Eof => break,
                _ => continue,
            };
            tags += 1;
            if tags > MOST_TAGS {
                return wrong(start, "more than 1,000,000 elements");
            }
            if open.len() as u32 + passed_over >= DEEPEST {
                return wrong(start, "elements are nested more than 100 deep");
            }
            let name = Name::of(tag.local_name().as_ref());
            let is_in_place = |name: &Name| (*name == Name::Mpd) == open.is_empty();
            let is_ours = is_ours && passed_over == 0;
            let Some(name) = name.filter(|name| is_ours && is_in_place(name)) else {
                if !is_empty {
                    passed_over += 1;
                }
                continue;
            };
            if dom.elements.len() >= MOST_ELEMENTS {
                return wrong(start, "there are more than 500,000 elements");
            }
            if end - start > LONGEST_TAG {
                return wrong(start, "a tag is longer than 16 KiB");
            }
            representations += usize::from(name == Name::Representation);
            if representations > MOST_REPRESENTATIONS {
                return wrong(start, "there are more than 20,000 Representations");
            }
            let id = dom.elements.len() as Id;
            if let Some((parent, last)) = open.last_mut() {
                if *last == NONE {
                    dom.elements[*parent as usize].first_child = id;
                } else {
                    dom.elements[*last as usize].next = id;
                }
                *last = id;
            }
            dom.elements.push(Element {
                name,
                parent: open.last().map_or(NONE, |(parent, _)| *parent),
                first_child: NONE,
                next: NONE,
                start: start as u32,
                content: end as u32,
                close: end as u32,
                end: end as u32,
            });
            dom.check_attributes(id)?;
            if !is_empty {
                open.push((id, NONE));
            }
        }
        if let Some((id, _)) = open.last() {
            return refused(dom.start(*id), "this element has no end tag", true);
        }
        if passed_over > 0 {
            return refused(text.len(), "an element has no end tag", true);
        }
        Ok(dom)
    }

    fn check_attributes(&self, id: Id) -> Result<(), Wrong> {
        for (i, attribute) in self.scan(id).enumerate() {
            if i >= MOST_ATTRIBUTES {
                return Err(Wrong {
                    at: attribute?.place.start,
                    why: "an element has more than 200 attributes",
                    is_syntax: false,
                });
            }
            attribute?;
        }
        Ok(())
    }

    fn check_text(&self, id: Id) -> Result<(), Wrong> {
        if self.name(id) != Name::BaseUrl {
            return Ok(());
        }
        let wrong = |why| Wrong {
            at: self.start(id),
            why,
            is_syntax: false,
        };
        if self.content(id).unwrap_or_default().len() > LONGEST_TAG {
            return Err(wrong("a BaseURL is longer than 16 KiB"));
        }
        self.text_of(id).map(drop).ok_or(wrong(ENTITY))
    }

    pub(super) fn root(&self) -> Option<Id> {
        (!self.elements.is_empty()).then_some(0)
    }

    pub(super) fn ids(&self) -> Range<Id> {
        0..self.elements.len() as Id
    }

    fn element(&self, id: Id) -> &Element {
        &self.elements[id as usize]
    }

    pub(super) fn name(&self, id: Id) -> Name {
        self.element(id).name
    }

    /// Where the element begins.
    pub(super) fn start(&self, id: Id) -> usize {
        self.element(id).start as usize
    }

    pub(super) fn start_tag(&self, id: Id) -> Range<usize> {
        let element = self.element(id);
        element.start as usize..element.content as usize
    }

    /// The element with its end tag.
    pub(super) fn whole(&self, id: Id) -> Range<usize> {
        let element = self.element(id);
        element.start as usize..element.end as usize
    }

    /// What is between its tags; `None` for `<name/>`.
    pub(super) fn content(&self, id: Id) -> Option<Range<usize>> {
        let element = self.element(id);
        let content = element.content as usize..element.close as usize;
        (element.close < element.end).then_some(content)
    }

    pub(super) fn parent(&self, id: Id) -> Option<Id> {
        let parent = self.element(id).parent;
        (parent != NONE).then_some(parent)
    }

    pub(super) fn next(&self, id: Id) -> Option<Id> {
        let next = self.element(id).next;
        (next != NONE).then_some(next)
    }

    pub(super) fn children(&self, of: Id) -> impl Iterator<Item = Id> + '_ {
        let first = self.element(of).first_child;
        std::iter::successors((first != NONE).then_some(first), |id| self.next(*id))
    }

    pub(super) fn child(&self, of: Id, name: Name) -> Option<Id> {
        self.children(of).find(|id| self.name(*id) == name)
    }

    fn scan(&self, id: Id) -> Scan<'t> {
        let tag = self.start_tag(id);
        let inside = tag.end - usize::from(self.text[tag.clone()].ends_with("/>")) - 1;
        Scan {
            text: self.text,
            at: self.name_end(id),
            end: inside,
        }
    }

    pub(super) fn attributes(&self, of: Id) -> impl Iterator<Item = Attribute<'t>> {
        // All were checked when the element was found.
        self.scan(of).filter_map(Result::ok)
    }

    pub(super) fn attribute(&self, of: Id, name: &str) -> Option<Attribute<'t>> {
        self.attributes(of).find(|a| a.name == name)
    }

    pub(super) fn value(&self, of: Id, name: &str) -> Option<Cow<'t, str>> {
        self.attribute(of, name).map(|a| a.value)
    }

    /// Where the name in an element's start tag ends, and attributes may be inserted.
    pub(super) fn name_end(&self, of: Id) -> usize {
        let tag = self.start_tag(of);
        let name_len = self.text[tag.start + 1..tag.end]
            .find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>'));
        tag.start + 1 + name_len.unwrap_or(0)
    }

    /// The text of an element without white space around it, and where it is. Comments are left
    /// out and CDATA sections taken as they are (XML 1.0, section 2.7). `None` if it has a
    /// reference that XML does not define.
    pub(super) fn text_of(&self, of: Id) -> Option<(Range<usize>, Cow<'t, str>)> {
        let content = self.content(of).unwrap_or_default();
        let raw = &self.text[content.clone()];
        let trimmed = raw.trim();
        let start = content.start + (raw.len() - raw.trim_start().len());
        let place = start..start + trimmed.len();
        if !trimmed.contains('<') {
            return Some((place, escape::unescape(trimmed).ok()?));
        }
        let mut said = String::new();
        let mut rest = trimmed;
        while !rest.is_empty() {
            let (text, after) = rest.split_at(rest.find('<').unwrap_or(rest.len()));
            said.push_str(&escape::unescape(text).ok()?);
            let section = |open: &str, close: &str| {
                let inner = after.strip_prefix(open)?;
                inner.split_once(close)
            };
            rest = if let Some((data, behind)) = section("<![CDATA[", "]]>") {
                said.push_str(data);
                behind
            } else if let Some((_, behind)) = section("<!--", "-->") {
                behind
            } else if let Some((_, behind)) = section("<?", "?>") {
                behind
            } else {
                // An element, which a URL does not have: passed over tag by tag.
                after.split_once('>').map_or("", |(_, behind)| behind)
            };
        }
        Some((place, said.trim().to_owned().into()))
    }
}

/// Whether an element has the namespace of the first one, which is kept in `first`.
fn is_same(first: &mut Option<(u8, String)>, of: &ResolveResult, event: &Event) -> bool {
    if !matches!(event, Event::Start(_) | Event::Empty(_)) {
        return false;
    }
    let (kind, name): (u8, &str) = match of {
        ResolveResult::Unbound => (0, ""),
        ResolveResult::Bound(namespace) => (1, namespace.as_ref()),
        // An undeclared prefix: players that know no namespaces compare it as it is.
        ResolveResult::Unknown(prefix) => (2, prefix),
    };
    let (known_kind, known) = first.get_or_insert_with(|| (kind, name.to_owned()));
    *known_kind == kind && known == name
}

const ENTITY: &str =
    "it has a reference (&...;) that XML itself does not define; write the text out";

/// Goes over the attributes of a start tag.
struct Scan<'t> {
    text: &'t str,
    at: usize,
    end: usize,
}

impl<'t> Iterator for Scan<'t> {
    type Item = Result<Attribute<'t>, Wrong>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.text.as_bytes();
        let before = self.at;
        let past_white_space = |mut at: usize| {
            while at < self.end && bytes[at].is_ascii_whitespace() {
                at += 1;
            }
            at
        };
        let begin = past_white_space(before);
        if begin >= self.end {
            return None;
        }
        let malformed = Wrong {
            at: begin,
            why: "an attribute is not well-formed",
            is_syntax: true,
        };
        self.at = self.end;
        let Some(len) = self.text[begin..self.end].find('=') else {
            return Some(Err(malformed));
        };
        let name = self.text[begin..begin + len].trim_ascii_end();
        let quote = past_white_space(begin + len + 1);
        let mark = match bytes.get(quote) {
            Some(mark @ (b'"' | b'\'')) if quote < self.end => char::from(*mark),
            _ => return Some(Err(malformed)),
        };
        let Some(len) = self.text[quote + 1..self.end].find(mark) else {
            return Some(Err(malformed));
        };
        let place = quote + 1..quote + 1 + len;
        self.at = place.end + 1;
        let Ok(value) = escape::unescape(&self.text[place.clone()]) else {
            return Some(Err(Wrong {
                at: place.start,
                why: ENTITY,
                is_syntax: false,
            }));
        };
        Some(Ok(Attribute {
            name,
            value,
            whole: before..self.at,
            place,
        }))
    }
}

/// A value fit for an attribute or an element's text.
pub(super) fn escaped(value: &str) -> String {
    escape::escape(value).into_owned()
}

#[cfg(test)]
mod tests;
