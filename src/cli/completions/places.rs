//! Completes mountpoints, and archives in the cache.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use clap::FromArgMatches;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use super::{line, starting_with};
use crate::cli::config::Config;
use crate::cli::storage::StorageArgs;
use crate::mount;

/// Completes the directory of a mount of aiozfs, also by a path that is relative to the working directory.
pub(crate) fn mountpoints() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let mounts = mount::mounts().unwrap_or_default().into_iter();
        let here = std::env::current_dir().unwrap_or_default();
        let found = mounts.filter_map(|mount| as_typed(&mount.mountpoint, current, &here));
        starting_with(current, found.map(CompletionCandidate::new))
    })
}

/// The path of a mountpoint in the form that `current` has begun. `None` if it cannot be written so.
fn as_typed(mountpoint: &Path, current: &OsStr, here: &Path) -> Option<OsString> {
    let typed = current.as_bytes();
    if typed.starts_with(b"/") {
        return Some(mountpoint.into());
    }
    let slash = typed.iter().rposition(|byte| *byte == b'/');
    let directory = &typed[..slash.map_or(0, |at| at + 1)];
    let base = here.join(OsStr::from_bytes(directory));
    let rest = match base.canonicalize() {
        Ok(base) => mountpoint.strip_prefix(base).ok(),
        Err(_) => None,
    };
    match rest.filter(|rest| !rest.as_os_str().is_empty()) {
        Some(rest) => {
            let path = [directory, rest.as_os_str().as_bytes()].concat();
            Some(OsString::from_vec(path))
        }
        // Elsewhere, by its whole path.
        None => typed.is_empty().then(|| mountpoint.into()),
    }
}

/// Completes an archive in the cache that the command line or the environment names, by its name and by its id.
pub(crate) fn cached() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let arguments = line::arguments();
        let storage = arguments.and_then(|them| StorageArgs::from_arg_matches(&them).ok());
        let config = Config::load().unwrap_or_default();
        let content = storage.and_then(|storage| storage.content(&config));
        let blobs = content.map(|content| content.blobs);
        let found = blobs.unwrap_or_default().into_iter().flat_map(|blob| {
            // An id is completed only if it was begun: the names alone are all archives.
            let id = (!current.is_empty()).then_some(blob.id);
            [Some(blob.name), id]
        });
        starting_with(current, found.flatten().map(CompletionCandidate::new))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountpoints_are_completed_as_they_are_typed() {
        let dir = tempfile::tempdir().expect("a directory");
        let here = dir.path().canonicalize().expect("its path");
        std::fs::create_dir_all(here.join("a/b")).expect("a directory");
        let mountpoint = here.join("a/b");
        let whole = mountpoint.to_str().expect("a plain path");
        for (typed, expected) in [
            ("", Some("a/b")),
            ("a/", Some("a/b")),
            ("a", Some("a/b")),
            ("./a", Some("./a/b")),
            ("a/../a/", Some("a/../a/b")),
            ("/", Some(whole)),
            ("none/", None),
            ("a/b/", None),
        ] {
            let found = as_typed(&mountpoint, OsStr::new(typed), &here);
            assert_eq!(found.as_deref(), expected.map(OsStr::new), "{typed}");
        }
        let elsewhere = as_typed(Path::new("/mnt/x"), OsStr::new(""), &here);
        assert_eq!(elsewhere.as_deref(), Some(OsStr::new("/mnt/x")));
    }
}
