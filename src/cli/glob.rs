//! Patterns of paths, as in a shell.

/// A pattern of paths: `*` matches any characters of a name, `?` one, `[a-z]` and `[!a-z]` one of a set,
/// `**` any number of directories; `\` escapes the next character. A pattern that matches a directory
/// matches everything below it.
#[derive(Debug, Clone)]
pub(super) struct Glob(Vec<Vec<u8>>);

impl Glob {
    pub(super) fn new(pattern: &[u8]) -> Self {
        let parts = pattern.split(|byte| *byte == b'/');
        let parts = parts.filter(|part| !matches!(*part, b"" | b"."));
        Self(parts.map(<[u8]>::to_vec).collect())
    }

    /// Whether it matches this path, or a directory above it.
    pub(super) fn names(&self, path: &[u8]) -> bool {
        let path: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        below(&self.0, &path)
    }
}

fn below(pattern: &[Vec<u8>], path: &[&[u8]]) -> bool {
    let Some((first, rest)) = pattern.split_first() else {
        return true; // The rest of the path lies below.
    };
    if first == b"**" {
        // At the end of a pattern it matches one name or more.
        return (0..path.len()).any(|skipped| below(rest, &path[skipped..]));
    }
    match path.split_first() {
        Some((name, path)) => matches(first, name) && below(rest, path),
        None => false,
    }
}

/// Whether a pattern without `/` matches this name.
fn matches(mut pattern: &[u8], mut name: &[u8]) -> bool {
    // The position after the last star, and the rest of the name when it matched.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        if let Some(rest) = pattern.strip_prefix(b"*") {
            star = Some((rest, name));
            pattern = rest;
            continue;
        }
        match one(pattern, name) {
            Some((rest, left)) => (pattern, name) = (rest, left),
            None if pattern.is_empty() && name.is_empty() => return true,
            None => match &mut star {
                Some((after, [_, left @ ..])) => {
                    (pattern, name) = (after, left);
                    star = Some((pattern, name));
                }
                _ => return false,
            },
        }
    }
}

/// The rest of pattern and name after one character of the pattern, which is not a star, has matched one
/// of the name. Only `?` and sets match a character of several bytes as one.
fn one<'a, 'b>(pattern: &'a [u8], name: &'b [u8]) -> Option<(&'a [u8], &'b [u8])> {
    let (first, left) = name.split_first()?;
    match pattern {
        [b'?', rest @ ..] => {
            // The rest of a character in UTF-8.
            let more = left.iter().take_while(|byte| **byte & 0xc0 == 0x80).count();
            Some((rest, &left[more..]))
        }
        [b'[', rest @ ..] if let Some((is_in, rest)) = set(rest, *first) => {
            is_in.then_some((rest, left))
        }
        [b'\\', plain, rest @ ..] | [plain, rest @ ..] => (plain == first).then_some((rest, left)),
        [] => None,
    }
}

/// Whether a byte is in a set, and the pattern after the set. `None` if this is not a set.
fn set(pattern: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let is_negated = matches!(pattern.first(), Some(b'!' | b'^'));
    let mut at = usize::from(is_negated);
    let (begin, mut is_in) = (at, false);
    loop {
        match pattern.get(at..)? {
            [b']', rest @ ..] if at > begin => return Some((is_in != is_negated, rest)),
            [from, b'-', to, ..] if *to != b']' => {
                is_in |= (*from..=*to).contains(&byte);
                at += 3;
            }
            [one, ..] => {
                is_in |= *one == byte;
                at += 1;
            }
            [] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_paths() {
        let table = [
            ("a", "a", true),
            ("a", "a/b/c", true),
            ("./a/", "a/b", true),
            ("/a", "a", true),
            ("a", "ab", false),
            ("a/b", "a", false),
            ("", "a", true),
            ("*", "a/b", true),
            ("*.ts", "x.ts", true),
            ("*.ts", "d/x.ts", false),
            ("**/*.ts", "d/e/x.ts", true),
            ("**/*.ts", "x.ts", true),
            ("d/**", "d/e/f", true),
            ("d/**", "d", false),
            ("720p_*[0-4].ts", "720p_0003.ts", true),
            ("720p_*[0-4].ts", "720p_0007.ts", false),
            ("[!a-c]x", "dx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[", "[", true),
            ("a?c", "aéc", true),
            ("a?c", "ac", false),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("*a*b*c", "xxaxxbxxbxc", true),
            ("*a*b*c", "xxaxxbxxbx", false),
        ];
        for (pattern, path, expected) in table {
            let names = Glob::new(pattern.as_bytes()).names(path.as_bytes());
            assert_eq!(names, expected, "{pattern} and {path}");
        }
    }
}
