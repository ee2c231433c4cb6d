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
//! HLS is that of RFC 8216bis (draft-pantos-hls-rfc8216bis), DASH that of ISO/IEC 23009-1; both
//! only as far as links go. No text makes this room panic; what it does not understand it leaves.

mod address;
mod dash;
mod edit;
mod hls;
mod problem;

pub use address::{Span, resolve};
pub use problem::{Linked, Problem, What};

/// A text longer than this, in bytes, is no playlist, whatever it is called: a day of segments of
/// two seconds is below 4 MB.
pub const LONGEST: u64 = 16 << 20;

/// What kind of playlist a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An HLS playlist (`.m3u8`, `.m3u`).
    Hls,
    /// A DASH manifest (`.mpd`).
    Dash,
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

/// Whether a text is a playlist of that kind: HLS must begin with `#EXTM3U` (section 4.4.1.1), a
/// manifest must have an `MPD` element.
pub fn is_playlist(format: Format, text: &str) -> bool {
    match format {
        Format::Hls => hls::is_hls(text),
        Format::Dash => dash::is_mpd(text).is_ok(),
    }
}

/// The line from which on a text is no playlist, of one that [`is_playlist`] says is none.
pub fn broken_line(format: Format, text: &str) -> u32 {
    match format {
        Format::Hls => 1,
        Format::Dash => dash::is_mpd(text).err().unwrap_or(1),
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
    let mut found = match format {
        Format::Hls => hls::references(base, text),
        Format::Dash => dash::references(base, text, size_of),
    };
    let mut seen = std::collections::HashSet::new();
    found.retain(|reference| seen.insert(reference.path.clone()));
    found
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
    match format {
        Format::Hls => hls::link(base, text, files.find),
        Format::Dash => dash::link(base, text, files),
    }
}

/// The range links of a playlist: path of the entry, and the bytes of the archive.
pub fn range_links(format: Format, base: &str, text: &str) -> Vec<(String, Span)> {
    match format {
        Format::Hls => hls::range_links(base, text),
        Format::Dash => dash::range_links(base, text),
    }
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
    match format {
        Format::Hls => hls::playable(base, text, find),
        Format::Dash => dash::playable(base, text, find),
    }
}

/// The version of what [`playable`] makes of a text. An archive may say how long a playlist is
/// in its playable form; that holds for one version only.
pub const PLAYABLE_VERSION: u8 = 2;

/// Turns links into byte ranges of the archive itself, whose address is `archive`, as seen from
/// the playlist. Links to other playlists, and to what the standards know no byte range for (keys,
/// session data), stay; the files of the latter are told in [`Linked::loose`].
pub fn byterange(format: Format, base: &str, text: &str, archive: &str, files: Files) -> Linked {
    match format {
        Format::Hls => hls::byterange(base, text, archive, files.find),
        Format::Dash => dash::byterange(base, text, archive, files),
    }
}

#[cfg(test)]
mod tests;
