//! Eviction: which files go when the cache is full.
//!
//! Blocks that were used again, at least a minute after they were written, are kept longer than blocks
//! that were read once: copying a whole archive does not evict what is read every day. If new blocks
//! take more than a tenth of the cache, the oldest of them goes first; otherwise the least recently
//! used file goes. S3-FIFO and 2Q do this with queues. Here the times of the files serve as queues, which all
//! processes share and no crash can damage.

use std::collections::HashMap;
use std::io;

use super::block::BLOCK;
use super::clock::now;
use super::disk::{Disk, Listed, Stat};
use super::metadata::Seen;
use super::pins::{self, Pins};
use super::record;
use super::shared::Shared;
use super::usage::{self, Usage};
use crate::ranges::arrange_by_key;

/// A use at least this many seconds after the write protects a block.
const REUSED_AFTER: i64 = 60;

/// After this many seconds without use, a block is no longer protected.
const PROTECTED_FOR: i64 = 30 * 24 * 3600;

/// A file that belongs to no blob is removed when it is older than this, in seconds: a temporary file that a killed
/// process left, or what was seen of a URL whose blob is gone.
const STRAY_AFTER: i64 = 3600;

/// The least that one eviction frees, in bytes, since it is slow to list all files.
const MIN_FREED: u64 = 4 << 20;

/// The kinds of files that eviction tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// The block of this number.
    Block(u64),
    /// A node of the hash tree, or an artifact, for example the index: small, and needed first.
    Artifact,
    /// Metadata, and what was last seen of the blob's URL. It is evicted with the last of the blob's other files.
    Record,
}

/// A file of a blob.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) blob: usize,
    pub(super) path: String,
    pub(super) what: FileKind,
    pub(super) stat: Stat,
}

/// All files of the cache.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    /// The directories of the blobs.
    pub(super) blobs: Vec<String>,
    pub(super) items: Vec<Item>,
    /// Bytes taken by all of it.
    pub(super) taken: u64,
}

/// How much of a cache of `size` bytes is filled. The rest is a reserve for what other processes write
/// while the files are counted.
pub(super) fn filled(size: u64) -> u64 {
    size - size / 20
}

/// Evicts files if the cache is full; returns whether there is room. `known` includes the `need` bytes
/// that are about to be written.
pub(super) fn make_room(shared: &Shared, known: Usage, need: u64) -> io::Result<bool> {
    let bound = filled(shared.size());
    if known.bytes <= bound && !known.is_stale() {
        return Ok(true);
    }
    let disk = &*shared.disk;
    let Some(_lock) = disk.try_lock("lock")? else {
        // Another process is evicting.
        return Ok(known.bytes <= bound);
    };
    let before = usage::add(disk, 0)?;
    let survey = survey(disk)?;
    let mut taken = survey.taken + need;
    if taken > bound {
        let room = (bound / 20).max(MIN_FREED).min(bound / 2);
        let victims = victims(disk, &survey, taken - (bound - room), shared.size());
        let freed = remove(disk, &survey, &victims);
        let mut status = shared.status.lock();
        status.evicted_files += victims.len() as u64;
        status.evicted_bytes += freed;
        drop(status);
        taken -= freed;
    }
    usage::set(disk, before, taken, now())?;
    Ok(taken <= bound)
}

/// Lists all files, and removes those that nothing needs any more.
pub(super) fn survey(disk: &dyn Disk) -> io::Result<Inventory> {
    let mut survey = Inventory::default();
    for file in list(disk, "tmp")? {
        survey.add_stray(disk, &format!("tmp/{}", file.name), file.stat);
    }
    for blob in list(disk, "blobs")?.iter().filter(|found| found.is_dir) {
        survey.add_blob(disk, format!("blobs/{}", blob.name))?;
    }
    survey.add_urls(disk)?;
    Ok(survey)
}

