//! The content of any entry: as it is stored, or decoded.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use futures_util::future::join;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::checkpoint_store::CheckpointStore;
use super::cipher::Key;
use super::codec::check;
use super::decoding::Decoding;
use super::error::Error;
use super::large::Large;
use super::password::Password;
use super::shared::{OnWrong, Shared, Work};
use super::small::{Small, is_small};
use super::sparse;
use crate::archive::{Entry, EntryId, Method};
use crate::reader::Archive;

/// The most large entries that are remembered without a walk in them.
const IDLE: usize = 256;

/// Reads the content of entries.
pub struct Decoder {
    shared: Arc<Shared>,
    small: Arc<Small>,
    large: Mutex<HashMap<EntryId, Arc<Large>>>,
}

impl Decoder {
    /// Reads entries of `archive`. Checkpoints are kept in `store`. `spacing` is the least distance of
    /// checkpoints in plain bytes; `None` means the usual one. Must be called within a tokio runtime.
    /// `password` is that of encrypted entries. `decoding` is shared with the archives that share memory with this one.
    pub fn new(
        archive: Arc<Archive>,
        store: Option<Box<dyn CheckpointStore>>,
        spacing: Option<u64>,
        password: Option<Password>,
        decoding: &Decoding,
    ) -> Self {
        let shared = Arc::new(Shared::new(archive, store, spacing, password, decoding));
        Self {
            small: Arc::new(Small::new(shared.clone())),
            shared,
            large: Mutex::default(),
        }
    }

    /// The archive as it is stored.
    pub fn archive(&self) -> &Arc<Archive> {
        &self.shared.archive
    }

    /// What walks have done so far.
    pub fn work(&self) -> &Work {
        &self.shared.work
    }

    /// Sets what is called with an entry whose content turned out to be wrong after some of it was given
    /// out. Only the first call counts.
    pub fn on_wrong(&self, report: Arc<OnWrong>) {
        let of_stored = report.clone();
        self.archive().on_wrong(Box::new(move |id| of_stored(id)));
        let _ = self.shared.on_wrong.set(report);
    }

    /// Whether an entry's content can be read.
    ///
    /// # Errors
    /// The reason, if it cannot.
    pub fn readable(&self, id: EntryId) -> Result<(), Error> {
        let index = self.archive().index();
        index.readable(id).map_err(crate::reader::Error::from)?;
        check(&index.get(id))
    }

    /// Sets the password of encrypted entries. Only the first one counts.
    pub fn set_password(&self, password: Password) {
        let _ = self.shared.keys.password.set(password);
    }

    /// Whether an entry's password was not compared yet.
    pub fn is_locked(&self, id: EntryId) -> bool {
        self.entry(id).encryption.is_some() && self.shared.keys.get(id).is_none()
    }

    /// Checks the password of an encrypted entry by the entry's own check value. Does nothing for other entries.
    /// Callers may leave this out: the first read of an entry checks the password, too.
    ///
    /// # Errors
    /// If there is no password, or if it is wrong.
    pub async fn unlock(&self, id: EntryId) -> Result<(), Error> {
        let archive = self.archive();
        let entry = self.entry(id);
        let Some(encryption) = entry.encryption else {
            return Ok(());
        };
        if self.shared.keys.get(id).is_some() {
            return Ok(());
        }
        let password = self.shared.keys.password.get().cloned();
        let password = password.ok_or(Error::NoPassword)?;
        let header = encryption.overhead().0.min(entry.compressed_size);
        let header = archive.read_stored(id, 0..header, header).await?;
        let (tell, told) = oneshot::channel();
        let turn = self.shared.workers.turn();
        self.shared.workers.spawn(move || {
            turn.take();
            let stored = entry.compressed_size;
            let key = Key::unlock(encryption, &header, stored, password.bytes());
            turn.give();
            let _ = tell.send(key);
        });
        // It may wait for a thread or a core that others hold.
        let told = tokio::time::timeout(archive.timeout(), told).await;
        let told = told.map_err(|_| archive.missed_deadline(id))?;
        let key = told.unwrap_or(Err(Error::Cancelled))?;
        self.shared.keys.put(id, Arc::new(key));
        Ok(())
    }

    /// A program has opened an entry, and will probably read it. Decodes it meanwhile if that takes little time and
    /// no request. Never waits.
    pub fn opened(&self, id: EntryId) {
        if !self.archive().index().is_stored(id) && !self.is_locked(id) {
            self.small.decode_ahead(id, self.entry(id));
        }
    }

