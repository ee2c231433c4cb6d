//! A codec over a library's reader, for formats without places to restart.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::decode::codec::{Codec, Input};
use crate::decode::error::Error;
use crate::decode::memory::Share;

/// Length of what a library reads at once from an [`Input`], in bytes.
pub(super) const STEP: usize = 64 * 1024;

/// What a library reads: some read single bytes.
pub(super) type Buffered = BufReader<Source>;

/// The bytes of an entry. Clones read the same bytes. One thread at a time uses a codec, so the lock is always free.
#[derive(Clone)]
pub(super) struct Source(Arc<Mutex<Shared>>);

struct Shared {
    input: Box<dyn Input>,
    /// The first error of the input: libraries replace the errors of their readers by others.
    failed: Option<Error>,
}

/// Decodes by a reader of a library.
pub(super) struct Sequential<R> {
    reader: R,
    source: Source,
    _share: Share,
    at: u64,
}

impl<R: Read + Send> Sequential<R> {
    /// `make` makes the reader, which takes the memory that `share` has. An error of `make` itself is one of the
    /// data.
    pub(super) fn new(
        input: Box<dyn Input>,
        share: Share,
        make: impl FnOnce(Buffered) -> io::Result<R>,
    ) -> Result<Self, Error> {
        let at = input.position();
        let failed = None;
        let source = Source(Arc::new(Mutex::new(Shared { input, failed })));
        let reader = make(BufReader::new(source.clone())).map_err(|e| source.cause(e, at))?;
        Ok(Self {
            reader,
            source,
            _share: share,
            at,
        })
    }
}

impl<R: Read + Send> Codec for Sequential<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        let read = self.reader.read(out);
        let count = read.map_err(|e| self.source.cause(e, self.at))?;
        // Some readers take the end of their input for the end of the data.
        match &self.source.0.lock().failed {
            Some(error) if count == 0 => Err(error.clone()),
            _ => Ok(count),
        }
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.source.0.lock().input.finish()
    }
}

impl Source {
    /// The input's error, or else that of the library.
    fn cause(&self, error: io::Error, at: u64) -> Error {
        let failed = self.0.lock().failed.clone();
        failed.unwrap_or_else(|| Error::of_io(error, at))
    }
}

impl Read for Source {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = out.len().min(STEP);
        let Shared { input, failed } = &mut *self.0.lock();
        let at = input.position();
        input.read(&mut out[..len]).map_err(|e| {
            let kind = e.kind();
            let error = Error::of_io(e, at);
            if kind != io::ErrorKind::Interrupted {
                failed.get_or_insert(error.clone());
            }
            error.into()
        })
    }
}
