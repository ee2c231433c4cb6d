//! The store: blobs, and what of them is on disk.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::block::{BLOCK, HEAD, Head, PAGE, blocks_of, within};
use super::buffers::Buffers;
use super::disk::{Disk, Handle};
use super::doubt::Doubt;
use super::key::Key;
use super::piece::{Budget, Piece, Room};
use super::shelves::{SHELF, Shelves};
use super::writer::{self, Job};
use super::{record, usage};

/// How to keep.
#[derive(Debug, Clone)]
pub struct CacheOptions {
    /// The most that may be kept, in bytes of the disk.
    pub size: u64,
}

/// What may wait for the disk, in bytes. A link of 1 Gbit/s needs a quarter of a second for that.
const WAITING: usize = 32 << 20;

/// How many reads of the disk may be going on at once.
const LANES: usize = 16;

/// So many bytes of a block are read in the way that is best for much at once.
const LARGE: u64 = 256 << 10;

/// What has failed is not tried for so long, in seconds.
const PAUSE: i64 = 30;

/// A disk that takes longer than this for a read is slow: the network may be faster, and whoever
/// reads has a deadline.
const PATIENCE: Duration = Duration::from_secs(2);

/// A block that is used again after so many seconds is noted as used again.
const NOTED_AFTER: i64 = 60;

/// Bytes of blobs on a disk. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Cache(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) shared: Arc<Shared>,
    jobs: Sender<Job>,
    pub(super) lanes: Arc<Semaphore>,
}

/// What those who read and the one who writes have in common.
pub(super) struct Shared {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) size: u64,
    pub(super) budget: Arc<Budget>,
    buffers: Buffers,
    /// Numbers temporary files.
    pub(super) temporary: AtomicU64,
    warned: AtomicBool,
    /// When it may be written to again, and when it may be read again.
    paused_until: [AtomicI64; 2],
}

/// What is done with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Writing,
    Reading,
}

/// A blob, as far as this process has to do with it.
pub(super) struct Blob {
    pub(super) key: Key,
    /// Its directory.
    pub(super) dir: String,
    pub(super) doubt: Doubt,
    pub(super) shelves: Shelves,
    /// Bytes that came from disk, and that did not.
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
}

/// A block that is on disk.
pub(super) struct OpenBlock {
    file: Box<dyn Handle>,
    pub(super) head: Head,
    /// What of its bytes came along with the head, from the first on.
    beginning: Bytes,
}

/// What there is of a range, from its beginning on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// These bytes.
    There(Bytes),
    /// Nothing up to this place.
    Missing(u64),
}

impl Cache {
    /// A cache on this disk.
    pub fn new(disk: Arc<dyn Disk>, options: &CacheOptions) -> Self {
        let shared = Arc::new(Shared {
            disk,
            size: options.size,
            budget: Budget::new(WAITING),
            buffers: Buffers::default(),
            temporary: AtomicU64::new(0),
            warned: AtomicBool::new(false),
            paused_until: Default::default(),
        });
        let (jobs, queue) = mpsc::channel();
        writer::start(shared.clone(), queue);
        Self(Arc::new(Inner {
            shared,
            jobs,
            lanes: Arc::new(Semaphore::new(LANES)),
        }))
    }

    /// How many bytes of this disk could be the cache's: what is free, and what it has.
    pub fn room(disk: &dyn Disk) -> io::Result<u64> {
        let has = usage::add(disk, 0)?.bytes;
        Ok(disk.free()?.saturating_add(has))
    }

    /// Waits until all that was to be written is, but no longer than this.
    pub fn settle(&self, patience: Duration) {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.0.send(Job::Settle(sender));
        // It may be far behind: what was not written is fetched again one day.
        let _ = receiver.recv_timeout(patience);
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cache")
    }
}

impl Inner {
    /// Room for bytes that wait for the disk; `None` if there is none or nothing is written now.
    pub(super) fn room(&self, bytes: usize) -> Option<Room> {
        match self.shared.is_paused(Work::Writing) {
            true => None,
            false => self.shared.budget.take(bytes),
        }
    }

    pub(super) fn write(&self, piece: Piece) {
        self.send(Job::Piece(piece));
    }

