//! Sites: the places in a playlist where a link stands, with the byte range that goes with it.

use std::collections::HashMap;
use std::ops::Range;

use super::super::address::{Span, number, path_of};
use super::super::problem::{Problem, What};
use super::attributes::{self, Attribute};

/// What kind of link a site is; it says how a byte range is written there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A URI line: a segment, with EXT-X-BYTERANGE (section 4.4.4.2).
    Segment,
    /// A playlist: a URI line behind EXT-X-STREAM-INF, or an attribute.
    Playlist,
    /// EXT-X-MAP: a BYTERANGE attribute, from the beginning if it says no offset.
    Map,
    /// EXT-X-PART: a BYTERANGE attribute, from the end of the last part if it says no offset.
    Part,
    /// EXT-X-PRELOAD-HINT: BYTERANGE-START and BYTERANGE-LENGTH.
    Hint,
    /// A key.
    Key,
    /// Anything else; it knows no byte range.
    Other,
}

/// A link in a playlist.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) line: u32,
    /// Where its text is.
    pub(super) uri: Range<usize>,
    /// Its text with variables (section 4.3) put in.
    pub(super) value: String,
    pub(super) kind: Kind,
    /// The byte range that goes with it, within the file.
    pub(super) range: Option<ByteRange>,
    /// Where text goes that says a byte range: before the URI line, or behind the URI attribute.
    pub(super) insert: usize,
    /// Whether the standard lets it lead nowhere.
    pub(super) may_lack: bool,
}

/// A byte range as a playlist says it.
#[derive(Debug)]
pub(super) struct ByteRange {
    pub(super) offset: u64,
    /// `None`: up to the end.
    pub(super) size: Option<u64>,
    /// What says so in the text: tag lines or attributes.
    pub(super) said: Vec<Range<usize>>,
}

/// Tags with a link in an attribute, and the kind of it.
const TAGS: [(&str, Kind); 11] = [
    ("#EXT-X-MEDIA", Kind::Playlist),
    ("#EXT-X-I-FRAME-STREAM-INF", Kind::Playlist),
    ("#EXT-X-IMAGE-STREAM-INF", Kind::Playlist),
    ("#EXT-X-RENDITION-REPORT", Kind::Playlist),
    ("#EXT-X-MAP", Kind::Map),
    ("#EXT-X-PART", Kind::Part),
    ("#EXT-X-PRELOAD-HINT", Kind::Hint),
    ("#EXT-X-KEY", Kind::Key),
    ("#EXT-X-SESSION-KEY", Kind::Key),
    ("#EXT-X-SESSION-DATA", Kind::Other),
    ("#EXT-X-DATERANGE", Kind::Other),
];

/// The attributes that hold a link. X-ASSET-URI is that of EXT-X-DATERANGE (appendix D.2).
const URI: [&str; 2] = ["URI", "X-ASSET-URI"];

/// All links of a playlist in the order of the text, and byte ranges that cannot be read.
pub(super) fn sites(text: &str) -> (Vec<Site>, Vec<Problem>) {
    let mut scan = Scan::default();
    let (mut at, mut line) = (0, 0);
    for raw in text.split_inclusive('\n') {
        line += 1;
        let shown = raw.trim_end_matches(['\n', '\r']);
        scan.line(text, at..at + shown.len(), at..at + raw.len(), line);
        at += raw.len();
    }
    (scan.sites, scan.problems)
}

#[derive(Default)]
struct Scan {
    sites: Vec<Site>,
    problems: Vec<Problem>,
    /// EXT-X-DEFINE's names and values.
    variables: HashMap<String, String>,
    /// What the tags since the last URI line say of the next one.
    byterange: Option<(u64, Option<u64>, Range<usize>)>,
    is_playlist: bool,
    is_gap: bool,
    /// The resource of the last byte range, and where that ended: one without an offset goes on
    /// there (section 4.4.4.2). Parts count by themselves.
    last_segment: Option<(String, u64)>,
    last_part: Option<(String, u64)>,
}

impl Scan {
    fn line(&mut self, text: &str, shown: Range<usize>, whole: Range<usize>, line: u32) {
        let content = &text[shown.clone()];
        if !content.starts_with('#') {
            let trimmed = content.trim();
            // A byte order mark belongs to no link.
            if !trimmed.is_empty() && !trimmed.starts_with('\u{feff}') {
                let start = shown.start + (content.len() - content.trim_start().len());
                self.uri_line(text, start..start + trimmed.len(), whole.start, line);
            }
            return;
        }
        let (tag, list) = match content.find(':') {
            Some(colon) => (&content[..colon], shown.start + colon + 1..shown.end),
            None => (content.trim_end(), shown.end..shown.end),
        };
        match tag {
            "#EXT-X-BYTERANGE" => match byterange(&text[list]) {
                Some((size, offset)) => self.byterange = Some((size, offset, whole)),
                None => self.malformed(line, "EXT-X-BYTERANGE is not '<length>[@<offset>]'"),
            },
            "#EXT-X-STREAM-INF" => self.is_playlist = true,
            "#EXT-X-GAP" => self.is_gap = true,
            "#EXT-X-DEFINE" => self.define(text, list),
            tag => {
                if let Some((_, kind)) = TAGS.iter().find(|(name, _)| *name == tag) {
                    self.tag(text, *kind, &list, line);
                }
            }
        }
    }

