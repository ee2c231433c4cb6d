//! A codec over a library's reader, for formats without places to restart.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use crate::decode::codec::{Codec, Input};
use crate::decode::error::Error;

/// Length of what a library reads at once from an [`Input`], in bytes.
const STEP: usize = 64 * 1024;

/// What a library reads of an entry. Libraries replace the errors of their readers by others, so the first
/// error is kept here.
pub(super) struct Source {
    input: Box<dyn Input>,
    failed: Arc<Mutex<Option<Error>>>,
}

/// Decodes by a reader of a library.
pub(super) struct Sequential<R> {
    reader: R,
    failed: Arc<Mutex<Option<Error>>>,
    /// Memory that it holds, in bytes.
    memory: u64,
    at: u64,
}

impl<R: Read + Send> Sequential<R> {
    /// `make` makes the reader; `memory` is what that holds, in bytes. An error of `make` itself is one of the
    /// data.
    pub(super) fn new(
        input: Box<dyn Input>,
        memory: u64,
        make: impl FnOnce(Source) -> io::Result<R>,
    ) -> Result<Self, Error> {
        let at = input.position();
        let failed = Arc::new(Mutex::new(None));
        let source = Source {
            input,
            failed: failed.clone(),
        };
        let reader = make(source).map_err(|e| cause(&failed, e, at))?;
        Ok(Self {
            reader,
            failed,
            memory,
            at,
        })
    }
}

impl<R: Read + Send> Codec for Sequential<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        let read = self.reader.read(out);
        let count = read.map_err(|e| cause(&self.failed, e, self.at))?;
        // Some readers take the end of their input for the end of the data.
        match (count, take(&self.failed)) {
            (0, Some(error)) => return Err(error),
            (_, Some(error)) => *lock(&self.failed) = Some(error),
            (_, None) => {}
        }
        Ok(count)
    }

    fn memory(&self) -> u64 {
        self.memory + STEP as u64
    }
}

impl Read for Source {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = out.len().min(STEP);
        let at = self.input.position();
        self.input.read(&mut out[..len]).map_err(|e| {
            let kind = e.kind();
            let error = Error::of_io(e, at);
            if kind != io::ErrorKind::Interrupted {
                lock(&self.failed).get_or_insert(error.clone());
            }
            error.into()
        })
    }
}

fn lock(failed: &Mutex<Option<Error>>) -> std::sync::MutexGuard<'_, Option<Error>> {
    failed.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take(failed: &Mutex<Option<Error>>) -> Option<Error> {
    lock(failed).take()
}

/// The input's error, or else that of the library.
fn cause(failed: &Mutex<Option<Error>>, error: io::Error, at: u64) -> Error {
    take(failed).unwrap_or_else(|| Error::of_io(error, at))
}