    /// Does something with the disk where waiting is allowed. `None` if the disk is slow: it is then
    /// left alone for a while.
    pub(super) async fn off_the_runtime<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> T + Send + 'static,
    ) -> Option<T> {
        if self.shared.is_paused(Work::Reading) {
            return None;
        }
        let (lanes, shared) = (self.lanes.clone(), self.shared.clone());
        let done = async move {
            let lane = lanes.acquire_owned().await.ok()?;
            let blocking = tokio::task::spawn_blocking(move || {
                let done = work(&shared);
                drop(lane); // also if nobody waits any more
                done
            });
            blocking.await.ok()
        };
        let done = tokio::time::timeout(PATIENCE, done).await;
        done.unwrap_or_else(|_| {
            let slow = format!("nothing came within {} s", PATIENCE.as_secs());
            let slow = io::Error::new(ErrorKind::TimedOut, slow);
            self.shared.complain(Work::Reading, &slow);
            None
        })
    }

    pub(super) fn send(&self, job: Job) {
        // The writer ends with this sender, or by a panic; then nothing is kept.
        let _ = self.jobs.send(job);
    }

    /// Removes all blocks that hold some of `range`: those bytes were wrong.
    pub(super) fn forget(&self, blob: &Arc<Blob>, range: &Range<u64>) {
        blob.doubt.add(range);
        for number in blocks_of(range) {
            self.shared.remove(&blob.block(number));
        }
        // What waits to be written goes, too, and what was being written just now.
        self.send(Job::Forget(blob.clone(), range.clone()));
    }
}

impl Shared {
    /// What there is of `range`, which is not empty. One look gives no more than a block. Pieces
    /// that are shorter than a page and lie in the middle of what is missing count as missing: a
    /// request more would cost more than they bring.
    pub(super) fn look(&self, blob: &Blob, range: &Range<u64>) -> Span {
        for number in blocks_of(range) {
            let start = number * BLOCK;
            let mut wanted = within(number, range);
            let Some(block) = self.open_block(blob, number, &wanted) else {
                self.look_at_shelf(blob, number);
                continue;
            };
            while let Some(run) = block.head.first(&wanted) {
                let at = start + run.start;
                let is_short = run.end - run.start < PAGE && start + run.end < range.end;
                if at > range.start {
                    if is_short {
                        wanted.start = run.end;
                        continue;
                    }
                    return Span::Missing(at);
                }
                match self.read_run(blob, number, &block, &run) {
                    Some(bytes) => return Span::There(bytes),
                    None => break,
                }
            }
        }
        Span::Missing(range.end)
    }

    /// Finds out which blocks are near one that is not there, if that is not known.
    fn look_at_shelf(&self, blob: &Blob, number: u64) {
        let now = Instant::now();
        if self.is_paused(Work::Reading) || !blob.shelves.is_unknown(number, now) {
            return;
        }
        let names = match self.disk.names(&blob.shelf(number)) {
            Err(e) if e.kind() == ErrorKind::NotFound => Vec::new(),
            // Whoever opens one of them is told.
            Err(_) => return,
            Ok(names) => names,
        };
        let numbers = names.iter().map(|name| u64::from_str_radix(name, 16));
        blob.shelves.looked(number, now, numbers.flatten());
    }

    /// A block's file and what it says; a damaged one is removed. `wanted`: what of the block will be
    /// read. Much of it comes along with the head: two reads take a disk nearly twice as long.
    pub(super) fn open_block(
        &self,
        blob: &Blob,
        number: u64,
        wanted: &Range<u64>,
    ) -> Option<OpenBlock> {
        let path = blob.block(number);
        let file = match self.disk.open(&path) {
            Ok(file) => file,
            Err(e) => {
                if e.kind() != ErrorKind::NotFound {
                    self.complain(Work::Reading, &e);
                }
                return None;
            }
        };
        let is_much = wanted.start < PAGE && wanted.end - wanted.start >= LARGE;
        let buffer = is_much.then(|| self.buffers.take()).flatten();
        let read = match buffer {
            Some(mut buffer) => {
                let end = wanted.end.next_multiple_of(PAGE).min(BLOCK);
                let read = file.read_large(&mut buffer[..(HEAD + end) as usize], 0);
                read.map(|read| buffer.freeze(0..read))
            }
            None => {
                let mut bytes = vec![0; HEAD as usize];
                let read = file.read_at(&mut bytes, 0);
                read.map(|read| Bytes::from(bytes).slice(..read))
            }
        };
        let block = read.and_then(|mut beginning| {
            let head = beginning.split_to(beginning.len().min(HEAD as usize));
            let head = Head::decode(&head, blob.key.hash(), number);
            Ok(OpenBlock {
                head: head.ok_or_else(|| damaged("its head"))?,
                file,
                beginning,
            })
        });
        match block {
            Ok(block) => Some(block),
            Err(e) => {
                self.discard(&path, &e);
                None
            }
        }
    }