    fn uri_line(&mut self, text: &str, uri: Range<usize>, insert: usize, line: u32) {
        let value = self.substitute(&text[uri.clone()]);
        let is_playlist = std::mem::take(&mut self.is_playlist);
        let may_lack = std::mem::take(&mut self.is_gap);
        let said = self.byterange.take();
        let range = said.map(|(size, offset, said)| {
            let offset = offset.unwrap_or_else(|| goes_on(&self.last_segment, &value));
            ByteRange {
                offset,
                size: Some(size),
                said: vec![said],
            }
        });
        self.last_segment = end_of(&value, range.as_ref());
        self.sites.push(Site {
            line,
            uri,
            value,
            kind: match is_playlist {
                true => Kind::Playlist,
                false => Kind::Segment,
            },
            range,
            insert,
            may_lack,
        });
    }

    fn tag(&mut self, text: &str, kind: Kind, list: &Range<usize>, line: u32) {
        let attributes = attributes::parse(text, list.clone());
        let named = |name: &str| attributes.iter().find(|a| &text[a.name.clone()] == name);
        let removal = |a: &Attribute| attributes::removal(text, list, a);
        let Some(uri) = URI.iter().find_map(|name| named(name)) else {
            return;
        };
        let value = self.substitute(&text[uri.value.clone()]);
        let mut range = None;
        if let Some(said) = named("BYTERANGE").filter(|_| matches!(kind, Kind::Map | Kind::Part)) {
            let Some((size, offset)) = byterange(&text[said.value.clone()]) else {
                return self.malformed(line, "BYTERANGE is not '<length>[@<offset>]'");
            };
            range = Some(ByteRange {
                offset: offset.unwrap_or_else(|| match kind {
                    Kind::Part => goes_on(&self.last_part, &value),
                    _ => 0,
                }),
                size: Some(size),
                said: vec![removal(said)],
            });
        }
        if kind == Kind::Part {
            self.last_part = end_of(&value, range.as_ref());
        }
        if kind == Kind::Hint {
            let said = [named("BYTERANGE-START"), named("BYTERANGE-LENGTH")];
            let numbers = said.map(|a| a.map(|a| number(&text[a.value.clone()])));
            let [start, size] = match numbers {
                [Some(None), _] | [_, Some(None)] => {
                    return self.malformed(line, "a BYTERANGE of EXT-X-PRELOAD-HINT is no number");
                }
                numbers => numbers.map(Option::flatten),
            };
            if start.is_some() || size.is_some() {
                range = Some(ByteRange {
                    offset: start.unwrap_or(0),
                    size,
                    said: said.into_iter().flatten().map(removal).collect(),
                });
            }
        }
        self.sites.push(Site {
            line,
            uri: uri.value.clone(),
            value,
            kind,
            range,
            insert: uri.whole.end,
            // Keys are often kept elsewhere, hints tell of what is not there yet, and a part may
            // be marked as a gap.
            may_lack: matches!(kind, Kind::Key | Kind::Hint)
                || named("GAP").is_some_and(|gap| &text[gap.value.clone()] == "YES"),
        });
    }

    /// EXT-X-DEFINE (section 4.4.2.3). Values that come from elsewhere (IMPORT, QUERYPARAM) are not
    /// known, and links with them lead nowhere that we know.
    fn define(&mut self, text: &str, list: Range<usize>) {
        let attributes = attributes::parse(text, list);
        let value = |name: &str| {
            let found = attributes.iter().find(|a| &text[a.name.clone()] == name);
            found.map(|a| text[a.value.clone()].to_owned())
        };
        if let (Some(name), Some(value)) = (value("NAME"), value("VALUE")) {
            self.variables.insert(name, value);
        }
    }

    /// Puts the values of `{$name}` in.
    fn substitute(&self, uri: &str) -> String {
        let mut out = String::with_capacity(uri.len());
        let mut rest = uri;
        while let Some(start) = rest.find("{$").filter(|_| !self.variables.is_empty()) {
            let Some(len) = rest[start..].find('}') else {
                break;
            };
            out.push_str(&rest[..start]);
            match self.variables.get(&rest[start + 2..start + len]) {
                Some(value) => out.push_str(value),
                None => out.push_str(&rest[start..=start + len]),
            }
            rest = &rest[start + len + 1..];
        }
        out.push_str(rest);
        out
    }

    fn malformed(&mut self, line: u32, what: &'static str) {
        let what = What::Malformed(what);
        self.problems.push(Problem { line, what });
    }
}

/// `<length>[@<offset>]`.
fn byterange(text: &str) -> Option<(u64, Option<u64>)> {
    let text = text.trim();
    match text.split_once('@') {
        Some((size, offset)) => Some((number(size)?, Some(number(offset)?))),
        None => Some((number(text)?, None)),
    }
}

fn goes_on(last: &Option<(String, u64)>, value: &str) -> u64 {
    let same = last.as_ref().filter(|(path, _)| path == path_of(value));
    same.map_or(0, |(_, end)| *end)
}

fn end_of(value: &str, range: Option<&ByteRange>) -> Option<(String, u64)> {
    let range = range?;
    let end = range.offset.saturating_add(range.size?);
    Some((path_of(value).to_owned(), end))
}

impl Site {
    /// The bytes of a file of that length that it means; `None` if they are not within it.
    pub(super) fn part_of(&self, size: u64) -> Option<Span> {
        let Some(range) = &self.range else {
            return Some(Span { offset: 0, size });
        };
        let part = Span {
            offset: range.offset,
            size: match range.size {
                Some(size) => size,
                None => size.checked_sub(range.offset)?,
            },
        };
        Span { offset: 0, size }.part(part)
    }
}