/// The entries of a directory; none if it does not exist.
pub(super) fn list(disk: &dyn Disk, path: &str) -> io::Result<Vec<Listed>> {
    match disk.list(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

impl Inventory {
    pub(super) fn add_blob(&mut self, disk: &dyn Disk, dir: String) -> io::Result<()> {
        let blob = self.blobs.len();
        for found in list(disk, &dir)? {
            let path = format!("{dir}/{}", found.name);
            match (found.is_dir, &found.name[..]) {
                (true, "data") => {
                    for group in list(disk, &path)?.iter().filter(|found| found.is_dir) {
                        let group = format!("{path}/{}", group.name);
                        for block in list(disk, &group)? {
                            // A file whose name is not a block number is not a block.
                            let number = u64::from_str_radix(&block.name, 16).ok();
                            let number = number.filter(|n| n.checked_mul(BLOCK).is_some());
                            let what = number.map_or(FileKind::Artifact, FileKind::Block);
                            self.add(blob, format!("{group}/{}", block.name), what, block.stat);
                        }
                    }
                }
                (true, _) => {
                    for node in list(disk, &path)? {
                        self.add(
                            blob,
                            format!("{path}/{}", node.name),
                            FileKind::Artifact,
                            node.stat,
                        );
                    }
                }
                (false, "record" | "pins" | "counts") => {
                    self.add(blob, path, FileKind::Record, found.stat);
                }
                (false, _) => self.add(blob, path, FileKind::Artifact, found.stat),
            }
        }
        self.blobs.push(dir);
        Ok(())
    }

    /// Adds what was last seen of each URL to the blob that the URL had then.
    fn add_urls(&mut self, disk: &dyn Disk) -> io::Result<()> {
        let dirs = self.blobs.iter().enumerate();
        let known: HashMap<String, usize> = dirs.map(|(at, dir)| (dir.clone(), at)).collect();
        for url in list(disk, "urls")? {
            let path = format!("urls/{}", url.name);
            let dir = record::read(disk, &path).map(|seen: Seen| seen.dir(&url.name));
            match dir.and_then(|dir| known.get(&dir)) {
                Some(blob) => self.add(*blob, path, FileKind::Record, url.stat),
                None => self.add_stray(disk, &path, url.stat),
            }
        }
        Ok(())
    }

    /// Adds a file that belongs to no blob, unless it is so old that it is removed.
    fn add_stray(&mut self, disk: &dyn Disk, path: &str, stat: Stat) {
        let is_removed = now() - stat.written > STRAY_AFTER && disk.remove(path).is_ok();
        if !is_removed {
            self.taken += stat.taken;
        }
    }

    fn add(&mut self, blob: usize, path: String, what: FileKind, stat: Stat) {
        self.taken += stat.taken;
        self.items.push(Item {
            blob,
            path,
            what,
            stat,
        });
    }
}

/// The items to evict to free `wanted` bytes in a cache of `size` bytes.
pub(super) fn victims(disk: &dyn Disk, survey: &Inventory, wanted: u64, size: u64) -> Vec<usize> {
    let pins: Vec<Pins> = survey.blobs.iter().map(|dir| pins::of(disk, dir)).collect();
    let now = now();
    let (mut new, mut known) = (Vec::new(), Vec::new());
    for (at, item) in survey.items.iter().enumerate() {
        let pins = &pins[item.blob];
        let is_used = now - item.stat.used < PROTECTED_FOR;
        match item.what {
            FileKind::Record => {}
            FileKind::Block(number) if pins.hold(number) => {}
            FileKind::Artifact if !pins.is_empty() => {}
            FileKind::Artifact => known.push(at),
            FileKind::Block(_) if is_used && item.stat.used - item.stat.written >= REUSED_AFTER => {
                known.push(at);
            }
            FileKind::Block(_) => new.push(at),
        }
    }
    let stat = |at: &usize| survey.items[*at].stat;
    // The first to go is last.
    arrange_by_key(&mut new, |at| std::cmp::Reverse(stat(at).written));
    arrange_by_key(&mut known, |at| std::cmp::Reverse(stat(at).used));
    let mut new_bytes: u64 = new.iter().map(|at| stat(at).taken).sum();
    let (mut freed, mut victims) = (0, Vec::new());
    while freed < wanted {
        let from_new = new_bytes > size / 10 || known.is_empty();
        let next = if from_new {
            new.pop().or_else(|| known.pop())
        } else {
            known.pop().or_else(|| new.pop())
        };
        let Some(next) = next else { break };
        if from_new {
            new_bytes = new_bytes.saturating_sub(stat(&next).taken);
        }
        freed += stat(&next).taken;
        victims.push(next);
    }
    victims
}

/// Removes items, and then the blobs that are empty. Returns the bytes freed.
pub(super) fn remove(disk: &dyn Disk, survey: &Inventory, victims: &[usize]) -> u64 {
    let mut left = vec![0usize; survey.blobs.len()];
    let mut touched = vec![false; survey.blobs.len()];
    for item in &survey.items {
        left[item.blob] += usize::from(item.what != FileKind::Record);
    }
    let mut freed = 0;
    for at in victims {
        let item = &survey.items[*at];
        match disk.remove(&item.path) {
            Ok(()) => freed += item.stat.taken,
            Err(e) if e.kind() == io::ErrorKind::NotFound => freed += item.stat.taken,
            Err(_) => continue,
        }
        left[item.blob] -= usize::from(item.what != FileKind::Record);
        touched[item.blob] = true;
    }
    for (blob, dir) in survey.blobs.iter().enumerate() {
        if touched[blob] && left[blob] == 0 {
            freed += remove_empty(disk, survey, blob, dir);
        }
    }
    freed
}

/// Removes a blob that has only metadata left. A process that is about to write to it creates the
/// directories again.
fn remove_empty(disk: &dyn Disk, survey: &Inventory, blob: usize, dir: &str) -> u64 {
    let mut freed = 0;
    let records = survey.items.iter();
    for item in records.filter(|item| item.blob == blob && item.what == FileKind::Record) {
        if disk.remove(&item.path).is_ok() {
            freed += item.stat.taken;
        }
    }
    let groups = list(disk, &format!("{dir}/data")).unwrap_or_default();
    let groups = groups
        .iter()
        .map(|group| format!("{dir}/data/{}", group.name));
    let above = ["data", "nodes"].map(|name| format!("{dir}/{name}"));
    for path in groups.chain(above).chain([dir.to_owned()]) {
        // Fails for a directory that is not empty or does not exist, which is right.
        let _ = disk.remove_dir(&path);
    }
    freed
}

/// Removes a blob and all its files; returns the bytes freed.
pub(super) fn remove_blob(disk: &dyn Disk, dir: &str) -> io::Result<u64> {
    let mut survey = Inventory::default();
    survey.add_blob(disk, dir.to_owned())?;
    let all: Vec<usize> = (0..survey.items.len()).collect();
    let freed = remove(disk, &survey, &all);
    usage::add(disk, -(freed as i64))?;
    Ok(freed)
}
