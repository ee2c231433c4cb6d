//! `aiozfs man`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::Resettable;
use clap::{Args, Command, ValueHint};
use clap_mangen::Man;

use super::Failure;

/// The page that `man mount.aiozfs` shows.
const HELPER_PAGE: (&str, &str) = ("mount.aiozfs.8", ".so man1/aiozfs-mount.1\n");

/// The name of the manual in the head of each page.
const MANUAL: &str = "aiozfs";

/// Write the manual pages, one for each command.
///
/// They are made from the same definitions as --help. Packages have them already.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ManArgs {
    /// The directory to write to; it is created if it is missing
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    directory: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  aiozfs man ./man && man -l ./man/aiozfs-mount.1
  sudo aiozfs man /usr/local/share/man/man1";

/// `program` is the whole command line.
pub(super) fn man(args: &ManArgs, program: Command) -> Result<ExitCode, Failure> {
    let written = write(args, program);
    written.map_err(|e| Failure::new(format!("{}: {e}", args.directory.display())))?;
    Ok(ExitCode::SUCCESS)
}

fn write(args: &ManArgs, program: Command) -> io::Result<()> {
    fs::create_dir_all(&args.directory)?;
    let mut program = program.disable_help_subcommand(true);
    // Gives each command the name of its page, `aiozfs-cache-ls`.
    program.build();
    write_page(&program, &args.directory)?;
    let (name, text) = HELPER_PAGE;
    fs::write(args.directory.join(name), text)
}

/// Writes the page of a command, and the pages of its subcommands.
fn write_page(command: &Command, directory: &Path) -> io::Result<()> {
    let examples = command.get_after_help().map(ToString::to_string);
    // Examples have a section of their own, whose lines stay lines.
    let page = Man::new(command.clone().after_help(Resettable::Reset)).manual(MANUAL);
    let mut text = Vec::new();
    page.render(&mut text)?;
    if let Some(examples) = examples {
        let lines = examples.lines().filter(|line| *line != "Examples:");
        let lines: Vec<_> = lines.map(escaped).collect();
        write!(text, ".SH EXAMPLES\n.nf\n{}\n.fi\n", lines.join("\n"))?;
    }
    fs::write(directory.join(page.get_filename()), text)?;
    let mut shown = command
        .get_subcommands()
        .filter(|below| !below.is_hide_set());
    shown.try_for_each(|below| write_page(below, directory))
}

/// A line of text in roff: a backslash begins an escape, and a dot or quote at the start of a line a request
/// (groff(7)).
fn escaped(line: &str) -> String {
    let line = line.replace('\\', "\\e").replace('-', "\\-");
    if line.starts_with(['.', '\'']) {
        format!("\\&{line}")
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_roff_would_take_for_requests() {
        for (line, roff) in [
            ("  aiozfs ls -l", "  aiozfs ls \\-l"),
            (".hidden", "\\&.hidden"),
            ("grep '\\.ts$'", "grep '\\e.ts$'"),
        ] {
            assert_eq!(escaped(line), roff);
        }
    }
}
