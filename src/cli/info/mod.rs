//! `aiozfs info`: what an archive is, how it lies on the line, and what of it cannot be had.

mod playback;
mod report;

use std::process::ExitCode;

use clap::Args;

use super::Failure;
use super::show;
use super::unmounted::{ReadArgs, SourceArgs, with_archive};
use report::Report;

/// Tell what an archive holds and how it lies, without mounting it.
///
/// What cannot be read or shown is named, with the reason. Playlists are read to see whether the
/// archive lies in the order in which it is played: then playing it is one sequential read.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct InfoArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    read: ReadArgs,
}

const EXAMPLES: &str = "\
Examples:
  aiozfs info bafybei...
  aiozfs info --json https://example.com/holiday.zip | jq .playback.in_order";

pub(super) fn info(args: &InfoArgs) -> Result<ExitCode, Failure> {
    with_archive(&args.source, &args.read, |unmounted| {
        let playback = unmounted.runtime.block_on(playback::look(unmounted));
        for why in &playback.failed {
            eprintln!("aiozfs: warning: {}", show::quoted(why.as_bytes()));
        }
        let report = Report::of(unmounted, playback);
        show::print(|out| match args.json {
            true => writeln!(out, "{}", show::json(&report)),
            false => report.write(out),
        })?;
        Ok(ExitCode::SUCCESS)
    })
}
