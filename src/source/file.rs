//! A blob in a local file.

use std::fs::File as StdFile;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, ready};
use futures_util::stream::{self, StreamExt};
use rustix::fs::OFlags;

use super::{
    Chunk, ChunkStream, Error, Opened, Origin, Priority, Result, Source, Stamp,
    answer_without_bytes,
};

/// The size of a read from the file. It is large enough that the switch to a blocking thread costs little,
/// and small enough that the first bytes need not wait for the last.
const CHUNK: u64 = 256 * 1024;

/// A [`Source`] over a local file. Each read compares size and modification time with those at the start. If
/// they differ, it fails with [`Error::Changed`].
#[derive(Debug, Clone)]
pub struct File {
    file: Arc<StdFile>,
    origin: Origin,
    seen: Stamp,
}

impl File {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// If it cannot be read or is not a regular file.
    pub fn open_path(path: &Path) -> Result<Self> {
        let origin = Origin::new(path.display().to_string());
        // Opening a FIFO would wait for its writer. For regular files the flag means nothing.
        let mut options = StdFile::options();
        options
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let file = options.open(path).map_err(|e| io_error(&origin, &e))?;
        Self::from_std(file, origin)
    }

    /// The file behind a descriptor, in its present state.
    pub(super) fn from_std(file: StdFile, origin: Origin) -> Result<Self> {
        let meta = file.metadata().map_err(|e| io_error(&origin, &e))?;
        if !meta.is_file() {
            return Err(Error::Unsupported {
                what: format!(
                    "{origin} is not a regular file; give the archive itself (a folder becomes one with 'aiozfs pack')"
                ),
            });
        }
        Ok(Self {
            file: Arc::new(file),
            origin,
            seen: Stamp::of(&meta),
        })
    }

    /// Reads one chunk. Blocks.
    fn read_chunk(&self, offset: u64, len: usize) -> Result<Chunk> {
        let mut bytes = vec![0; len];
        let read = self.file.read_exact_at(&mut bytes, offset);
        // Compared after the read, so that no bytes of another version are given out, and a file that
        // shrank is reported as changed rather than as a short read.
        let now = self.file.metadata();
        let now = Stamp::of(&now.map_err(|e| io_error(&self.origin, &e))?);
        if !now.is_unwritten(&self.seen) {
            return Err(Error::Changed {
                origin: self.origin.clone(),
                what: format!(
                    "it had {} bytes and now has {}, or was written to",
                    self.seen.size(),
                    now.size()
                ),
            });
        }
        read.map_err(|e| io_error(&self.origin, &e))?;
        Ok(Chunk {
            offset,
            bytes: Bytes::from(bytes),
            origin: self.origin.clone(),
        })
    }
}

pub(super) fn io_error(origin: &Origin, e: &io::Error) -> Error {
    match e.kind() {
        io::ErrorKind::NotFound => Error::NotFound {
            origin: origin.clone(),
        },
        kind => Error::Io {
            origin: origin.clone(),
            kind,
            cause: e.to_string(),
        },
    }
}

/// Runs `work` on a thread where blocking is allowed.
pub(super) async fn blocking<T: Send + 'static>(
    origin: Origin,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| {
        Err(Error::Io {
            origin,
            kind: io::ErrorKind::Other,
            cause: format!("the reading thread failed: {e}"),
        })
    })
}

impl Source for File {
    fn inner(&self) -> Option<&dyn Source> {
        None
    }

    fn open(&self, _tail: u64) -> BoxFuture<'_, Result<Opened>> {
        let size = self.seen.size();
        ready(Ok(Opened { size, tail: None })).boxed()
    }

    fn read(&self, range: Range<u64>, _priority: Priority) -> ChunkStream {
        if let Some(answer) = answer_without_bytes(&range, Some(self.seen.size())) {
            return answer;
        }
        stream::try_unfold((self.clone(), range), |(this, left)| async move {
            if left.is_empty() {
                return Ok(None);
            }
            let end = left.end.min(left.start + CHUNK);
            let (reader, len) = (this.clone(), (end - left.start) as usize);
            let read = blocking(this.origin.clone(), move || {
                reader.read_chunk(left.start, len)
            });
            let chunk = read.await?;
            Ok(Some((chunk, (this, end..left.end))))
        })
        .boxed()
    }
}
