//! `aiozfs umount`.

use std::borrow::Cow;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::{Failure, completions, show};
use crate::mount::{self, Holder};

/// Unmount an archive, also while files are open in it or its gateway hangs.
#[derive(Debug, Args)]
#[command(after_help = UMOUNT_EXAMPLES)]
pub(super) struct UmountArgs {
    /// The directory it is mounted on
    #[arg(add = completions::mountpoints())]
    mountpoint: PathBuf,
    /// Print a JSON object: the mountpoint, and the processes whose reads now fail
    #[arg(long)]
    json: bool,
}

const UMOUNT_EXAMPLES: &str = "\
Examples:
  aiozfs umount /mnt/video
  aiozfs umount --json /mnt/video | jq .holders";

/// The result of `umount` in JSON.
#[derive(Serialize)]
struct Unmounted<'a> {
    mountpoint: Cow<'a, str>,
    holders: &'a [Holder],
}

pub(super) fn umount(args: &UmountArgs) -> Result<ExitCode, Failure> {
    let busy = mount::unmount(&args.mountpoint).map_err(Failure::new)?;
    if args.json {
        let done = Unmounted {
            mountpoint: args.mountpoint.to_string_lossy(),
            holders: &busy,
        };
        show::print(|out| writeln!(out, "{}", show::json(&done)))?;
    } else if !busy.is_empty() {
        let holders: Vec<_> = busy.iter().map(Holder::to_string).collect();
        let (mountpoint, holders) = (args.mountpoint.display(), holders.join(", "));
        tell!("aiozfs: {mountpoint} was in use by {holders}; their reads now fail");
    }
    Ok(ExitCode::SUCCESS)
}
