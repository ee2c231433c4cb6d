//! An archive read without a mount, as `ls`, `info` and `cat` do.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use clap::Args;

use super::access::AccessArgs;
use super::mount_options::MountOptions;
use super::show::quoted;
use super::{Failure, completions, config, job, logging};
use crate::fs::{Ino, Tree};
use crate::reader::Archive;
use crate::volume::{FindError, Volume};

#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    /// The archive: a file, an http(s) URL, an object (s3://BUCKET/KEY, gs:// or az://), a CID,
    /// id:TEXT for an id of another network, or the name of an archive in the configuration
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
    let runtime_of = &runtime;
    let done = opened.and_then(|volume| {
        work(&Unmounted {
            volume,
            runtime: runtime_of,
        })
    });
    // Nothing waits for what was fetched ahead.
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
