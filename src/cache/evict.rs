//! What has to go when the cache is full.
//!
//! Blocks that were used again, at least a minute after they were written, are worth more than
//! those that just passed: a copy of everything does not push out what is read day by day. New
//! blocks have a tenth of the cache for themselves, and go in the order in which they came; above
//! that, those go that were used longest ago. (S3-FIFO and 2Q do so with queues; here the times of
//! the files are the queues, which all processes share and no crash can damage.)

use std::io;

use super::block::{BLOCK, HEAD};
use super::clock::now;
use super::disk::{Disk, Listed, Stat};
use super::pins::{self, Pins};
use super::shared::Shared;
use super::usage::{self, Usage};

/// Used again so many seconds after it was written, a block is worth more.
const AGAIN: i64 = 60;

/// Not used for so many seconds, it is worth no more than others.
const FADED: i64 = 30 * 24 * 3600;

/// A temporary file of this age, in seconds, was left by a process that is gone.
const LEFT: i64 = 3600;

/// The least that is made room for at once, in bytes: to look at all files takes a while.
const LEAST_ROOM: u64 = 4 << 20;

/// A file's place in the scheme of things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A block of this number.
    Block(u64),
    /// A node of the tree that proves it, or its index: little, and needed first.
    Kept,
    /// What is known of the blob as long as it has anything.
    Record,
}

/// A file of a blob's.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) blob: usize,
    pub(super) path: String,
    pub(super) what: What,
    pub(super) stat: Stat,
}

/// Everything that there is.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// The directories of the blobs.
    pub(super) blobs: Vec<String>,
    pub(super) items: Vec<Item>,
    /// Bytes taken by all of it.
    pub(super) taken: u64,
}

/// What is filled of a cache of this size. What others are writing just now is not seen when all is
/// counted, a block or two each: the rest is for that.
pub(super) fn filled(size: u64) -> u64 {
    size - size / 20
}

/// Makes room if need be; says whether there is. `known` is what is taken with `need` bytes that
/// are about to be written.
pub(super) fn make_room(shared: &Shared, known: Usage, need: u64) -> io::Result<bool> {
    let bound = filled(shared.size);
    if known.bytes <= bound && !known.is_stale() {
        return Ok(true);
    }
    let disk = &*shared.disk;
    let Some(_lock) = disk.try_lock("lock")? else {
        // Somebody is at it.
        return Ok(known.bytes <= bound);
    };
    let before = usage::add(disk, 0)?;
    let survey = survey(disk)?;
    let mut taken = survey.taken + need;
    if taken > bound {
        let room = (bound / 20).max(LEAST_ROOM).min(bound / 2);
        let victims = victims(disk, &survey, taken - (bound - room), shared.size);
        taken -= remove(disk, &survey, &victims);
    }
    usage::set(disk, before, taken, now())?;
    Ok(taken <= bound)
}

/// Looks at all that there is, and removes what processes have left that were killed.
pub(super) fn survey(disk: &dyn Disk) -> io::Result<Survey> {
    let mut survey = Survey::default();
    for left in list(disk, "tmp")? {
        survey.taken += left.stat.taken;
        if now() - left.stat.written > LEFT && disk.remove(&format!("tmp/{}", left.name)).is_ok() {
            survey.taken -= left.stat.taken;
        }
    }
    for blob in list(disk, "blobs")?
        .into_iter()
        .filter(|found| found.is_dir)
    {
        survey.add_blob(disk, format!("blobs/{}", blob.name))?;
    }
    Ok(survey)
}

