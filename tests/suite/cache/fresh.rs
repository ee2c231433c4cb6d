//! When a cache asks for the version of a URL.

use std::ops::Range;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use aiozfs::cache::{Ask, Cache, Cached, Key};
use aiozfs::source::{ChunkStream, Error, Fact, Memory, Opened, Origin, Priority, Result, Source};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};

use crate::common::kept::{PATIENCE, files, folder, read, taken};
use crate::common::tree;

/// A URL of this version.
struct Url {
    blob: Memory,
    version: &'static str,
    fresh_for: Duration,
    opened: AtomicUsize,
    /// What reads end with.
    fails: Mutex<Option<Error>>,
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
            fails: Mutex::default(),
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
        match self.fails.lock().expect("an error").clone() {
            Some(error) => stream::iter([Err(error)]).boxed(),
            None => self.blob.read(range, priority),
        }
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
    let cache = Cache::new(folder(dir.path()), 1 << 30);
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

/// A server that had another blob was believed for as long as the first one was fresh, unless it said so outright and
/// had not been asked before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_error_that_casts_doubt_on_the_version_the_server_is_asked() {
    let origin = || Origin::new("h");
    let changed = || Error::Changed {
        origin: origin(),
        what: "its ETag".to_owned(),
    };
    let gone = || Error::NotFound { origin: origin() };
    let wrong = || Error::BadAnswer {
        origin: origin(),
        range: 0..1000,
        what: "HTTP status 416".to_owned(),
    };
    let no_ranges = || Error::NoRanges {
        origin: origin(),
        what: "it sends all 5".to_owned(),
        has_served: true,
    };
    let silent = || Error::Timeout {
        origin: origin(),
        after: Duration::from_secs(1),
    };
    for (error, first, asked) in [
        // Also if the server was asked, and what it told is still to be written.
        (changed(), Ask::Always, 1),
        (changed(), Ask::Stale(None), 1),
        (gone(), Ask::Stale(None), 1),
        (wrong(), Ask::Stale(None), 1),
        (no_ranges(), Ask::Stale(None), 1),
        (silent(), Ask::Stale(None), 0),
        (Error::Offline, Ask::Never, 0),
    ] {
        let dir = tree::temp();
        let url = Url::new(&tree::bytes(1, 1000), "v1", Duration::from_secs(600));
        let cache = Cache::new(folder(dir.path()), 1 << 30);
        let key = || Key::url("http://h/a", "http://h/a");
        let cached = |ask| Cached::new(url.clone(), &cache, key(), ask);
        if first != Ask::Always {
            cached(Ask::Always).open(0).await.expect("open");
            cache.settle(PATIENCE);
        }
        let source = cached(first);
        source.open(0).await.expect("open");
        *url.fails.lock().expect("an error") = Some(error.clone());
        assert_eq!(read(&source, 0..1000).await.err(), Some(error.clone()));
        cache.settle(PATIENCE);
        url.opened.store(0, Relaxed);
        cached(Ask::Stale(None)).open(0).await.expect("open");
        assert_eq!(url.opened.load(Relaxed), asked, "{error}");
    }
}

/// What was seen of a URL stayed on disk for ever: it was not counted, and no eviction removed it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_seen_of_urls_is_counted_and_goes_with_its_blob() {
    let dir = tree::temp();
    let seen = || files(&dir.path().join("v1/urls"));
    let url = Url::new(&tree::bytes(1, 1000), "v1", Duration::from_secs(600));
    open(&dir, &url, Ask::Always).await;
    assert_eq!(seen().len(), 1);
    let cache = Cache::new(folder(dir.path()), 1 << 30);
    let content = cache.content().expect("a list");
    let rest = taken(dir.path())
        - taken(&dir.path().join("v1/blobs"))
        - taken(&dir.path().join("v1/urls"));
    assert_eq!(
        content.taken,
        taken(dir.path()) - rest,
        "all of it is counted"
    );
    assert_eq!(content.blobs[0].taken, content.taken);
    // A pinned blob can be opened offline, so what was seen of its URL stays.
    cache.pin(&content.blobs[0]).expect("pinned");
    cache.prune(0).expect("pruned");
    assert_eq!(open(&dir, &url, Ask::Never).await.0, 0);
    cache.unpin(&content.blobs[0]).expect("no longer pinned");
    cache.prune(0).expect("pruned");
    assert_eq!(seen(), Vec::<std::path::PathBuf>::new());
    assert_eq!(cache.content().expect("a list").taken, 0);
}

/// Files without a blob are what killed processes left, or what `cache rm` did not know of. Not those of now: another
/// process may be about to write the blob.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_seen_of_a_url_without_a_blob_is_removed_after_an_hour() {
    let dir = tree::temp();
    let seen = || files(&dir.path().join("v1/urls"));
    let url = Url::new(&tree::bytes(1, 1000), "v1", Duration::from_secs(600));
    open(&dir, &url, Ask::Always).await;
    let cache = Cache::new(folder(dir.path()), 1 << 30);
    let blob = cache.content().expect("a list").blobs.remove(0);
    cache.remove(&blob).expect("removed");
    let content = cache.content().expect("a list");
    assert_eq!((content.blobs.len(), content.taken), (0, 4096));
    let file = std::fs::File::options().write(true).open(&seen()[0]);
    let then = std::time::SystemTime::now() - Duration::from_secs(3700);
    file.and_then(|file| file.set_modified(then)).expect("aged");
    assert_eq!(cache.content().expect("a list").taken, 0);
    assert_eq!(seen(), Vec::<std::path::PathBuf>::new());
}
