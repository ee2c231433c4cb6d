//! The forms of a playlist, whatever its format.

use std::collections::HashSet;

use super::address::Span;
use super::companion::{Companion, Syntax};
use super::context::Context;
use super::dash;
use super::format::Format;
use super::hls::Hls;
use super::problem::{Linked, Problem};
use super::reference::{Files, Reference};

/// The version of the playable form. An archive may state the length of a playlist's playable form,
/// which holds for one version only.
pub const PLAYABLE_VERSION: u8 = 2;

/// A text with links, and the playlists that refer to it.
#[derive(Debug, Clone, Copy)]
pub struct Playlist<'t> {
    /// Its format.
    pub format: Format,
    /// Its own path, relative to the packed folder.
    pub base: &'t str,
    /// Its text.
    pub text: &'t str,
    /// How other playlists refer to it, if that is known. An HLS playlist takes variables from there.
    pub contexts: &'t [Context],
}

impl<'t> Playlist<'t> {
    /// A playlist without known contexts.
    pub fn new(format: Format, base: &'t str, text: &'t str) -> Self {
        Self {
            format,
            base,
            text,
            contexts: &[],
        }
    }

    /// The same playlist with these contexts.
    pub fn within(self, contexts: &'t [Context]) -> Self {
        Self { contexts, ..self }
    }

    fn hls(&self) -> Hls<'t> {
        Hls {
            base: self.base,
            text: self.text,
            contexts: self.contexts,
        }
    }

    fn companion(&self) -> Companion<'t> {
        Companion {
            base: self.base,
            text: self.text,
            syntax: match self.format {
                Format::Vtt => Syntax::Vtt,
                Format::Json => Syntax::Json,
                Format::Hls | Format::Dash => Syntax::Other,
            },
        }
    }

    /// The files that it links to, each once, media in playback order.
    ///
    /// `size_of` returns the length of a file in bytes, or `None` without such a file: a DASH manifest does
    /// not always say how many segments exist.
    pub fn references(&self, size_of: &dyn Fn(&str) -> Option<u64>) -> Vec<Reference> {
        let has = |path: &str| size_of(path).is_some();
        let mut found = match self.format {
            Format::Hls => self.hls().references(&has),
            Format::Dash => dash::references(self.base, self.text, size_of),
            Format::Vtt | Format::Json => self.companion().references(&has),
        };
        let mut seen = HashSet::new();
        found.retain(|reference| seen.insert(reference.path.clone()));
        found
    }

    /// The playlists that it refers to, by path, each with the context that it gives them. `has`
    /// says whether a file exists.
    pub fn refers(&self, has: &dyn Fn(&str) -> bool) -> Vec<(String, Context)> {
        match self.format {
            Format::Hls => self.hls().refers(has),
            Format::Dash | Format::Vtt | Format::Json => Vec::new(),
        }
    }

    /// Adds range links.
    ///
    /// Absolute links stay as they are. So do links to missing files, which are reported: in
    /// [`Linked::nowhere`] where the standard permits them, else in [`Linked::problems`].
    pub fn link(&self, files: Files) -> Linked {
        match self.format {
            Format::Hls => self.hls().link(files.find),
            Format::Dash => dash::link(self.base, self.text, files),
            Format::Vtt | Format::Json => self.companion().link(files.find),
        }
    }

    /// Its range links: the path of each entry, and the extent that the link names.
    pub fn range_links(&self) -> Vec<(String, Span)> {
        match self.format {
            Format::Hls => self.hls().range_links(),
            Format::Dash => dash::range_links(self.base, self.text),
            Format::Vtt | Format::Json => self.companion().range_links(),
        }
    }

    /// Removes range links. `find` returns the extent of an entry by its path.
    ///
    /// A link to a whole entry becomes the entry's name. A link to a part becomes the name with
    /// EXT-X-BYTERANGE or mediaRange. Other links stay as they are.
    pub fn playable(&self, find: &dyn Fn(&str) -> Option<Span>) -> String {
        match self.format {
            Format::Hls => self.hls().playable(find),
            Format::Dash => dash::playable(self.base, self.text, find),
            Format::Vtt | Format::Json => self.companion().playable(find),
        }
    }

    /// Turns links into byte ranges of the archive, whose URL, as seen from the playlist, is `archive`.
    ///
    /// Links to other playlists stay as they are, as do links that can have no byte range, such as those
    /// to keys. [`Linked::loose`] names the files of the latter.
    pub fn byterange(&self, archive: &str, files: Files) -> Linked {
        match self.format {
            Format::Hls => self.hls().byterange(archive, files.find),
            Format::Dash => dash::byterange(self.base, self.text, archive, files),
            Format::Vtt | Format::Json => self.companion().byterange(files.find),
        }
    }
}

/// Warns of file names in a text without a [`Format`], where no links are recognised. `has` says
/// whether a file exists.
pub fn mentions(base: &str, text: &str, has: &dyn Fn(&str) -> bool) -> Vec<Problem> {
    let other = Companion {
        base,
        text,
        syntax: Syntax::Other,
    };
    other
        .link(&|path| has(path).then_some(Span::whole(0)))
        .problems
}
