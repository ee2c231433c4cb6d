//! Finds the paths that a Rust source names: in `use` declarations, groups expanded, and inline.

/// A path as its segments, for example `["super", "pool", "Claim"]`.
pub type Path = Vec<String>;

/// The text without comments and without its tests (a `#[cfg(test)]` module stands at the end of a
/// file).
pub fn code_of(text: &str) -> String {
    let code = text
        .split("\n#[cfg(test)]\nmod ")
        .next()
        .unwrap_or_default();
    let lines = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The modules that the code declares (`mod name;`).
pub fn declared(code: &str) -> Vec<String> {
    let lines = code.lines().map(str::trim);
    let names = lines.filter_map(|line| {
        let (before, name) = line.strip_suffix(';')?.split_once("mod ")?;
        let is_declaration = before.is_empty() || before.starts_with("pub");
        is_declaration.then(|| name.trim().to_owned())
    });
    names.collect()
}

/// The code apart from its `use` declarations, and these: whether each re-exports, and its tree.
fn split(code: &str) -> (String, Vec<(bool, &str)>) {
    let (mut rest, mut trees, mut done) = (String::new(), Vec::new(), 0);
    for (at, _) in code.match_indices("use ") {
        let line = code[..at].rfind('\n').map_or(0, |end| end + 1);
        let visibility = code[line..at].trim();
        let is_declaration = visibility.is_empty() || visibility.starts_with("pub");
        if at < done || !is_declaration {
            continue;
        }
        let end = code[at..]
            .find(';')
            .map_or(code.len(), |length| at + length);
        rest.push_str(&code[done..line]);
        trees.push((!visibility.is_empty(), &code[at + 4..end]));
        done = end;
    }
    rest.push_str(&code[done..]);
    (rest, trees)
}

/// The paths that `use` declarations bring in; with `re_exported`, those of `pub use` alone.
pub fn used(code: &str, re_exported: bool) -> Vec<Path> {
    let mut found = Vec::new();
    for (is_public, tree) in split(code).1 {
        if is_public || !re_exported {
            expand(tree, &[], &mut found);
        }
    }
    found
}

/// The paths named outside `use` declarations that begin with one of these words.
pub fn inline(code: &str, roots: &[String]) -> Vec<Path> {
    let code = split(code).0;
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for root in roots {
        for (at, _) in code.match_indices(&format!("{root}::")) {
            if code[..at].ends_with(|c: char| is_word(c) || c == ':') {
                continue;
            }
            let end = code[at..].find(|c| !is_word(c) && c != ':');
            let path = &code[at..end.map_or(code.len(), |end| at + end)];
            let segments = path.split("::").filter(|s| !s.is_empty());
            found.push(segments.map(str::to_owned).collect());
        }
    }
    found
}

/// Expands the groups of a `use` tree below `prefix`.
fn expand(tree: &str, prefix: &[String], found: &mut Vec<Path>) {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let name = tree.split(" as ").next().unwrap_or_default();
        let mut path = prefix.to_vec();
        path.extend(name.split("::").map(|s| s.trim().to_owned()));
        // `a::{self}` names `a`.
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        path.retain(|segment| !segment.is_empty());
        if !path.is_empty() {
            found.push(path);
        }
        return;
    };
    let mut inner = prefix.to_vec();
    let head = tree[..open].split("::").map(str::trim);
    inner.extend(head.filter(|s| !s.is_empty()).map(str::to_owned));
    let body = tree[open + 1..]
        .trim_end()
        .strip_suffix('}')
        .unwrap_or(&tree[open + 1..]);
    let (mut depth, mut start) = (0, 0);
    for (at, c) in body.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&body[start..at], &inner, found);
                start = at + 1;
            }
            _ => {}
        }
    }
    expand(&body[start..], &inner, found);
}
