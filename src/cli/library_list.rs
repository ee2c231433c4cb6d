//! Lists of archives: text with a name and a source a line, or TOML.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::Deserialize;

use super::Failure;
use super::config::Config;
use super::named_file::{NamedFile, line_at, toml_error};
use crate::content::parse_cid;
use crate::library::Item;
use crate::volume::Location;

/// The longest list, in bytes.
const MAX_LIST: u64 = 256 << 20;

/// A list in TOML.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    archives: BTreeMap<String, toml::Spanned<String>>,
}

/// The archives that a file lists. A relative path in it is relative to its directory.
pub(super) fn read(file: &NamedFile, config: &Config) -> Result<Vec<Item>, Failure> {
    let bytes = file.read(MAX_LIST)?;
    let path = file.path();
    let text = String::from_utf8(bytes).map_err(|e| {
        let line = line_at(e.as_bytes(), e.utf8_error().valid_up_to());
        wrong_line(file, line, &"it is not text in UTF-8")
    })?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let is_toml = path.extension().is_some_and(|end| end == "toml");
    let entries = if is_toml {
        of_toml(&text)
    } else {
        of_lines(&text)
    };
    let entries = entries.map_err(|(line, why)| wrong_line(file, line, &why))?;
    let mut lines: HashMap<&str, usize> = HashMap::new();
    let mut items = Vec::with_capacity(entries.len());
    for (line, name, source) in &entries {
        if let Some(first) = lines.insert(name, *line) {
            let why = format!("'{name}' is the name in line {first}, too");
            return Err(wrong_line(file, *line, &why));
        }
        let item = item(name, source, Some(directory), config);
        items.push(item.map_err(|why| wrong_line(file, *line, &why))?);
    }
    if items.is_empty() {
        log::warn!("{file}: it lists no archive");
    }
    Ok(items)
}

fn wrong_line(file: &NamedFile, line: usize, why: &dyn std::fmt::Display) -> Failure {
    Failure::usage(format!("{file}, line {line}: {why}"))
}

/// An archive by its name and its source as it was given. A relative path is relative to `directory`, else to the working
/// directory.
pub(super) fn item(
    name: &str,
    source: &str,
    directory: Option<&Path>,
    config: &Config,
) -> Result<Item, Failure> {
    let below = directory.map(|directory| directory.join(source));
    let is_local = !source.contains("://") && parse_cid(source).is_err();
    let location = match below.filter(|path| is_local && path.exists()) {
        Some(path) => Location::File(path),
        None => config.locate(source)?,
    };
    Item::new(name, absolute(location, directory)?).map_err(Failure::usage)
}

/// A location, by an absolute path if it is on this machine: the working directory changes in the background.
/// `directory`: see [`item`].
pub(super) fn absolute(location: Location, directory: Option<&Path>) -> Result<Location, Failure> {
    let Location::File(path) = location else {
        return Ok(location);
    };
    let path = directory.unwrap_or(Path::new("")).join(path);
    let absolute = std::path::absolute(&path);
    let absolute = absolute.map_err(|e| Failure::new(format!("{}: {e}", path.display())))?;
    Ok(Location::File(absolute))
}

/// Line, name and source of each archive; or a line, and what is wrong there.
type Entries = Result<Vec<(usize, String, String)>, (usize, String)>;

fn of_lines(text: &str) -> Entries {
    let lines = text.lines().enumerate();
    let lines = lines.map(|(at, line)| (at + 1, line.trim_end_matches('\r')));
    let entries = lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let entries = entries.map(|(at, line)| match line.split_once('\t') {
        Some((name, source)) if !source.trim().is_empty() => {
            Ok((at, name.to_owned(), source.trim().to_owned()))
        }
        _ => Err((
            at,
            "it has no source; write NAME, a tab and SOURCE".to_owned(),
        )),
    });
    entries.collect()
}

fn of_toml(text: &str) -> Entries {
    let table: Table = toml::from_str(text).map_err(|e| toml_error(text, &e))?;
    let entries = table.archives.into_iter().map(|(name, source)| {
        let line = line_at(text.as_bytes(), source.span().start);
        (line, name, source.into_inner())
    });
    Ok(entries.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(name: &str, text: &str) -> Result<Vec<(String, String)>, String> {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("here.zip"), "").expect("a file");
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        let items = read(&NamedFile::at(&path), &Config::default()).map_err(|e| e.to_string())?;
        let dir = dir.path().display().to_string();
        let shown = |item: &Item| {
            let source = item.location().shown().1.replace(&dir, "DIR");
            (item.name().to_owned(), source)
        };
        Ok(items.iter().map(shown).collect())
    }

    #[test]
    fn lines_and_toml_say_the_same() {
        let lines = "# films\n\na b\thttp://h/a.zip\r\nc/d\there.zip\ne\t./gone.zip\n";
        let toml = "[archives]\n\"a b\" = \"http://h/a.zip\"\n\"c/d\" = \"here.zip\"\ne = \"./gone.zip\"\n";
        let expected = [
            ("a b", "http://h/a.zip"),
            ("c/d", "DIR/here.zip"),
            ("e", "DIR/gone.zip"),
        ];
        let expected: Vec<_> = expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
        assert_eq!(list("films.tsv", lines), Ok(expected.clone()));
        assert_eq!(list("films.toml", toml), Ok(expected));
    }

    #[test]
    fn errors_name_the_file_and_the_line() {
        for (name, text, line, part) in [
            ("l", "a\thttp://h/a\nb", "line 2", "a tab"),
            (
                "l",
                "a\thttp://h/a\n\na\thttp://h/b",
                "line 3",
                "line 1, too",
            ),
            ("l", "a/../b\thttp://h/a", "line 1", "cannot be the name"),
            (
                "l",
                "x\tnonsense",
                "line 1",
                "neither a file here nor a CID",
            ),
            ("l.toml", "[archives]\na = 1", "line 2", "string"),
            ("l.toml", "[archives]\n\na = \"ftp://h/a\"", "line 3", "ftp"),
            ("l.toml", "\n[archive]", "line 2", "unknown field"),
        ] {
            let error = list(name, text).expect_err(text);
            assert!(error.contains(line) && error.contains(part), "{error}");
            assert!(error.contains(&format!("/{name}")), "{error}");
        }
    }
}
