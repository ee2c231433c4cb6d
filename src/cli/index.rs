//! `aiozfs index`: the index of an archive as a file.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use indicatif::HumanBytes;
use serde::Serialize;

use super::access::AccessArgs;
use super::atomic_write::replace;
use super::mount_options::MountOptions;
use super::named_file::NamedFile;
use super::unmounted::SourceArgs;
use super::{Failure, config, logging, runtime, show};
use crate::volume;

/// Write the index of an archive, the list of its files and where they lie, to a file.
///
/// With `--index FILE`, the other commands then open the archive without reading its index from it: a tar is not walked
/// again, and the directory of a ZIP is not fetched. A mount keeps the index in the cache anyway; the file is for other
/// machines, and for those that open an archive for the first time. It has the archive's size, its CID or what
/// the server said of its version, and a checksum: an index of another archive is refused.
///
/// This is not `aiozfs fetch --index`, which keeps in the cache where decoding can restart in compressed files.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct IndexArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Print the result as JSON: one object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: AccessArgs,
    /// Log more; may be given more than once
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

const EXAMPLES: &str = "\
Examples:
  aiozfs index https://example.com/photos.tar -o photos.index
  aiozfs mount --index photos.index https://example.com/photos.tar /mnt/photos
  aiozfs ls --index https://example.com/photos.index https://example.com/photos.tar
  aiozfs index bafybei... -o video.index";

/// What was written.
#[derive(Serialize)]
struct Written {
    source: String,
    entries: usize,
    /// Length of the file in bytes.
    size: u64,
}

pub(super) fn index(args: &IndexArgs) -> Result<ExitCode, Failure> {
    logging::init(args.verbose);
    let location = config::locate(&args.source.source)?;
    let access = args.access.resolve(location, &MountOptions::default())?;
    let done = runtime::run(async {
        let opened = access.open_archive().await?;
        let written = replace(&args.output, |out| {
            volume::write_index(&opened.location, &opened.archive, out)
        });
        let meta = written.and_then(|()| fs::metadata(&args.output));
        let meta =
            meta.map_err(|e| NamedFile::of_option("--output", &args.output).unwritable(&e))?;
        Ok(Written {
            source: opened.location.shown().1,
            entries: opened.archive.index().len(),
            size: meta.len(),
        })
    })?;
    show::print_result(args.json, &done, |out| {
        let (source, entries) = (&done.source, done.entries);
        let (output, size) = (args.output.display(), HumanBytes(done.size));
        writeln!(
            out,
            "{source}: the index of {entries} entries is in {output}, {size}"
        )
    })?;
    Ok(ExitCode::SUCCESS)
}
