//! An archive read without a mount, as `ls`, `info` and `cat` do.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use clap::Args;
use tokio::runtime::Runtime;

use super::access::{Access, AccessArgs, OPENING};
use super::glob::Glob;
use super::mount_options::MountOptions;
use super::progress::Waiting;
use super::show::quoted;
use super::{Failure, completions, config, logging, patterns, runtime};
use crate::archive::EntryId;
use crate::fs::{Ino, Tree};
use crate::reader::Archive;
use crate::volume::{self, FindError, OpenError, Volume};

#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    /// The archive: a file, an http(s) URL, an object (s3://BUCKET/KEY, gs:// or az://), a CID or a path
    /// below one, id:TEXT for an id of another network, or the name of an archive in the configuration
    #[arg(add = completions::sources())]
    pub(super) source: String,
}

/// The index that an archive is opened with.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct IndexArg {
    /// Open the archive with this index, which 'aiozfs index' wrote, instead of reading its own: a file, a URL or a CID
    #[arg(long = "index", value_name = "FILE|URL", add = completions::sources())]
    pub(super) given: Option<String>,
}

/// The options of commands that read an archive without a mount.
#[derive(Debug, Args)]
pub(super) struct ReadArgs {
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    index: IndexArg,
    /// Log more; may be given more than once
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

/// An open archive, and the runtime that fetches its bytes.
pub(super) struct Unmounted<'r> {
    pub(super) volume: Volume,
    pub(super) runtime: &'r Runtime,
    access: &'r Access,
}

/// Opens the archive and passes it to `work`.
pub(super) fn with_archive(
    source: &SourceArgs,
    args: &ReadArgs,
    work: impl FnOnce(&Unmounted) -> Result<ExitCode, Failure>,
) -> Result<ExitCode, Failure> {
    let access = resolve(source, args)?;
    with_access(&access, work, |runtime| {
        Err(runtime.block_on(access.explain_directory()))
    })
}

/// Where the archive is, and how to read it without a mount: playlists as they are stored.
pub(super) fn resolve(source: &SourceArgs, args: &ReadArgs) -> Result<Access, Failure> {
    logging::init(args.verbose);
    let location = config::locate(&source.source)?;
    let mut access = args.access.resolve(location, &MountOptions::default())?;
    access = access.with_index("--index ", args.index.given.as_deref())?;
    access.options.stored_playlists = true;
    Ok(access)
}

/// Opens the archive at `access` and passes it to `work`. If it is a directory, calls `directory`.
pub(super) fn with_access(
    access: &Access,
    work: impl FnOnce(&Unmounted) -> Result<ExitCode, Failure>,
    directory: impl FnOnce(&Runtime) -> Result<ExitCode, Failure>,
) -> Result<ExitCode, Failure> {
    let runtime = runtime::new()?;
    let waiting = Waiting::for_(OPENING);
    let opened = runtime.block_on(volume::open(&access.location, &access.options));
    drop(waiting);
    let done = match opened {
        Ok(volume) => work(&Unmounted {
            volume,
            runtime: &runtime,
            access,
        }),
        Err(OpenError::Directory(_)) => directory(&runtime),
        Err(error) => Err(runtime.block_on(access.explain(&error))),
    };
    // Nothing waits for what was fetched ahead.
    runtime.shutdown_background();
    done
}

/// What an argument names.
pub(super) enum Named {
    /// The file at this path.
    Literal(Ino),
    /// What matches this pattern.
    Matching(Vec<Ino>),
}

impl Named {
    pub(super) fn inos(self) -> Vec<Ino> {
        match self {
            Self::Literal(ino) => vec![ino],
            Self::Matching(inos) => inos,
        }
    }
}

impl Unmounted<'_> {
    pub(super) fn tree(&self) -> &Tree {
        self.volume.tree()
    }

    pub(super) fn archive(&self) -> &Archive {
        self.volume.archive()
    }

    /// The path of a file; a dot for the root.
    pub(super) fn path_or_dot(&self, ino: Ino) -> Vec<u8> {
        match self.tree().path(ino) {
            path if path.is_empty() => b".".to_vec(),
            path => path,
        }
    }

    /// Asks for the password on a terminal if one of these entries needs one and none is given.
    pub(super) fn unlock(&self, entries: &[EntryId]) {
        let decoder = self.volume.decoder();
        let is_locked = entries.iter().any(|id| decoder.is_locked(*id));
        if is_locked && let Some(password) = self.access.password_for(self.archive().index()) {
            decoder.set_password(password);
        }
    }

    /// The files that an argument names: what `literal` finds, or what matches it as a pattern. With
    /// `or_below` also everything below a directory that matches.
    pub(super) fn named(
        &self,
        argument: &OsStr,
        or_below: bool,
        literal: impl FnOnce() -> Result<Ino, Failure>,
    ) -> Result<Named, Failure> {
        match literal() {
            Err(_) if Glob::is_pattern(argument.as_bytes()) => {
                patterns::matching(self.tree(), argument, or_below).map(Named::Matching)
            }
            found => found.map(Named::Literal),
        }
    }

    /// The file or directory at a path, as [`Volume::find`] finds it.
    pub(super) fn find(&self, path: &OsStr, follow: bool) -> Result<Ino, Failure> {
        let shown = quoted(path.as_bytes());
        let found = self.volume.find(path.as_bytes(), follow);
        self.runtime.block_on(found).map_err(|error| {
            Failure::new(match &error {
                FindError::NotFound => {
                    let archive = &self.volume.origin().1;
                    format!("{archive} has no {shown}; 'aiozfs ls -R' lists what it has")
                }
                FindError::NotADirectory { path } => {
                    let path = quoted(path);
                    format!("{shown}: {path} is a file, and there is nothing below it")
                }
                FindError::Outside { link, target } => {
                    let (link, target) = (quoted(link), quoted(target));
                    format!(
                        "{shown}: the symbolic link {link} leads to {target}, out of the archive"
                    )
                }
                FindError::TooManyLinks(_) | FindError::Link(_) => format!("{shown}: {error}"),
            })
        })
    }
}
