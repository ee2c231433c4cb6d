//! A source without bytes, for use when no server is to be asked.

use std::ops::Range;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, ready};
use futures_util::stream::{self, StreamExt};

use super::{BlockCheck, Blocks, ChunkStream, Error, Opened, Priority, Result, Source};

/// A [`Source`] and [`Blocks`] that fail with [`Error::Offline`] at once.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offline;

impl Source for Offline {
    fn inner(&self) -> Option<&dyn Source> {
        None
    }

    fn open(&self, _tail: u64) -> BoxFuture<'_, Result<Opened>> {
        ready(Err(Error::Offline)).boxed()
    }

    fn read(&self, _range: Range<u64>, _priority: Priority) -> ChunkStream {
        stream::once(ready(Err(Error::Offline))).boxed()
    }
}

impl Blocks for Offline {
    fn block(&self, _cid: &str, _most: usize, _check: BlockCheck) -> BoxFuture<'_, Result<Bytes>> {
        ready(Err(Error::Offline)).boxed()
    }
}
