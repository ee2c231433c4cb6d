//! `aiozfs fetch --index`: decodes compressed files once, so that later mounts seek in them.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use indicatif::HumanBytes;

use super::Failure;
use super::access::Access;
use super::glob::Glob;
use super::progress::Progress;
use crate::archive::{EntryId, Index, Kind, Method};
use crate::cache::Cache;

/// How long to wait for the disk in the end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Decodes the compressed files that `paths` name, or all, and has their checkpoints kept.
pub(super) async fn index(
    access: &Access,
    cache: &Cache,
    paths: &[OsString],
) -> Result<(), Failure> {
    let volume = access.open_unlocked().await?;
    let decoder = volume.decoder();
    let index = volume.archive().index();
    let files = wanted(index, paths)?;
    let total: u64 = files.iter().map(|id| index.get(*id).size).sum();
    let progress = Arc::new(Progress::bytes("indexing", Some(total)));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let passes = stream::iter(&files).map(|id| {
        let (progress, last) = (progress.clone(), AtomicU64::new(0));
        let tell = move |at: u64| progress.add(at.saturating_sub(last.swap(at, Relaxed)));
        async move { (id, decoder.pass(*id, Arc::new(tell)).await) }
    });
    let mut passes = passes.buffer_unordered(cores);
    let mut failed = 0;
    while let Some((id, result)) = passes.next().await {
        if let Err(why) = result {
            failed += 1;
            let path = String::from_utf8_lossy(index.path(*id));
            progress.aside(|| log::error!("{path}: {why}"));
        }
    }
    drop(passes);
    volume.close();
    tokio::task::block_in_place(|| cache.settle(PATIENCE));
    let (shown, count) = (&access.location.shown().1, files.len());
    if failed > 0 {
        return Err(Failure::new(format!(
            "{failed} of {count} compressed files of {shown} could not be decoded"
        )));
    }
    println!(
        "{shown}: {count} compressed files with {} indexed",
        HumanBytes(total)
    );
    Ok(())
}

/// Whether an entry is a file that must be decoded. A sparse member of a tar is only taken apart.
fn is_compressed(index: &Index, id: EntryId) -> bool {
    let is_plain = || index.is_stored(id) || index.get(id).method == Method::Sparse;
    index.kind(id) == Kind::File && !is_plain()
}

/// The compressed files that paths name, the largest first: those that are left in the end are short.
fn wanted(index: &Index, paths: &[OsString]) -> Result<Vec<EntryId>, Failure> {
    let globs: Vec<Glob> = paths.iter().map(|p| Glob::new(p.as_bytes())).collect();
    let mut is_used = vec![false; globs.len()];
    let mut files = Vec::new();
    for id in index.ids() {
        let mut is_wanted = globs.is_empty();
        for (glob, is_used) in globs.iter().zip(&mut is_used) {
            let names = glob.names(index.path(id));
            is_wanted |= names;
            *is_used |= names;
        }
        if is_wanted && is_compressed(index, id) {
            files.push(id);
        }
    }
    if let Some(at) = is_used.iter().position(|is_used| !is_used) {
        let path = paths[at].to_string_lossy();
        return Err(Failure::new(format!("the archive has no '{path}'")));
    }
    files.sort_by_key(|id| std::cmp::Reverse(index.get(*id).size));
    Ok(files)
}
