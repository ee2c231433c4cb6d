//! A mounted archive from the cache's point of view, and the files that the cache leaves on disk.

use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use aiozfs::cache::{Ask, Cache, Cached, Disk, Folder, Key};
use aiozfs::content::Cid;
use aiozfs::source::{ChunkStream, Memory, Opened, Priority, Result, Source};
use futures_util::future::BoxFuture;

use super::{gateways, tree};

/// Long enough for a disk with other things to do.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn key() -> Key {
    let cid: Cid = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"
        .parse()
        .expect("a CID");
    Key::believed(&cid)
}

/// Memory that counts the bytes that were asked of it.
pub struct Below(Memory, AtomicU64);

impl Below {
    pub fn new(blob: &[u8]) -> Arc<Self> {
        let memory = Memory::new("memory", blob.to_vec());
        Arc::new(Self(memory, AtomicU64::new(0)))
    }

    pub fn asked(&self) -> u64 {
        self.1.swap(0, Relaxed)
    }
}

impl Source for Below {
    fn inner(&self) -> Option<&dyn Source> {
        Some(&self.0)
    }

    fn open(&self, tail: u64) -> BoxFuture<'_, Result<Opened>> {
        self.1.fetch_add(1, Relaxed);
        self.0.open(tail)
    }

    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        self.1.fetch_add(range.end - range.start, Relaxed);
        self.0.read(range, priority)
    }
}

/// A mount, as far as the cache knows one.
pub struct Kept {
    pub cache: Cache,
    pub source: Cached,
}

impl Kept {
    pub fn on(disk: Arc<dyn Disk>, size: u64, below: Arc<dyn Source>) -> Self {
        let cache = Cache::new(disk, size);
        let source = Cached::new(below, &cache, key(), Ask::Always);
        Self { cache, source }
    }

    pub fn at(dir: &Path, below: Arc<dyn Source>) -> Self {
        Self::on(folder(dir), 1 << 30, below)
    }

    pub async fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        self.source.open(0).await?;
        read(&self.source, range).await
    }

    pub async fn expect(&self, blob: &[u8], range: Range<u64>) {
        let got = self.read(range.clone()).await;
        let got = got.unwrap_or_else(|e| panic!("{range:?}: {e}"));
        let want = &blob[range.start as usize..range.end as usize];
        assert_eq!(tree::differs(want, &got), None, "{range:?}");
    }

    pub fn settle(&self) {
        self.cache.settle(PATIENCE);
    }
}

pub fn folder(dir: &Path) -> Arc<dyn Disk> {
    Arc::new(Folder::open(dir).expect("a cache"))
}

pub async fn read(source: &dyn Source, range: Range<u64>) -> Result<Vec<u8>> {
    gateways::read(source, range, Priority::Demand).await
}

/// Files of blocks.
pub fn blocks(dir: &Path) -> Vec<PathBuf> {
    let all = files(dir);
    let is_block = |path: &PathBuf| path.components().any(|part| part.as_os_str() == "data");
    all.into_iter().filter(is_block).collect()
}

pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(files(&entry.path()))
        } else {
            found.push(entry.path())
        }
    }
    found
}

/// What the disk has of a directory, in bytes.
pub fn taken(dir: &Path) -> u64 {
    let sizes = files(dir)
        .into_iter()
        .filter_map(|path| fs::metadata(path).ok());
    sizes.map(|meta| meta.blocks() * 512).sum()
}
