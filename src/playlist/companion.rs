//! Companions of playlists: WebVTT with thumbnails, JSON with URLs (lists of interstitials, chapters,
//! steering manifests, storyboards), and any other text that names files.
//!
//! Mostly, no standard defines where their links stand. A name is a link if players are known to look
//! for one there and the file exists. File names in other places cause a warning.

mod json;
mod spot;
mod vtt;

use std::collections::HashSet;

use super::address::{
    Located, Span, Target, add_link, locate, path_of, range_of, strip_link, target,
};
use super::edit::{Edits, Lines};
use super::problem::{Linked, Problems, What, excerpt};
use super::reference::{Reference, Role};

pub(super) use json::is_json;
pub(super) use vtt::is_vtt;

use spot::{Spot, words};

/// A companion: its text, and its own path, to which its links are relative.
#[derive(Clone, Copy)]
pub(super) struct Companion<'t> {
    pub(super) base: &'t str,
    pub(super) text: &'t str,
    pub(super) syntax: Syntax,
}

/// The syntax of a companion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    Vtt,
    Json,
    /// Any other text. No place in it is known to be a link.
    Other,
}

/// The most links of a companion. Further ones are ignored: such a text is data.
const MOST: usize = 1 << 16;

/// The longest text, in bytes, that is looked up as a file name.
const LONGEST: usize = 4096;

impl Companion<'_> {
    /// The files that its links lead to.
    pub(super) fn references(&self, has: &dyn Fn(&str) -> bool) -> Vec<Reference> {
        let lines = Lines::new(self.text);
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        self.spots(&mut |spot| {
            if !spot.is_link || !self.can_link(spot, has) {
                return;
            }
            if let Target::Path(path) = locate(self.base, &spot.value, has).target
                && seen.insert(path.clone())
            {
                let role = match path_of(&path).rsplit_once('.') {
                    Some((_, "m3u8" | "m3u" | "mpd")) => Role::Playlist,
                    _ => Role::Media,
                };
                let line = lines.of(spot.at.start);
                found.push(Reference { line, path, role });
            }
        });
        found
    }

    /// Whether a spot leads to a file and can hold a range link.
    fn can_link(&self, spot: &Spot, has: &dyn Fn(&str) -> bool) -> bool {
        let located = locate(self.base, &spot.value, has);
        let marks = |text: &str| text.matches(['#', '?']).count();
        let raw = &self.text[spot.at.clone()];
        // A delimiter of the link that is escaped in the text's own syntax could not be found again.
        let is_plain =
            raw == spot.value || (located.unescaped.is_none() && marks(raw) == marks(&spot.value));
        matches!(&located.target, Target::Path(path) if has(path)) && is_plain
    }

    pub(super) fn link(&self, find: &dyn Fn(&str) -> Option<Span>) -> Linked {
        let has = |path: &str| find(path).is_some();
        let lines = Lines::new(self.text);
        let mut edits = Edits::default();
        let mut problems = Problems::default();
        let mut mentioned = HashSet::new();
        let mut first = None;
        self.spots(&mut |spot| {
            let Located { target, unescaped } = locate(self.base, &spot.value, &has);
            let path = match target {
                Target::Path(path) => path,
                Target::Outside if spot.is_link && looks_like_a_file(&spot.value) => {
                    let uri = excerpt(&spot.value);
                    return problems.push(lines.of(spot.at.start), What::Absent { uri });
                }
                Target::Outside | Target::Elsewhere => return,
            };
            match find(&path) {
                Some(entry) if spot.is_link && self.can_link(spot, &has) => {
                    let raw = &self.text[spot.at.clone()];
                    edits.replace(spot.at.clone(), add_link(raw, unescaped, entry));
                }
                Some(_) if path != self.base => {
                    let is_new = mentioned.len() < MOST && mentioned.insert(path);
                    if is_new && first.is_none() {
                        first = Some((lines.of(spot.at.start), excerpt(&spot.value)));
                    }
                }
                None if spot.is_link && looks_like_a_file(&spot.value) => {
                    let uri = excerpt(&spot.value);
                    problems.push(lines.of(spot.at.start), What::Absent { uri });
                }
                _ => {}
            }
        });
        if let Some((line, uri)) = first {
            let more = mentioned.len() as u64 - 1;
            problems.push(line, What::Mention { uri, more });
        }
        Linked {
            text: edits.apply(self.text),
            problems: problems.finish(),
            ..Linked::default()
        }
    }

    pub(super) fn range_links(&self) -> Vec<(String, Span)> {
        let mut found = Vec::new();
        self.spots(&mut |spot| {
            if let Some(link) = self.range_link(spot) {
                found.push(link);
            }
        });
        found
    }

    fn range_link(&self, spot: &Spot) -> Option<(String, Span)> {
        let link = range_of(&self.text[spot.at.clone()]).filter(|_| spot.is_link)?;
        match target(self.base, &spot.value) {
            Target::Path(path) => Some((path, link)),
            _ => None,
        }
    }

    pub(super) fn playable(&self, find: &dyn Fn(&str) -> Option<Span>) -> String {
        let mut edits = Edits::default();
        self.spots(&mut |spot| {
            if let Some((path, link)) = self.range_link(spot)
                && find(&path) == Some(link)
            {
                let raw = &self.text[spot.at.clone()];
                edits.replace(spot.at.clone(), strip_link(raw));
            }
        });
        edits.apply(self.text)
    }

    /// Companions have no syntax for byte ranges: their links stay and lead to loose files.
    pub(super) fn byterange(&self, find: &dyn Fn(&str) -> Option<Span>) -> Linked {
        let has = |path: &str| find(path).is_some();
        let loose = self.references(&has).into_iter().map(|r| r.path);
        Linked {
            text: self.text.to_owned(),
            loose: loose.collect(),
            ..Linked::default()
        }
    }

    /// Visits all spots, within the limits above.
    fn spots(&self, visit: &mut dyn FnMut(&Spot)) {
        let mut links = 0;
        let mut visit = |spot: Spot| {
            links += usize::from(spot.is_link);
            if spot.at.len() <= LONGEST && links <= MOST {
                visit(&spot);
            }
        };
        match self.syntax {
            Syntax::Vtt => vtt::spots(self.text, &mut visit),
            Syntax::Json => json::spots(self.text, &mut visit),
            Syntax::Other => words(self.text, 0..self.text.len(), &mut visit),
        }
    }
}

/// Whether a text is clearly a file name, so that a missing file is worth a warning.
fn looks_like_a_file(uri: &str) -> bool {
    const KNOWN: [&str; 16] = [
        "m3u8", "mpd", "vtt", "jpg", "jpeg", "png", "webp", "avif", "gif", "ts", "mp4", "m4s",
        "m4v", "m4a", "aac", "mp3",
    ];
    let path = path_of(uri);
    let extension = path.rsplit_once('.').map(|(_, extension)| extension);
    let is_known = |extension: &str| KNOWN.iter().any(|k| extension.eq_ignore_ascii_case(k));
    uri.contains("#xywh=") || (extension.is_some_and(is_known) && !path.contains(' '))
}
