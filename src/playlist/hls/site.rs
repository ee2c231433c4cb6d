//! Finds the links of a playlist, each with its byte range.

use std::ops::Range;

use super::super::address::{Span, path_of};
use super::super::context::Context;
use super::super::edit::lines;
use super::super::problem::{Problems, What};
use super::attributes::{self, Attribute};
use super::variables::{Substituted, Variables};
use crate::ranges::decimal;

/// The most links of a playlist: six days of segments of two seconds.
pub(super) const MOST_LINKS: usize = 1 << 18;

/// The kinds of links. The kind decides how a byte range is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A URI line: a segment, with EXT-X-BYTERANGE (section 4.4.4.2).
    Segment,
    /// A playlist of this presentation, which may import variables: the URI line after
    /// EXT-X-STREAM-INF, or an attribute.
    Rendition,
    /// A playlist that EXT-X-RENDITION-REPORT names.
    Report,
    /// EXT-X-MAP, with a BYTERANGE attribute. Without an offset the range begins at 0.
    Map,
    /// EXT-X-PART, with a BYTERANGE attribute. Without an offset the range begins where the last part
    /// ends.
    Part,
    /// EXT-X-PRELOAD-HINT, with BYTERANGE-START and BYTERANGE-LENGTH.
    Hint,
    /// A key.
    Key,
    /// Another link, which can have no byte range.
    Other,
    /// A link that usually only a server answers: content steering, lists of advertisements.
    Service,
    /// An attribute that is not known to be a link.
    Unknown,
}

/// A link in a playlist.
#[derive(Debug)]
pub(super) struct Site<'t> {
    pub(super) line: u32,
    /// The span of its text.
    pub(super) uri: Range<usize>,
    /// Its text with variables (section 4.3) substituted.
    pub(super) value: Substituted<'t>,
    pub(super) kind: Kind,
    /// Whether it is an attribute without quotes, where a comma would end it.
    pub(super) needs_quotes: bool,
    /// Its byte range within the file.
    pub(super) range: Option<ByteRange>,
    /// Where to insert the text of a byte range: before the URI line or behind the URI attribute.
    pub(super) insert: usize,
    /// Whether the standard permits that the file is missing.
    pub(super) may_be_missing: bool,
}

/// A byte range as the playlist states it.
#[derive(Debug)]
pub(super) struct ByteRange {
    pub(super) offset: u64,
    /// `None` means up to the end of the file.
    pub(super) size: Option<u64>,
    /// The tag line or the attributes that state it.
    pub(super) spans: Vec<Range<usize>>,
}

/// Tags with a link in an attribute: the tag, the attribute, and the kind of link.
const TAGS: [(&str, &str, Kind); 12] = [
    ("#EXT-X-MEDIA", "URI", Kind::Rendition),
    ("#EXT-X-I-FRAME-STREAM-INF", "URI", Kind::Rendition),
    ("#EXT-X-IMAGE-STREAM-INF", "URI", Kind::Rendition),
    ("#EXT-X-RENDITION-REPORT", "URI", Kind::Report),
    ("#EXT-X-MAP", "URI", Kind::Map),
    ("#EXT-X-PART", "URI", Kind::Part),
    ("#EXT-X-PRELOAD-HINT", "URI", Kind::Hint),
    ("#EXT-X-KEY", "URI", Kind::Key),
    ("#EXT-X-SESSION-KEY", "URI", Kind::Key),
    ("#EXT-X-SESSION-DATA", "URI", Kind::Other),
    ("#EXT-X-CONTENT-STEERING", "SERVER-URI", Kind::Service),
    (DATERANGE, "X-ASSET-URI", Kind::Other),
];

const DATERANGE: &str = "#EXT-X-DATERANGE";

/// The kind of link in an attribute of a tag.
fn kind_of(tag: &str, attribute: &str) -> Kind {
    // X-ASSET-LIST of interstitials (appendix D.2), and attributes with similar names.
    let is_client_link = tag == DATERANGE
        && attribute.starts_with("X-")
        && ["URI", "URL", "ASSET-LIST"]
            .iter()
            .any(|end| attribute.ends_with(end));
    let known = TAGS
        .iter()
        .find(|(name, link, _)| *name == tag && *link == attribute);
    match known {
        Some((_, _, kind)) => *kind,
        None if is_client_link => Kind::Service,
        None => Kind::Unknown,
    }
}

/// What a scan finds besides links.
pub(super) struct Scanned<'c> {
    pub(super) variables: Variables<'c>,
    /// The problems of the text.
    pub(super) problems: Problems,
}

