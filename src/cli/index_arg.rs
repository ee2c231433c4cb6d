//! The index that a command opens an archive with.

use clap::Args;

/// An index that is brought along.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct IndexArg {
    /// Open the archive with this index, which 'aiozfs index' wrote, instead of reading its own: a file, a URL or a CID
    #[arg(long = "index", value_name = "FILE|URL")]
    pub(super) given: Option<String>,
}
