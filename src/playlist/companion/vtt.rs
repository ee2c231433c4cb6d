//! WebVTT (W3C): a line of a cue's payload that is a file name is a link, as in thumbnail tracks
//! (`sprite.jpg#xywh=0,0,160,90`).

use std::ops::Range;

use super::super::edit::lines;
use super::spot::{Spot, words};

/// "The string WEBVTT, and optionally a space or a tab and more" (section 4.1).
pub(in super::super) fn is_vtt(text: &str) -> bool {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let after = text.strip_prefix("WEBVTT");
    after.is_some_and(|after| after.is_empty() || after.starts_with([' ', '\t', '\r', '\n']))
}

pub(super) fn spots(text: &str, visit: &mut dyn FnMut(Spot)) {
    let mut is_payload = false;
    for (_, whole) in lines(text) {
        let line = text[whole.clone()].trim();
        if line.is_empty() {
            is_payload = false;
        } else if line.contains("-->") {
            is_payload = true;
        } else if is_payload {
            payload(text, whole, line, visit);
        }
    }
}

fn payload(text: &str, whole: Range<usize>, line: &str, visit: &mut dyn FnMut(Spot)) {
    let raw = &text[whole.clone()];
    let start = whole.start + (raw.len() - raw.trim_start().len());
    let at = start..start + line.len();
    // Subtitles are sentences. One without a dot could equal a file name without an extension.
    if line.contains(['{', '<', '"']) {
        words(text, at, visit);
    } else if line.contains('.') {
        visit(Spot {
            at,
            value: line.to_owned(),
            is_link: true,
        });
    }
}