/// Visits all links of a playlist in the order of the text.
pub(super) fn scan<'t, 'c>(
    text: &'t str,
    contexts: &'c [Context],
    visit: &mut dyn FnMut(&Site<'t>),
) -> Scanned<'c> {
    let mut scan = Scan {
        text,
        visit,
        count: 0,
        variables: Variables::new(contexts),
        problems: Problems::default(),
        byterange: None,
        is_playlist: false,
        is_gap: false,
        last_segment: None,
        last_part: None,
    };
    for (line, whole) in lines(text) {
        let shown = text[whole.clone()].trim_end_matches(['\n', '\r']);
        let shown = whole.start..whole.start + shown.len();
        scan.line(shown, whole, line);
        if scan.count > MOST_LINKS {
            break;
        }
    }
    Scanned {
        variables: scan.variables,
        problems: scan.problems,
    }
}

struct Scan<'t, 'c, 'v> {
    text: &'t str,
    visit: &'v mut dyn FnMut(&Site<'t>),
    /// The number of links so far.
    count: usize,
    variables: Variables<'c>,
    problems: Problems,
    /// What the tags since the last URI line state about the next one.
    byterange: Option<(u64, Option<u64>, Range<usize>)>,
    is_playlist: bool,
    is_gap: bool,
    /// The resource and the end of the last byte range. A range without an offset begins there
    /// (section 4.4.4.2). Parts have a sequence of their own.
    last_segment: Option<(String, u64)>,
    last_part: Option<(String, u64)>,
}

impl<'t> Scan<'t, '_, '_> {
    fn line(&mut self, shown: Range<usize>, whole: Range<usize>, line: u32) {
        let text = self.text;
        let content = &text[shown.clone()];
        if !content.starts_with('#') {
            let trimmed = content.trim();
            // A byte order mark is not part of a link. Players treat a `#` behind white space as the
            // beginning of a comment.
            if !trimmed.is_empty() && !trimmed.starts_with(['\u{feff}', '#']) {
                let start = shown.start + (content.len() - content.trim_start().len());
                self.uri_line(start..start + trimmed.len(), whole.start, line);
            }
            return;
        }
        if !content.starts_with("#EXT") {
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
            "#EXT-X-STREAM-INF" => {
                self.is_playlist = true;
                self.tag(tag, &list, line);
            }
            "#EXT-X-GAP" => self.is_gap = true,
            "#EXT-X-DEFINE" => {
                if let Err(why) = self.variables.define(text, &list) {
                    self.malformed(line, why);
                }
            }
            "#EXT-X-SKIP" => self.problems.push(
                line,
                What::Unplayable(
                    "EXT-X-SKIP: this is an update of a live playlist with only some of its segments, which does not play alone",
                ),
            ),
            "#EXTINF" => {}
            tag => self.tag(tag, &list, line),
        }
        if content.contains('\r') {
            let what = "a carriage return within a line: only some players treat it as the end of the line";
            self.problems.push(line, What::Unplayable(what));
        }
    }

    fn uri_line(&mut self, uri: Range<usize>, insert: usize, line: u32) {
        let value = self.variables.substitute(&self.text[uri.clone()]);
        let is_playlist = std::mem::take(&mut self.is_playlist);
        let may_be_missing = std::mem::take(&mut self.is_gap);
        let said = self.byterange.take();
        let range = said.map(|(size, offset, said)| {
            let offset = offset.unwrap_or_else(|| continuation(&self.last_segment, value.any()));
            ByteRange {
                offset,
                size: Some(size),
                spans: vec![said],
            }
        });
        self.last_segment = end_of(value.any(), range.as_ref());
        self.site(Site {
            line,
            uri,
            value,
            kind: if is_playlist {
                Kind::Rendition
            } else {
                Kind::Segment
            },
            needs_quotes: false,
            range,
            insert,
            may_be_missing,
        });
    }

    fn tag(&mut self, tag: &str, list: &Range<usize>, line: u32) {
        let text = self.text;
        let mut has_link = false;
        for attribute in attributes::each(text, list.clone()) {
            let kind = kind_of(tag, &text[attribute.name.clone()]);
            // An attribute name must not occur twice in a list (section 4.2).
            if kind != Kind::Unknown && tag != DATERANGE && std::mem::replace(&mut has_link, true) {
                continue;
            }
            let value = &text[attribute.value.clone()];
            if kind == Kind::Unknown && !(attribute.is_quoted() && value.contains('.')) {
                continue;
            }
            let Ok(range) = self.range_of(kind, value, list, line) else {
                continue;
            };
            let value = self.variables.substitute(value);
            self.site(Site {
                line,
                uri: attribute.value.clone(),
                value,
                kind,
                needs_quotes: !attribute.is_quoted(),
                range,
                insert: attribute.whole.end,
                may_be_missing: self.may_be_missing(kind, list),
            });
        }
    }

