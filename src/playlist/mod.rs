//! HLS and DASH text: find links, add range links, strip them. Pure: text in, text out.
//!
//! A **range link** (`name?range=<offset>,<size>`) names the bytes of an archive that hold an
//! entry, so that an unmodified player plays from a server that knows nothing but ranges. Three
//! forms of one playlist:
//!
//! - *linked* ([`link`]): as it lies in an archive, with range links;
//! - *playable* ([`playable`]): as a folder of files plays it, the range links taken back;
//! - *by ranges of the archive* ([`byterange`]): for servers without range links, by the standard's
//!   own means (EXT-X-BYTERANGE, mediaRange) against the archive's address.
//!
//! Texts are edited in place, span by span, never written anew: whatever is not a link (comments,
//! unknown tags, line ends, a byte order mark, the order of attributes) stays as it is to the byte.
//!
//! Texts beside playlists that name files (WebVTT with thumbnails, JSON) are treated alike.
//!
//! HLS is that of RFC 8216bis (draft-pantos-hls-rfc8216bis), DASH that of ISO/IEC 23009-1; both
//! only as far as links go. No text makes this room panic; what it does not understand it leaves.

mod address;
mod companion;
mod context;
mod dash;
mod edit;
mod hls;
mod problem;

pub use address::{Span, resolve};
pub use context::Context;
pub use problem::{Linked, Problem, What};

use companion::{Companion, Syntax};
use hls::Hls;

/// A text longer than this, in bytes, is no playlist, whatever it is called: a day of segments of
/// two seconds is below 4 MB.
pub const LONGEST: u64 = 16 << 20;

/// What kind of text with links a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An HLS playlist (mostly `.m3u8` or `.m3u`).
    Hls,
    /// A DASH manifest (mostly `.mpd`).
    Dash,
    /// WebVTT, whose cues may name pictures.
    Vtt,
    /// JSON, whose members may hold addresses.
    Json,
}

impl Format {
    /// Whether it says by itself what is played, as a playlist or a manifest does.
    pub fn is_playlist(self) -> bool {
        match self {
            Format::Hls | Format::Dash => true,
            Format::Vtt | Format::Json => false,
        }
    }
}

/// Something that a playlist points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The line it is on, from 1.
    pub line: u32,
    /// The path of its file, relative to the folder that everything is in.
    pub path: String,
    /// What it is there for.
    pub role: Role,
}

/// What a link is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Media, in playback order; init segments among it.
    Media,
    /// Another playlist.
    Playlist,
    /// A key.
    Key,
    /// Anything else: session data, an index, a hint of what is to come.
    Other,
}

/// What kind of playlist a file of this name may be; [`is_playlist`] tells by its text.
pub fn format_of(name: &str) -> Option<Format> {
    let dot = name.rfind('.')?;
    let extension = &name[dot + 1..];
    let is = |other: &str| extension.eq_ignore_ascii_case(other);
    match () {
        () if is("m3u8") || is("m3u") => Some(Format::Hls),
        () if is("mpd") => Some(Format::Dash),
        () => None,
    }
}

/// Whether a file that begins so may be a text with links, or one that names files; [`recognise`]
/// tells by the whole.
pub fn may_be_text(beginning: &[u8]) -> bool {
    let beginning = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning);
    let text = beginning.trim_ascii_start();
    beginning.starts_with(b"#EXTM3U")
        || beginning.starts_with(b"WEBVTT")
        || text.starts_with(b"<")
        || text.starts_with(b"{")
        || text.starts_with(b"[")
}

/// What kind of text with links it is, whatever the file is called.
pub fn recognise(text: &str) -> Option<Format> {
    let all = [Format::Hls, Format::Vtt, Format::Dash, Format::Json];
    all.into_iter().find(|format| is_playlist(*format, text))
}

/// Whether a text is of that kind: HLS must begin with `#EXTM3U` (section 4.4.1.1), a manifest must
/// have an `MPD` element, WebVTT must begin with `WEBVTT`.
pub fn is_playlist(format: Format, text: &str) -> bool {
    match format {
        Format::Hls => hls::is_hls(text),
        Format::Dash => text.contains('<') && dash::is_mpd(text).is_ok(),
        Format::Vtt => companion::is_vtt(text),
        Format::Json => companion::is_json(text),
    }
}

/// The line from which on a text that [`is_playlist`] refuses is not a playlist.
pub fn broken_line(format: Format, text: &str) -> u32 {
    match format {
        Format::Dash => dash::is_mpd(text).err().unwrap_or(1),
        Format::Hls | Format::Vtt | Format::Json => 1,
    }
}

/// The names of files in a text that is no playlist, where no link is known to stand: a warning.
/// `has` tells whether there is a file of a path.
pub fn mentions(base: &str, text: &str, has: &dyn Fn(&str) -> bool) -> Vec<Problem> {
    let other = Companion {
        base,
        text,
        syntax: Syntax::Other,
    };
    let nowhere = Span { offset: 0, size: 0 };
    other.link(&|path| has(path).then_some(nowhere)).problems
}

