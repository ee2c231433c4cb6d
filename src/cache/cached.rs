//! The decorator that reads cached bytes from disk and caches what comes from below.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt};
use parking_lot::Mutex;

use super::Cache;
use super::blob::{Blob, dir};
use super::block::{BLOCK, blocks_of};
use super::collector::Collector;
use super::job::Job;
use super::key::Key;
use super::metadata::{Metadata, Seen};
use super::read::Lookup;
use super::shared::CacheStatus;
use super::store::Inner;
use crate::source::{
    Chunk, ChunkStream, Error, Fact, Hints, Opened, Origin, Priority, Result, Source,
    answer_without_bytes,
};

/// The origin of bytes that were read from disk.
const ORIGIN: &str = "the cache";

/// When the server of a URL is asked for its current version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Whenever the URL is opened.
    Always,
    /// Only if the version that was last seen is no longer fresh (RFC 9111, section 4.2), or the listing says something
    /// else of the blob than it did then. The first read that needs the server compares the version.
    Stale(Option<String>),
    /// Never: the URL has the version that was last seen.
    Never,
}

/// A [`Source`] whose bytes are cached on disk.
#[derive(Clone)]
pub struct Cached(Arc<State>);

struct State {
    below: Arc<dyn Source>,
    cache: Arc<Inner>,
    origin: Origin,
    key: Key,
    /// The blob. For a URL, it is known after the first request. If the server tells no version, it is `Some(None)`,
    /// and nothing is cached.
    blob: OnceLock<Option<Arc<Blob>>>,
    size: OnceLock<u64>,
    ask: Ask,
    /// The version of a URL that was taken to be the current one without asking.
    assumed: OnceLock<String>,
    /// The blob's end, as fetched by `get_ready`, until `open` takes it.
    tail: Mutex<Option<Chunk>>,
    /// Whether the last read missed: then the next ones will probably miss, too.
    misses: AtomicBool,
}

impl Cached {
    /// Caches the blob that `key` names; its bytes come from `below`.
    pub fn new(below: Arc<dyn Source>, cache: &Cache, key: Key, ask: Ask) -> Self {
        let state = State {
            below,
            cache: cache.0.clone(),
            origin: Origin::kept(ORIGIN),
            key: key.clone(),
            ask,
            assumed: OnceLock::new(),
            blob: OnceLock::new(),
            size: OnceLock::new(),
            tail: Mutex::default(),
            misses: AtomicBool::new(false),
        };
        if !key.is_url() {
            let _ = state.blob.set(Some(Blob::new(key)));
        }
        Self(Arc::new(state))
    }

    /// What this process did with the cache, for all blobs.
    pub fn status(&self) -> CacheStatus {
        *self.0.cache.shared.status.lock()
    }

    /// Whether the version of a URL was taken to be the current one without asking.
    pub fn is_assumed(&self) -> bool {
        self.0.is_assumed()
    }

    /// Finds out which blob this is. The version of a URL may take a request, whose answer [`open`](Source::open) then
    /// returns. `tail`: see there.
    pub async fn get_ready(&self, tail: u64) -> Result<()> {
        if self.0.blob.get().is_none() {
            let opened = self.0.open(tail).await?;
            *self.0.tail.lock() = opened.tail;
        }
        Ok(())
    }

    /// The cache and the blob, if it is known and may be cached.
    pub(super) fn storage(&self) -> Option<(Arc<Inner>, Arc<Blob>)> {
        let blob = self.0.blob()?;
        Some((self.0.cache.clone(), blob.clone()))
    }
}

impl State {
    fn blob(&self) -> Option<&Arc<Blob>> {
        self.blob.get()?.as_ref()
    }

    /// Whether the next read will probably have to come from below.
    fn comes_from_below(&self) -> bool {
        self.blob().is_none() || self.misses.load(Relaxed)
    }

    async fn open(&self, tail: u64) -> Result<Opened> {
        if let Some(size) = self.size.get() {
            let tail = self.tail.lock().take();
            return Ok(Opened { size: *size, tail });
        }
        if self.key.is_url() {
            self.open_url(tail).await
        } else {
            self.open_immutable(tail).await
        }
    }

    /// Opens content that cannot change: its recorded size needs no request.
    async fn open_immutable(&self, tail: u64) -> Result<Opened> {
        if let Some(blob) = self.blob().cloned() {
            let metadata = self.cache.record(blob.file("record")).await;
            if let Some(Metadata { size, .. }) = metadata {
                self.below.learn(Fact::Size(size));
                self.opened(size, None);
                return Ok(Opened { size, tail: None });
            }
        }
        let opened = self.below.open(tail).await?;
        self.misses.store(true, Relaxed);
        self.opened(opened.size, None);
        self.store(opened.tail.as_ref());
        Ok(opened)
    }

    /// The path of the record of a URL.
    fn seen_path(&self) -> String {
        format!("urls/{}", self.key.hex())
    }

