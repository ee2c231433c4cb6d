//! Files that options and the configuration name, such as tokens, certificates and passwords. Most are small and text.
//!
//! An error of such a file says what named it: a path alone does not tell which of several options is wrong.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::Failure;

/// The longest small file that is read, in bytes.
const MAX_SMALL: u64 = 4 << 20;

/// A file, and what names it.
#[derive(Debug, Clone)]
pub(super) struct NamedFile<'a> {
    path: &'a Path,
    /// `--token-file `, `-o password-file=` or `[gateway.near] token-file `; empty for a file with a fixed place.
    by: String,
}

impl<'a> NamedFile<'a> {
    /// The value of a long option, for example of `--token-file`.
    pub(super) fn of_option(option: &str, path: &'a Path) -> Self {
        let by = format!("{option} ");
        Self { path, by }
    }

    /// The value of a mount option, for example of `password-file`.
    pub(super) fn of_mount_option(option: &str, path: &'a Path) -> Self {
        let by = format!("-o {option}=");
        Self { path, by }
    }

    /// The value of `key` in a table of the configuration, for example of `token-file` in `gateway.near`.
    pub(super) fn of_key(table: &str, key: &str, path: &'a Path) -> Self {
        let by = format!("[{table}] {key} ");
        Self { path, by }
    }

    /// One that `by` names, with what comes between it and the path: `--index ` or `-o index=`.
    pub(super) fn named_by(by: &str, path: &'a Path) -> Self {
        let by = by.to_owned();
        Self { path, by }
    }

    /// A file that is looked for at this path: nothing names it.
    pub(super) fn at(path: &'a Path) -> Self {
        let by = String::new();
        Self { path, by }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &'a Path {
        self.path
    }

    /// A failure for what is written in it.
    pub(super) fn wrong(&self, why: impl fmt::Display) -> Failure {
        Failure::usage(format!("{self}: {why}"))
    }

    /// A failure for what else is wrong with it.
    pub(super) fn failed(&self, why: impl fmt::Display) -> Failure {
        Failure::new(format!("{self}: {why}"))
    }

    /// It cannot be read.
    pub(super) fn unreadable(&self, error: &io::Error) -> Failure {
        self.unusable("read", "there is no such file", error)
    }

    /// It cannot be written.
    pub(super) fn unwritable(&self, error: &io::Error) -> Failure {
        self.unusable("written", "its directory does not exist", error)
    }

    fn unusable(&self, done: &str, missing: &str, error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::NotFound => self.failed(missing),
            io::ErrorKind::IsADirectory => self.failed("it is a directory, not a file"),
            _ => self.failed(format!("it cannot be {done}: {error}")),
        }
    }

    /// Its bytes, of which there are at most `most`. A device or a pipe tells no size, and may have no end.
    pub(super) fn read(&self, most: u64) -> Result<Vec<u8>, Failure> {
        let file = File::open(self.path).map_err(|e| self.unreadable(&e))?;
        let mut bytes = Vec::new();
        let read = file.take(most + 1).read_to_end(&mut bytes);
        read.map_err(|e| self.unreadable(&e))?;
        if bytes.len() as u64 > most {
            return Err(self.wrong(format!(
                "it has more than {most} bytes, the most that a file of this kind has"
            )));
        }
        Ok(bytes)
    }

    /// The bytes of a small file.
    pub(super) fn read_small(&self) -> Result<Vec<u8>, Failure> {
        self.read(MAX_SMALL)
    }

    /// The text of a small file. Errors do not repeat it: it may be secret.
    pub(super) fn read_text(&self) -> Result<String, Failure> {
        let text = String::from_utf8(self.read_small()?);
        text.map_err(|_| self.wrong("it is not text in UTF-8"))
    }
}

impl fmt::Display for NamedFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.by, self.path.display())
    }
}

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
