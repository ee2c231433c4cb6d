//! When a cache asks for the version of a URL.

use std::ops::Range;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use aiozfs::cache::{Ask, Cache, CacheOptions, Cached, Key};
use aiozfs::source::{ChunkStream, Fact, Memory, Opened, Priority, Result, Source};
use futures_util::future::BoxFuture;

use crate::common::kept::{PATIENCE, folder, read};
use crate::common::tree;

/// A URL of this version.
struct Url {
    blob: Memory,
    version: &'static str,
    fresh_for: Duration,
    opened: AtomicUsize,
    /// What it was told about its version.
    told: Mutex<Vec<String>>,
}

impl Url {
    fn new(blob: &[u8], version: &'static str, fresh_for: Duration) -> Arc<Self> {
        Arc::new(Self {
            blob: Memory::new("memory", blob.to_vec()),
            version,
            fresh_for,
            opened: AtomicUsize::new(0),
            told: Mutex::default(),
        })
    }
}

impl Source for Url {
    fn inner(&self) -> Option<&dyn Source> {
        Some(&self.blob)
    }

    fn open(&self, tail: u64) -> BoxFuture<'_, Result<Opened>> {
        self.opened.fetch_add(1, Relaxed);
        self.blob.open(tail)
    }

    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        self.blob.read(range, priority)
    }

    fn version(&self) -> Option<String> {
        Some(self.version.to_owned())
    }

    fn fresh_for(&self) -> Duration {
        self.fresh_for
    }

    fn learn(&self, fact: Fact<'_>) {
        if let Fact::Version(version, size) = fact {
            let mut told = self.told.lock().expect("a list");
            told.push(format!("{version}, {size} bytes"));
        }
    }
}

/// Opens the URL, and returns how many requests that took and what the source was told.
async fn open(dir: &tree::TempDir, url: &Arc<Url>, ask: Ask) -> (usize, Vec<String>) {
    let cache = Cache::new(folder(dir.path()), &CacheOptions { size: 1 << 30 });
    let source = Cached::new(
        url.clone(),
        &cache,
        Key::url("http://h/a", "http://h/a"),
        ask,
    );
    let opened = source.open(0).await.expect("open");
    assert_eq!(opened.size, 1000);
    assert_eq!(source.version().as_deref(), Some(url.version));
    read(&source, 0..1000).await.expect("bytes");
    cache.settle(PATIENCE);
    let told = std::mem::take(&mut *url.told.lock().expect("a list"));
    (url.opened.swap(0, Relaxed), told)
}

fn listed(text: &str) -> Ask {
    Ask::Stale(Some(text.to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_version_is_not_asked_for_unless_a_listing_says_something_new() {
    let dir = tree::temp();
    let blob = tree::bytes(1, 1000);
    let url = Url::new(&blob, "v1", Duration::from_secs(600));
    let asked = (1, Vec::new());
    let assumed = (0, vec!["v1, 1000 bytes".to_owned()]);
    assert_eq!(open(&dir, &url, listed("monday")).await, asked);
    assert_eq!(open(&dir, &url, listed("monday")).await, assumed);
    assert_eq!(open(&dir, &url, listed("tuesday")).await, asked);
    assert_eq!(open(&dir, &url, listed("tuesday")).await, assumed);
    assert_eq!(open(&dir, &url, Ask::Stale(None)).await, asked);
    assert_eq!(open(&dir, &url, Ask::Always).await, asked);
    assert_eq!(open(&dir, &url, Ask::Stale(None)).await, assumed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_is_not_fresh_is_asked_for() {
    let dir = tree::temp();
    let blob = tree::bytes(1, 1000);
    let url = Url::new(&blob, "v1", Duration::ZERO);
    for _ in 0..2 {
        assert_eq!(open(&dir, &url, Ask::Stale(None)).await, (1, Vec::new()));
    }
    let url = Url::new(&blob, "v2", Duration::from_secs(1));
    assert_eq!(open(&dir, &url, Ask::Stale(None)).await.0, 1);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(open(&dir, &url, Ask::Stale(None)).await.0, 1);
}