/// What is in a directory; nothing if it is not there.
pub(super) fn list(disk: &dyn Disk, path: &str) -> io::Result<Vec<Listed>> {
    match disk.list(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

impl Survey {
    pub(super) fn add_blob(&mut self, disk: &dyn Disk, dir: String) -> io::Result<()> {
        let blob = self.blobs.len();
        for found in list(disk, &dir)? {
            let path = format!("{dir}/{}", found.name);
            match (found.is_dir, &found.name[..]) {
                (true, "data") => {
                    for group in list(disk, &path)?.iter().filter(|found| found.is_dir) {
                        let group = format!("{path}/{}", group.name);
                        for block in list(disk, &group)? {
                            // A name that is no number's is nobody's block.
                            let number = u64::from_str_radix(&block.name, 16).ok();
                            let number = number.filter(|n| n.checked_mul(BLOCK).is_some());
                            let what = number.map_or(What::Kept, What::Block);
                            self.add(blob, format!("{group}/{}", block.name), what, block.stat);
                        }
                    }
                }
                (true, _) => {
                    for node in list(disk, &path)? {
                        self.add(blob, format!("{path}/{}", node.name), What::Kept, node.stat);
                    }
                }
                (false, "record" | "pins" | "counts") => {
                    self.add(blob, path, What::Record, found.stat);
                }
                (false, _) => self.add(blob, path, What::Kept, found.stat),
            }
        }
        self.blobs.push(dir);
        Ok(())
    }

    fn add(&mut self, blob: usize, path: String, what: What, stat: Stat) {
        self.taken += stat.taken;
        self.items.push(Item {
            blob,
            path,
            what,
            stat,
        });
    }
}

/// Which of the items go, so that `wanted` bytes come free of a cache of `size`.
pub(super) fn victims(disk: &dyn Disk, survey: &Survey, wanted: u64, size: u64) -> Vec<usize> {
    let pins: Vec<Pins> = survey.blobs.iter().map(|dir| pins::of(disk, dir)).collect();
    let now = now();
    let (mut new, mut known) = (Vec::new(), Vec::new());
    for (at, item) in survey.items.iter().enumerate() {
        let pins = &pins[item.blob];
        let is_used = now - item.stat.used < FADED;
        match item.what {
            What::Record => {}
            What::Block(number) if pins.hold(number) => {}
            What::Kept if !pins.is_empty() => {}
            What::Kept => known.push(at),
            What::Block(_) if is_used && item.stat.used - item.stat.written >= AGAIN => {
                known.push(at);
            }
            What::Block(_) => new.push(at),
        }
    }
    let stat = |at: &usize| survey.items[*at].stat;
    // The first to go comes last.
    new.sort_by_key(|at| std::cmp::Reverse(stat(at).written));
    known.sort_by_key(|at| std::cmp::Reverse(stat(at).used));
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

/// Removes items, and blobs of which nothing is left. Returns how many bytes came free.
pub(super) fn remove(disk: &dyn Disk, survey: &Survey, victims: &[usize]) -> u64 {
    let mut left = vec![0usize; survey.blobs.len()];
    let mut touched = vec![false; survey.blobs.len()];
    for item in &survey.items {
        left[item.blob] += usize::from(item.what != What::Record);
    }
    let mut freed = 0;
    for at in victims {
        let item = &survey.items[*at];
        match disk.remove(&item.path) {
            Ok(()) => freed += item.stat.taken,
            Err(e) if e.kind() == io::ErrorKind::NotFound => freed += item.stat.taken,
            Err(_) => continue,
        }
        left[item.blob] -= usize::from(item.what != What::Record);
        touched[item.blob] = true;
    }
    for (blob, dir) in survey.blobs.iter().enumerate() {
        if touched[blob] && left[blob] == 0 {
            freed += remove_empty(disk, survey, blob, dir);
        }
    }
    freed
}

/// Removes a blob that has nothing but its records. If another process is just about to write some
/// of it, it makes the directories again.
fn remove_empty(disk: &dyn Disk, survey: &Survey, blob: usize, dir: &str) -> u64 {
    let mut freed = 0;
    let records = survey.items.iter();
    for item in records.filter(|item| item.blob == blob && item.what == What::Record) {
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
        // One that is not empty, or not there, stays as it is.
        let _ = disk.remove_dir(&path);
    }
    freed
}

/// Removes a blob and all that it has; returns how many bytes came free.
pub(super) fn remove_blob(disk: &dyn Disk, dir: &str) -> io::Result<u64> {
    let mut survey = Survey::default();
    survey.add_blob(disk, dir.to_owned())?;
    let all: Vec<usize> = (0..survey.items.len()).collect();
    let freed = remove(disk, &survey, &all);
    usage::add(disk, -(freed as i64))?;
    Ok(freed)
}

/// What a file of `len` bytes takes, as disks nearly always count.
pub(super) fn taken_by(len: u64) -> u64 {
    len.next_multiple_of(HEAD)
}
