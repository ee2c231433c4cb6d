//! Small files of text: configuration, tokens, certificates, logins.

use std::fs;
use std::path::Path;

use super::Failure;

/// The longest file that is read, in bytes.
const LONGEST: u64 = 4 << 20;

/// The text of a small file. Errors do not repeat it: it may be secret.
pub(super) fn read_small(path: &Path) -> Result<String, Failure> {
    let text = String::from_utf8(read_small_bytes(path)?);
    text.map_err(|_| Failure::new(format!("{}: it is not text in UTF-8", path.display())))
}

/// The bytes of a small file.
pub(super) fn read_small_bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |why: &dyn std::fmt::Display| Failure::new(format!("{}: {why}", path.display()));
    let size = fs::metadata(path).map_err(|e| failed(&e))?.len();
    if size > LONGEST {
        return Err(failed(&"it is too large to be what it should be"));
    }
    fs::read(path).map_err(|e| failed(&e))
}
