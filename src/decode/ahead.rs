//! Decodes the next small entries before they are read.
//!
//! A program that reads small files in the order of the archive would wait for a change of threads at each
//! of them. Once it has read two neighbours, the next ones are decoded together, as far as their stored
//! bytes have come: read-ahead fetches them.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::codec::{Coding, is_supported};
use super::input::MemoryInput;
use super::large::Shared;
use super::small::is_small;
use super::whole;
use crate::archive::{EntryId, Error};

/// How many entries are decoded together, and how many are kept ready ahead of the reader.
const BATCH: u64 = 16;

/// Entries between two files that may be directories.
const GAP: u64 = 2;

/// One part in this many of the memory for blocks may hold entries that nobody has read.
const SHARE: u64 = 8;

/// Follows a reader of small entries.
#[derive(Default)]
pub(super) struct Ahead {
    /// The position after the entry that was read last.
    next: AtomicU64,
    /// The position after the last entry that was decoded ahead.
    done: AtomicU64,
    is_running: AtomicBool,
}

impl Ahead {
    /// A reader is at a small entry. Has the next ones decoded, if it reads in order. Never waits.
    pub(super) fn reads(self: &Arc<Self>, shared: &Arc<Shared>, id: EntryId) {
        let here = id.index() as u64;
        let next = self.next.swap(here + 1, Relaxed);
        if !(next..=next + GAP).contains(&here) {
            return;
        }
        let done = self.done.load(Relaxed);
        let is_behind = !(here..=here + 2 * BATCH).contains(&done);
        let start = if is_behind {
            here + 1
        } else {
            done.max(here + 1)
        };
        let end = here + 1 + BATCH;
        if start + BATCH / 2 > end || self.is_running.swap(true, Relaxed) {
            return;
        }
        let (this, shared) = (self.clone(), shared.clone());
        shared.clone().workers.spawn(move || {
            let turn = shared.workers.turn();
            turn.take();
            let done = decode(&shared, start..end);
            turn.give();
            this.done.store(done, Relaxed);
            this.is_running.store(false, Relaxed);
        });
    }
}

/// Decodes entries whose stored bytes are in memory. Returns the position of the first one that was not
/// decoded. What is wrong with an entry shows when it is read.
fn decode(shared: &Shared, positions: Range<u64>) -> u64 {
    let index = shared.archive.index();
    let mut room = shared.memory / SHARE;
    for at in positions.clone() {
        let Some(id) = index.id(at as usize) else {
            return at;
        };
        let entry = index.get(id);
        let coding = Coding::of(&entry, 0);
        let is_compressed = matches!(index.stored(id), Err(Error::Compressed { .. }));
        if !is_compressed || !is_small(&coding) || !is_supported(entry.method) {
            continue;
        }
        if coding.size > room {
            return at;
        }
        room -= coding.size;
        let (end, mut stored) = (coding.compressed_size, Vec::new());
        if shared.blocks.get((id, 0)).is_some() {
            continue;
        }
        let archive = &shared.archive;
        if index.readable(id).is_err() || !archive.try_read_stored(id, &(0..end), end, &mut stored)
        {
            return at;
        }
        let mut bytes = Vec::with_capacity(coding.size as usize);
        let input = Box::new(MemoryInput::new(stored));
        let take = |part: &[u8]| bytes.extend_from_slice(part);
        if whole::decode(&coding, Some(entry.crc32), input, take).is_ok() {
            shared.blocks.put((id, 0), &Arc::new(bytes));
        }
    }
    positions.end
}
