//! Our own store, as a mount has it: bytes are kept as they pass through a source.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aiozfs::cache::{Ask, Cache, Cached, Folder, Key};
use aiozfs::content::Cid;
use aiozfs::source::{Chunk, ChunkStream, Error, Opened, Origin, Priority, Source};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt, ready};
use futures_util::stream;
use tokio::runtime::Runtime;

use crate::store::Store;

const BLOCK: u64 = 1 << 20;

/// Long enough for a blob of all blocks there may be.
const SIZE: u64 = 1 << 40;

/// What a server would give: the blocks that are being put, in chunks as they come from one.
#[derive(Clone, Default)]
struct Below(Arc<Mutex<HashMap<u64, Arc<[u8]>>>>);

pub struct Aiozfs {
    runtime: Runtime,
    cache: Cache,
    source: Cached,
    below: Below,
}

impl Aiozfs {
    pub fn open(dir: &Path) -> anyhow::Result<Self> {
        let runtime = Runtime::new()?;
        let folder = Arc::new(Folder::open(dir)?);
        let cache = Cache::new(folder, 4 << 30);
        let below = Below::default();
        let cid: Cid = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG".parse()?;
        let source = Cached::new(Arc::new(below.clone()), &cache, Key::believed(&cid), Ask::Always);
        runtime.block_on(source.open(0))?;
        Ok(Self {
            runtime,
            cache,
            source,
            below,
        })
    }

    fn read(&self, number: u64, see: &mut dyn FnMut(&[u8])) -> bool {
        let range = number * BLOCK..(number + 1) * BLOCK;
        self.runtime.block_on(async {
            let mut stream = self.source.read(range, Priority::Demand);
            while let Some(chunk) = stream.next().await {
                match chunk {
                    Ok(chunk) => see(&chunk.bytes),
                    Err(_) => return false,
                }
            }
            true
        })
    }
}

impl Store for Aiozfs {
    fn put(&self, number: u64, block: Arc<[u8]>) {
        let blocks = || self.below.0.lock().expect("no panic");
        blocks().insert(number, block);
        self.read(number, &mut |_| {});
        blocks().remove(&number);
    }

    fn settle(&self) {
        self.cache.settle(Duration::from_secs(60));
    }

    fn get(&self, number: u64, see: &mut dyn FnMut(&[u8])) -> bool {
        self.read(number, see)
    }
}

impl Source for Below {
    fn inner(&self) -> Option<&dyn Source> {
        None
    }

    fn open(&self, _tail: u64) -> BoxFuture<'_, Result<Opened, Error>> {
        let opened = Opened {
            size: SIZE,
            tail: None,
        };
        ready(Ok(opened)).boxed()
    }

    fn read(&self, range: Range<u64>, _priority: Priority) -> ChunkStream {
        let block = (self.0.lock().expect("no panic"))
            .get(&(range.start / BLOCK))
            .cloned();
        let Some(block) = block else {
            return stream::once(ready(Err(Error::Offline))).boxed();
        };
        let block = Bytes::from_owner(block);
        let within = (range.start % BLOCK) as usize;
        let len = (range.end - range.start) as usize;
        let origin = Origin::new("below");
        let pieces = (0..len).step_by(64 << 10).map(move |at| {
            let end = (at + (64 << 10)).min(len);
            Ok(Chunk {
                offset: range.start + at as u64,
                bytes: block.slice(within + at..within + end),
                origin: origin.clone(),
            })
        });
        stream::iter(pieces).boxed()
    }
}
