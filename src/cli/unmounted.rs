//! An archive read without a mount, as `ls`, `info` and `cat` do.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser};

use super::access::{Access, AccessArgs};
use super::mount_options::MountOptions;
use super::show::quoted;
use super::{Failure, completions, config, job, logging};
use crate::archive::EntryId;
use crate::fs::{Ino, Tree};
use crate::reader::Archive;
use crate::volume::{FindError, Location, Volume};

#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    /// The archive: a file, an http(s) URL, a CID, id:TEXT for an id of another network, or the
    /// name of an archive in the configuration
    #[arg(add = completions::sources())]
    source: String,
}

#[derive(Debug, Args)]
pub(super) struct ReadArgs {
    #[command(flatten)]
    access: AccessArgs,
    /// Log more; may be given more than once
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

/// An open archive, and the runtime that fetches its bytes.
pub(super) struct Unmounted<'r> {
    pub(super) volume: Volume,
    pub(super) runtime: &'r tokio::runtime::Runtime,
    access: &'r Access,
}

/// Opens the archive and passes it to `work`.
pub(super) fn with_archive(
    source: &SourceArgs,
    args: &ReadArgs,
    work: impl FnOnce(&Unmounted) -> Result<ExitCode, Failure>,
) -> Result<ExitCode, Failure> {
    logging::init(args.verbose);
    let location = config::locate(&source.source)?;
    let mut access = args.access.resolve(location, &MountOptions::default())?;
    access.options.stored_playlists = true;
    let runtime = job::runtime()?;
    let opened = runtime.block_on(access.open());
    let (runtime_of, access_of) = (&runtime, &access);
    let done = opened.and_then(|volume| {
        work(&Unmounted {
            volume,
            runtime: runtime_of,
            access: access_of,
        })
    });
    // Nothing waits for what was fetched ahead.
    runtime.shutdown_background();
    done
}

/// Passes the archive to `work` if it can be opened within `limit`, with no options given. Says nothing.
pub(super) fn glance<T>(
    location: Location,
    limit: Duration,
    work: impl FnOnce(&Volume) -> T,
) -> Option<T> {
    #[derive(Parser)]
    struct NoOptions {
        #[command(flatten)]
        access: AccessArgs,
    }
    let args = NoOptions::try_parse_from(["aiozfs"]).ok()?.access;
    let access = args.resolve(location, &MountOptions::default()).ok()?;
    let runtime = job::runtime().ok()?;
    let opened = runtime.block_on(async { tokio::time::timeout(limit, access.open()).await });
    let done = opened.ok()?.ok().map(|volume| work(&volume));
    runtime.shutdown_background();
    done
}

impl Unmounted<'_> {
    pub(super) fn tree(&self) -> &Tree {
        self.volume.tree()
    }

    pub(super) fn archive(&self) -> &Archive {
        self.volume.archive()
    }

    /// Asks for the password on a terminal if one of these entries needs one and none is given.
    pub(super) fn unlock(&self, entries: &[EntryId]) {
        let decoder = self.volume.decoder();
        let is_locked = entries.iter().any(|id| decoder.is_locked(*id));
        if is_locked && let Some(password) = self.access.password_for(self.archive().index()) {
            decoder.set_password(password);
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
