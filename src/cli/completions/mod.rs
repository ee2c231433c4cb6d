//! `aiozfs completions`, and what a shell then completes.
//!
//! The shell runs this program for each completion. So it completes what there is at that moment: names of the
//! configuration, mountpoints, archives in the cache, and paths in the archive that the command line names.

mod command;
mod configured;
mod line;
mod paths;
mod places;
mod values;

pub(super) use command::{CompletionsArgs, answer, completions};
pub(super) use configured::{added, gateways, libraries, profiles, sources, stores};
pub(super) use paths::paths;
pub(super) use places::{cached, mountpoints};
pub(super) use values::{encodings, mount_options, when, yes_or_no};

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use clap_complete::CompletionCandidate;

/// The candidates that begin with what was typed.
fn starting_with(
    start: &OsStr,
    found: impl IntoIterator<Item = CompletionCandidate>,
) -> Vec<CompletionCandidate> {
    let found = found.into_iter();
    let starts = |candidate: &CompletionCandidate| {
        let value = candidate.get_value().as_bytes();
        value.starts_with(start.as_bytes())
    };
    found.filter(starts).collect()
}