    /// Judges the error of a read from below. If the version of a URL may be out of date, the next open asks the server.
    /// If the server has not confirmed the version, its refusal counts as a change: what was requested is gone.
    fn judge(&self, error: Error) -> Error {
        let refused_by = match &error {
            // The server was not asked before, and one that has another blob now need not say so. Object stores answer
            // 403 for an absent object to users who may not list the bucket.
            Error::NotFound { origin }
            | Error::NoRanges { origin, .. }
            | Error::BadAnswer { origin, .. }
            | Error::Encoded { origin, .. }
            | Error::Refused { origin, .. }
            | Error::Status { origin, .. }
                if !error.is_transient() || matches!(error, Error::NoRanges { .. }) =>
            {
                Some(origin.clone()).filter(|_| self.is_assumed())
            }
            _ => None,
        };
        let is_doubtful = refused_by.is_some() || matches!(error, Error::Changed { .. });
        if is_doubtful && self.key.is_url() {
            // The writer does this after it has written a record of this version.
            self.cache.send(Job::ForgetSeen(self.seen_path()));
        }
        match refused_by {
            Some(origin) if self.below.version().is_none() => Error::Changed {
                origin,
                what: format!("its version in the cache is not confirmed ({error})"),
            },
            _ => error,
        }
    }

    fn is_assumed(&self) -> bool {
        self.assumed.get().is_some()
    }

    /// Opens a URL: one request tells its current version, unless that is known.
    async fn open_url(&self, tail: u64) -> Result<Opened> {
        let path = self.seen_path();
        let seen: Option<Seen> = self.cache.record(path.clone()).await;
        let is_current = |seen: &&Seen| match &self.ask {
            Ask::Always => false,
            Ask::Stale(listed) => seen.is_fresh(listed.as_deref()),
            Ask::Never => true,
        };
        if let Some(seen) = seen.as_ref().filter(is_current) {
            let (version, size) = (&seen.version, seen.size);
            let _ = self
                .blob
                .set(Some(Blob::new(self.key.version(version, size))));
            let _ = self.assumed.set(version.clone());
            self.below.learn(Fact::Version(version, size));
            self.opened(size, Some(version.clone()));
            return Ok(Opened { size, tail: None });
        }
        // If the version is the same, the end comes from disk.
        let tail = if seen.is_some() { 0 } else { tail };
        let opened = self.below.open(tail).await?;
        self.misses.store(seen.is_none(), Relaxed);
        let Some(version) = self.below.version() else {
            log::info!(
                "cache: {} has neither an ETag nor an old enough Last-Modified; it is not cached",
                self.key
            );
            let _ = self.blob.set(None);
            let _ = self.size.set(opened.size);
            return Ok(opened);
        };
        let listed = match &self.ask {
            Ask::Stale(listed) => listed.clone(),
            Ask::Always | Ask::Never => None,
        };
        let fresh_for = self.below.fresh_for();
        let now = Seen::now(version.clone(), opened.size, fresh_for, listed);
        let key = self.key.version(&version, opened.size);
        let _ = self.blob.set(Some(Blob::new(key.clone())));
        self.opened(opened.size, Some(version));
        self.store(opened.tail.as_ref());
        if seen.as_ref() != Some(&now) {
            let old = seen.map(|seen| self.key.version(&seen.version, seen.size));
            let old = old.filter(|old| *old != key).map(|old| dir(&old.hex()));
            self.cache.send(Job::Seen { path, now, old });
        }
        Ok(opened)
    }

    /// Records that the blob has been opened.
    fn opened(&self, size: u64, version: Option<String>) {
        if self.size.set(size).is_ok()
            && let Some(blob) = self.blob()
        {
            let metadata = Metadata::new(&blob.key, size, version);
            self.cache.send(Job::Introduce(blob.clone(), metadata));
        }
    }

    /// Has the writer store a chunk.
    fn store(&self, chunk: Option<&Chunk>) {
        if let (Some(blob), Some(chunk)) = (self.blob(), chunk) {
            let mut collector = Collector::new(self.cache.clone(), blob.clone(), chunk.range());
            collector.pass(chunk.offset, &chunk.bytes);
        }
    }
}

/// A read of a cached blob, under way.
struct CachedRead {
    state: Arc<State>,
    blob: Arc<Blob>,
    left: Range<u64>,
    priority: Priority,
    below: Option<Below>,
}

/// A read from below, up to `end`, that fills a gap.
struct Below {
    stream: ChunkStream,
    collector: Collector,
    end: u64,
}

