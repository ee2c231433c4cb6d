//! Asking again: a decorator that goes on where a read broke off.
//!
//! What is transient (no connection, a cut, silence, 429, 502...) is asked again after a pause that
//! doubles, with jitter so that many readers do not come back at the same moment; a server's
//! Retry-After is honoured. What is permanent is passed on at once.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use super::{Chunk, ChunkStream, Error, Opened, Origin, Priority, Result, Source};

/// The first pause; doubled each time nothing came in between.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause that we choose ourselves.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A server that gave so many bytes before it cut the answer is asked for the rest at once: that is
/// no more of a load than to have gone on.
const GENEROUS: u64 = 16 * 1024;

/// Whoever opens a blob waits for an answer, and a gateway that is down should be said to be down:
/// a mount at boot has its own ways to wait.
const OPEN_PATIENCE: Duration = Duration::from_secs(3);

/// Read-ahead is not worth more tries than this: whoever needs the bytes will ask for them.
const PREFETCH_TRIES: u32 = 2;

/// Repeats what failed for a transient reason.
#[derive(Clone)]
pub struct Retry {
    inner: Arc<dyn Source>,
    patience: Duration,
}

impl Retry {
    /// Retries reads of `inner` until nothing has come for `patience`.
    pub fn new(inner: Arc<dyn Source>, patience: Duration) -> Self {
        Self { inner, patience }
    }
}

/// When to try again, and when to give up.
pub struct Backoff {
    patience: Duration,
    since: Instant,
    tries: u32,
    max_tries: u32,
    /// Bytes since something failed last.
    came: u64,
}

impl Backoff {
    /// A back-off that gives up once nothing has come for `patience`, or after two tries for read-ahead.
    pub fn new(patience: Duration, priority: Priority) -> Self {
        Self {
            patience,
            since: Instant::now(),
            tries: 0,
            max_tries: match priority {
                Priority::Demand => u32::MAX,
                Priority::Prefetch => PREFETCH_TRIES,
            },
            came: 0,
        }
    }

    fn progressed(&mut self, bytes: u64) {
        self.since = Instant::now();
        self.tries = 0;
        self.came += bytes;
    }

    /// Waits before the next try; gives the error back if there is to be none.
    pub async fn wait(&mut self, error: Error) -> Result<()> {
        self.tries += 1;
        if !error.is_transient() || self.tries >= self.max_tries {
            return Err(error);
        }
        let came = std::mem::take(&mut self.came);
        if came >= GENEROUS && matches!(error, Error::Cut { .. }) {
            log::debug!("{error}; asking for the rest");
            return Ok(());
        }
        let doubled = FIRST_PAUSE * 2u32.saturating_pow(self.tries.min(10) - 1);
        let pause = jittered(doubled.min(LONGEST_PAUSE));
        let pause = pause.max(error.retry_after().unwrap_or_default());
        // Not as a sum: a server may say any number.
        if pause >= self.patience.saturating_sub(self.since.elapsed()) {
            return Err(error);
        }
        log::debug!("{error}; trying again in {} ms", pause.as_millis());
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// Somewhere between half of the pause and all of it.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + 0.5 * chance())
}

/// A random number from 0 to 1.
pub fn chance() -> f64 {
    // A fresh RandomState is as random as this needs, without a dependency.
    let random = RandomState::new().hash_one(()) as u32;
    f64::from(random) / f64::from(u32::MAX)
}

struct Reading {
    source: Arc<dyn Source>,
    left: Range<u64>,
    priority: Priority,
    stream: Option<ChunkStream>,
    backoff: Backoff,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Chunk>> {
        loop {
            let range = self.left.clone();
            let stream = self
                .stream
                .get_or_insert_with(|| self.source.read(range, self.priority));
            match stream.next().await {
                Some(Ok(chunk)) => {
                    self.left.start = chunk.range().end;
                    self.backoff.progressed(chunk.bytes.len() as u64);
                    return Ok(Some(chunk));
                }
                None => return Ok(None),
                // The last byte had come; what broke afterwards does not matter.
                Some(Err(_)) if self.left.is_empty() => return Ok(None),
                Some(Err(error)) => {
                    self.stream = None;
                    self.backoff.wait(error).await?;
                }
            }
        }
    }
}

impl Source for Retry {
    fn open(&self, tail: u64) -> BoxFuture<'_, Result<Opened>> {
        async move {
            let patience = self.patience.min(OPEN_PATIENCE);
            let mut backoff = Backoff::new(patience, Priority::Demand);
            loop {
                match self.inner.open(tail).await {
                    Ok(opened) => return Ok(opened),
                    Err(error) => backoff.wait(error).await?,
                }
            }
        }
        .boxed()
    }

    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        let reading = Reading {
            source: self.inner.clone(),
            left: range,
            priority,
            stream: None,
            backoff: Backoff::new(self.patience, priority),
        };
        stream::try_unfold(reading, |mut reading| async move {
            let next = reading.next().await?;
            Ok(next.map(|chunk| (chunk, reading)))
        })
        .boxed()
    }

    fn verification_unit(&self, range: Range<u64>) -> Range<u64> {
        self.inner.verification_unit(range)
    }

    fn preferred_end(&self, end: u64) -> u64 {
        self.inner.preferred_end(end)
    }

    fn reject(&self, origin: &Origin, range: Range<u64>) {
        self.inner.reject(origin, range);
    }

    fn version(&self) -> Option<String> {
        self.inner.version()
    }

    fn warm_up(&self, reads: usize) -> usize {
        self.inner.warm_up(reads)
    }

    fn early_by(&self) -> Option<u64> {
        self.inner.early_by()
    }

    fn at_once(&self) -> Option<usize> {
        self.inner.at_once()
    }

    fn expect_size(&self, size: u64) {
        self.inner.expect_size(size);
    }

    fn trouble(&self, within: Duration) -> Option<Error> {
        self.inner.trouble(within)
    }
}
