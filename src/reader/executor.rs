//! Carries out what the scheduler decides: runs requests, puts their bytes into blocks, wakes reads.
//!
//! The scheduler is behind one lock, and the source is never called with that lock held. Each event
//! takes the lock once. Calls to the source that follow from an event are made after it is released,
//! and their results are events of their own.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock, Weak};
use std::time::SystemTime;

use futures_util::{FutureExt, StreamExt};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::block::Blocks;
use super::bound::{Bound, Member, Share};
use super::counters::{Counters, Outcome};
use super::error::Error;
use super::pool::{Grant, Pool};
use super::schedule::{
    Action, Boundaries, Draft, Progress, Read, ReadId, Request, RequestId, Scheduler, SourceCall,
    Wake,
};
use super::trace::{Trace, Traced, TracedKind};
use crate::archive::Index;
use crate::source::{self, ChunkStream, Origin, Priority, Source};

/// Runs the requests of a blob.
pub(super) struct Executor {
    pub(super) source: Arc<dyn Source>,
    pub(super) runtime: Handle,
    pub(super) share: Arc<Share>,
    pub(super) counters: Counters,
    pub(super) trace: Trace,
    /// Tells in which file a traced request begins, once it is known.
    pub(super) index: OnceLock<Arc<Index>>,
    /// Consistent after each of its own changes. If an event panics, the rest of it is lost, and a read may wait
    /// until its deadline.
    state: Mutex<State>,
}

struct State {
    scheduler: Scheduler,
    /// For each request in flight, the handle that ends its task, and its priority.
    tasks: HashMap<RequestId, (AbortHandle, Priority)>,
    /// Wakes each read that waits.
    waiting: HashMap<ReadId, oneshot::Sender<Wake>>,
}

/// One attempt at a read.
pub(super) enum Attempt {
    /// All bytes are in these blocks.
    Ready(Blocks),
    /// All bytes will be in these blocks.
    Waiting(WaitingRead, Blocks),
    /// The next attempt needs a grant for this many buffers.
    NeedsMemory(usize),
    Failed(Error),
}

/// A read that waits. Dropping it tells the scheduler that it does not wait any longer.
pub(super) struct WaitingRead {
    executor: Arc<Executor>,
    id: ReadId,
    woken: oneshot::Receiver<Wake>,
}

impl Executor {
    /// Must be called within a tokio runtime, which then runs all requests.
    pub(super) fn new(
        source: Arc<dyn Source>,
        bound: &Arc<Bound>,
        connections: usize,
        trace: Trace,
    ) -> Arc<Self> {
        let now = Instant::now().into_std();
        let share = bound.join();
        let executor = Arc::new(Self {
            source,
            runtime: Handle::current(),
            state: Mutex::new(State {
                scheduler: Scheduler::new(share.clone(), connections, now),
                tasks: HashMap::new(),
                waiting: HashMap::new(),
            }),
            share,
            counters: Counters::default(),
            trace,
            index: OnceLock::new(),
        });
        let member: Weak<Self> = Arc::downgrade(&executor);
        bound.add(&executor.share, member);
        executor
    }

    /// The buffers of its memory bound.
    pub(super) fn pool(&self) -> &Pool {
        &self.share.bound.pool
    }

    /// Makes one attempt at a read.
    pub(super) fn attempt(self: &Arc<Self>, read: &mut Read, grant: Option<Grant>) -> Attempt {
        self.event_in(|state| match state.scheduler.read(read, grant) {
            Progress::Ready(blocks) => Attempt::Ready(blocks),
            Progress::NeedsMemory(buffers) => Attempt::NeedsMemory(buffers),
            Progress::Failed(error) => Attempt::Failed(error),
            Progress::Waiting(id, blocks) => {
                let (wake, woken) = oneshot::channel();
                state.waiting.insert(id, wake);
                let executor = self.clone();
                let waiting = WaitingRead {
                    executor,
                    id,
                    woken,
                };
                Attempt::Waiting(waiting, blocks)
            }
        })
    }

    /// Tells the scheduler of an event, and carries out what follows from it.
    pub(super) fn event<T>(self: &Arc<Self>, event: impl FnOnce(&mut Scheduler) -> T) -> T {
        self.event_in(|state| event(&mut state.scheduler))
    }

