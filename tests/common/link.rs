//! A simulated link as a source: latency, connections and rates.
//!
//! Under tokio's paused clock a transfer takes no real time. The times that tests measure depend only on what the
//! reader requests and when, to the millisecond, however busy the machine is.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aiozfs::source::{self, Chunk, ChunkStream, Hints, Opened, Origin, Priority, Source};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};

pub use super::shape::Shape;

/// What a link has carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    pub connections: usize,
    pub requests: usize,
    pub bytes: u64,
    pub most_at_once: usize,
}

/// Gives bytes of a blob.
pub type Content = Arc<dyn Fn(Range<u64>) -> Bytes + Send + Sync>;

/// A blob behind a link.
pub struct Link(Arc<Inner>);

struct Inner {
    shape: Shape,
    size: u64,
    content: Content,
    /// Whether a request is sent only when the answer before it has come.
    has_pauses: bool,
    state: Mutex<State>,
    /// A connection carries nothing more, or soon.
    freed: Notify,
}

/// So many connections there are at the most.
const MOST: usize = 16;

struct State {
    /// When the link is free for the next byte.
    free: Instant,
    connections: Vec<Arc<Connection>>,
    carried: Carried,
}

/// Bytes that go through the link at once.
const CHUNK: u64 = 64 * 1024;

struct Connection {
    /// When it can carry its first request.
    ready: Instant,
    /// Requests that were sent and not been answered to the end.
    requests: AtomicUsize,
    /// What of the answer to the first of them has not come.
    left: AtomicU64,
    /// Held by the server while it answers: one after the other, as they came.
    server: tokio::sync::Mutex<()>,
}

impl Link {
    pub fn new(shape: Shape, size: u64, content: Content) -> Arc<Self> {
        Self::made(shape, size, content, false)
    }

    /// A blob that is all the same byte.
    pub fn plain(shape: Shape, size: u64) -> Arc<Self> {
        Self::made(shape, size, sevens(), false)
    }

    /// The same, but no request is sent before the answer before it has come.
    pub fn with_pauses(shape: Shape, size: u64) -> Arc<Self> {
        Self::made(shape, size, sevens(), true)
    }

    fn made(shape: Shape, size: u64, content: Content, has_pauses: bool) -> Arc<Self> {
        Arc::new(Self(Arc::new(Inner {
            shape,
            size,
            content,
            has_pauses,
            freed: Notify::new(),
            state: Mutex::new(State {
                free: Instant::now(),
                connections: Vec::new(),
                carried: Carried::default(),
            }),
        })))
    }

    /// What went through since the last asking.
    pub fn carried(&self) -> Carried {
        std::mem::take(&mut self.0.state().carried)
    }
}

fn sevens() -> Content {
    let bytes = Bytes::from(vec![7; 1 << 20]);
    Arc::new(move |range: Range<u64>| bytes.slice(..(range.end - range.start) as usize))
}

impl Inner {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("the link")
    }

    /// Takes a connection: one that carries nothing, or else will soon carry nothing, or a new one.
    async fn connect(&self) -> Arc<Connection> {
        loop {
            let freed = self.freed.notified();
            if let Some(connection) = self.try_connect() {
                return connection;
            }
            freed.await;
        }
    }

    fn try_connect(&self) -> Option<Arc<Connection>> {
        let mut state = self.state();
        let requests = |c: &Arc<Connection>| c.requests.load(Relaxed);
        let idle = state.connections.iter().filter(|c| requests(c) == 0);
        let idle = idle.min_by_key(|c| c.ready).cloned();
        let early_by = self.early_by(&state);
        let soon = || {
            let busy = state.connections.iter().filter(|c| requests(c) == 1);
            let soon = busy.filter(|c| !self.has_pauses && c.left.load(Relaxed) <= early_by);
            soon.min_by_key(|c| c.left.load(Relaxed)).cloned()
        };
        let found = match idle.or_else(soon) {
            Some(found) => found,
            None if state.connections.len() >= MOST => return None,
            None => {
                let made = self.made();
                state.carried.connections += 1;
                state.connections.push(made.clone());
                made
            }
        };
        state.carried.requests += 1;
        found.requests.fetch_add(1, Relaxed);
        let busy = state.connections.iter().filter(|c| requests(c) > 0).count();
        state.carried.most_at_once = state.carried.most_at_once.max(busy);
        Some(found)
    }

    /// What a connection carries in a round trip.
    fn early_by(&self, state: &State) -> u64 {
        let busy = state
            .connections
            .iter()
            .filter(|c| c.requests.load(Relaxed) > 0);
        let share = self.shape.total / busy.count().max(1) as f64;
        (self.shape.connection.min(share) * self.shape.rtt.as_secs_f64()) as u64
    }

    fn made(&self) -> Arc<Connection> {
        Arc::new(Connection {
            ready: Instant::now() + self.shape.rtt,
            requests: AtomicUsize::new(0),
            left: AtomicU64::new(u64::MAX),
            server: tokio::sync::Mutex::new(()),
        })
    }

    /// When `bytes` that can go from `from` on have gone.
    fn book(&self, from: Instant, bytes: u64) -> Instant {
        let mut state = self.state();
        let own = from + Duration::from_secs_f64(bytes as f64 / self.shape.connection);
        let shared = state.free.max(from);
        state.free = shared + Duration::from_secs_f64(bytes as f64 / self.shape.total);
        state.carried.bytes += bytes;
        state.free.max(own)
    }
}