impl CachedRead {
    async fn next(&mut self) -> Result<Option<Chunk>> {
        loop {
            if let Some(below) = &mut self.below {
                match below.next(&mut self.left, &self.state.origin).await {
                    Ok(Some(chunk)) => {
                        let bytes = chunk.bytes.len() as u64;
                        self.blob.misses.fetch_add(bytes, Relaxed);
                        self.state.cache.shared.status.lock().misses += bytes;
                        return Ok(Some(chunk));
                    }
                    Ok(None) => self.below = None,
                    Err(error) => return Err(self.state.judge(error)),
                }
            }
            if self.left.is_empty() {
                return Ok(None);
            }
            match self.look().await {
                Lookup::Found(bytes) => {
                    self.state.misses.store(false, Relaxed);
                    return Ok(Some(self.found(bytes)));
                }
                Lookup::Missing(end) => {
                    self.state.misses.store(true, Relaxed);
                    let range = self.left.start..end;
                    let (cache, blob) = (self.state.cache.clone(), self.blob.clone());
                    self.below = Some(Below {
                        stream: self.state.below.read(range.clone(), self.priority),
                        collector: Collector::new(cache, blob, range),
                        end,
                    });
                }
            }
        }
    }

    async fn look(&mut self) -> Lookup {
        let (blob, mut range) = (self.blob.clone(), self.left.clone());
        if let Some(wrong) = blob.quarantine.first(&range) {
            if wrong.start == range.start {
                return Lookup::Missing(wrong.end);
            }
            range.end = wrong.start;
        }
        let end = range.end;
        // Offline, the disk is always read: another process may just have written the block.
        if self.state.ask != Ask::Never && blob.presence.lacks(blocks_of(&range), Instant::now()) {
            return Lookup::Missing(end);
        }
        let cache = &self.state.cache;
        let look = cache.run_blocking(move |shared| shared.look(&blob, &range));
        look.await.unwrap_or(Lookup::Missing(end))
    }

    fn found(&mut self, bytes: Bytes) -> Chunk {
        let offset = self.left.start;
        self.left.start += bytes.len() as u64;
        self.blob.hits.fetch_add(bytes.len() as u64, Relaxed);
        self.state.cache.shared.status.lock().hits += bytes.len() as u64;
        Chunk {
            offset,
            bytes,
            origin: self.state.origin.clone(),
        }
    }
}

impl Below {
    /// The next chunk, which is taken off `left`; `None` once all have come.
    async fn next(&mut self, left: &mut Range<u64>, origin: &Origin) -> Result<Option<Chunk>> {
        let broken = |what: &str| Error::BadAnswer {
            origin: origin.clone(),
            range: left.clone(),
            what: what.into(),
        };
        // Polled to the end of the stream: only then is its connection free again.
        match self.stream.next().await {
            Some(chunk) => {
                let chunk = chunk?;
                let came = chunk.range();
                if came.start != left.start || came.end > self.end {
                    return Err(broken("other bytes came from below than requested"));
                }
                self.collector.pass(chunk.offset, &chunk.bytes);
                left.start = came.end;
                Ok(Some(chunk))
            }
            None if left.start < self.end => Err(broken("what came from below ended too early")),
            None => Ok(None),
        }
    }
}

impl Source for Cached {
    fn inner(&self) -> Option<&dyn Source> {
        Some(&*self.0.below)
    }

    fn open(&self, tail: u64) -> BoxFuture<'_, Result<Opened>> {
        self.0.open(tail).boxed()
    }

    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        if let Some(answer) = answer_without_bytes(&range, self.0.size.get().copied()) {
            return answer;
        }
        let Some(blob) = self.0.blob() else {
            return self.0.below.read(range, priority);
        };
        let reading = CachedRead {
            state: self.0.clone(),
            blob: blob.clone(),
            left: range,
            priority,
            below: None,
        };
        stream::try_unfold(reading, |mut reading| async move {
            let next = reading.next().await?;
            Ok(next.map(|chunk| (chunk, reading)))
        })
        .boxed()
    }

    fn reject(&self, origin: &Origin, range: Range<u64>) {
        if let Some(blob) = self.0.blob() {
            self.0.cache.forget(blob, &range);
        }
        if *origin != self.0.origin {
            self.0.below.reject(origin, range);
        }
    }

    fn version(&self) -> Option<String> {
        let assumed = self.0.assumed.get().cloned();
        assumed.or_else(|| self.0.below.version())
    }

    fn hints(&self) -> Hints {
        let below = self.0.below.hints();
        if self.0.comes_from_below() {
            return below;
        }
        Hints {
            // If a read ended within a block, the next read would open and verify the block again.
            stored_unit: Some(BLOCK),
            trouble: below.trouble,
            // A disk needs no connections.
            ..Hints::default()
        }
    }

    fn learn(&self, fact: Fact<'_>) {
        match fact {
            Fact::Size(size) if !self.0.key.is_url() => self.0.opened(size, None),
            Fact::Size(_) | Fact::Version(..) | Fact::NoRanges { .. } => {}
            Fact::Bytes(chunk) => self.0.store(Some(chunk)),
        }
        self.0.below.learn(fact);
    }

    fn warm_up(&self, reads: usize) -> usize {
        if self.0.comes_from_below() {
            self.0.below.warm_up(reads)
        } else {
            1
        }
    }
}
