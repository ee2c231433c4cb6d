//! Patterns of paths, as in a shell.

/// The most patterns that braces may stand for. Each further pair multiplies them.
const MAX_ALTERNATIVES: usize = 4096;

/// How deep braces may be in other braces. Each level takes space on the stack.
const MAX_DEPTH: usize = 100;

/// A pattern of paths: `*` matches any characters of a name, `?` one, `[a-z]` and `[!a-z]` one of a set,
/// `**` any number of directories, `{a,b}` one of several texts; `\` escapes the next character.
#[derive(Debug, Clone)]
pub(super) struct Glob {
    /// The patterns that braces stand for, each split into names.
    alternatives: Vec<Vec<Vec<u8>>>,
}

/// The braces of a pattern stand for too many patterns.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManyAlternatives;

impl Glob {
    pub(super) fn new(pattern: &[u8]) -> Result<Self, TooManyAlternatives> {
        let mut alternatives = Vec::new();
        expand(0, Vec::new(), pattern, &mut alternatives)?;
        let alternatives = alternatives.iter().map(|text| names(text));
        Ok(Self {
            alternatives: alternatives.collect(),
        })
    }

    /// A path that is taken as it is.
    pub(super) fn literal(path: &[u8]) -> Self {
        let mut name = names(path);
        name.iter_mut().for_each(|name| {
            let bytes = std::mem::take(name).into_iter();
            *name = bytes.flat_map(|byte| [b'\\', byte]).collect();
        });
        Self {
            alternatives: vec![name],
        }
    }

    /// Whether a text has characters that mean more than themselves in a pattern.
    pub(super) fn is_pattern(text: &[u8]) -> bool {
        text.iter().any(|byte| b"*?[{\\".contains(byte))
    }

    /// Whether it matches this path, or with `or_above` a directory above it.
    pub(super) fn matches(&self, path: &[u8], or_above: bool) -> bool {
        let path: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        let mut alternatives = self.alternatives.iter();
        alternatives.any(|pattern| below(pattern, &path, or_above))
    }
}

/// The names of a path or pattern.
fn names(path: &[u8]) -> Vec<Vec<u8>> {
    let names = path.split(|byte| *byte == b'/');
    let names = names.filter(|name| !matches!(*name, b"" | b"."));
    names.map(<[u8]>::to_vec).collect()
}

/// Appends to `all` what `before` and the braces of `pattern` stand for, within `depth` other braces. As in bash,
/// braces without a comma or without an end are plain characters.
fn expand(
    depth: usize,
    mut before: Vec<u8>,
    mut pattern: &[u8],
    all: &mut Vec<Vec<u8>>,
) -> Result<(), TooManyAlternatives> {
    loop {
        match pattern {
            [] => {
                if all.len() == MAX_ALTERNATIVES {
                    return Err(TooManyAlternatives);
                }
                all.push(before);
                return Ok(());
            }
            [b'{', rest @ ..] if let Some((texts, rest)) = braces(rest) => {
                if depth == MAX_DEPTH {
                    return Err(TooManyAlternatives);
                }
                for text in texts {
                    expand(depth + 1, before.clone(), &[text, rest].concat(), all)?;
                }
                return Ok(());
            }
            [b'\\', escaped, rest @ ..] => {
                before.extend([b'\\', *escaped]);
                pattern = rest;
            }
            [plain, rest @ ..] => {
                before.push(*plain);
                pattern = rest;
            }
        }
    }
}

/// The texts between braces, and the pattern behind them. `pattern` begins after the opening brace.
fn braces(pattern: &[u8]) -> Option<(Vec<&[u8]>, &[u8])> {
    let (mut texts, mut start, mut depth, mut at) = (Vec::new(), 0, 0_usize, 0);
    loop {
        match pattern.get(at)? {
            b'\\' => at += 1,
            b'{' => depth += 1,
            b',' if depth == 0 => {
                texts.push(&pattern[start..at]);
                start = at + 1;
            }
            b'}' if depth == 0 => {
                texts.push(&pattern[start..at]);
                return (texts.len() > 1).then_some((texts, &pattern[at + 1..]));
            }
            b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
}

fn below(pattern: &[Vec<u8>], path: &[&[u8]], or_above: bool) -> bool {
    let Some((first, rest)) = pattern.split_first() else {
        return or_above || path.is_empty();
    };
    if first == b"**" {
        if rest.is_empty() {
            // At the end of a pattern it matches one name or more.
            return !path.is_empty();
        }
        return (0..path.len()).any(|skipped| below(rest, &path[skipped..], or_above));
    }
    match path.split_first() {
        Some((name, path)) => matches(first, name) && below(rest, path, or_above),
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
            ("{a,b}.ts", "b.ts", true),
            ("{a,b}.ts", "c.ts", false),
            ("{a/x,b}*", "a/x1", true),
            ("a{,b}", "a", true),
            ("a{,b}", "ab", true),
            ("{a,{b,c}d}", "cd", true),
            ("{a,{b,c}d}", "c", false),
            ("{a}", "{a}", true),
            ("{a,b", "{a,b", true),
            ("\\{a,b\\}", "{a,b}", true),
            ("{a\\,b,c}", "a,b", true),
        ];
        for (pattern, path, expected) in table {
            let glob = Glob::new(pattern.as_bytes()).expect("few alternatives");
            let matches = glob.matches(path.as_bytes(), true);
            assert_eq!(matches, expected, "{pattern} and {path}");
        }
    }

    #[test]
    fn a_pattern_matches_a_directory_itself_or_all_below_it() {
        let table = [
            ("a", "a", true),
            ("a", "a/b", false),
            ("**", "a/b", true),
            ("**/b", "a/b", true),
            ("a/*", "a", false),
        ];
        for (pattern, path, expected) in table {
            let glob = Glob::new(pattern.as_bytes()).expect("few alternatives");
            let matches = glob.matches(path.as_bytes(), false);
            assert_eq!(matches, expected, "{pattern} and {path}");
        }
        let literal = Glob::literal(b"./a[1]/{b,c}*");
        assert!(literal.matches(b"a[1]/{b,c}*", false));
        assert!(literal.matches(b"a[1]/{b,c}*/x", true));
        assert!(!literal.matches(b"a1/b", false));
    }

    #[test]
    fn braces_that_multiply_are_bounded() {
        let many = b"{a,b}".repeat(12);
        assert_eq!(
            Glob::new(&many).map(|glob| glob.alternatives.len()),
            Ok(4096)
        );
        let more = b"{a,b}".repeat(40);
        assert_eq!(Glob::new(&more).map(drop), Err(TooManyAlternatives));
        let deep = |pairs| [b"{".repeat(pairs), b",a}".repeat(pairs)].concat();
        assert!(Glob::new(&deep(100)).is_ok());
        assert_eq!(Glob::new(&deep(20_000)).map(drop), Err(TooManyAlternatives));
    }
}
