//! A blob in a local file that is opened for each read.
//!
//! A node may serve thousands of files and read few of them, so it keeps no descriptors open. This also
//! detects a file that was replaced by another of the same name, which an open descriptor would hide.

use std::fs::{self, Metadata};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use futures_util::TryFutureExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::StreamExt;

use super::file::{blocking, io_error};
use super::{ChunkStream, Error, File, Opened, Origin, Priority, Result, Source, Stamp};

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
                self.stamp.size(),
                meta.len()
            ),
        })
    }

    fn look(&self) -> Result<Opened> {
        let meta = fs::metadata(&self.path).map_err(|e| io_error(&self.origin, &e))?;
        self.check(&meta)?;
        Ok(Opened {
            size: self.stamp.size(),
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
}

impl Source for FileAt {
    fn inner(&self) -> Option<&dyn Source> {
        None
    }

    fn open(&self, _tail: u64) -> BoxFuture<'_, Result<Opened>> {
        let this = self.clone();
        blocking(self.origin.clone(), move || this.look()).boxed()
    }

    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        let this = self.clone();
        blocking(self.origin.clone(), move || this.open_file())
            .map_ok(move |file| file.read(range, priority))
            .try_flatten_stream()
            .boxed()
    }
}
