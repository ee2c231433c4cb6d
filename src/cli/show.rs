//! Text forms of names, modes and times, and writing to standard output.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::LazyLock;

use serde::Serialize;

use super::Failure;
use crate::archive::{Kind, Timestamp};
pub(super) use crate::ranges::hex;

/// Writes a name as it is printed on standard output: quoted for people, the bytes as they are for programs.
pub(super) fn write_name(name: &[u8], out: &mut dyn Write) -> io::Result<()> {
    static IS_FOR_PEOPLE: LazyLock<bool> = LazyLock::new(|| io::stdout().is_terminal());
    if *IS_FOR_PEOPLE {
        out.write_all(quoted(name).as_bytes())
    } else {
        out.write_all(name)
    }
}

/// A part of a name.
enum Part<'a> {
    Plain(char),
    /// Bytes that are escaped.
    Escaped(&'a [u8]),
}

/// A name quoted for a shell, as GNU `ls` prints it on a terminal (`--quoting-style=shell-escape`). Control
/// characters are escaped, and those that change the direction of text.
pub(super) fn quoted(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let is_special = |(at, c): (usize, char)| match c {
        '#' | '~' => at == 0,
        '{' | '}' => text.len() == 1,
        c => " !\"$&'()*;<=>?[\\^`|".contains(c),
    };
    let has_escapes = parts(name).any(|part| matches!(part, Part::Escaped(_)));
    if !has_escapes && !name.is_empty() {
        if !text.char_indices().any(is_special) {
            return text.into_owned();
        }
        if text.contains('\'') && !text.contains(['"', '$', '`', '\\', '!']) {
            return format!("\"{text}\"");
        }
    }
    let mut out = String::from("'");
    let mut in_escape = false;
    for part in parts(name) {
        match part {
            Part::Plain(c) => {
                if std::mem::take(&mut in_escape) {
                    out.push_str("''");
                }
                match c {
                    '\'' => out.push_str("'\\''"),
                    c => out.push(c),
                }
            }
            Part::Escaped(bytes) => {
                if !std::mem::replace(&mut in_escape, true) {
                    out.push_str("'$'");
                }
                bytes.iter().for_each(|byte| out.push_str(&escape(*byte)));
            }
        }
    }
    out.push('\'');
    out
}

fn parts(name: &[u8]) -> impl Iterator<Item = Part<'_>> {
    name.utf8_chunks().flat_map(|chunk| {
        let valid = chunk.valid();
        let chars = valid.char_indices().map(|(at, c)| {
            if is_harmful(c) {
                Part::Escaped(&valid.as_bytes()[at..at + c.len_utf8()])
            } else {
                Part::Plain(c)
            }
        });
        let invalid = Some(chunk.invalid()).filter(|bytes| !bytes.is_empty());
        chars.chain(invalid.map(Part::Escaped))
    })
}

/// Whether it controls a terminal or the direction of text.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        )
        || matches!(c, '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn escape(byte: u8) -> String {
    let letter = match byte {
        7 => 'a',
        8 => 'b',
        9 => 't',
        10 => 'n',
        11 => 'v',
        12 => 'f',
        13 => 'r',
        byte => return format!("\\{byte:03o}"),
    };
    format!("\\{letter}")
}

/// JSON of a value. Characters that control a terminal are written as JSON escapes, which mean the same.
pub(super) fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("plain structures, with names for keys");
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        // They occur only within strings, and all are in the basic plane.
        if is_harmful(c) {
            safe.push_str(&format!("\\u{:04x}", u32::from(c)))
        } else {
            safe.push(c)
        }
    }
    safe
}

/// A text for a terminal: names and addresses may contain control characters.
pub(super) fn printable(text: &str) -> String {
    text.replace(|c: char| c.is_control(), "\u{fffd}")
}

