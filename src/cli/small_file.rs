//! Small files of text: configuration, tokens, certificates, logins; and the line of an error in one.

use std::fs;
use std::path::Path;

use super::Failure;

/// The longest file that is read, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// The number of the line that has the byte at `at`, counted from 1.
pub(super) fn line_at(text: &[u8], at: usize) -> usize {
    let before = &text[..at.min(text.len())];
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The line and the cause of an error. The error's own text repeats the line, which may have a secret in it.
pub(super) fn toml_error(text: &str, error: &toml::de::Error) -> (usize, String) {
    let at = error.span().map_or(0, |span| span.start);
    let what = error.message().lines().next().unwrap_or_default();
    (line_at(text.as_bytes(), at), what.to_owned())
}

/// The text of a small file. Errors do not repeat it: it may be secret.
pub(super) fn read_small(path: &Path) -> Result<String, Failure> {
    let text = String::from_utf8(read_small_bytes(path)?);
    text.map_err(|_| Failure::new(format!("{}: it is not text in UTF-8", path.display())))
}

/// The bytes of a small file.
pub(super) fn read_small_bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |why: &dyn std::fmt::Display| Failure::new(format!("{}: {why}", path.display()));
    let size = fs::metadata(path).map_err(|e| failed(&e))?.len();
    if size > MAX_FILE {
        let why = format!("it has {size} bytes, and a file of this kind has at most {MAX_FILE}");
        return Err(failed(&why));
    }
    fs::read(path).map_err(|e| failed(&e))
}
