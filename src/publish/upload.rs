//! One upload: parts side by side, in constant memory.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::pin::pin;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::mpsc;

use super::error::Error;
use super::hashes;
use super::multipart::Stored;
use super::object::Object;
use super::part_len;

/// How many parts are sent at once. Enough for a link that gives 25 MB/s to a connection and 150 in all.
const AT_ONCE: usize = 8;

/// The most memory for parts, in bytes, unless one part is longer.
const MEMORY: u64 = 72 << 20;

/// An archive on its way into the store.
pub struct Upload<'a> {
    object: &'a Object,
    size: u64,
    /// Whether an object that another program puts under the name meanwhile is replaced.
    overwrite: bool,
    id: String,
    /// The parts that an earlier run sent, by number.
    stored: HashMap<u32, Stored>,
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Bytes that were sent.
    pub sent: u64,
    /// Bytes that were in the store already.
    pub found: u64,
}

/// How an upload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent<T> {
    /// It is complete. With what the writer returned.
    Complete(Done, T),
    /// Another run completed it or gave it up, or another program has put an object under the name. The caller
    /// looks what the object is.
    ByOther,
}

impl<'a> Upload<'a> {
    /// Goes on with an unfinished upload of `object`, or begins one. `bucket` is the whole bucket, and `key` the
    /// object's key. `cid` is kept with the object; it must follow from the key, since an upload that is continued
    /// has that of the run that began it. Without `overwrite`, the object must not exist.
    pub async fn begin(
        object: &'a Object,
        bucket: &Object,
        key: &str,
        cid: Option<&str>,
        size: u64,
        overwrite: bool,
    ) -> Result<Self, Error> {
        let upload = |id, stored| Self {
            object,
            size,
            overwrite,
            id,
            stored,
        };
        // Some stores do not list uploads, and some users may not.
        let unfinished = bucket.unfinished(key).await.unwrap_or_else(|error| {
            log::warn!("{error}; an earlier upload is not continued");
            Vec::new()
        });
        for found in unfinished.into_iter().rev() {
            let Ok(parts) = object.parts(&found.upload_id).await else {
                continue; // It has ended.
            };
            let is_ours = |part: &Stored| part.size == len_of(part.number, size);
            if !parts.is_empty() && parts.iter().all(is_ours) {
                let stored = parts.into_iter().map(|part| (part.number, part)).collect();
                return Ok(upload(found.upload_id, stored));
            }
        }
        Ok(upload(object.create(cid).await?, HashMap::new()))
    }

    /// The bytes of the parts that an earlier run sent. They are compared before they are used.
    pub fn found(&self) -> u64 {
        self.stored.values().map(|part| part.size).sum()
    }

    /// Sends the archive that `write` writes on another thread, completes the upload, and returns what `write`
    /// returned. `progress` is told of the bytes of each part that is in the store. Must be called within a
    /// runtime.
    ///
    /// # Errors
    /// The store's, or within the result that of `write`. The upload then stays unfinished.
    pub async fn send<T: Send + 'static, E: Send + 'static>(
        &self,
        write: impl FnOnce(&mut dyn Write) -> Result<T, E> + Send + 'static,
        progress: impl Fn(u64),
    ) -> Result<Result<Sent<T>, E>, Error> {
        let len = part_len(self.size);
        let at_once = (MEMORY / len).clamp(1, AT_ONCE as u64) as usize;
        // One part waits, and one is being filled.
        let (sender, receiver) = mpsc::channel(1);
        let size = self.size;
        let writer = tokio::task::spawn_blocking(move || {
            let mut parts = PartWriter {
                sender,
                len: len as usize,
                size,
                written: 0,
                part: BytesMut::new(),
            };
            let told = write(&mut parts)?;
            // A closed channel: sending has failed, and its error is the one to tell.
            let _ = parts.end_part();
            Ok((told, parts.written))
        });
        let sent = self.send_parts(receiver, at_once, progress).await;
        let written = writer.await;
        let written = written.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
        let (done, etags) = match sent {
            Ok(sent) => sent,
            Err(error) if error.is_no_such_upload() => return Ok(Ok(Sent::ByOther)),
            Err(error) => return Err(error),
        };
        let (told, got) = match written {
            Ok(written) => written,
            Err(error) => return Ok(Err(error)),
        };
        if got != size {
            let expected = size;
            return Err(Error::Length { expected, got });
        }
        let is_complete = self.complete(&etags).await?;
        Ok(Ok(if is_complete {
            Sent::Complete(done, told)
        } else {
            Sent::ByOther
        }))
    }