    /// Keys are often stored elsewhere, preload hints name files that do not exist yet, and a part may
    /// be marked as a gap.
    fn may_be_missing(&self, kind: Kind, list: &Range<usize>) -> bool {
        match kind {
            Kind::Key | Kind::Hint => true,
            Kind::Part => attributes::value(self.text, list, "GAP") == Some("YES"),
            _ => false,
        }
    }

    /// The byte range in other attributes of the tag. An error is already in `problems`.
    fn range_of(
        &mut self,
        kind: Kind,
        uri: &str,
        list: &Range<usize>,
        line: u32,
    ) -> Result<Option<ByteRange>, ()> {
        let text = self.text;
        let named = |name: &str| {
            let mut all = attributes::each(text, list.clone());
            all.find(|a| &text[a.name.clone()] == name)
        };
        let removal = |a: &Attribute| attributes::removal(text, list, a);
        match kind {
            Kind::Map | Kind::Part => {
                let range = match named("BYTERANGE") {
                    None => None,
                    Some(said) => {
                        let Some((size, offset)) = byterange(&text[said.value.clone()]) else {
                            self.malformed(line, "BYTERANGE is not '<length>[@<offset>]'");
                            return Err(());
                        };
                        let continuation = || match kind {
                            Kind::Part => {
                                continuation(&self.last_part, self.variables.substitute(uri).any())
                            }
                            _ => 0,
                        };
                        Some(ByteRange {
                            offset: offset.unwrap_or_else(continuation),
                            size: Some(size),
                            spans: vec![removal(&said)],
                        })
                    }
                };
                if kind == Kind::Part {
                    self.last_part = end_of(self.variables.substitute(uri).any(), range.as_ref());
                }
                Ok(range)
            }
            Kind::Hint => {
                let said = [named("BYTERANGE-START"), named("BYTERANGE-LENGTH")];
                let numbers = [&said[0], &said[1]]
                    .map(|a| a.as_ref().map(|a| decimal(&text[a.value.clone()])));
                let [start, size] = match numbers {
                    [Some(None), _] | [_, Some(None)] => {
                        self.malformed(line, "a BYTERANGE of EXT-X-PRELOAD-HINT is not a number");
                        return Err(());
                    }
                    numbers => numbers.map(Option::flatten),
                };
                let is_part = start.is_some() || size.is_some();
                Ok(is_part.then(|| ByteRange {
                    offset: start.unwrap_or(0),
                    size,
                    spans: said.iter().flatten().map(removal).collect(),
                }))
            }
            _ => Ok(None),
        }
    }

    /// Visits a site. Attributes that may not be links do not count.
    fn site(&mut self, site: Site<'t>) {
        if site.kind != Kind::Unknown {
            self.count += 1;
            if self.count == MOST_LINKS + 1 {
                self.problems.push(site.line, What::TooMany(MOST_LINKS));
            }
        }
        if self.count <= MOST_LINKS {
            (self.visit)(&site);
        }
    }

    fn malformed(&mut self, line: u32, what: &'static str) {
        self.problems.push(line, What::Malformed(what));
    }
}

impl Substituted<'_> {
    /// One of the values, to compare links with each other.
    fn any(&self) -> &str {
        match self {
            Substituted::One(one) => one,
            Substituted::Several(all) => all.first().map_or("", String::as_str),
            Substituted::Unknown(name, _) => name,
        }
    }
}

/// Parses `<length>[@<offset>]`.
fn byterange(text: &str) -> Option<(u64, Option<u64>)> {
    let text = text.trim();
    match text.split_once('@') {
        Some((size, offset)) => Some((decimal(size)?, Some(decimal(offset)?))),
        None => Some((decimal(text)?, None)),
    }
}

fn continuation(last: &Option<(String, u64)>, value: &str) -> u64 {
    let same = last.as_ref().filter(|(path, _)| path == path_of(value));
    same.map_or(0, |(_, end)| *end)
}

fn end_of(value: &str, range: Option<&ByteRange>) -> Option<(String, u64)> {
    let range = range?;
    let end = range.offset.saturating_add(range.size?);
    Some((path_of(value).to_owned(), end))
}

impl Site<'_> {
    /// The part of a file of this length that the site means; `None` if it is not within the file.
    pub(super) fn part_of(&self, size: u64) -> Option<Span> {
        let Some(range) = &self.range else {
            return Some(Span::whole(size));
        };
        let part = Span {
            offset: range.offset,
            size: match range.size {
                Some(size) => size,
                None => size.checked_sub(range.offset)?,
            },
        };
        Span::whole(size).part(part)
    }
}
