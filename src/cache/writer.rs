//! The writer: one thread for all mounts of the process. No read waits for it.
//!
//! Parts of one block are collected before it is written, since requests begin and end in the middle of
//! blocks. A block is written under a temporary name and renamed, without fsync: a block that a crash
//! has torn fails its checksums.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::blob::Blob;
use super::block::{BLOCK, HEAD, Head, blocks_of, slices_of, within, without_overlaps};
use super::clock::now;
use super::disk::Handle;
use super::job::{BlockPart, Job};
use super::metadata::{Counts, Metadata};
use super::replace::replace;
use super::shared::{Shared, Work};
use super::{evict, pins, record};
use crate::ranges::RangeSet;

/// How long an incomplete block waits for its next part.
const PART_TIMEOUT: Duration = Duration::from_millis(1500);

/// How often hits and misses are recorded.
const COUNT_INTERVAL: Duration = Duration::from_secs(60);

/// Collected parts of one block.
struct Pending {
    blob: Arc<Blob>,
    parts: Vec<BlockPart>,
    /// Their ranges within the block.
    ranges: RangeSet,
    last: Instant,
}

type BlockId = ([u8; 32], u64);

struct Writer {
    shared: Arc<Shared>,
    pending: HashMap<BlockId, Pending>,
    /// The blobs in use.
    blobs: Vec<Arc<Blob>>,
}

/// Starts the thread; it ends when all senders are dropped.
pub(super) fn start(shared: Arc<Shared>, queue: Receiver<Job>) {
    let writer = Writer::new(shared.clone());
    let thread = std::thread::Builder::new().name("aiozfs-cache".into());
    if let Err(e) = thread.spawn(move || writer.run(&queue)) {
        shared.report_failure(Work::Writing, &e);
    }
}

