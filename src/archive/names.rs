//! The rules from an entry's stored name to the path that a tree shows.
//!
//! | a name | is |
//! |---|---|
//! | with the UTF-8 flag (section 4.4.4, bit 11), or all ASCII | unchanged, even if it is not valid UTF-8: Linux allows any bytes |
//! | with a Unicode Path field (0x7075, section 4.6.9) whose CRC matches the stored name | the name in the field |
//! | otherwise, in a ZIP | decoded by [`Encoding`](super::Encoding): the encoding that the user names, else UTF-8 if valid, else CP437 |
//! | with `\` and no `/`, by a DOS or Windows writer | split at `\` (as unzip does) |
//! | with `\` by another writer, or together with `/` | unchanged: `\` is an ordinary character |
//! | that begins with `/`, or with a drive and a `/` (`C:/`) | without that part (as unzip and bsdtar do) |
//! | with `.` or empty components, or a `/` at its end | without them |
//! | with nothing left, of a directory without data | the root |
//! | with nothing left, of anything else | hidden |
//! | with a `..` component | hidden: programs interpret it differently |
//! | with a NUL | hidden: the kernel does not allow it |
//! | with a component of more than 255 bytes (NAME_MAX) | hidden: the kernel does not allow it |
//! | of more than 4,095 bytes in all (PATH_MAX) | hidden: no program could open it |
//!
//! A hidden entry is never shown under another name; it is counted and listed with the reason. The first
//! three rules decode the name in a ZIP. In a tar, names are unchanged unless the user names an encoding. The others
//! apply to the result. If names become equal, the tree shows
//! both entries.

use crate::archive::error::hidden_reason;

/// The longest file name on Linux, in bytes (NAME_MAX).
const LONGEST: usize = 255;

/// The longest path on Linux, in bytes (PATH_MAX without its NUL).
const LONGEST_PATH: usize = 4095;

/// Whether the name is a directory's.
pub(super) fn is_dir(name: &[u8], windows: bool) -> bool {
    name.ends_with(b"/") || windows && name.ends_with(b"\\") && !name.contains(&b'/')
}

/// Appends the path of a decoded name to `out`, with `/` between its components; nothing for the root.
/// `windows`: the writer is DOS or Windows.
///
/// # Errors
/// The reason why the entry is hidden; then nothing is appended.
pub(super) fn path(name: &[u8], windows: bool, out: &mut Vec<u8>) -> Result<(), &'static str> {
    if name.contains(&0) {
        return Err(hidden_reason::NUL);
    }
    let by_backslash = windows && !name.contains(&b'/');
    let separates = move |byte: &u8| *byte == if by_backslash { b'\\' } else { b'/' };
    let name = match name {
        [letter, b':', rest @ ..]
            if letter.is_ascii_alphabetic() && rest.first().is_some_and(separates) =>
        {
            rest
        }
        name => name,
    };
    let start = out.len();
    let appended = append(name.split(separates), out, start);
    if appended.is_err() {
        out.truncate(start);
    }
    appended
}

fn append<'a>(
    components: impl Iterator<Item = &'a [u8]>,
    out: &mut Vec<u8>,
    start: usize,
) -> Result<(), &'static str> {
    for component in components {
        match component {
            b"" | b"." => continue,
            b".." => return Err(hidden_reason::DOTS),
            long if long.len() > LONGEST => {
                return Err(hidden_reason::LONG_PART);
            }
            _ => {}
        }
        if out.len() > start {
            out.push(b'/');
        }
        out.extend_from_slice(component);
        if out.len() - start > LONGEST_PATH {
            return Err(hidden_reason::LONG);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &[u8], windows: bool) -> Option<Vec<u8>> {
        let mut out = b"before".to_vec();
        let result = path(name, windows, &mut out);
        assert!(out.starts_with(b"before"));
        let appended = out.split_off(6);
        assert!(result.is_ok() || appended.is_empty());
        result.ok().map(|()| appended)
    }

    #[test]
    fn paths_of_names() {
        type Row<'a> = (&'a [u8], bool, Option<&'a [u8]>);
        let table: &[Row] = &[
            (b"a/b.ts", false, Some(b"a/b.ts")),
            (b"a/b/", false, Some(b"a/b")),
            (b"./a//b/./c", false, Some(b"a/b/c")),
            (b"a\\b", true, Some(b"a/b")),
            (b"a\\b", false, Some(b"a\\b")),
            (b"a\\b/c", true, Some(b"a\\b/c")),
            (b"a..b/...", false, Some(b"a..b/...")),
            (b"../a", false, None),
            (b"a/../../b", false, None),
            (b"a/..", false, None),
            (b"..\\a", true, None),
            (b"/etc/passwd", false, Some(b"etc/passwd")),
            (b"///a", false, Some(b"a")),
            (b"\\a", true, Some(b"a")),
            (b"\\\\host\\share\\a", true, Some(b"host/share/a")),
            (b"C:\\a", true, Some(b"a")),
            (b"c:/a", false, Some(b"a")),
            (b"c:/../a", false, None),
            (b"C:\\a", false, Some(b"C:\\a")),
            (b"c:a", false, Some(b"c:a")),
            (b"a\0b", false, None),
            (b"", false, Some(b"")),
            (b"./", false, Some(b"")),
            (b"/", false, Some(b"")),
            (&[b'x'; 255], false, Some(&[b'x'; 255])),
            (&[b'x'; 256], false, None),
        ];
        for (name, windows, expected) in table {
            let text = String::from_utf8_lossy(name);
            assert_eq!(shown(name, *windows).as_deref(), *expected, "{text:?}");
        }
    }

    #[test]
    fn the_longest_path() {
        let name = "xxxxxxx/".repeat(512);
        assert_eq!(shown(name.as_bytes(), false).map(|p| p.len()), Some(4095));
        let longer = format!("{name}y");
        assert_eq!(shown(longer.as_bytes(), false), None);
        assert_eq!(shown("x/".repeat(30_000).as_bytes(), false), None);
    }

    #[test]
    fn directories_end_in_a_separator() {
        assert!(is_dir(b"a/", false));
        assert!(is_dir(b"a\\", true));
        assert!(!is_dir(b"a\\", false));
        assert!(!is_dir(b"a/b\\", true));
        assert!(!is_dir(b"a", true));
    }
}
