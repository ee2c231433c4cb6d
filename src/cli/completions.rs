//! `aiozfs completions`, and what a shell then completes.
//!
//! The shell runs this program for each completion. So it completes the names of archives, paths in them and mountpoints
//! that exist at that moment.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Command, Parser, ValueEnum};
use clap_complete::CompleteEnv;
use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};
use clap_complete::env::Shells;

use super::access::AccessArgs;
use super::config::{self, Config};
use super::mount_options::MountOptions;
use super::show;
use super::{Failure, runtime};
use crate::archive::Kind;
use crate::mount;
use crate::volume::{Location, Volume};

/// Set by the shell's script when it asks for completions, to the name of the shell.
const ASKED: &str = "AIOZFS_COMPLETE";

/// How long a completion waits for an archive. Without an answer nothing is completed.
const PATIENCE: Duration = Duration::from_secs(3);

/// What bash needs beyond the script of `clap_complete`, which leaves words as bash has them.
const BASH: &str = include_str!("completions.bash");

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
/// It completes commands, options, names of archives in the configuration, paths in archives, and mountpoints.
/// Packages have the scripts already.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  source <(aiozfs completions bash)                # in ~/.bashrc
  source <(aiozfs completions zsh)                 # in ~/.zshrc, after compinit
  aiozfs completions fish > ~/.config/fish/completions/aiozfs.fish";

pub(super) fn completions(args: &CompletionsArgs) -> Result<ExitCode, Failure> {
    let name = match args.shell {
        Shell::Bash => "bash",
        Shell::Zsh => "zsh",
        Shell::Fish => "fish",
        Shell::Elvish => "elvish",
    };
    let shells = Shells::builtins();
    let shell = shells.completer(name);
    let shell = shell.ok_or_else(|| Failure::usage(format!("{name} is not supported")))?;
    show::print(|out| {
        shell.write_registration(ASKED, "aiozfs", "aiozfs", "aiozfs", &mut SizedWriter(out))?;
        match args.shell {
            Shell::Bash => out.write_all(BASH.as_bytes()),
            Shell::Zsh | Shell::Fish | Shell::Elvish => Ok(()),
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// A `dyn Write` as a sized one.
struct SizedWriter<'w>(&'w mut dyn io::Write);

impl io::Write for SizedWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Answers a shell that asks for completions, and then ends the process. Returns if none asks.
pub(super) fn answer(program: impl Fn() -> Command) {
    if std::env::var_os(ASKED).is_some() {
        CompleteEnv::with_factory(program).var(ASKED).complete();
    }
}

/// Completes an archive: files, and names in the configuration.
pub(super) fn sources() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let mut found = PathCompleter::any().complete(current);
        if let Ok(config) = Config::load() {
            let names = config.archive_names();
            found.extend(names.map(CompletionCandidate::new));
        }
        starting_with(current, found)
    })
}

/// Completes the directory of a mount of aiozfs.
pub(super) fn mountpoints() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let mounts = mount::mounts().unwrap_or_default().into_iter();
        let found = mounts.map(|mount| CompletionCandidate::new(mount.mountpoint));
        starting_with(current, found.collect())
    })
}

/// Completes a path in the archive that the command line names before it.
pub(super) fn paths() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| paths_of_archive(current).unwrap_or_default())
}

fn starting_with(start: &OsStr, found: Vec<CompletionCandidate>) -> Vec<CompletionCandidate> {
    let starts = |candidate: &CompletionCandidate| {
        let value = candidate.get_value().as_bytes();
        value.starts_with(start.as_bytes())
    };
    found.into_iter().filter(starts).collect()
}

fn paths_of_archive(current: &OsStr) -> Option<Vec<CompletionCandidate>> {
    let words: Vec<OsString> = std::env::args_os()
        .skip_while(|word| word != "--")
        .collect();
    // `--`, the program, the command, and the archive: the first word that is no option.
    let source = words
        .iter()
        .skip(3)
        .find(|word| !word.as_bytes().starts_with(b"-"))?;
    let location = config::locate(source.to_str()?).ok()?;
    let listed = glance(location, PATIENCE, |volume| below(volume, current));
    listed.flatten()
}

/// The entries of the directory that `current` names a part of, with their paths.
fn below(volume: &Volume, current: &OsStr) -> Option<Vec<CompletionCandidate>> {
    let tree = volume.tree();
    let typed = current.as_bytes();
    let (directory, start) = match typed.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => typed.split_at(slash + 1),
        None => (&b""[..], typed),
    };
    let mut at = crate::fs::Ino::ROOT;
    for name in directory
        .split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty())
    {
        at = tree.lookup(at, name)?;
    }
    // After `.` and `..`.
    let lines = tree
        .read_dir(at, 2)?
        .filter(|line| line.name.starts_with(start));
    let path = |name: &[u8], is_directory: bool| {
        let mut path = [directory, name].concat();
        if is_directory {
            path.push(b'/');
        }
        CompletionCandidate::new(OsString::from_vec(path))
    };
    Some(
        lines
            .map(|line| path(line.name, tree.kind(line.ino) == Some(Kind::Dir)))
            .collect(),
    )
}

/// Passes the archive to `work` if it can be opened within `limit`, with no options given. Says nothing.
fn glance<T>(location: Location, limit: Duration, work: impl FnOnce(&Volume) -> T) -> Option<T> {
    #[derive(Parser)]
    struct NoOptions {
        #[command(flatten)]
        access: AccessArgs,
    }
    let args = NoOptions::try_parse_from(["aiozfs"]).ok()?.access;
    let access = args.resolve(location, &MountOptions::default()).ok()?;
    let runtime = runtime::new().ok()?;
    let opened = runtime.block_on(async { tokio::time::timeout(limit, access.open()).await });
    let done = opened.ok()?.ok().map(|volume| work(&volume));
    runtime.shutdown_background();
    done
}