/// A connection that carries an answer; dropped before the end, it is closed.
struct Lease(Arc<Inner>, Arc<Connection>, bool);

impl Drop for Lease {
    fn drop(&mut self) {
        self.1.requests.fetch_sub(1, Relaxed);
        self.1.left.store(u64::MAX, Relaxed);
        if !self.2 {
            let mut state = self.0.state();
            state.connections.retain(|c| !Arc::ptr_eq(c, &self.1));
        }
        self.0.freed.notify_waiters();
    }
}

impl Source for Link {
    fn inner(&self) -> Option<&dyn Source> {
        None
    }

    fn open(&self, tail: u64) -> BoxFuture<'_, source::Result<Opened>> {
        async move {
            self.warm_up(6);
            let start = self.0.size.saturating_sub(tail);
            tokio::time::sleep(self.0.shape.rtt * 2).await;
            let bytes = (self.0.content)(start..self.0.size);
            let origin = Origin::new("link");
            Ok(Opened {
                size: self.0.size,
                tail: (tail > 0).then_some(Chunk {
                    offset: start,
                    bytes,
                    origin,
                }),
            })
        }
        .boxed()
    }

    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        let inner = self.0.clone();
        let (sender, receiver) =
            mpsc::unbounded_channel::<(Instant, Range<u64>, Arc<Connection>)>();
        let carry = async move {
            if priority == Priority::Prefetch {
                tokio::task::yield_now().await;
            }
            let connection = inner.connect().await;
            let mut lease = Lease(inner.clone(), connection.clone(), false);
            let rtt = inner.shape.rtt;
            // Where the server is, a round trip is behind where we are.
            sleep_until(Instant::now().max(connection.ready) + rtt / 2).await;
            let turn = connection.server.lock().await;
            let mut gone = Instant::now();
            let mut at = range.start;
            while at < range.end {
                sleep_until(gone).await;
                let end = (at + CHUNK).min(range.end);
                gone = inner.book(gone, end - at);
                if sender
                    .send((gone + rtt / 2, at..end, connection.clone()))
                    .is_err()
                {
                    return;
                }
                at = end;
            }
            sleep_until(gone).await;
            drop(turn);
            sleep_until(gone + rtt / 2).await;
            lease.2 = true;
        };
        let task = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(carry));
        let content = self.0.content.clone();
        let last = range.end;
        let state = (receiver, task, content, self.0.clone());
        stream::unfold(
            state,
            move |(mut receiver, task, content, inner)| async move {
                let (due, range, connection) = receiver.recv().await?;
                sleep_until(due).await;
                if range.end < last {
                    connection.left.store(last - range.end, Relaxed);
                }
                inner.freed.notify_waiters();
                let chunk = Chunk {
                    offset: range.start,
                    bytes: content(range),
                    origin: Origin::new("link"),
                };
                Some((Ok(chunk), (receiver, task, content, inner)))
            },
        )
        .boxed()
    }

    fn warm_up(&self, reads: usize) -> usize {
        let now = Instant::now();
        let mut state = self.0.state();
        for _ in state.connections.len()..reads {
            state.carried.connections += 1;
            let made = self.0.made();
            state.connections.push(made);
        }
        state
            .connections
            .iter()
            .filter(|c| c.ready <= now || c.requests.load(Relaxed) > 0)
            .count()
    }

    fn hints(&self) -> Hints {
        Hints {
            pipelined_within: (!self.0.has_pauses).then(|| self.0.early_by(&self.0.state())),
            ..Hints::default()
        }
    }
}