    /// Looks at the scheduler, without an event.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Scheduler) -> T) -> T {
        look(&self.state.lock().scheduler)
    }

    fn event_in<T>(self: &Arc<Self>, event: impl FnOnce(&mut State) -> T) -> T {
        let ((result, lacking), calls) =
            self.locked(|state| (event(state), state.scheduler.take_lacking()));
        if let Some(buffers) = lacking {
            self.share.take_from_others(buffers, true);
        }
        let mut calls = VecDeque::from(calls);
        while let Some(call) = calls.pop_front() {
            match call {
                SourceCall::Connect(requests) => {
                    self.connect(requests);
                }
                SourceCall::Align(mut draft) => {
                    self.align(&mut draft);
                    let ((), more) = self.locked(|state| state.scheduler.aligned(draft));
                    calls.extend(more);
                }
            }
        }
        result
    }

    /// Carries out an event with the scheduler locked. Returns the calls to the source that follow
    /// from it.
    fn locked<T>(self: &Arc<Self>, event: impl FnOnce(&mut State) -> T) -> (T, Vec<SourceCall>) {
        let hints = self.source.hints();
        let mut state = self.state.lock();
        state.scheduler.observe(Instant::now().into_std(), hints);
        let result = event(&mut state);
        let mut calls = Vec::new();
        for action in state.scheduler.take_actions() {
            match action {
                Action::Start(request) => {
                    let (id, priority) = (request.id, request.priority);
                    let task = self.spawn(request);
                    state.tasks.insert(id, (task, priority));
                }
                Action::Cancel(id) => {
                    if let Some((task, priority)) = state.tasks.remove(&id) {
                        task.abort();
                        self.counters.ended(priority, Outcome::Cancelled);
                    }
                }
                Action::Wake(id, wake) => {
                    if let Some(waiting) = state.waiting.remove(&id) {
                        // The read may just have ended. Then nobody listens.
                        let _ = waiting.send(wake);
                    }
                }
                Action::Call(call) => calls.push(call),
            }
        }
        (result, calls)
    }

    /// Has the source make connections. Returns how many requests could be in flight now without waiting for
    /// one.
    fn connect(&self, requests: usize) -> usize {
        let _runtime = self.runtime.enter();
        self.source.warm_up(requests)
    }

    fn align(&self, draft: &mut Draft) {
        let hints = self.source.hints();
        let source = Boundaries {
            unit: &|range| self.source.verification_unit(range),
            preferred_end: &|end| hints.preferred_end(end),
        };
        match draft {
            Draft::Demand(draft) => draft.align(&source, self.connect(draft.connections)),
            Draft::ReadAhead(draft) => draft.align(&source),
        }
    }

    /// Runs a request in a task of its own.
    fn spawn(self: &Arc<Self>, request: Request) -> AbortHandle {
        self.counters.requested();
        let (range, priority) = (&request.range, request.priority);
        let (first, last) = (range.start, range.end - 1);
        log::trace!("requesting bytes {first}-{last} ({priority:?})");
        let executor = self.clone();
        let (began, since) = (SystemTime::now(), Instant::now());
        let task = self.runtime.spawn(async move {
            let mut origin = None;
            let transfer = executor.transfer(&request, &mut origin);
            let transfer = AssertUnwindSafe(transfer).catch_unwind();
            let result = transfer.await.unwrap_or_else(|_| {
                let range = &request.range;
                Err(broken(range, range.start, "the task that read it panicked"))
            });
            executor.trace.add(|| Traced {
                kind: match request.priority {
                    Priority::Demand => TracedKind::Demand,
                    Priority::Prefetch => TracedKind::ReadAhead,
                },
                began,
                took: since.elapsed(),
                file: executor.file_at(request.range.start),
                range: request.range.clone(),
                from: origin.as_ref().map(Origin::to_string).unwrap_or_default(),
                error: result.as_ref().err().map(Error::to_string),
            });
            let outcome = match (&result, origin) {
                (Err(_), _) => Outcome::Failed,
                (Ok(()), Some(origin)) if origin.is_kept() => Outcome::Local,
                (Ok(()), _) => Outcome::Served,
            };
            let Request { id, blocks, .. } = request;
            // Their memory may be needed for what follows.
            drop(blocks);
            executor.event_in(|state| {
                if let Some((_, priority)) = state.tasks.remove(&id) {
                    executor.counters.ended(priority, outcome);
                }
                state.scheduler.ended(id, result);
            });
        });
        task.abort_handle()
    }

    /// The path of the file at this offset of the blob, according to the index.
    fn file_at(&self, offset: u64) -> Option<Vec<u8>> {
        let index = self.index.get()?;
        Some(index.path(index.at(offset)?).to_vec())
    }

    /// Copies the bytes of a request into its blocks as they arrive. Sets `origin` to the first server that sent bytes.
    /// As long as none has, it is the place on this machine: a file or the cache.
    async fn transfer(
        self: &Arc<Self>,
        request: &Request,
        origin: &mut Option<Origin>,
    ) -> Result<(), Error> {
        let range = &request.range;
        let mut at = range.start;
        let mut stream: ChunkStream = self.source.read(range.clone(), request.priority);
        // The end of the stream counts, not the last byte: only then is the connection free again.
        while let Some(chunk) = stream.next().await {
            let chunk = chunk?;
            let came = chunk.range();
            if came.start != at || came.end > range.end {
                return Err(broken(
                    range,
                    at,
                    "the source gave other bytes than requested",
                ));
            }
            for block in &request.blocks {
                block.fill(chunk.offset, &chunk.bytes, &chunk.origin);
            }
            at = came.end;
            self.counters.arrived(chunk.bytes.len(), &chunk.origin);
            let is_kept = chunk.origin.is_kept();
            if origin
                .as_ref()
                .is_none_or(|known| known.is_kept() && !is_kept)
            {
                *origin = Some(chunk.origin);
            }
            self.event(|scheduler| scheduler.arrived(request.id, &came, is_kept));
        }
        if at != range.end {
            return Err(broken(range, at, "the source ended too early"));
        }
        Ok(())
    }
}

impl Member for Executor {
    fn give_up(self: Arc<Self>, buffers: usize) {
        self.share
            .uncounted(|| self.event(|scheduler| scheduler.make_room(buffers)));
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Executor")
    }
}

impl WaitingRead {
    /// Waits until the read can go on.
    pub(super) async fn woken(mut self) -> Wake {
        // The sender is dropped unused only with the executor itself.
        let wake = (&mut self.woken).await;
        wake.unwrap_or(Wake::Failed(Error::Closed))
    }
}

impl Drop for WaitingRead {
    fn drop(&mut self) {
        let mut state = self.executor.state.lock();
        if state.waiting.remove(&self.id).is_some() {
            state.scheduler.read_cancelled(self.id);
        }
    }
}

/// The error for a source that breaks its contract. That is a bug, but its bytes must not become
/// file content.
fn broken(range: &Range<u64>, at: u64, what: &str) -> Error {
    Error::Source(source::Error::BadAnswer {
        origin: Origin::new("source"),
        range: range.clone(),
        what: format!("{what}, at byte {at}"),
    })
}