    /// Appends `range` of the content to `out` if all of it is in memory and not known to be wrong;
    /// otherwise leaves `out` alone and returns false. Never waits.
    pub fn try_read(&self, id: EntryId, range: &Range<u64>, out: &mut Vec<u8>) -> bool {
        let archive = self.archive();
        if archive.index().is_stored(id) {
            return archive.try_read(id, range, out);
        }
        let entry = self.entry(id);
        let before = out.len();
        let is_read = if entry.method == Method::Sparse {
            sparse::try_read(archive, id, range, out)
        } else if is_small(&entry) {
            let bytes = self.small.in_memory(id);
            let part = bytes.as_deref().and_then(|bytes| part(bytes, range));
            out.extend_from_slice(part.unwrap_or_default());
            part.is_some()
        } else {
            self.large(id, entry).try_read(range, out)
        };
        if is_read {
            archive.count_read(out.len() - before, true);
            archive.passes(id, range.start == 0, range.end == entry.size);
        }
        is_read
    }

    /// Reads `range` of the content, up to its end.
    pub async fn read(&self, id: EntryId, range: Range<u64>) -> Result<Vec<u8>, Error> {
        let archive = self.archive();
        if archive.index().is_stored(id) {
            return Ok(archive.read(id, range).await?);
        }
        // The next files are requested while the read waits for its own bytes, not after it.
        let begins = async { archive.passes(id, range.start == 0, false) };
        let (bytes, ()) = join(self.read_aside(id, range.clone()), begins).await;
        let bytes = bytes?;
        let end = range.start + bytes.len() as u64;
        archive.passes(id, false, end == self.entry(id).size);
        Ok(bytes)
    }

    /// Reads like [`read`](Self::read), but the read does not count as a reader's step from file to file.
    pub async fn read_aside(&self, id: EntryId, range: Range<u64>) -> Result<Vec<u8>, Error> {
        let archive = self.archive();
        if archive.index().is_stored(id) {
            return Ok(archive.read_aside(id, range).await?);
        }
        self.readable(id)?;
        self.unlock(id).await?;
        let entry = self.entry(id);
        let range = range.start.min(entry.size)..range.end.min(entry.size);
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let bytes = if entry.method == Method::Sparse {
            sparse::read(archive, id, &range).await.map_err(Error::Read)
        } else if is_small(&entry) {
            let all = self.small.get(id, &entry).await;
            all.map(|all| part(&all, &range).unwrap_or_default().to_vec())
        } else {
            self.large(id, entry).read(&range).await
        };
        let bytes = bytes.map_err(|e| e.of_entry(&entry))?;
        archive.count_read(bytes.len(), false);
        Ok(bytes)
    }

    /// Decodes an entry to its end without keeping its bytes, so that its checkpoints are made and kept,
    /// and its size and CRC-32 compared. Begins at the last checkpoint. `progress` is called with the
    /// number of plain bytes behind it.
    pub async fn pass(
        &self,
        id: EntryId,
        progress: Arc<dyn Fn(u64) + Send + Sync>,
    ) -> Result<(), Error> {
        self.readable(id)?;
        self.unlock(id).await?;
        let entry = self.entry(id);
        if entry.method == Method::Sparse {
            return Ok(());
        }
        let passed = if is_small(&entry) {
            self.small.get(id, &entry).await.map(drop)
        } else {
            self.large(id, entry).pass(progress).await
        };
        passed.map_err(|e| e.of_entry(&entry))
    }

    /// Fails all reads that wait, and all later ones. Has the checkpoints kept that are new.
    pub fn close(&self) {
        self.shared.closed.cancel();
        self.archive().close();
        for id in self.shared.points.unstored() {
            self.large(id, self.entry(id)).store_points(true);
        }
    }

    fn entry(&self, id: EntryId) -> Entry {
        self.archive().index().get(id)
    }

    fn large(&self, id: EntryId, entry: Entry) -> Arc<Large> {
        let mut all = self.large.lock();
        if let Some(large) = all.get(&id) {
            return large.clone();
        }
        if all.len() >= IDLE {
            all.retain(|_, large| Arc::strong_count(large) > 1 || !large.is_idle());
        }
        let large = Arc::new(Large::new(id, entry, self.shared.clone()));
        all.insert(id, large.clone());
        large
    }
}

/// A range of some bytes; `None` if it reaches beyond.
fn part<'b>(bytes: &'b [u8], range: &Range<u64>) -> Option<&'b [u8]> {
    bytes.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}
