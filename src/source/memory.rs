//! A blob in memory: for tests, and for data within the binary.

use std::ops::Range;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, ready};
use futures_util::stream::{self, StreamExt};

use super::{Chunk, ChunkStream, Opened, Origin, Priority, Result, Source, answer_without_bytes};

/// The largest chunk. It is small enough that readers get several.
const CHUNK: u64 = 64 * 1024;

/// A [`Source`] over bytes in memory.
#[derive(Debug, Clone)]
pub struct Memory {
    bytes: Bytes,
    origin: Origin,
}

impl Memory {
    /// A blob of these bytes. Errors call it `name`.
    pub fn new(name: &str, bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: bytes.into(),
            origin: Origin::new(name),
        }
    }
}

impl Source for Memory {
    fn inner(&self) -> Option<&dyn Source> {
        None
    }

    fn open(&self, _tail: u64) -> BoxFuture<'_, Result<Opened>> {
        let size = self.bytes.len() as u64;
        ready(Ok(Opened { size, tail: None })).boxed()
    }

    fn read(&self, range: Range<u64>, _priority: Priority) -> ChunkStream {
        if let Some(answer) = answer_without_bytes(&range, Some(self.bytes.len() as u64)) {
            return answer;
        }
        let this = self.clone();
        let offsets = (range.start..range.end).step_by(CHUNK as usize);
        stream::iter(offsets.map(move |offset| {
            let end = (offset + CHUNK).min(range.end);
            Ok(Chunk {
                offset,
                bytes: this.bytes.slice(offset as usize..end as usize),
                origin: this.origin.clone(),
            })
        }))
        .boxed()
    }
}