/// A number and what it counts.
pub(super) fn count(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// Rows as a table. The columns in `right` are aligned to the right.
pub(super) fn table<const N: usize>(rows: &[[String; N]], right: &[usize]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| {
            if right.contains(&column) {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Bytes as text, and in hexadecimal if they are not UTF-8.
pub(super) fn text_and_hex(bytes: &[u8]) -> (String, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (
            String::from_utf8_lossy(bytes).into_owned(),
            Some(hex(bytes)),
        ),
    }
}

/// A file that could not be processed, in JSON.
#[derive(Debug, Serialize)]
pub(super) struct Failed {
    pub(super) path: String,
    pub(super) reason: String,
}

/// Writes a JSON array, one value a line.
pub(super) fn json_array<T: Serialize>(
    values: impl Iterator<Item = T>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut rows = JsonRows::default();
    for value in values {
        rows.row(&value, out)?;
    }
    rows.end(out)
}

/// A JSON array that is printed value by value.
#[derive(Default)]
pub(super) struct JsonRows {
    has_begun: bool,
}

impl JsonRows {
    pub(super) fn row(&mut self, value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
        let has_begun = std::mem::replace(&mut self.has_begun, true);
        writeln!(out, "{}", if has_begun { "," } else { "[" })?;
        out.write_all(json(value).as_bytes())
    }

    pub(super) fn end(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(if self.has_begun { b"\n]\n" } else { b"[]\n" })
    }
}

/// The name of a kind in JSON.
pub(super) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Dir => "dir",
        Kind::Symlink => "symlink",
        Kind::Special => "special",
    }
}

/// A size as `ls` and `du` print it, with and without `-h`.
pub(super) fn size(bytes: u64, is_human: bool) -> String {
    if is_human {
        human(bytes)
    } else {
        bytes.to_string()
    }
}

/// A size in powers of 1024, rounded up.
fn human(bytes: u64) -> String {
    if bytes < 1024 {
        return bytes.to_string();
    }
    for (power, unit) in (1..).zip(["K", "M", "G", "T", "P"]) {
        let scale = 1_u64 << (10 * power);
        let tenths = (u128::from(bytes) * 10).div_ceil(scale.into());
        match bytes.div_ceil(scale) {
            _ if tenths < 100 => return format!("{}.{}{unit}", tenths / 10, tenths % 10),
            whole if whole < 1024 => return format!("{whole}{unit}"),
            _ => {}
        }
    }
    format!("{}E", bytes.div_ceil(1 << 60))
}

/// Type and permissions as in `ls -l`.
pub(super) fn mode(kind: Kind, perm: u16) -> String {
    let kind = match kind {
        Kind::File | Kind::Special => '-',
        Kind::Dir => 'd',
        Kind::Symlink => 'l',
    };
    let bits = (0..9).map(|at| match perm & (0o400 >> at) {
        0 => '-',
        _ => ['r', 'w', 'x'][at % 3],
    });
    std::iter::once(kind).chain(bits).collect()
}

/// Date and time of day in UTC, whatever the year: `2024-02-29`, `12:34:56`.
pub(super) fn date_and_time(time: Timestamp) -> (String, String) {
    let (year, month, day) = time.date();
    let secs = time.secs.rem_euclid(86_400);
    (
        format!("{year:04}-{month:02}-{day:02}"),
        format!("{:02}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60),
    )
}

/// RFC 3339, without trailing zeros of a second.
pub(super) fn rfc3339(time: Timestamp) -> String {
    let (date, clock) = date_and_time(time);
    let fraction = format!(".{:09}", time.nanos);
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    format!("{date}T{clock}{fraction}Z")
}

/// Standard output as a file: `Stdout` would search for line ends.
pub(super) fn stdout() -> Result<File, Failure> {
    let fd = io::stdout().as_fd().try_clone_to_owned();
    fd.map(File::from).map_err(|e| cannot_write(&e))
}

/// Prints something on standard output, also something long. A closed pipe is not a failure.
pub(super) fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    print_more(write).map(drop)
}

/// Prints the result of a command: `value` as one JSON object, or what `text` writes for people.
pub(super) fn print_result(
    as_json: bool,
    value: &impl Serialize,
    text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    print(|out| {
        if as_json {
            writeln!(out, "{}", json(value))
        } else {
            text(out)
        }
    })
}

/// As [`print`], for output that comes in parts. Returns whether the reader may want more: not behind a closed pipe.
pub(super) fn print_more(
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<bool, Failure> {
    let mut out = BufWriter::with_capacity(64 * 1024, stdout()?);
    let done = write(&mut out).and_then(|()| out.flush());
    // Without the rest, which would be refused again.
    let _ = out.into_parts();
    printed(done)
}

/// The result of a write to standard output, as [`print_more`] has it.
pub(super) fn printed(done: io::Result<()>) -> Result<bool, Failure> {
    match done {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(cannot_write(&e)),
    }
}

fn cannot_write(e: &io::Error) -> Failure {
    Failure::new(format!("cannot write to standard output: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_on_a_terminal() {
        let table: [(&[u8], &str); 12] = [
            (b"a.ts", "a.ts"),
            (b"", "''"),
            (b"a b", "'a b'"),
            (b"it's", "\"it's\""),
            (b"it's$", "'it'\\''s$'"),
            (b"~a#", "'~a#'"),
            (b"a~#", "a~#"),
            (b"\x1b[31m", "''$'\\033''[31m'"),
            (b"a\nb", "'a'$'\\n''b'"),
            (b"\xff\xfe", "''$'\\377\\376'"),
            ("\u{9b}".as_bytes(), "''$'\\302\\233'"),
            ("a\u{202e}b".as_bytes(), "'a'$'\\342\\200\\256''b'"),
        ];
        for (name, expected) in table {
            assert_eq!(quoted(name), expected);
        }
        assert_eq!(
            json(&"\u{9b}\u{7f}\n\u{202e}ü"),
            r#""\u009b\u007f\n\u202eü""#
        );
    }

    #[test]
    fn sizes_are_those_of_gnu_ls() {
        for (bytes, expected) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1.0K"),
            (1025, "1.1K"),
            (10_138, "10K"),
            (10_189, "10K"),
            (1_048_575, "1.0M"),
            (5 << 30, "5.0G"),
            (u64::MAX, "16E"),
        ] {
            assert_eq!(human(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn times_and_modes() {
        let at = |secs, nanos| rfc3339(Timestamp { secs, nanos });
        assert_eq!(at(0, 0), "1970-01-01T00:00:00Z");
        assert_eq!(at(1_709_210_096, 123_000_000), "2024-02-29T12:34:56.123Z");
        assert_eq!(at(-1, 1), "1969-12-31T23:59:59.000000001Z");
        assert_eq!(at(951_782_400, 0), "2000-02-29T00:00:00Z");
        assert_eq!(at(4_107_542_400, 0), "2100-03-01T00:00:00Z");
        assert_eq!(at(-11_644_473_600, 0), "1601-01-01T00:00:00Z");
        assert_eq!(at(253_402_300_800, 0), "10000-01-01T00:00:00Z");
        assert_eq!(mode(Kind::Dir, 0o750), "drwxr-x---");
        assert_eq!(mode(Kind::Symlink, 0o777), "lrwxrwxrwx");
        assert_eq!(mode(Kind::File, 0o644), "-rw-r--r--");
    }
}
