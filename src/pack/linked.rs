//! Finds the texts with links in a folder, the files that they link to, and their contexts.

use std::collections::HashMap;
use std::path::Path;

use super::error::Error;
use super::names::Names;
use super::order::Playlist;
use super::scan::Found;
use super::text;
use super::warning::Warning;
use crate::archive::Kind;
use crate::playlist::{self, Context, Format, Problem, Span, What};

/// The number of bytes at a file's beginning that show whether it may be a text with links.
const BEGINNING: u64 = 512;

/// The maximum length in bytes of a text other than a playlist. Longer JSON or XML is data.
const LONGEST_OTHER: u64 = 4 << 20;

/// The most contexts of a playlist.
const MOST_CONTEXTS: usize = 16;

/// The most steps of a variable from the playlist that defines it to one that uses it. A media
/// playlist imports variables of the playlist that refers to it, which may take its own from its
/// query.
const MOST_ROUNDS: usize = 4;

/// The texts with links in a folder, by the index of their file.
#[derive(Debug, Default)]
pub(super) struct Texts {
    pub(super) playlists: HashMap<usize, Playlist>,
    pub(super) contexts: HashMap<usize, Vec<Context>>,
    pub(super) warnings: Vec<Warning>,
}

/// The search for texts with links.
struct Search<'a> {
    folder: &'a Path,
    found: &'a [Found],
    names: &'a Names,
    texts: Texts,
    /// Whether a playlist defines variables.
    has_variables: bool,
}

/// Finds the texts with links among all files.
pub(super) fn texts(folder: &Path, found: &[Found], names: &Names) -> Result<Texts, Error> {
    let mut search = Search {
        folder,
        found,
        names,
        texts: Texts::default(),
        has_variables: false,
    };
    for (at, file) in found.iter().enumerate() {
        if file.kind == Kind::File {
            search.file(at)?;
        }
    }
    if search.has_variables {
        search.contexts()?;
    }
    Ok(search.texts)
}

impl Search<'_> {
    fn file(&mut self, at: usize) -> Result<(), Error> {
        let file = &self.found[at];
        let expected = playlist::format_of(&file.path);
        let may_be = match expected {
            Some(_) => true,
            None => file.size <= playlist::LONGEST && self.may_be_text(file)?,
        };
        if !may_be {
            return Ok(());
        }
        if file.size > playlist::LONGEST {
            self.not_a_playlist(at, "it is too long for a playlist", 1);
            return Ok(());
        }
        let path = self.folder.join(&file.path);
        let Some(text) = text::text(&path, file.stamp)? else {
            if expected.is_some() {
                self.not_a_playlist(at, "it is not UTF-8", 1);
            }
            return Ok(());
        };
        let format = playlist::recognise(&text);
        match (format, expected) {
            (Some(format), _) if format.is_playlist() => self.playlist(at, format, &text),
            (_, Some(Format::Hls)) => self.not_a_playlist(at, "it does not begin with #EXTM3U", 1),
            (_, Some(expected)) => {
                let line = playlist::broken_line(expected, &text);
                self.not_a_playlist(at, "it is not well-formed XML with an MPD element", line);
            }
            _ if file.size > LONGEST_OTHER => {}
            (Some(format), None) => self.companion(at, format, &text),
            (None, None) => {
                let has = |path: &str| self.names.find(path).is_some_and(|other| other != at);
                let problems = playlist::mentions(&file.path, &text, &has);
                self.warn(at, problems);
            }
        }
        Ok(())
    }

    fn may_be_text(&self, file: &Found) -> Result<bool, Error> {
        // Programs and styles of pages may name files, too.
        let is_code = [".js", ".css"].iter().any(|end| file.path.ends_with(end));
        let beginning = Span::whole(file.size.min(BEGINNING));
        let path = self.folder.join(&file.path);
        let beginning = text::part(&path, file.stamp, beginning)?;
        Ok(is_code || playlist::may_be_text(&beginning))
    }

    fn playlist(&mut self, at: usize, format: Format, text: &str) {
        self.has_variables |= format == Format::Hls && text.contains("#EXT-X-DEFINE");
        let playlist = self.links_of(at, format, text, &[]);
        self.texts.playlists.insert(at, playlist);
    }

    /// WebVTT or JSON counts as a text with links only if it links to files of the folder.
    fn companion(&mut self, at: usize, format: Format, text: &str) {
        let playlist = self.links_of(at, format, text, &[]);
        if playlist.links_to.is_empty() {
            let find = |path: &str| self.size_of(path).map(Span::whole);
            let files = playlist::Files {
                find: &find,
                read: &|_, _| None,
            };
            let problems = playlist::Playlist::new(format, &self.found[at].path, text)
                .link(files)
                .problems;
            self.warn(at, problems);
        } else {
            self.texts.playlists.insert(at, playlist);
        }
    }

    fn links_of(&self, at: usize, format: Format, text: &str, contexts: &[Context]) -> Playlist {
        let path = &self.found[at].path;
        let playlist = playlist::Playlist::new(format, path, text).within(contexts);
        let references = playlist.references(&|path| self.size_of(path));
        Playlist::new(format, &references, |path| self.names.find(path))
    }

    fn size_of(&self, path: &str) -> Option<u64> {
        Some(self.found[self.names.find(path)?].size)
    }

    /// Finds the contexts of HLS playlists, and what they link to with the variables of these.
    fn contexts(&mut self) -> Result<(), Error> {
        let is_hls = |(at, list): (&usize, &Playlist)| (list.format == Format::Hls).then_some(*at);
        let mut lists: Vec<usize> = self.texts.playlists.iter().filter_map(is_hls).collect();
        lists.sort_unstable();
        for _ in 0..MOST_ROUNDS {
            let mut contexts: HashMap<usize, Vec<Context>> = HashMap::new();
            for at in &lists {
                let text = self.text(*at)?;
                let known = self.known(*at);
                let list = playlist::Playlist::new(Format::Hls, &self.found[*at].path, &text);
                let has = |path: &str| self.names.find(path).is_some();
                for (path, context) in list.within(known).refers(&has) {
                    let Some(to) = self.names.find(&path).filter(|to| to != at) else {
                        continue;
                    };
                    let all = contexts.entry(to).or_default();
                    if all.len() < MOST_CONTEXTS && !all.contains(&context) {
                        all.push(context);
                    }
                }
            }
            if contexts == self.texts.contexts {
                break;
            }
            self.texts.contexts = contexts;
        }
        for at in lists {
            let text = self.text(at)?;
            let playlist = self.links_of(at, Format::Hls, &text, self.known(at));
            self.texts.playlists.insert(at, playlist);
        }
        Ok(())
    }

    fn known(&self, at: usize) -> &[Context] {
        self.texts.contexts.get(&at).map_or(&[], Vec::as_slice)
    }

    fn text(&self, at: usize) -> Result<String, Error> {
        let file = &self.found[at];
        let path = self.folder.join(&file.path);
        text::text(&path, file.stamp)?.ok_or(Error::Changed(path))
    }

    fn not_a_playlist(&mut self, at: usize, why: &'static str, line: u32) {
        let what = What::NoPlaylist(why);
        self.warn(at, vec![Problem { line, what }]);
    }

    fn warn(&mut self, at: usize, problems: Vec<Problem>) {
        let warning = |problem| Warning::of(&self.found[at].path, problem);
        let warnings = problems.into_iter().map(warning);
        self.texts.warnings.extend(warnings);
    }
}
