//! A blob in a local file that is opened for each read.
//!
//! A node may serve thousands of files and read few of them, so it keeps no descriptors open. This also
//! detects a file that was replaced by another of the same name, which an open descriptor would hide.

use std::fs::{self, Metadata};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use futures_util::TryFutureExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::StreamExt;

use super::file::io_error;
use super::{ChunkStream, Error, File, Opened, Origin, Priority, Result, Source};

/// A state of a file according to its metadata. Compare it with [`is_same`](Self::is_same).
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    dev: u64,
    ino: u64,
    size: u64,
    mtime: (i64, i64),
    ctime: (i64, i64),
}

impl Stamp {
    /// The state that this metadata describes.
    pub fn of(meta: &Metadata) -> Self {
        Self {
            dev: meta.dev(),
            ino: meta.ino(),
            size: meta.len(),
            mtime: (meta.mtime(), meta.mtime_nsec()),
            ctime: (meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// Whether the file has the same bytes in both states.
    ///
    /// Size and modification time must be equal, and one of these:
    ///
    /// - the change time (`st_ctime`), which programs cannot set. Inode numbers alone are not enough: on some
    ///   network and FUSE file systems they, or the device number, are different at each look.
    /// - device and inode number. The change time alone is not enough: it also changes after `chmod`, or
    ///   when a backup program makes a hard link.
    pub fn is_same(&self, other: &Self) -> bool {
        let is_same_inode = (self.dev, self.ino) == (other.dev, other.ino);
        (self.size, self.mtime) == (other.size, other.mtime)
            && (self.ctime == other.ctime || is_same_inode)
    }

    /// Length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Modification time in nanoseconds since 1970.
    pub fn mtime_ns(&self) -> i128 {
        i128::from(self.mtime.0) * 1_000_000_000 + i128::from(self.mtime.1)
    }
}

/// A [`Source`] over the file at a path, in one state of that file. If the file is in another state,
/// [`open`](Source::open) and every read fail with [`Error::Changed`], or with [`Error::NotFound`] if there is
/// no file.
#[derive(Debug, Clone)]
pub struct FileAt {
    path: Arc<Path>,
    origin: Origin,
    stamp: Stamp,
}

impl FileAt {
    /// The file at `path` in the state of `stamp`.
    pub fn new(path: &Path, stamp: Stamp) -> Self {
        Self {
            path: path.into(),
            origin: Origin::new(path.display().to_string()),
            stamp,
        }
    }

    fn check(&self, meta: &Metadata) -> Result<()> {
        if self.stamp.is_same(&Stamp::of(meta)) {
            return Ok(());
        }
        Err(Error::Changed {
            origin: self.origin.clone(),
            what: format!(
                "it had {} bytes and now has {}, or was written to or replaced",
                self.stamp.size,
                meta.len()
            ),
        })
    }

    fn look(&self) -> Result<Opened> {
        let meta = fs::metadata(&self.path).map_err(|e| io_error(&self.origin, &e))?;
        self.check(&meta)?;
        Ok(Opened {
            size: self.stamp.size,
            tail: None,
        })
    }

    fn open_file(&self) -> Result<File> {
        let failed = |e| io_error(&self.origin, &e);
        let file = fs::File::open(&self.path).map_err(failed)?;
        // Compared after `File` has recorded the state that it compares with on each read.
        let reader = File::from_std(file.try_clone().map_err(failed)?, self.origin.clone())?;
        self.check(&file.metadata().map_err(failed)?)?;
        Ok(reader)
    }

    /// Runs on a thread where blocking is allowed.
    async fn blocking<T: Send + 'static>(
        self,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let origin = self.origin.clone();
        let done = tokio::task::spawn_blocking(move || work(&self)).await;
        done.unwrap_or_else(|e| {
            Err(Error::Io {
                origin,
                kind: std::io::ErrorKind::Other,
                cause: format!("the reading thread failed: {e}"),
            })
        })
    }
}

impl Source for FileAt {
    fn inner(&self) -> Option<&dyn Source> {
        None
    }

    fn open(&self, _tail: u64) -> BoxFuture<'_, Result<Opened>> {
        self.clone().blocking(Self::look).boxed()
    }

    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        let opened = self.clone().blocking(Self::open_file);
        opened
            .map_ok(move |file| file.read(range, priority))
            .try_flatten_stream()
            .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctime_or_inode_identifies_a_file_of_equal_size_and_mtime() {
        let seen = Stamp {
            dev: 1,
            ino: 2,
            size: 3,
            mtime: (4, 5),
            ctime: (6, 7),
        };
        let after = |change: fn(&mut Stamp)| {
            let mut stamp = seen;
            change(&mut stamp);
            seen.is_same(&stamp)
        };
        assert!(after(|_| {}));
        assert!(after(|now| now.ino = 9), "an unstable inode number");
        assert!(after(|now| (now.dev, now.ino) = (8, 9)));
        assert!(after(|now| now.ctime = (9, 9)), "a chmod");
        assert!(!after(|now| (now.ino, now.ctime) = (9, (9, 9))), "replaced");
        assert!(!after(|now| (now.dev, now.ctime) = (9, (9, 9))));
        assert!(!after(|now| now.size = 9));
        assert!(!after(|now| now.mtime = (4, 9)));
        assert!(!after(|now| now.mtime = (9, 5)));
    }
}
