//! The command `aiozfs completions`, and the answer to a shell.

use std::process::ExitCode;

use clap::{Args, Command, ValueEnum};
use clap_complete::CompleteEnv;
use clap_complete::env::{Bash, Elvish, EnvCompleter, Zsh};

use super::line;
use crate::cli::{Failure, show};

/// Set by the shell's script when it asks for completions, to the name of the shell.
const ASKED: &str = "AIOZFS_COMPLETE";

/// What bash and zsh need beyond the scripts of `clap_complete`, which take words with the user's quotes.
const BASH: &str = include_str!("script.bash");
const ZSH: &str = include_str!("script.zsh");

/// The script for fish, instead of that of `clap_complete`.
const FISH: &str = include_str!("script.fish");

/// A shell that completes arguments.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
    Elvish,
}

/// Print a script that lets a shell complete the arguments of aiozfs.
///
/// It completes commands, options and their values, names of the configuration, mountpoints, archives in the cache, and
/// paths in archives. Packages have the scripts already.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  source <(aiozfs completions bash)                # in ~/.bashrc
  source <(aiozfs completions zsh)                 # in ~/.zshrc, after compinit
  aiozfs completions fish > ~/.config/fish/completions/aiozfs.fish";

pub(crate) fn completions(args: &CompletionsArgs) -> Result<ExitCode, Failure> {
    show::print(|out| {
        let (shell, more): (&dyn EnvCompleter, _) = match args.shell {
            Shell::Bash => (&Bash, BASH),
            Shell::Zsh => (&Zsh, ZSH),
            Shell::Fish => return out.write_all(FISH.as_bytes()),
            Shell::Elvish => (&Elvish, ""),
        };
        shell.write_registration(ASKED, "aiozfs", "aiozfs", "aiozfs", out)?;
        out.write_all(more.as_bytes())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Answers a shell that asks for completions, and then ends the process. Returns if none asks.
pub(crate) fn answer(program: fn() -> Command) {
    if std::env::var_os(ASKED).is_some() {
        line::set_program(program);
        CompleteEnv::with_factory(program).var(ASKED).complete();
    }
}
