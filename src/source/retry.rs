//! A decorator that retries: it continues where a read broke off.
//!
//! After a transient error (no connection, a cut, silence, 429, 502...) it asks again after a pause. The
//! pause doubles each time, and has jitter so that many readers do not come back at the same moment. A
//! server's Retry-After is honoured. A permanent error is passed on at once.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use super::{Chunk, ChunkStream, Error, Opened, Priority, Result, Source};

/// The first pause. Each further pause is twice the one before, until bytes arrive.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause, except by Retry-After.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A server that gave at least this many bytes before it cut the answer is asked for the rest at once. The
/// load is the same as if it had not cut.
const GENEROUS: u64 = 16 * 1024;

/// The patience of [`Source::open`]: the user waits, and should soon learn that a gateway is down. A mount
/// at boot waits by other means.
pub const OPEN_PATIENCE: Duration = Duration::from_secs(3);

/// How long opening tries to reach a server that is not expected to come. Its address is probably wrong; the retries are
/// for a server that was started at the same time.
const NEW_SERVER_PATIENCE: Duration = Duration::from_millis(400);

/// How often read-ahead is tried. A demand read will ask for the bytes again if they are needed.
const PREFETCH_TRIES: u32 = 2;

/// A [`Source`] that retries transient errors of another.
#[derive(Clone)]
pub struct Retry {
    inner: Arc<dyn Source>,
    patience: Duration,
}

impl Retry {
    /// Retries reads of `inner` until no bytes have come for `patience`.
    pub fn new(inner: Arc<dyn Source>, patience: Duration) -> Self {
        Self { inner, patience }
    }
}

/// Decides when to try again and when to give up.
pub struct Backoff {
    patience: Duration,
    since: Instant,
    tries: u32,
    max_tries: u32,
    is_opening: bool,
    /// Bytes that came since the last failure.
    came: u64,
}

impl Backoff {
    /// Gives up when no bytes have come for `patience`, or after two tries for read-ahead.
    pub fn new(patience: Duration, priority: Priority) -> Self {
        Self {
            patience,
            since: Instant::now(),
            tries: 0,
            max_tries: match priority {
                Priority::Demand => u32::MAX,
                Priority::Prefetch => PREFETCH_TRIES,
            },
            is_opening: false,
            came: 0,
        }
    }

    /// As [`new`](Self::new) for what a user waits for when content is opened: a server that cannot be reached is given
    /// up after [`OPEN_PATIENCE`], or within half a second if it is not expected to come.
    pub fn opening(patience: Duration) -> Self {
        Self {
            is_opening: true,
            ..Self::new(patience, Priority::Demand)
        }
    }

    fn patience(&self, error: &Error) -> Duration {
        let most = match error {
            Error::Unreachable { is_expected, .. } if self.is_opening && *is_expected => {
                OPEN_PATIENCE
            }
            Error::Unreachable { .. } if self.is_opening => NEW_SERVER_PATIENCE,
            _ => Duration::MAX,
        };
        self.patience.min(most)
    }

    fn progressed(&mut self, bytes: u64) {
        self.since = Instant::now();
        self.tries = 0;
        self.came += bytes;
    }

    /// Waits until the next try.
    ///
    /// # Errors
    /// The same error, if it is time to give up.
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
        // A sum could overflow: a server may send any Retry-After.
        if pause >= self.patience(&error).saturating_sub(self.since.elapsed()) {
            return Err(error);
        }
        log::debug!("{error}; trying again in {} ms", pause.as_millis());
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// A random time between half of the pause and all of it.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + 0.5 * fastrand::f64())
}

/// A read and what is left of it.
struct RetriedRead {
    source: Arc<dyn Source>,
    left: Range<u64>,
    priority: Priority,
    stream: Option<ChunkStream>,
    backoff: Backoff,
}

impl RetriedRead {
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
                // All bytes have come, so the error does not matter.
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
    fn inner(&self) -> Option<&dyn Source> {
        Some(&*self.inner)
    }

    fn open(&self, tail: u64) -> BoxFuture<'_, Result<Opened>> {
        async move {
            let patience = self.patience.min(OPEN_PATIENCE);
            let mut backoff = Backoff::opening(patience);
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
        let read = RetriedRead {
            source: self.inner.clone(),
            left: range,
            priority,
            stream: None,
            backoff: Backoff::new(self.patience, priority),
        };
        stream::try_unfold(read, |mut read| async move {
            let next = read.next().await?;
            Ok(next.map(|chunk| (chunk, read)))
        })
        .boxed()
    }
}