    /// Reads and proves a run that is there.
    pub(super) fn read_run(
        &self,
        blob: &Blob,
        number: u64,
        block: &OpenBlock,
        run: &Range<u64>,
    ) -> Option<Bytes> {
        let span = block.head.to_prove(run);
        let proven = self.read_span(block, &span).and_then(|bytes| {
            let is_proven = block.head.proves(span.start, &bytes);
            is_proven
                .then_some(bytes)
                .ok_or_else(|| damaged("its content"))
        });
        let bytes = match proven {
            Ok(bytes) => bytes,
            Err(e) => {
                self.discard(&blob.block(number), &e);
                return None;
            }
        };
        self.note_use(&*block.file);
        let from = (run.start - span.start) as usize;
        let to = (run.end - span.start) as usize;
        Some(bytes.slice(from..to))
    }

    /// All bytes of a span of a block, from its file.
    fn read_span(&self, block: &OpenBlock, span: &Range<u64>) -> io::Result<Bytes> {
        let OpenBlock {
            file, beginning, ..
        } = block;
        if span.end <= beginning.len() as u64 {
            return Ok(beginning.slice(span.start as usize..span.end as usize));
        }
        let is_large = span.end - span.start >= LARGE;
        if is_large && let Some(mut buffer) = self.buffers.take() {
            // A disk reads whole pages.
            let start = span.start / HEAD * HEAD;
            let end = span.end.next_multiple_of(HEAD);
            let read = file.read_large(&mut buffer[..(end - start) as usize], HEAD + start)?;
            return match read as u64 >= span.end - start {
                true => {
                    let within = (span.start - start) as usize..(span.end - start) as usize;
                    Ok(buffer.freeze(within))
                }
                false => Err(damaged("its content")),
            };
        }
        let mut bytes = vec![0; (span.end - span.start) as usize];
        match file.read_at(&mut bytes, HEAD + span.start)? {
            read if read == bytes.len() => Ok(bytes.into()),
            _ => Err(damaged("its content")),
        }
    }

    /// That something is used is written down if it was not used for a while.
    pub(super) fn note_use(&self, file: &dyn Handle) {
        if let Ok(stat) = file.stat() {
            let now = now();
            if now - stat.used >= NOTED_AFTER {
                // On a disk that cannot be written it is not known, and matters little.
                let _ = file.set_times(stat.written, now);
            }
        }
    }

    /// A small file, as it is; `None` if it is not there or has more than `most` bytes.
    pub(super) fn read_plain(&self, path: &str, most: usize) -> Option<Vec<u8>> {
        let file = self.disk.open(path).ok()?;
        let bytes = record::read_small(&*file, most).ok()??;
        self.note_use(&*file);
        Some(bytes)
    }

    pub(super) fn discard(&self, path: &str, why: &io::Error) {
        log::info!("cache: {path} is removed: {why}");
        self.remove(path);
    }

    /// Removes a file that is of no use; it may not be there.
    pub(super) fn remove(&self, path: &str) {
        let taken = self.disk.open(path).and_then(|file| file.stat());
        let Ok(stat) = taken else { return };
        match self.disk.remove(path) {
            Ok(()) => drop(usage::add(&*self.disk, -(stat.taken as i64))),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => self.complain(Work::Writing, &e),
        }
    }

    /// Something failed: it is told once, and not done for a while.
    pub(super) fn complain(&self, work: Work, error: &io::Error) {
        self.paused_until[work as usize].store(now() + PAUSE, Relaxed);
        if !self.warned.swap(true, Relaxed) {
            let what = match work {
                Work::Writing => "written",
                Work::Reading => "read",
            };
            log::warn!("cache: it cannot be {what}: {error}; going on without it");
        }
    }

    pub(super) fn is_paused(&self, work: Work) -> bool {
        now() < self.paused_until[work as usize].load(Relaxed)
    }
}

pub(super) fn damaged(what: &str) -> io::Error {
    io::Error::new(
        ErrorKind::InvalidData,
        format!("{what} does not agree with its hash"),
    )
}

impl Blob {
    pub(super) fn new(key: Key) -> Arc<Self> {
        Arc::new(Self {
            dir: format!("blobs/{}", key.hex()),
            key,
            doubt: Doubt::default(),
            shelves: Shelves::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        })
    }

    /// One of its files.
    pub(super) fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.dir)
    }

    /// The file of a block.
    pub(super) fn block(&self, number: u64) -> String {
        format!("{}/{number:x}", self.shelf(number))
    }

    /// Its directory: a thousand blocks each.
    pub(super) fn shelf(&self, number: u64) -> String {
        format!("{}/data/{:x}", self.dir, number / SHELF)
    }
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}
