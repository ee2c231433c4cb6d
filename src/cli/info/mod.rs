//! `aiozfs info`: what an archive contains, in which order, and what cannot be read.

mod playback;
mod report;

use std::process::ExitCode;

use clap::Args;

use super::Failure;
use super::progress::Waiting;
use super::show;
use super::unmounted::{ReadArgs, SourceArgs, with_archive};
use report::Report;

/// Show what an archive contains and in which order, without mounting it.
///
/// Lists what cannot be read or shown, with the reason. Reads playlists to check whether the archive is
/// stored in the order of playback: then playing it is one sequential read.
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
        let waiting = Waiting::for_("reading playlists");
        let playback = unmounted.runtime.block_on(playback::look(unmounted));
        drop(waiting);
        for why in &playback.unread {
            tell!("aiozfs: warning: {}", show::quoted(why.as_bytes()));
        }
        let report = Report::of(unmounted, playback);
        show::print_result(args.json, &report, |out| report.write(out))?;
        Ok(ExitCode::SUCCESS)
    })
}
