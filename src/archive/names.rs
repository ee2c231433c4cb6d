//! Names of entries: from what writers store to what a tree can show.
//!
//! A name that cannot lead outside is split at slashes into components; one that could, or that
//! no directory can hold, is hidden: it is counted and told, never shown under another name.

/// The longest file name that Linux takes, in bytes (NAME_MAX).
const LONGEST: usize = 255;

/// The characters 128 to 255 of CP437, the encoding of names without the UTF-8 flag (appendix D).
pub(super) fn from_cp437(bytes: &[u8]) -> String {
    oem_cp::decode_string_complete_table(bytes, &oem_cp::code_table::DECODING_TABLE_CP437)
}

/// The path that a name means, `/` between its components; or why it cannot be shown. `windows`:
/// the writer is DOS or Windows, where some separate by backslash.
pub(super) fn path(name: &[u8], windows: bool) -> Result<Vec<u8>, &'static str> {
    let mut name = name.to_vec();
    if windows && !name.contains(&b'/') {
        name.iter_mut()
            .filter(|b| **b == b'\\')
            .for_each(|b| *b = b'/');
    }
    if name.contains(&0) {
        return Err("its name has a NUL in it");
    }
    if let [letter, b':', b'/' | b'\\', ..] = name[..]
        && letter.is_ascii_alphabetic()
    {
        return Err("its name begins with a drive");
    }
    if name.starts_with(b"/") {
        return Err("its name is absolute");
    }
    let mut path = Vec::with_capacity(name.len());
    for component in name.split(|b| *b == b'/') {
        match component {
            b"" | b"." => continue,
            b".." => return Err("its name leads outside"),
            long if long.len() > LONGEST => return Err("its name is longer than 255 bytes"),
            _ => {}
        }
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(component);
    }
    match path.is_empty() {
        true => Err("its name is empty"),
        false => Ok(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_means() {
        let table: &[(&[u8], bool, Option<&[u8]>)] = &[
            (b"a/b.ts", false, Some(b"a/b.ts")),
            (b"a/b/", false, Some(b"a/b")),
            (b"./a//b/./c", false, Some(b"a/b/c")),
            (b"a\\b", true, Some(b"a/b")),
            (b"a\\b", false, Some(b"a\\b")),
            (b"a..b/...", false, Some(b"a..b/...")),
            (b"../a", false, None),
            (b"a/../../b", false, None),
            (b"..\\a", true, None),
            (b"/etc/passwd", false, None),
            (b"\\a", true, None),
            (b"C:\\a", true, None),
            (b"c:/a", false, None),
            (b"a\0b", false, None),
            (b"", false, None),
            (b"./", false, None),
            (&[b'x'; 256], false, None),
        ];
        for (name, windows, expected) in table {
            let shown = path(name, *windows).ok();
            assert_eq!(
                shown.as_deref(),
                *expected,
                "{:?}",
                String::from_utf8_lossy(name)
            );
        }
        assert_eq!(from_cp437(b"\x81ber"), "über");
    }
}
