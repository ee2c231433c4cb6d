//! The manifest as it was in the folder, kept in a comment of the linked one.
//!
//! What players need from a node (a list in the place of a template, one S element for each
//! segment) says less than the folder's manifest does. A mount shows that manifest to the byte, so
//! that everything that plays it in the folder plays it in the mount. Manifests without templates
//! need no comment, since their links can be turned back. The comment is the last thing
//! in the text; base64, for a comment must not have `--` in it (XML 1.0, section 2.5).

use base64::prelude::{BASE64_STANDARD, Engine};

const OPEN: &str = "<!--aiozfs-original:";
const CLOSE: &str = "-->";

/// A text and the manifest that its comment keeps, if it has one.
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

/// Adds the comment to a text.
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
