//! Completes what the configuration names: archives, gateways, stores, libraries; and profiles of AWS.

use std::ffi::OsStr;

use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};

use super::starting_with;
use crate::cli::config::Config;
use crate::stores;

/// Completes an archive: files, and names in the configuration.
pub(crate) fn sources() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| files_or(current, Config::archive_names))
}

/// Completes a list of archives: files, and names in the configuration.
pub(crate) fn libraries() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| files_or(current, Config::library_names))
}

/// Completes the source in `NAME=SOURCE`.
pub(crate) fn added() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let Some((name, source)) = current.to_str().and_then(|text| text.split_once('=')) else {
            return Vec::new();
        };
        let found = files_or(OsStr::new(source), Config::archive_names).into_iter();
        found
            .map(|candidate| candidate.add_prefix(format!("{name}=")))
            .collect()
    })
}

/// Completes the name of a gateway.
pub(crate) fn gateways() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| names(current, Config::gateway_names))
}

/// Completes the name of a store.
pub(crate) fn stores() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| names(current, Config::store_names))
}

/// Completes a profile of AWS.
pub(crate) fn profiles() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let found = stores::profile_names().into_iter();
        starting_with(current, found.map(CompletionCandidate::new))
    })
}

/// Names of the configuration.
fn names(current: &OsStr, names: impl FnOnce(&Config) -> Vec<&str>) -> Vec<CompletionCandidate> {
    // A shell that completes shows no errors.
    let config = Config::load().unwrap_or_default();
    let found = names(&config).into_iter().map(CompletionCandidate::new);
    starting_with(current, found)
}

/// Files, and names of the configuration.
fn files_or(
    current: &OsStr,
    of_config: impl FnOnce(&Config) -> Vec<&str>,
) -> Vec<CompletionCandidate> {
    let mut found = starting_with(current, PathCompleter::any().complete(current));
    found.extend(names(current, of_config));
    found
}
