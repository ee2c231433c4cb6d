//! `aiozfs fetch --index`: decodes compressed files once, so that later mounts seek in them.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use indicatif::HumanBytes;
use serde::Serialize;

use super::Failure;
use super::access::Access;
use super::patterns::selected;
use super::progress::Progress;
use super::show::{self, Failed};
use crate::archive::{EntryId, Index, Kind, Method};
use crate::cache::Cache;
use crate::ranges::arrange_by_key;

/// How long to wait for the disk in the end.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was indexed.
#[derive(Serialize)]
pub(super) struct Indexed {
    source: String,
    files: usize,
    /// Bytes of these files.
    bytes: u64,
    failed: Vec<Failed>,
}

impl Indexed {
    /// Prints it. Fails if a file could not be decoded.
    pub(super) fn report(&self, json: bool) -> Result<ExitCode, Failure> {
        let (source, files) = (&self.source, self.files);
        let failed = self.failed.len();
        show::print_result(json, self, |out| match failed {
            0 => writeln!(
                out,
                "{source}: {files} compressed files with {} indexed",
                HumanBytes(self.bytes)
            ),
            _ => Ok(()),
        })?;
        match failed {
            0 => Ok(ExitCode::SUCCESS),
            _ => Err(Failure::new(format!(
                "{failed} of {files} compressed files of {source} could not be decoded"
            ))),
        }
    }
}

/// Decodes the compressed files that `paths` name, or all, and has their checkpoints kept.
pub(super) async fn index(
    access: &Access,
    cache: &Cache,
    paths: &[OsString],
) -> Result<Indexed, Failure> {
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
    let mut failed = Vec::new();
    while let Some((id, result)) = passes.next().await {
        if let Err(why) = result {
            let path = String::from_utf8_lossy(index.path(*id)).into_owned();
            progress.aside(|| log::error!("{path}: {why}"));
            let reason = why.to_string();
            failed.push(Failed { path, reason });
        }
    }
    drop(passes);
    volume.close();
    tokio::task::block_in_place(|| cache.settle(PATIENCE));
    Ok(Indexed {
        source: access.location.shown().1,
        files: files.len(),
        bytes: total,
        failed,
    })
}

/// Whether an entry is a file that must be decoded. A sparse member of a tar is only taken apart.
fn is_compressed(index: &Index, id: EntryId) -> bool {
    let is_plain = || index.is_stored(id) || index.get(id).method == Method::Sparse;
    index.kind(id) == Kind::File && !is_plain()
}

/// The compressed files that paths name, the largest first: those that are left in the end are short.
fn wanted(index: &Index, paths: &[OsString]) -> Result<Vec<EntryId>, Failure> {
    let mut files = selected(paths, index)?;
    files.retain(|id| is_compressed(index, *id));
    arrange_by_key(&mut files, |id| std::cmp::Reverse(index.get(*id).size));
    Ok(files)
}
