//! The manifest of the folder, stored in a comment of the linked manifest.
//!
//! With range links, templates become lists, and a list cannot be turned back into its template. A mount
//! shows the folder's manifest from the comment, to the byte, so whatever plays the folder plays the mount.
//! Manifests without templates need no comment: their range links are removed. The comment is the last
//! thing in the text, and is base64, because a comment must not contain `--` (XML 1.0, section 2.5).

use base64::prelude::{BASE64_STANDARD, Engine};

const OPEN: &str = "<!--aiozfs-original:";
const CLOSE: &str = "-->";

/// A text without its comment, and the manifest that the comment holds, if there is one.
pub(super) fn split(text: &str) -> (&str, Option<String>) {
    let kept = || {
        let body = text.strip_suffix(CLOSE)?;
        let at = body.rfind(OPEN)?;
        let bytes = BASE64_STANDARD
            .decode(&body.as_bytes()[at + OPEN.len()..])
            .ok()?;
        Some((&text[..at], String::from_utf8(bytes).ok()?))
    };
    match kept() {
        Some((before, original)) => (before, Some(original)),
        None => (text, None),
    }
}

/// Appends the comment to a text.
pub(super) fn keep(text: &mut String, original: &str) {
    text.push_str(OPEN);
    BASE64_STANDARD.encode_string(original, text);
    text.push_str(CLOSE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_original_reads_back() {
        for original in ["", "a", "<MPD>--></MPD>\r\n", "<!-- \u{e9} -->"] {
            let mut text = "<MPD/>\n".to_owned();
            keep(&mut text, original);
            assert_eq!(split(&text), ("<MPD/>\n", Some(original.to_owned())));
        }
    }

    #[test]
    fn other_comments_are_text() {
        for text in [
            "<MPD/>",
            "<MPD/><!-- aiozfs-original:YQ== -->",
            "<MPD/><!--aiozfs-original:YQ-->",
            "<MPD/><!--aiozfs-original:/w==-->",
            "<MPD/><!--aiozfs-original:YQ==-->\n",
            "-->",
        ] {
            assert_eq!(split(text), (text, None), "{text}");
        }
    }
}
