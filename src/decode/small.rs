//! Small entries, which are decoded whole, and given out only if their size and CRC-32 are right.

use std::collections::HashMap;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OnceCell, oneshot};

use super::blocks::Bytes;
use super::cipher::Key;
use super::codec::Input;
use super::error::Error;
use super::memory::{LARGEST_ROOM, Room, Share};
use super::shared::Shared;
use super::whole;
use crate::archive::{Entry, EntryId, Method};

/// An entry up to this length is small, in plain and in stored bytes.
const SMALL: u64 = LARGEST_ROOM / 2;

/// Up to this length, stored and plain bytes together, a deflated entry is decoded in the task that reads it. That takes
/// less time than waking another thread.
const TINY: u64 = 64 * 1024;

/// How often an entry is fetched at most while its bytes are wrong.
const TRIES: u32 = 3;

/// Reads small entries.
pub(super) struct Small {
    shared: Arc<Shared>,
    /// Those that are being decoded.
    under_way: Mutex<HashMap<EntryId, Arc<OnceCell<Bytes>>>>,
}

/// Whether an entry is small.
pub(super) fn is_small(entry: &Entry) -> bool {
    entry.size <= SMALL && entry.compressed_size <= SMALL
}

/// Whether an entry is decoded in the task that reads it.
fn is_tiny(entry: &Entry) -> bool {
    // The sum of small lengths does not overflow.
    is_small(entry)
        && entry.method == Method::Deflated
        && entry.size + entry.compressed_size <= TINY
}