    /// Completes the upload. False if another run did, or if another program has put an object under the name.
    async fn complete(&self, etags: &[String]) -> Result<bool, Error> {
        let mut completed = self.object.complete(&self.id, etags, !self.overwrite).await;
        // Older stores do not know the condition. Then this look is all that can be done.
        let is_unknown = |error: &Error| matches!(error.status(), Some(400 | 501));
        if !self.overwrite && completed.as_ref().is_err_and(is_unknown) {
            if self.object.existing().await?.is_some() {
                return Ok(false);
            }
            completed = self.object.complete(&self.id, etags, false).await;
        }
        match completed {
            Ok(()) => Ok(true),
            Err(error) if error.is_no_such_upload() || error.is_conflict() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends the parts, and returns their ETags in order.
    async fn send_parts(
        &self,
        parts: mpsc::Receiver<Bytes>,
        at_once: usize,
        progress: impl Fn(u64),
    ) -> Result<(Done, Vec<String>), Error> {
        let parts = stream::unfold(parts, |mut parts| async {
            parts.recv().await.map(|part| (part, parts))
        });
        let sent = parts
            .zip(stream::iter(1..))
            .map(|(bytes, number)| async move {
                let len = bytes.len() as u64;
                let (etag, is_found) = self.part(number, bytes).await?;
                Ok::<_, Error>((number, etag, len, is_found))
            });
        // In any order: a part whose answer is late keeps no other connection idle.
        let mut sent = pin!(sent.buffer_unordered(at_once));
        let (mut done, mut etags) = (Done::default(), BTreeMap::new());
        while let Some((number, etag, len, is_found)) = sent.try_next().await? {
            if is_found {
                done.found += len;
            } else {
                done.sent += len;
            }
            progress(len);
            etags.insert(number, etag);
        }
        Ok((done, etags.into_values().collect()))
    }

    /// Brings a part into the store. Returns its ETag, and whether it was there.
    async fn part(&self, number: u32, bytes: Bytes) -> Result<(String, bool), Error> {
        if let Some(stored) = self.stored.get(&number) {
            let (etag, copy) = (stored.etag.clone(), bytes.clone());
            let same = tokio::task::spawn_blocking(move || hashes::is_part(&etag, &copy));
            if same.await.unwrap_or(false) {
                return Ok((stored.etag.clone(), true));
            }
        }
        Ok((self.object.put(&self.id, number, bytes).await?, false))
    }
}

/// The length of a part of an object of `size` bytes; 0 if there is no such part.
fn len_of(number: u32, size: u64) -> u64 {
    let len = part_len(size);
    let start = u64::from(number.saturating_sub(1)) * len;
    size.saturating_sub(start).min(len)
}

/// Cuts what is written into parts.
struct PartWriter {
    sender: mpsc::Sender<Bytes>,
    len: usize,
    /// The announced size.
    size: u64,
    written: u64,
    part: BytesMut,
}

impl PartWriter {
    fn end_part(&mut self) -> io::Result<()> {
        if self.part.is_empty() {
            return Ok(());
        }
        let part = std::mem::take(&mut self.part).freeze();
        let sent = self.sender.blocking_send(part);
        sent.map_err(|_| io::Error::other("the upload has ended"))
    }
}

impl Write for PartWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.part.is_empty() {
            let left = self.size.saturating_sub(self.written);
            self.part.reserve(self.len.min(left as usize));
        }
        let now = bytes.len().min(self.len - self.part.len());
        self.part.extend_from_slice(&bytes[..now]);
        self.written += now as u64;
        if self.part.len() == self.len {
            self.end_part()?;
        }
        Ok(now)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
