//! `aiozfs extract`.

mod batch;
mod directory;
mod file;
mod part;
mod runs;
mod selection;

use std::ffi::OsString;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueHint};
use futures_util::{FutureExt, StreamExt, stream};
use indicatif::HumanBytes;
use rustix::fs::Mode;
use serde::Serialize;

use super::progress::Progress;
use super::show::{self, Failed, count, quoted};
use super::unmounted::{ReadArgs, SourceArgs, resolve};
use super::{Failure, completions, runtime};
use crate::archive::Kind;
use crate::fs::Ino;
use crate::volume::Volume;
use directory::{Directory, umask};
use file::{Extractor, Outcome, SMALL};
use part::Options;
use runs::with_fetches;
use selection::Selection;

/// How many files are being extracted at the same time: some are read, others wait for the disk.
const FILES_AT_ONCE: usize = 512;

/// Extract files of an archive into a directory.
///
/// Files get the times and permissions that the archive has, and are compared with their CRC-32, and with the
/// authentication code of WinZip's AES. An interrupted
/// command can be run again: files that are complete are skipped, others go on where they ended. Nothing is written
/// outside of the directory: symbolic links that lead out of the archive are not made, and existing links in the
/// directory are not followed.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExtractArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Files and directories of the archive; * ? [a-z] {a,b} and ** as in a shell [default: all]
    #[arg(value_name = "PATH|GLOB", add = completions::paths())]
    paths: Vec<OsString>,
    /// Write to this directory, which is created if it is missing
    #[arg(short = 'C', long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    directory: PathBuf,
    /// Replace files that exist and differ in size or time
    #[arg(long)]
    overwrite: bool,
    /// Do not wait for the disk (fsync) before a file gets its name
    #[arg(long)]
    no_sync: bool,
    /// Extract playlists as they are stored, with range links. Otherwise they are playable in the directory
    #[arg(long)]
    stored_playlists: bool,
    /// Print the result as JSON: one object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    read: ReadArgs,
}

const EXAMPLES: &str = "\
Examples:
  aiozfs extract bafybei... -C ./video
  aiozfs extract https://example.com/holiday.zip '**/*.jpg' -C ~/Pictures
  aiozfs extract --json ./holiday.zip 720p | jq .failed";

/// What was done.
#[derive(Debug, Default, Serialize)]
struct Summary {
    /// Files that were written, symbolic links included.
    files: u64,
    /// Their bytes.
    bytes: u64,
    /// Files that were there already.
    skipped: u64,
    /// Files that could not be extracted.
    failed: Vec<Failed>,
}

pub(crate) fn extract(args: &ExtractArgs) -> Result<ExitCode, Failure> {
    let mut access = resolve(&args.source, &args.read)?;
    access.options.stored_playlists = args.stored_playlists;
    let summary = runtime::run(async {
        let volume = Arc::new(access.open_unlocked().await?);
        let selection = Selection::new(volume.tree(), &args.paths)?;
        // Not before: a mistake in the other arguments leaves no directory behind.
        let target = Directory::root(&args.directory).map_err(|e| {
            let shown = args.directory.display();
            Failure::new(format!(
                "directory {shown}: {e}; give one that can be written"
            ))
        })?;
        Ok(all(&volume, selection, Arc::new(target), args).await)
    })?;
    report(&summary, args)
}

fn report(summary: &Summary, args: &ExtractArgs) -> Result<ExitCode, Failure> {
    let files = |number| count(number, "file", "files");
    show::print_result(args.json, summary, |out| {
        let (written, skipped) = (files(summary.files), summary.skipped);
        let bytes = HumanBytes(summary.bytes);
        writeln!(
            out,
            "{written}, {bytes} extracted; {skipped} were there already"
        )
    })?;
    match summary.failed.len() {
        0 => Ok(ExitCode::SUCCESS),
        failed => Err(Failure::new(format!(
            "{} could not be extracted; when the cause is mended, the same command goes on",
            files(failed as u64)
        ))),
    }
}

/// Extracts the selected files, then links, so that no file is written through one. The times of directories come
/// last, since files that are made in a directory change its time.
async fn all(
    volume: &Arc<Volume>,
    selection: Selection,
    target: Arc<Directory>,
    args: &ExtractArgs,
) -> Summary {
    let options = Options {
        overwrite: args.overwrite,
        sync: !args.no_sync,
        umask: umask(),
    };
    let progress = Progress::bytes("extracting", Some(selection.bytes));
    let extractor = Arc::new(Extractor::new(volume, &target, options, progress));
    let mut summary = Summary::default();
    let mut note = |ino: Ino, done: Result<Outcome, String>| match done {
        Ok(Outcome::Written(bytes)) => {
            summary.files += 1;
            summary.bytes += bytes;
        }
        Ok(Outcome::Skipped) => summary.skipped += 1,
        Err(reason) => {
            let path = volume.tree().path(ino);
            if !args.json {
                extractor
                    .progress
                    .aside(|| tell!("aiozfs: {}: {reason}", quoted(&path)));
            }
            let path = String::from_utf8_lossy(&path).into_owned();
            summary.failed.push(Failed { path, reason });
        }
    };
    for ino in &selection.directories {
        if let Err(e) = target.directory(&volume.tree().path(*ino)) {
            note(*ino, Err(e.to_string()));
        }
    }
    let files = with_fetches(volume, &selection.files, SMALL.into());
    let tasks = files.map(|(ino, fetched)| {
        let work = extractor.clone().extract(ino, fetched);
        // A small file is not worth a task.
        let is_small = extractor.is_small(ino);
        async move {
            if is_small {
                let done = AssertUnwindSafe(work).catch_unwind().await;
                return (ino, done.unwrap_or_else(|_| Err("a panic".to_owned())));
            }
            let done = tokio::spawn(work).await;
            (ino, done.unwrap_or_else(|e| Err(e.to_string())))
        }
    });
    let mut done = stream::iter(tasks).buffer_unordered(FILES_AT_ONCE);
    while let Some((ino, done)) = done.next().await {
        note(ino, done);
    }
    for ino in selection.links {
        note(ino, file::link(volume, ino, &target, args.overwrite).await);
    }
    for ino in selection.directories {
        if let Some(attr) = volume.tree().attr(ino)
            && attr.kind == Kind::Dir
            && let Ok(directory) = target.directory(&volume.tree().path(ino))
        {
            // The files are there even if permissions and times cannot be set.
            let _ = directory.finish(
                Mode::from_raw_mode(attr.perm.into()),
                attr.mtime,
                options.umask,
            );
        }
    }
    summary
}
