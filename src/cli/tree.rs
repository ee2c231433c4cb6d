//! `aiozfs tree`.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::paint::{ColorArgs, Look, Painter};
use super::patterns::last_first;
use super::show::{self, count};
use super::unmounted::{ReadArgs, SourceArgs, Unmounted, with_archive};
use super::{Failure, completions, units};
use crate::archive::Kind;
use crate::fs::Ino;

/// Draw the directories of an archive as a tree, without mounting it.
///
/// Names are those of the mount, in natural order ("2" before "10"); directories end in '/'.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TreeArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// A directory of the archive [default: all of it]
    #[arg(add = completions::paths())]
    path: Option<OsString>,
    /// Only this many levels
    #[arg(short = 'L', long, value_name = "N", value_parser = units::levels(1))]
    level: Option<usize>,
    /// Only directories
    #[arg(short, long)]
    directories: bool,
    /// Print JSON, as tree(1) does with -J
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    color: ColorArgs,
    #[command(flatten)]
    read: ReadArgs,
}

const EXAMPLES: &str = "\
Examples:
  aiozfs tree bafybei...
  aiozfs tree -L 2 https://example.com/holiday.zip 720p
  aiozfs tree -d ./holiday.zip";

pub(super) fn tree(args: &TreeArgs) -> Result<ExitCode, Failure> {
    with_archive(&args.source, &args.read, |unmounted| {
        let start = match &args.path {
            Some(path) => unmounted.find(path, true)?,
            None => Ino::ROOT,
        };
        let mut drawing = Drawing {
            unmounted,
            args,
            painter: Painter::for_stdout(args.color),
            report: Report {
                r#type: "report",
                directories: 0,
                files: 0,
            },
        };
        show::print(|out| {
            if args.json {
                drawing.json(start, out)
            } else {
                drawing.text(start, out)
            }
        })?;
        Ok(ExitCode::SUCCESS)
    })
}

/// What was drawn, without the start, in the words of tree(1).
#[derive(Serialize)]
struct Report {
    r#type: &'static str,
    directories: u64,
    files: u64,
}

/// A file or directory in JSON, in the words of tree(1).
#[derive(Serialize)]
struct Item {
    r#type: &'static str,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name_hex: Option<String>,
}

struct Drawing<'a> {
    unmounted: &'a Unmounted<'a>,
    args: &'a TreeArgs,
    painter: Painter,
    report: Report,
}

/// Files of a directory that are still to be drawn, the next one last.
type Ahead<'a> = Vec<(&'a [u8], Ino)>;

impl<'a> Drawing<'a> {
    fn text(&mut self, start: Ino, out: &mut dyn Write) -> io::Result<()> {
        let name = self.unmounted.path_or_dot(start);
        self.write_name(&name, start, out)?;
        let mut open = vec![self.children(start)];
        while let Some(ahead) = open.last_mut() {
            let Some((name, ino)) = ahead.pop() else {
                open.pop();
                continue;
            };
            let (last, above) = open.split_last().expect("the one with this file");
            for ahead in above {
                let is_over = ahead.is_empty();
                out.write_all(if is_over { "    " } else { "│   " }.as_bytes())?;
            }
            let corner = if last.is_empty() {
                "└── "
            } else {
                "├── "
            };
            out.write_all(corner.as_bytes())?;
            self.write_name(name, ino, out)?;
            self.count(ino);
            if self.is_drawn_below(open.len()) {
                open.push(self.children(ino));
            }
        }
        let Report {
            directories, files, ..
        } = self.report;
        let mut sum = count(directories, "directory", "directories");
        if !self.args.directories {
            sum += &format!(", {}", count(files, "file", "files"));
        }
        writeln!(out, "\n{sum}")
    }

    fn json(&mut self, start: Ino, out: &mut dyn Write) -> io::Result<()> {
        let name = self.unmounted.path_or_dot(start);
        write!(out, "[\n{}", self.item(&name, start))?;
        // With whether nothing of it was drawn yet.
        let mut open = vec![(self.children(start), true)];
        out.write_all(b",\"contents\":[")?;
        while let Some((ahead, is_first)) = open.last_mut() {
            let Some((name, ino)) = ahead.pop() else {
                out.write_all(b"]}")?;
                open.pop();
                continue;
            };
            out.write_all(if std::mem::take(is_first) {
                b"\n"
            } else {
                b",\n"
            })?;
            out.write_all(self.item(name, ino).as_bytes())?;
            self.count(ino);
            let is_directory = self.unmounted.tree().kind(ino) == Some(Kind::Dir);
            if is_directory && self.is_drawn_below(open.len()) {
                out.write_all(b",\"contents\":[")?;
                open.push((self.children(ino), true));
            } else {
                out.write_all(b"}")?;
            }
        }
        writeln!(out, ",\n{}\n]", show::json(&self.report))
    }

    /// The JSON of a file without its last brace.
    fn item(&self, name: &[u8], ino: Ino) -> String {
        let (name, name_hex) = show::text_and_hex(name);
        let r#type = match self.unmounted.tree().kind(ino) {
            Some(Kind::Dir) => "directory",
            Some(Kind::Symlink) => "link",
            Some(Kind::File | Kind::Special) | None => "file",
        };
        let item = Item {
            r#type,
            name,
            name_hex,
        };
        let mut json = show::json(&item);
        json.pop();
        json
    }

    /// Whether what is in a directory at this depth is drawn.
    fn is_drawn_below(&self, depth: usize) -> bool {
        self.args.level.is_none_or(|level| depth < level)
    }

    fn count(&mut self, ino: Ino) {
        match self.unmounted.tree().kind(ino) {
            Some(Kind::Dir) => self.report.directories += 1,
            _ => self.report.files += 1,
        }
    }

    fn children(&self, dir: Ino) -> Ahead<'a> {
        let lines = last_first(self.unmounted.tree(), dir).into_iter();
        let lines = lines.filter(|line| line.kind == Kind::Dir || !self.args.directories);
        lines.map(|line| (line.name, line.ino)).collect()
    }

    fn write_name(&self, name: &[u8], ino: Ino, out: &mut dyn Write) -> io::Result<()> {
        let attr = self.unmounted.tree().attr(ino);
        let look = attr.map_or(Look::File, |attr| Look::of(&attr));
        self.painter.write(name, look, out)?;
        let is_directory = matches!(look, Look::Directory);
        out.write_all(if is_directory && ino != Ino::ROOT {
            b"/\n"
        } else {
            b"\n"
        })
    }
}