/// A text with links, and how it is reached.
#[derive(Debug, Clone, Copy)]
pub struct Playlist<'t> {
    /// What it is.
    pub format: Format,
    /// Its own path.
    pub base: &'t str,
    /// Its text.
    pub text: &'t str,
    /// Which playlists refer to it, if that is known: where an HLS playlist gets variables from.
    pub contexts: &'t [Context],
}

impl<'t> Playlist<'t> {
    /// A playlist that nothing is known to refer to.
    pub fn new(format: Format, base: &'t str, text: &'t str) -> Self {
        Self {
            format,
            base,
            text,
            contexts: &[],
        }
    }

    /// The same, reached so.
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

    /// [`references`], as this one is reached.
    pub fn references(&self, size_of: &dyn Fn(&str) -> Option<u64>) -> Vec<Reference> {
        let has = |path: &str| size_of(path).is_some();
        let mut found = match self.format {
            Format::Hls => return self.hls().references(&has),
            Format::Dash => dash::references(self.base, self.text, size_of),
            Format::Vtt | Format::Json => return self.companion().references(&has),
        };
        let mut seen = std::collections::HashSet::new();
        found.retain(|reference| seen.insert(reference.path.clone()));
        found
    }

    /// The playlists that it refers to, by path, each with the context in which it is read then.
    pub fn refers(&self, has: &dyn Fn(&str) -> bool) -> Vec<(String, Context)> {
        match self.format {
            Format::Hls => self.hls().refers(has),
            Format::Dash | Format::Vtt | Format::Json => Vec::new(),
        }
    }

    /// [`link`], as this one is reached.
    pub fn link(&self, files: Files) -> Linked {
        match self.format {
            Format::Hls => self.hls().link(files.find),
            Format::Dash => dash::link(self.base, self.text, files),
            Format::Vtt | Format::Json => self.companion().link(files.find),
        }
    }

    /// [`range_links`], as this one is reached.
    pub fn range_links(&self) -> Vec<(String, Span)> {
        match self.format {
            Format::Hls => self.hls().range_links(),
            Format::Dash => dash::range_links(self.base, self.text),
            Format::Vtt | Format::Json => self.companion().range_links(),
        }
    }

    /// [`playable`], as this one is reached.
    pub fn playable(&self, find: &dyn Fn(&str) -> Option<Span>) -> String {
        match self.format {
            Format::Hls => self.hls().playable(find),
            Format::Dash => dash::playable(self.base, self.text, find),
            Format::Vtt | Format::Json => self.companion().playable(find),
        }
    }

    /// [`byterange`], as this one is reached.
    pub fn byterange(&self, archive: &str, files: Files) -> Linked {
        match self.format {
            Format::Hls => self.hls().byterange(archive, files.find),
            Format::Dash => dash::byterange(self.base, self.text, archive, files),
            Format::Vtt | Format::Json => self.companion().byterange(files.find),
        }
    }
}

/// What a playlist points to, in the order of playback, once each.
///
/// `base` is the playlist's own path; `size_of` gives the length in bytes of a file by its path,
/// for manifests do not always say how many segments there are.
pub fn references(
    format: Format,
    base: &str,
    text: &str,
    size_of: &dyn Fn(&str) -> Option<u64>,
) -> Vec<Reference> {
    Playlist::new(format, base, text).references(size_of)
}

/// The files that playlists point to, as far as links need to know them.
#[derive(Clone, Copy)]
pub struct Files<'a> {
    /// The place of an entry in the archive, by its path.
    pub find: &'a dyn Fn(&str) -> Option<Span>,
    /// Bytes of an entry, by its path and the part of it; `None` if they cannot be had. The index
    /// of a media file is read so, a few small parts of it.
    pub read: &'a dyn Fn(&str, Span) -> Option<Vec<u8>>,
}

/// Adds range links.
///
/// Links to elsewhere (absolute ones) stay; so do links to what is not among the files, and these
/// are told, except where the standard lets a link lead nowhere (a key that is kept elsewhere, a
/// segment marked as a gap, a hint of what is to come).
pub fn link(format: Format, base: &str, text: &str, files: Files) -> Linked {
    Playlist::new(format, base, text).link(files)
}

/// The range links of a playlist: path of the entry, and the bytes of the archive.
pub fn range_links(format: Format, base: &str, text: &str) -> Vec<(String, Span)> {
    Playlist::new(format, base, text).range_links()
}

/// Takes range links back. `find` gives the place of an entry: a link to all of it becomes its
/// name, a link to a part of it its name with EXT-X-BYTERANGE or mediaRange. A link that is not
/// within its entry stays.
pub fn playable(
    format: Format,
    base: &str,
    text: &str,
    find: &dyn Fn(&str) -> Option<Span>,
) -> String {
    Playlist::new(format, base, text).playable(find)
}

/// The version of what [`playable`] makes of a text. An archive may say how long a playlist is
/// in its playable form; that holds for one version only.
pub const PLAYABLE_VERSION: u8 = 2;

/// Turns links into byte ranges of the archive itself, whose address is `archive`, as seen from
/// the playlist. Links to other playlists, and to what the standards know no byte range for (keys,
/// session data), stay; the files of the latter are told in [`Linked::loose`].
pub fn byterange(format: Format, base: &str, text: &str, archive: &str, files: Files) -> Linked {
    Playlist::new(format, base, text).byterange(archive, files)
}

#[cfg(test)]
mod tests;