impl Writer {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            pending: HashMap::new(),
            blobs: Vec::new(),
        }
    }

    fn run(mut self, queue: &Receiver<Job>) {
        let mut counted = Instant::now() + COUNT_INTERVAL;
        loop {
            let due = self.pending.values().map(|p| p.last + PART_TIMEOUT).min();
            let due = due.map_or(counted, |due| due.min(counted));
            if counted <= Instant::now() {
                self.write_counts();
                counted = Instant::now() + COUNT_INTERVAL;
            }
            match queue.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(job) => self.carry_out(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.write_pending(|_| true);
                    return self.write_counts();
                }
            }
            let settled = Instant::now().checked_sub(PART_TIMEOUT);
            self.write_pending(|pending| settled.is_some_and(|settled| pending.last <= settled));
            if self.shared.is_behind() {
                self.write_oldest();
            }
        }
    }

    fn carry_out(&mut self, job: Job) {
        match job {
            Job::Write(part) => self.add(part),
            Job::Forget(blob, range) => {
                for number in blocks_of(&range) {
                    self.pending.remove(&(blob.key.hash, number));
                    self.shared.remove(&blob.block(number));
                }
            }
            Job::Node { path, bytes, .. } => self.put_bytes(&path, &bytes),
            Job::Artifact {
                path,
                key,
                size,
                fill,
            } => {
                // A file this large would evict the blocks that it serves.
                if size <= self.shared.size() / 4 {
                    self.put(&path, size, &|file| {
                        record::write_framed(file, &key, &fill).map(drop)
                    });
                }
            }
            Job::Settle(done) => {
                self.write_pending(|_| true);
                self.write_counts();
                // The caller may have timed out.
                let _ = done.try_send(());
            }
            Job::Seen { path, now, old } => {
                self.put_bytes(&path, &record::seal(&now));
                let disk = &*self.shared.disk;
                // Nothing can refer to the old version any more.
                if let Some(old) = old
                    && pins::of(disk, &old).is_empty()
                    && let Err(e) = evict::remove_blob(disk, &old)
                {
                    self.shared.report_failure(Work::Writing, &e);
                }
            }
            Job::ForgetSeen(path) => self.shared.remove(&path),
            Job::Introduce(blob, metadata) => {
                self.introduce(&blob, &metadata);
                self.blobs.push(blob);
            }
        }
    }

    fn add(&mut self, part: BlockPart) {
        let number = part.offset / BLOCK;
        let id = (part.blob.key.hash, number);
        let pending = self.pending.entry(id).or_insert_with(|| Pending {
            blob: part.blob.clone(),
            parts: Vec::new(),
            ranges: RangeSet::new(),
            last: Instant::now(),
        });
        pending.ranges.insert(within(number, &part.range()));
        pending.parts.push(part);
        pending.last = Instant::now();
        if is_whole(&pending.ranges) {
            self.write_one(id);
        }
    }

    fn write_pending(&mut self, is_due: impl Fn(&Pending) -> bool) {
        let due = self.pending.iter().filter(|(_, pending)| is_due(pending));
        let due: Vec<BlockId> = due.map(|(id, _)| *id).collect();
        for id in due {
            self.write_one(id);
        }
    }

    fn write_oldest(&mut self) {
        let oldest = self.pending.iter().min_by_key(|(_, pending)| pending.last);
        if let Some(id) = oldest.map(|(id, _)| *id) {
            self.write_one(id);
        }
    }

    fn write_one(&mut self, id: BlockId) {
        if let Some(pending) = self.pending.remove(&id) {
            self.write_block(&pending, id.1);
        }
    }

    fn write_block(&self, pending: &Pending, number: u64) {
        if self.shared.is_paused(Work::Writing) {
            return;
        }
        let blob = &pending.blob;
        blob.presence.add(number);
        let start = number * BLOCK;
        let mut ranges = pending.ranges.clone();
        let mut there = Vec::new();
        if !is_whole(&ranges)
            && let Some(block) = self.shared.open_block(blob, number, &(0..0))
        {
            if ranges.iter().all(|range| block.head.ranges().covers(range)) {
                return;
            }
            for run in block.head.ranges().iter() {
                if let Some(bytes) = self.shared.read_run(blob, number, &block, run) {
                    ranges.insert(run.clone());
                    there.push((run.start, bytes));
                }
            }
        }
        let new = (pending.parts.iter()).map(|part| (part.offset - start, &part.bytes[..]));
        let there = there.iter().map(|(at, bytes)| (*at, &bytes[..]));
        let slices = without_overlaps(new.chain(there).collect());
        let head = Head::new(ranges, &slices);
        let pages = (head.ranges().iter()).map(|r| r.end.div_ceil(HEAD) - r.start / HEAD);
        let len = HEAD + pages.sum::<u64>() * HEAD;
        self.put(&blob.block(number), len, &|file| {
            file.write_at(&head.encode(&blob.key.hash, number), 0)?;
            for range in head.ranges().iter() {
                for (at, bytes) in slices_of(&slices, range.clone()) {
                    file.write_at(bytes, HEAD + at)?;
                }
            }
            Ok(())
        });
    }

    fn put_bytes(&self, path: &str, bytes: &[u8]) {
        let len = bytes.len() as u64;
        self.put(path, len, &|file| file.write_at(bytes, 0));
    }

    /// Writes a file of about `len` bytes.
    fn put(&self, path: &str, len: u64, write: &dyn Fn(&dyn Handle) -> io::Result<()>) {
        if !self.shared.is_paused(Work::Writing)
            && let Err(e) = replace(&self.shared, path, len, write)
        {
            self.shared.report_failure(Work::Writing, &e);
        }
    }

    /// Records the blob's metadata, if it is new.
    fn introduce(&self, blob: &Blob, metadata: &Metadata) {
        let path = blob.file("record");
        let known: Option<Metadata> = record::read(&*self.shared.disk, &path);
        let is_known =
            known.is_some_and(|known| known.size == metadata.size && known.kind == metadata.kind);
        if !is_known {
            self.put_bytes(&path, &record::seal(metadata));
        }
    }

    /// Adds the new hits and misses to the recorded ones, and drops the blobs that nobody uses any more.
    fn write_counts(&mut self) {
        for blob in std::mem::take(&mut self.blobs) {
            // Decided before the counts are taken, or the last of them could be lost.
            let is_in_use = Arc::strong_count(&blob) > 1;
            let new = Counts {
                hits: blob.hits.swap(0, Relaxed),
                misses: blob.misses.swap(0, Relaxed),
                last: now(),
            };
            if (new.hits, new.misses) != (0, 0) {
                let path = blob.file("counts");
                let known = record::read(&*self.shared.disk, &path).unwrap_or_default();
                self.put_bytes(&path, &record::seal(&new.and(&known)));
            }
            if is_in_use {
                self.blobs.push(blob);
            }
        }
    }
}

/// Whether these ranges cover a block.
fn is_whole(ranges: &RangeSet) -> bool {
    ranges.covers(&(0..BLOCK))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Folder, Key};

    /// A library closes archives that are idle, and each time that one was opened again the writer kept one more blob.
    #[test]
    fn a_blob_is_dropped_with_its_last_user_after_its_counts_are_written() {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = Arc::new(Folder::open(dir.path()).expect("a cache"));
        let mut writer = Writer::new(Arc::new(Shared::new(disk.clone(), 1 << 30)));
        let key = Key::url("http://h/a", "http://h/a").version("v1", 1000);
        let mut open = || {
            let blob = Blob::new(key.clone());
            let metadata = Metadata::new(&key, 1000, None);
            writer.carry_out(Job::Introduce(blob.clone(), metadata));
            writer.write_counts();
            (blob, writer.blobs.len())
        };
        let (first, one) = open();
        let (second, two) = open();
        assert_eq!((one, two), (1, 2));
        first.hits.fetch_add(5, Relaxed);
        second.hits.fetch_add(7, Relaxed);
        drop((first, second));
        let (last, _) = open();
        assert_eq!(Arc::strong_count(&last), 2);
        assert_eq!(writer.blobs.len(), 1);
        let counts: Option<Counts> = record::read(&*disk, &last.file("counts"));
        assert_eq!(counts.map(|counts| counts.hits), Some(12));
    }
}
