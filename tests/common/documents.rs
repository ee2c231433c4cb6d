//! The documents of the repository: their blocks of commands, and commands in their text.

use std::fs;
use std::path::{Path, PathBuf};

/// The languages of a block of commands.
const SHELL: [&str; 3] = ["sh", "bash", "console"];

/// A block without a language has commands if a line of it begins so.
const PROGRAMS: [&str; 6] = [
    "aiozfs ",
    "sudo ",
    "mount-scripts/",
    "cargo ",
    "kubectl ",
    "docker ",
];

/// The comment behind a block whose commands no test runs. It goes on with the reason.
const NOT_RUN: &str = "<!-- not run:";

/// A command in a document.
#[derive(Debug, Clone)]
pub struct Line {
    /// File and line.
    pub at: String,
    pub text: String,
    /// Why no test runs it, if the document says so.
    pub reason: Option<String>,
}

pub fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// The pages that users read, below the root.
pub fn pages() -> Vec<PathBuf> {
    let mut pages = [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "web/README.md",
    ]
    .map(PathBuf::from)
    .to_vec();
    let files = fs::read_dir(root().join("doc")).expect("the documents");
    let names = files.map(|file| Path::new("doc").join(file.expect("an entry").file_name()));
    pages.extend(names.filter(|name| name.extension().is_some_and(|end| end == "md")));
    pages.retain(|page| root().join(page).is_file());
    pages.sort();
    pages
}

pub fn read(page: &Path) -> String {
    fs::read_to_string(root().join(page)).expect("a document")
}

/// The commands of a page's blocks, without comments. A line that ends with a backslash goes on in the next one.
pub fn commands(page: &Path) -> Vec<Line> {
    let text = read(page);
    let lines: Vec<&str> = text.lines().collect();
    let mut commands = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let Some(language) = lines[at].trim().strip_prefix("```") else {
            at += 1;
            continue;
        };
        let start = at + 1;
        let len = lines[start..].iter().position(|line| line.trim() == "```");
        let end = start + len.unwrap_or_else(|| panic!("{}:{start}: no end", page.display()));
        let block = &lines[start..end];
        let is_shell = SHELL.contains(&language)
            || language.is_empty()
                && block
                    .iter()
                    .any(|line| PROGRAMS.iter().any(|program| line.starts_with(program)));
        at = end + 1;
        if !is_shell {
            continue;
        }
        let reason = lines.get(at).and_then(|line| line.strip_prefix(NOT_RUN));
        let reason = reason.map(|reason| reason.trim_end_matches("-->").trim().to_owned());
        let mut whole = String::new();
        for (number, line) in block.iter().enumerate() {
            let line = without_comment(line);
            if let Some(begun) = line.strip_suffix('\\') {
                whole += begun;
                continue;
            }
            whole += line;
            let text = std::mem::take(&mut whole);
            if !text.trim().is_empty() {
                commands.push(Line {
                    at: format!("{}:{}", page.display(), start + number + 1),
                    text: text.trim().to_owned(),
                    reason: reason.clone(),
                });
            }
        }
    }
    commands
}

/// A comment begins the line, or has two spaces before it.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with('#') {
        return "";
    }
    let end = line.find("  #").unwrap_or(line.len());
    line[..end].trim_end()
}

/// The words of each simple command in a line: `a && b | c` has three. Quotes are taken off, assignments before
/// a command and `sudo` as well.
pub fn simple_commands(line: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
    let mut quote = None;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(mark), c) if c == mark => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '&' | '|' | ';' | '>' | '<') => {
                words.extend(word.take());
                commands.push(std::mem::take(&mut words));
                while characters.next_if(|c| "&|;>".contains(*c)).is_some() {}
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    commands.push(words);
    for words in &mut commands {
        let assigns = |word: &String| {
            let name = word.split('=').next().unwrap_or_default();
            word.contains('=') && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
        };
        let before = words
            .iter()
            .take_while(|word| *word == "sudo" || assigns(word));
        let before = before.count();
        words.drain(..before);
    }
    commands.retain(|words| !words.is_empty());
    commands
}

/// What stands between backticks in a page's text and begins so, with file and line.
pub fn mentioned(page: &Path, begins: &str) -> Vec<(String, String)> {
    let mut mentioned = Vec::new();
    let mut is_block = false;
    for (number, line) in read(page).lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_block = !is_block;
        }
        if is_block {
            continue;
        }
        for (index, part) in line.split('`').enumerate() {
            if index % 2 == 1 && part.starts_with(begins) {
                let at = format!("{}:{}", page.display(), number + 1);
                mentioned.push((at, part.to_owned()));
            }
        }
    }
    mentioned
}
