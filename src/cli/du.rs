//! `aiozfs du`.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{ArgAction, Args};
use serde::Serialize;

use super::patterns::last_first;
use super::show::{self, JsonRows};
use super::unmounted::{ReadArgs, SourceArgs, Unmounted, with_archive};
use super::{Failure, completions, units};
use crate::archive::Kind;
use crate::fs::Ino;

/// Show how much files and directories take: their size, and their size in the archive.
///
/// One line for each directory, with all that is below it: bytes, bytes in the archive (fewer if files are
/// compressed), path. A file with several names counts once.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, disable_help_flag = true)]
pub(super) struct DuArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Files and directories of the archive; * ? [a-z] {a,b} and ** as in a shell [default: all of it]
    #[arg(value_name = "PATH|GLOB", add = completions::paths())]
    paths: Vec<OsString>,
    /// Also list files
    #[arg(short, long)]
    all: bool,
    /// Print sizes like 1.5K and 234M
    #[arg(short = 'h', long)]
    human_readable: bool,
    /// Only the sum of each PATH
    #[arg(short, long, conflicts_with_all = ["all", "max_depth"])]
    summarize: bool,
    /// Only directories at most this many levels below each PATH
    #[arg(short = 'd', long, value_name = "N", value_parser = units::levels(0))]
    max_depth: Option<usize>,
    /// Print a JSON array, one directory or file a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    read: ReadArgs,
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

const EXAMPLES: &str = "\
Examples:
  aiozfs du -h -d 1 bafybei...
  aiozfs du -sh https://example.com/holiday.zip '*.mp4'
  aiozfs du --json ./logs.zip | jq '.[] | select(.size > 10 * .stored) | .path'";

pub(super) fn du(args: &DuArgs) -> Result<ExitCode, Failure> {
    with_archive(&args.source, &args.read, |unmounted| {
        let mut named = Vec::new();
        for path in &args.paths {
            let literal = || unmounted.find(path, false);
            named.extend(unmounted.named(path, false, literal)?.inos());
        }
        if named.is_empty() {
            named.push(Ino::ROOT);
        }
        let mut usage = Usage {
            unmounted,
            args,
            counted: HashSet::new(),
            rows: JsonRows::default(),
        };
        show::print(|out| usage.write(&named, out))?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Sums of a directory, or a file.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Sum {
    /// Bytes of files as they are read.
    size: u64,
    /// Their bytes in the archive.
    stored: u64,
    files: u64,
}

#[derive(Serialize)]
struct Row {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    kind: &'static str,
    #[serde(flatten)]
    sum: Sum,
}

struct Usage<'a> {
    unmounted: &'a Unmounted<'a>,
    args: &'a DuArgs,
    /// Files with several names that were counted.
    counted: HashSet<Ino>,
    rows: JsonRows,
}

/// A directory whose content is being summed.
struct Open {
    ino: Ino,
    sum: Sum,
    /// What is in it and still to be counted, the next one last.
    ahead: Vec<Ino>,
}

impl Usage<'_> {
    fn write(&mut self, named: &[Ino], out: &mut dyn Write) -> io::Result<()> {
        for ino in named {
            self.walk(*ino, out)?;
        }
        if self.args.json {
            self.rows.end(out)?;
        }
        Ok(())
    }

    /// Prints `start` and what is below it, directories after their content.
    fn walk(&mut self, start: Ino, out: &mut dyn Write) -> io::Result<()> {
        if self.unmounted.tree().kind(start) != Some(Kind::Dir) {
            let sum = self.file(start);
            return self.row(start, sum, out);
        }
        let mut above: Vec<Open> = Vec::new();
        let mut here = self.open(start);
        loop {
            let depth = above.len();
            if let Some(ino) = here.ahead.pop() {
                if self.unmounted.tree().kind(ino) == Some(Kind::Dir) {
                    above.push(std::mem::replace(&mut here, self.open(ino)));
                    continue;
                }
                let sum = self.file(ino);
                here.sum.add(sum);
                if self.args.all && self.is_shown(depth + 1) {
                    self.row(ino, sum, out)?;
                }
                continue;
            }
            if self.is_shown(depth) {
                self.row(here.ino, here.sum, out)?;
            }
            let Some(mut outer) = above.pop() else {
                return Ok(());
            };
            outer.sum.add(here.sum);
            here = outer;
        }
    }

    fn is_shown(&self, depth: usize) -> bool {
        let deepest = if self.args.summarize {
            Some(0)
        } else {
            self.args.max_depth
        };
        deepest.is_none_or(|deepest| depth <= deepest)
    }

    fn open(&self, ino: Ino) -> Open {
        let lines = last_first(self.unmounted.tree(), ino).into_iter();
        Open {
            ino,
            sum: Sum::default(),
            ahead: lines.map(|line| line.ino).collect(),
        }
    }

    fn file(&mut self, ino: Ino) -> Sum {
        let tree = self.unmounted.tree();
        let attr = tree.attr(ino).expect("an inode that the tree itself gave");
        if attr.nlink > 1 && !self.counted.insert(attr.ino) {
            return Sum::default();
        }
        let index = self.unmounted.archive().index();
        let stored = tree.entry(ino).map(|id| index.get(id).compressed_size);
        Sum {
            size: attr.size,
            stored: stored.unwrap_or(0),
            files: 1,
        }
    }

    fn row(&mut self, ino: Ino, sum: Sum, out: &mut dyn Write) -> io::Result<()> {
        let tree = self.unmounted.tree();
        let path = self.unmounted.path_or_dot(ino);
        if self.args.json {
            let (path, path_hex) = show::text_and_hex(&path);
            let kind = tree.kind(ino).expect("an inode that the tree itself gave");
            let row = Row {
                path,
                path_hex,
                kind: show::kind(kind),
                sum,
            };
            return self.rows.row(&row, out);
        }
        let text = |bytes| show::size(bytes, self.args.human_readable);
        write!(out, "{}\t{}\t", text(sum.size), text(sum.stored))?;
        show::write_name(&path, out)?;
        out.write_all(b"\n")
    }
}

impl Sum {
    /// An archive may claim sizes whose sum no number of 64 bits holds.
    fn add(&mut self, other: Sum) {
        self.size = self.size.saturating_add(other.size);
        self.stored = self.stored.saturating_add(other.stored);
        self.files += other.files;
    }
}
