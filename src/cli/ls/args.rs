//! What `aiozfs ls` is asked to do.

use std::ffi::OsString;

use clap::{ArgAction, Args};

use crate::cli::completions;
use crate::cli::paint::ColorArgs;
use crate::cli::unmounted::{ReadArgs, SourceArgs};

/// List the files of an archive, without mounting it, or the archives in a directory.
///
/// A directory is one of IPFS, whose files are all listed, a prefix in an object store (s3://BUCKET/PREFIX/), the
/// index of a web server, or a directory of this machine.
///
/// Names are those of the mount, in natural order ("2" before "10"); directories end in '/'. Names that begin with
/// a dot are listed as well. On a terminal, names are in columns and colours, and those with special characters are
/// quoted as by GNU ls.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, disable_help_flag = true)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    pub(super) source: SourceArgs,
    /// Files and directories of the archive; * ? [a-z] {a,b} and ** as in a shell [default: all of it]
    #[arg(value_name = "PATH|GLOB", add = completions::paths())]
    pub(super) paths: Vec<OsString>,
    /// Also print type and permissions, user/group in the archive, size, time (UTC), targets of symbolic
    /// links, and what cannot be read
    #[arg(short, long)]
    pub(super) long: bool,
    /// Also list all directories below, with full paths
    #[arg(short = 'R', long)]
    pub(super) recursive: bool,
    /// Print sizes like 1.5K and 234M
    #[arg(short = 'h', long)]
    pub(super) human_readable: bool,
    /// Newest first
    #[arg(short = 't', overrides_with = "by_size")]
    pub(super) by_time: bool,
    /// Largest first
    #[arg(short = 'S', overrides_with = "by_time")]
    pub(super) by_size: bool,
    /// In reverse order
    #[arg(short, long)]
    pub(super) reverse: bool,
    /// One name a line, as in a pipe
    #[arg(short = '1')]
    pub(super) one: bool,
    /// For the habit: nothing is left out without it
    #[arg(short, long)]
    pub(super) all: bool,
    /// Print a JSON array, one file a line, with all metadata; targets of symbolic links with -l. For a
    /// path that is not UTF-8, 'path_hex' has its exact bytes
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) color: ColorArgs,
    #[command(flatten)]
    pub(super) read: ReadArgs,
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    pub(super) help: Option<bool>,
}

const EXAMPLES: &str = "\
Examples:
  aiozfs ls bafybei...
  aiozfs ls -l bafybei.../videos/holiday.zip
  aiozfs ls -lhS https://example.com/holiday.zip '*.{mp4,mkv}'
  aiozfs ls s3://bucket/films/
  aiozfs ls https://example.com/films/
  aiozfs ls -R ./holiday.zip | grep '\\.m3u8$'
  aiozfs ls -R --json ./holiday.zip | jq '.[] | select(.method != \"stored\") | .path'";