impl Small {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            under_way: Mutex::default(),
        }
    }

    /// The bytes of an entry, if they are in memory.
    pub(super) fn in_memory(&self, id: EntryId) -> Option<Bytes> {
        self.shared.blocks.get((id, 0))
    }

    /// Decodes an entry in a task of its own if that takes little time and its stored bytes are in memory.
    pub(super) fn decode_ahead(self: &Arc<Self>, id: EntryId, entry: Entry) {
        if !is_tiny(&entry) || self.in_memory(id).is_some() {
            return;
        }
        let this = self.clone();
        self.shared.workers.spawn_task(async move {
            let (end, archive) = (entry.compressed_size, &this.shared.archive);
            if archive.try_read_stored(id, &(0..end), end, &mut Vec::new()) {
                // If it fails, the read that follows fails, too, and reports why.
                let _ = this.get(id, &entry).await;
            }
        });
    }

    /// The bytes of an entry. Those who ask at the same time share one decoder.
    pub(super) async fn get(&self, id: EntryId, entry: &Entry) -> Result<Bytes, Error> {
        if let Some(bytes) = self.in_memory(id) {
            return Ok(bytes);
        }
        let cell = self.under_way.lock().entry(id).or_default().clone();
        let result = cell.get_or_try_init(|| self.make(id, entry)).await.cloned();
        let mut under_way = self.under_way.lock();
        // Another may have its place: of one that came after the others had their bytes.
        if (under_way.get(&id)).is_some_and(|present| Arc::ptr_eq(present, &cell)) {
            under_way.remove(&id);
        }
        result
    }

    async fn make(&self, id: EntryId, entry: &Entry) -> Result<Bytes, Error> {
        let mut tries = 1;
        loop {
            let error = match self.fetch_and_decode(id, *entry).await {
                Ok((bytes, _room)) => {
                    let bytes = Arc::new(bytes);
                    self.shared.blocks.put((id, 0), &bytes);
                    return Ok(bytes);
                }
                Err(error) => error,
            };
            let is_other_data = || self.shared.archive.reject_stored(id);
            if tries == TRIES || !error.is_of_data() || !is_other_data() {
                return Err(error);
            }
            tries += 1;
        }
    }

    async fn fetch_and_decode(&self, id: EntryId, entry: Entry) -> Result<(Vec<u8>, Room), Error> {
        let Shared {
            archive,
            memory,
            workers,
            ..
        } = &*self.shared;
        let key = self.shared.keys.get(id);
        let needs = entry.compressed_size + entry.size;
        if is_tiny(&entry) {
            let at_once = || memory.try_room(needs);
            let later = async { Some(memory.room(needs).await) };
            let (stored, room) = self.fetch(id, &entry, at_once, later).await?;
            let share = memory.share_at_once();
            let decode = || decode(&entry, stored, key.as_deref(), share);
            match catch_unwind(AssertUnwindSafe(decode)) {
                Ok(Ok(bytes)) => return Ok((bytes, room)),
                // A thread may wait for memory.
                Ok(Err(Error::TooMuchMemory { .. })) => {}
                Ok(Err(error)) => return Err(error),
                Err(_panic) => return Err(Error::panicked()),
            }
        }
        // The place first: an entry with room must not wait for threads of its own archive, whose server may be silent.
        let at_once = || Some((workers.try_place()?, memory.try_room(needs)?));
        let later = async { Some((workers.place().await?, memory.room(needs).await)) };
        let (stored, (place, room)) = self.fetch(id, &entry, at_once, later).await?;
        let (tell, told) = oneshot::channel();
        let turn = workers.turn();
        let closed = self.shared.closed.clone();
        let share = memory.share_of(turn.clone(), closed, whole::STEP as u64);
        workers.run(place, move || {
            // Nobody waits for it any longer.
            if tell.is_closed() {
                return;
            }
            turn.take();
            let decode = || decode(&entry, stored, key.as_deref(), share);
            let result = catch_unwind(AssertUnwindSafe(decode));
            turn.give();
            let result = result.unwrap_or_else(|_| Err(Error::panicked()));
            let _ = tell.send(result.map(|bytes| (bytes, room)));
        });
        // It may wait for memory that others hold.
        let told = tokio::time::timeout(archive.timeout(), told).await;
        let told = told.map_err(|_| archive.missed_deadline(id))?;
        told.unwrap_or(Err(Error::Cancelled))
    }

    /// The stored bytes of an entry, and what it takes to decode them: from `at_once` if that is free, else from `later`.
    async fn fetch<T>(
        &self,
        id: EntryId,
        entry: &Entry,
        at_once: impl FnOnce() -> Option<T>,
        later: impl Future<Output = Option<T>>,
    ) -> Result<(Vec<u8>, T), Error> {
        let archive = &self.shared.archive;
        let stored = self.stored(id, entry).await?;
        // Not before: an entry whose server is silent leaves it to others.
        if let Some(taken) = at_once() {
            return Ok((stored, taken));
        }
        drop(stored);
        let taken = self.shared.closed.run_until_cancelled(later);
        let taken = tokio::time::timeout(archive.timeout(), taken).await;
        let taken = taken.map_err(|_| archive.missed_deadline(id))?;
        let taken = taken.flatten().ok_or(Error::Cancelled)?;
        // Only if its bytes are gone by now does it hold `taken` while it fetches them again.
        Ok((self.stored(id, entry).await?, taken))
    }

    async fn stored(&self, id: EntryId, entry: &Entry) -> Result<Vec<u8>, Error> {
        let (archive, end) = (&self.shared.archive, entry.compressed_size);
        let mut stored = Vec::new();
        if !archive.try_read_stored(id, &(0..end), end, &mut stored) {
            stored = archive.read_stored(id, 0..end, end).await?;
        }
        Ok(stored)
    }
}

fn decode(
    entry: &Entry,
    mut stored: Vec<u8>,
    key: Option<&Key>,
    share: Share,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(entry.size as usize);
    let input: Box<dyn Input> = match (entry.encryption, key) {
        (None, _) => Box::new(Cursor::new(stored)),
        (Some(encryption), Some(key)) => {
            let header = encryption.overhead().0 as usize;
            stored.drain(..header.min(stored.len()));
            key.input(Box::new(Cursor::new(stored)), None)?
        }
        (Some(_), None) => return Err(Error::NoPassword),
    };
    whole::decode(entry, input, share, |part| {
        bytes.extend_from_slice(part);
    })?;
    Ok(bytes)
}
