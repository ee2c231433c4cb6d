//! A link as a source: latency, connections, rates; by a clock that may stand still.
//!
//! Under tokio's paused clock a transfer takes no time and no luck: what comes out is what the
//! reader makes of the link, to the millisecond, however busy the machine is.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aiozfs::source::{self, Chunk, ChunkStream, Opened, Origin, Priority, Source};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt};
use tokio::sync::mpsc;
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
    state: Mutex<State>,
}

struct State {
    /// When the link is free for the next byte.
    free: Instant,
    /// When each connection that carries nothing can carry a request.
    idle: Vec<Instant>,
    busy: usize,
    carried: Carried,
}

/// Bytes that go through the link at once.
const CHUNK: u64 = 64 * 1024;

impl Link {
    pub fn new(shape: Shape, size: u64, content: Content) -> Arc<Self> {
        Arc::new(Self(Arc::new(Inner {
            shape,
            size,
            content,
            state: Mutex::new(State {
                free: Instant::now(),
                idle: Vec::new(),
                busy: 0,
                carried: Carried::default(),
            }),
        })))
    }

    /// A blob that is all the same byte.
    pub fn plain(shape: Shape, size: u64) -> Arc<Self> {
        let bytes = Bytes::from(vec![7; 1 << 20]);
        let content = move |range: Range<u64>| bytes.slice(..(range.end - range.start) as usize);
        Self::new(shape, size, Arc::new(content))
    }

    /// What went through since the last asking.
    pub fn carried(&self) -> Carried {
        std::mem::take(&mut self.0.state().carried)
    }
}

impl Inner {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("the link")
    }

    /// Takes a connection, and says when it can carry a request.
    fn connect(&self) -> Instant {
        let now = Instant::now();
        let mut state = self.state();
        state.carried.requests += 1;
        state.busy += 1;
        state.carried.most_at_once = state.carried.most_at_once.max(state.busy);
        let soonest = (0..state.idle.len()).min_by_key(|at| state.idle[*at]);
        match soonest {
            Some(at) => state.idle.swap_remove(at).max(now),
            None => {
                state.carried.connections += 1;
                now + self.shape.rtt
            }
        }
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
struct Lease(Arc<Inner>, bool);

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.busy -= 1;
        if self.1 {
            state.idle.push(Instant::now());
        }
    }
}

impl Source for Link {
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
        let (sender, receiver) = mpsc::unbounded_channel::<(Instant, Range<u64>)>();
        let carry = async move {
            if priority == Priority::Prefetch {
                tokio::task::yield_now().await;
            }
            let ready = inner.connect();
            let mut lease = Lease(inner.clone(), false);
            let rtt = inner.shape.rtt;
            // Where the server is, a round trip is behind where we are.
            let mut gone = ready + rtt / 2;
            let mut at = range.start;
            while at < range.end {
                sleep_until(gone).await;
                let end = (at + CHUNK).min(range.end);
                gone = inner.book(gone, end - at);
                if sender.send((gone + rtt / 2, at..end)).is_err() {
                    return;
                }
                at = end;
            }
            sleep_until(gone + rtt / 2).await;
            lease.1 = true;
        };
        let task = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(carry));
        let content = self.0.content.clone();
        let state = (receiver, task, content);
        stream::unfold(state, |(mut receiver, task, content)| async move {
            let (due, range) = receiver.recv().await?;
            sleep_until(due).await;
            let chunk = Chunk {
                offset: range.start,
                bytes: content(range),
                origin: Origin::new("link"),
            };
            Some((Ok(chunk), (receiver, task, content)))
        })
        .boxed()
    }

    fn warm_up(&self, reads: usize) -> usize {
        let now = Instant::now();
        let mut state = self.0.state();
        let ready = state.idle.iter().filter(|at| **at <= now).count();
        for _ in state.idle.len() + state.busy..reads {
            state.carried.connections += 1;
            state.idle.push(now + self.0.shape.rtt);
        }
        ready + state.busy
    }
}
