//! Which names are those of archives.

/// The ends of the names of archives, in any case.
const ARCHIVES: [&str; 2] = [".zip", ".tar"];

/// Whether a name is that of an archive.
pub(super) fn is_archive(name: &str) -> bool {
    let end = name.len().saturating_sub(4);
    let end = name.as_bytes().get(end..).unwrap_or_default();
    ARCHIVES
        .iter()
        .any(|known| known.as_bytes().eq_ignore_ascii_case(end))
}
