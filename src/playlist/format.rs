//! Recognises texts with links.

use super::{companion, dash, hls};

/// The format of a text with links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An HLS playlist (usually `.m3u8` or `.m3u`).
    Hls,
    /// A DASH manifest (usually `.mpd`).
    Dash,
    /// WebVTT, whose cues may name pictures.
    Vtt,
    /// JSON, whose members may hold URLs.
    Json,
}

impl Format {
    /// Whether a player can open such a text.
    pub fn is_playlist(self) -> bool {
        match self {
            Format::Hls | Format::Dash => true,
            Format::Vtt | Format::Json => false,
        }
    }
}

/// The format that a file's name suggests. [`is_playlist`] checks its text.
pub fn format_of(name: &str) -> Option<Format> {
    let dot = name.rfind('.')?;
    let extension = &name[dot + 1..];
    let is = |other: &str| extension.eq_ignore_ascii_case(other);
    if is("m3u8") || is("m3u") {
        Some(Format::Hls)
    } else if is("mpd") {
        Some(Format::Dash)
    } else {
        None
    }
}

/// Whether a file with this beginning may have a [`Format`]. [`recognise`] needs the whole text.
pub fn may_be_text(beginning: &[u8]) -> bool {
    let beginning = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning);
    let text = beginning.trim_ascii_start();
    beginning.starts_with(b"#EXTM3U")
        || beginning.starts_with(b"WEBVTT")
        || text.starts_with(b"<")
        || text.starts_with(b"{")
        || text.starts_with(b"[")
}

/// The format of a text, whatever the name of its file.
pub fn recognise(text: &str) -> Option<Format> {
    let all = [Format::Hls, Format::Vtt, Format::Dash, Format::Json];
    all.into_iter().find(|format| is_playlist(*format, text))
}

/// Whether a text has this format: HLS begins with `#EXTM3U` (section 4.4.1.1), DASH is XML with an
/// `MPD` element, WebVTT begins with `WEBVTT`, and JSON is an object or array.
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
