//! Completes paths in the archive that the command line names.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use clap::{ArgMatches, FromArgMatches};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use super::line;
use crate::archive::Kind;
use crate::cli::access::{Access, AccessArgs};
use crate::cli::mount_options::MountOptions;
use crate::cli::patterns::lookup;
use crate::cli::{Failure, config, runtime};
use crate::volume::Volume;

/// How long a completion waits for an archive. Without an answer nothing is completed.
const PATIENCE: Duration = Duration::from_secs(3);

/// Completes a path in the archive that the command line names before it.
pub(crate) fn paths() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| paths_of_archive(current).unwrap_or_default())
}

fn paths_of_archive(current: &OsStr) -> Option<Vec<CompletionCandidate>> {
    let access = access_of(&line::arguments()?)?;
    let found = runtime::run(async {
        let opened = tokio::time::timeout(PATIENCE, access.open()).await;
        Ok(below(&opened.map_err(Failure::new)??, current))
    });
    found.ok()?
}

/// The archive that arguments name, with the options that are there to open it.
fn access_of(arguments: &ArgMatches) -> Option<Access> {
    let source = arguments.try_get_one::<String>("source").ok()??;
    let args = AccessArgs::from_arg_matches(arguments).ok()?;
    let location = config::locate(source).ok()?;
    args.resolve(location, &MountOptions::default()).ok()
}

/// The entries of the directory that `current` names a part of, with their paths.
fn below(volume: &Volume, current: &OsStr) -> Option<Vec<CompletionCandidate>> {
    let tree = volume.tree();
    let typed = current.as_bytes();
    let (directory, start) = match typed.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => typed.split_at(slash + 1),
        None => (&b""[..], typed),
    };
    // After `.` and `..`.
    let lines = tree.read_dir(lookup(tree, directory)?, 2)?;
    let lines = lines.filter(|line| line.name.starts_with(start));
    let paths = lines.map(|line| {
        let end = if line.kind == Kind::Dir { "/" } else { "" };
        let path = [directory, line.name, end.as_bytes()].concat();
        CompletionCandidate::new(OsString::from_vec(path))
    });
    Some(paths.collect())
}
