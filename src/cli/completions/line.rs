//! The unfinished command line that a shell completes.

use std::sync::OnceLock;

use clap::{ArgMatches, Command};

/// The whole command line, by which the words are understood.
static PROGRAM: OnceLock<fn() -> Command> = OnceLock::new();

pub(super) fn set_program(program: fn() -> Command) {
    // Set once, before anything is completed.
    let _ = PROGRAM.set(program);
}

/// The arguments of the command in the line, as far as they are there, and variables that stand for options.
pub(super) fn arguments() -> Option<ArgMatches> {
    // The shell's words stand behind `--`.
    let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    let program = PROGRAM.get()?().ignore_errors(true);
    let matches = program.try_get_matches_from(words);
    let (_, mut matches) = matches.ok()?.remove_subcommand()?;
    // For example `cache pin`.
    while let Some((_, below)) = matches.remove_subcommand() {
        matches = below;
    }
    Some(matches)
}
