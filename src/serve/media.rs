//! Media types by file name.

/// The value of Content-Type for a file of this name, by its extension. Text is UTF-8.
///
/// The types of streaming are fixed here because players require them (RFC 8216, section 4; IANA
/// for `dash+xml` and `vtt`), and general tables give `.ts` another one.
pub(super) fn of(name: &str) -> String {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let fixed = match extension.to_ascii_lowercase().as_str() {
        "m3u8" => "application/vnd.apple.mpegurl",
        "mpd" => "application/dash+xml",
        "ts" => "video/mp2t",
        "mp4" | "m4s" | "m4v" | "cmfv" => "video/mp4",
        "m4a" | "cmfa" => "audio/mp4",
        "vtt" => "text/vtt; charset=utf-8",
        _ => "",
    };
    if !fixed.is_empty() {
        return fixed.into();
    }
    let guess = mime_guess::from_path(name).first_raw();
    match guess.unwrap_or("application/octet-stream") {
        text if text.starts_with("text/") => format!("{text}; charset=utf-8"),
        other => other.into(),
    }
}

/// Whether browsers run scripts in a document of this media type.
pub(super) fn has_scripts(media_type: &str) -> bool {
    ["html", "xml"].iter().any(|kind| media_type.contains(kind))
}

#[cfg(test)]
mod tests {
    use super::{has_scripts, of};

    #[test]
    fn types_with_scripts() {
        for name in ["a.html", "a.htm", "a.svg", "a.xhtml", "a.xml"] {
            assert!(has_scripts(&of(name)), "{name}");
        }
        for name in ["a.mp4", "a.m3u8", "a.png", "a.txt", "a.pdf", "a"] {
            assert!(!has_scripts(&of(name)), "{name}");
        }
    }

    #[test]
    fn types() {
        for (name, expected) in [
            ("master_playlist.m3u8", "application/vnd.apple.mpegurl"),
            ("A.M3U8", "application/vnd.apple.mpegurl"),
            ("manifest.mpd", "application/dash+xml"),
            ("720p_0000.ts", "video/mp2t"),
            ("a.m4s", "video/mp4"),
            ("a.mp4", "video/mp4"),
            ("a.vtt", "text/vtt; charset=utf-8"),
            ("a.txt", "text/plain; charset=utf-8"),
            ("a.html", "text/html; charset=utf-8"),
            ("cover.jpg", "image/jpeg"),
            ("thumbs.webp", "image/webp"),
            ("film.zip", "application/zip"),
            ("a", "application/octet-stream"),
            ("ts", "application/octet-stream"),
            ("a.no-such-thing", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(of(name), expected, "{name}");
        }
    }
}
