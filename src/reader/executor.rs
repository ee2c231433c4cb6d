//! Carries out what the scheduler decides: runs requests, puts their bytes into blocks, wakes reads.
//!
//! The scheduler is behind one lock, and the source is never called with that lock held. Each event
//! takes the lock once. Calls to the source that follow from an event are made after it is released,
//! and their results are events of their own.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::block::Blocks;
use super::counters::Counters;
use super::error::Error;
use super::pool::{Grant, Pool};
use super::schedule::{
    Action, Aligned, Boundaries, Draft, Hints, Limits, Progress, Read, ReadId, Request, RequestId,
    Scheduler, SourceCall, Wake,
};
use crate::source::{self, Source};

/// Runs the requests of a blob. Cheap to clone; all clones share their state.
#[derive(Clone)]
pub(super) struct Executor(Arc<Inner>);

struct Inner {
    source: Arc<dyn Source>,
    runtime: Handle,
    pool: Pool,
    state: Mutex<State>,
    counters: Counters,
}

struct State {
    scheduler: Scheduler,
    /// Ends the task of each request in flight.
    tasks: HashMap<RequestId, AbortHandle>,
    /// Wakes each read that waits.
    waiting: HashMap<ReadId, oneshot::Sender<Wake>>,
}

/// One attempt at a read.
pub(super) enum Attempt {
    /// All bytes are in these blocks.
    Ready(Blocks),
    /// They will be.
    Waiting(WaitingRead, Blocks),
    /// The next attempt needs a grant for this many buffers.
    NeedsMemory(usize),
    Failed(Error),
}

/// A read that waits. Dropping it tells the scheduler that it does not wait any more.
pub(super) struct WaitingRead {
    executor: Executor,
    id: ReadId,
    woken: oneshot::Receiver<Wake>,
}

impl Executor {
    /// Must be called within a tokio runtime, which then runs all requests.
    pub(super) fn new(source: Arc<dyn Source>, limits: Limits) -> Self {
        let pool = Pool::new(limits.buffers);
        let now = Instant::now().into_std();
        Self(Arc::new(Inner {
            source,
            runtime: Handle::current(),
            state: Mutex::new(State {
                scheduler: Scheduler::new(pool.clone(), limits, now),
                tasks: HashMap::new(),
                waiting: HashMap::new(),
            }),
            pool,
            counters: Counters::default(),
        }))
    }

    pub(super) fn source(&self) -> &Arc<dyn Source> {
        &self.0.source
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.0.pool
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// Makes one attempt at a read.
    pub(super) fn attempt(&self, read: &mut Read, grant: Option<Grant>) -> Attempt {
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
    pub(super) fn event<T>(&self, event: impl FnOnce(&mut Scheduler) -> T) -> T {
        self.event_in(|state| event(&mut state.scheduler))
    }

    /// Looks at the scheduler, without an event.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Scheduler) -> T) -> T {
        look(&self.state().scheduler)
    }

    fn event_in<T>(&self, event: impl FnOnce(&mut State) -> T) -> T {
        let (result, calls) = self.locked(event);
        let mut calls = VecDeque::from(calls);
        while let Some(call) = calls.pop_front() {
            match call {
                SourceCall::Connect(requests) => {
                    self.connect(requests);
                }
                SourceCall::Align(draft) => {
                    let aligned = self.align(draft);
                    let ((), more) = self.locked(|state| state.scheduler.aligned(aligned));
                    calls.extend(more);
                }
            }
        }
        result
    }

    /// Carries out an event with the scheduler locked. Returns the calls to the source that follow
    /// from it.
    fn locked<T>(&self, event: impl FnOnce(&mut State) -> T) -> (T, Vec<SourceCall>) {
        let source = &self.0.source;
        let hints = Hints {
            concurrency: source.at_once(),
            pipelined_within: source.early_by(),
            received: source.received(),
            unverified: source.on_trial(),
        };
        let mut state = self.state();
        state.scheduler.observe(Instant::now().into_std(), hints);
        let result = event(&mut state);
        let mut calls = Vec::new();
        for action in state.scheduler.take_actions() {
            match action {
                Action::Start(request) => {
                    let id = request.id;
                    let task = self.spawn(request);
                    state.tasks.insert(id, task);
                }
                Action::Cancel(id) => {
                    if let Some(task) = state.tasks.remove(&id) {
                        task.abort();
                    }
                }
                Action::Wake(id, wake) => {
                    if let Some(waiting) = state.waiting.remove(&id) {
                        // The read may have ended in this moment; then nobody listens.
                        let _ = waiting.send(wake);
                    }
                }
                Action::Call(call) => calls.push(call),
            }
        }
        (result, calls)
    }

    /// Has connections made. Returns how many requests could be sent now without waiting for one,
    /// those in flight among them.
    fn connect(&self, requests: usize) -> usize {
        let _runtime = self.0.runtime.enter();
        self.0.source.warm_up(requests)
    }

    fn align(&self, draft: Draft) -> Aligned {
        let source = Bounds(&*self.0.source);
        match draft {
            Draft::Demand(draft) => {
                let ready = self.connect(draft.connections());
                draft.align(&source, ready)
            }
            Draft::ReadAhead(draft) => draft.align(&source),
        }
    }

    /// Runs a request in a task of its own.
    fn spawn(&self, request: Request) -> AbortHandle {
        self.0.counters.requested();
        let Request {
            id,
            range,
            priority,
            blocks,
        } = request;
        log::trace!(
            "requesting bytes {}-{} ({priority:?})",
            range.start,
            range.end - 1
        );
        let executor = self.clone();
        let task = self.0.runtime.spawn(async move {
            let mut unfinished = Unfinished {
                executor: &executor,
                id,
                error: Some(broken(&range, range.start, "its task failed")),
            };
            let stream = executor.0.source.read(range.clone(), priority);
            let result = executor.transfer(id, &range, stream, &blocks).await;
            drop(blocks);
            unfinished.error = None;
            executor.event_in(|state| {
                state.tasks.remove(&id);
                state.scheduler.ended(id, result);
            });
        });
        task.abort_handle()
    }

    /// Puts the bytes of a request into its blocks as they come.
    async fn transfer(
        &self,
        id: RequestId,
        range: &Range<u64>,
        mut stream: source::ChunkStream,
        blocks: &Blocks,
    ) -> Result<(), Error> {
        let (mut at, mut is_local) = (range.start, true);
        // The stream's end counts, not the last byte: only then is the connection free again.
        while let Some(chunk) = stream.next().await {
            let chunk = chunk?;
            let came = chunk.range();
            if came.start != at || came.end > range.end {
                let what = "the source gave other bytes than requested";
                return Err(broken(range, at, what));
            }
            for block in blocks {
                block.fill(chunk.offset, &chunk.bytes, &chunk.origin);
            }
            is_local &= chunk.origin.is_kept();
            at = came.end;
            let bytes = came.end - came.start;
            self.0.counters.arrived(bytes, &chunk.origin);
            self.event(|scheduler| scheduler.arrived(id, &came, chunk.origin.is_kept()));
        }
        if at != range.end {
            return Err(broken(range, at, "the source ended too early"));
        }
        if is_local {
            self.0.counters.was_local();
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // After a panic within an event the state may lack what that event would have added. That
        // costs at most the deadline of one read.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WaitingRead {
    /// Waits until the read can go on.
    pub(super) async fn woken(mut self) -> Wake {
        // The scheduler forgets a waiting read only when it wakes it.
        let wake = (&mut self.woken).await;
        wake.unwrap_or(Wake::Failed(Error::Closed))
    }
}

impl Drop for WaitingRead {
    fn drop(&mut self) {
        let mut state = self.executor.state();
        state.waiting.remove(&self.id);
        state.scheduler.read_ended(self.id);
    }
}

/// Ends a request whose task panics or is aborted. Of an aborted one the scheduler does not know any
/// more.
struct Unfinished<'a> {
    executor: &'a Executor,
    id: RequestId,
    error: Option<Error>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let Some(error) = self.error.take() else {
            return;
        };
        self.executor.locked(|state| {
            state.tasks.remove(&self.id);
            state.scheduler.ended(self.id, Err(error));
        });
    }
}

/// Where the ranges of a source are best cut.
struct Bounds<'a>(&'a dyn Source);

impl Boundaries for Bounds<'_> {
    fn unit(&self, range: Range<u64>) -> Range<u64> {
        self.0.granule(range)
    }

    fn preferred_end(&self, end: u64) -> u64 {
        self.0.seam(end)
    }
}

/// The error for a source that breaks its contract. That is a bug, but its bytes must not become
/// file content.
fn broken(range: &Range<u64>, at: u64, what: &str) -> Error {
    Error::Source(source::Error::BadAnswer {
        origin: source::Origin::new("source"),
        range: range.clone(),
        what: format!("{what}, at byte {at}"),
    })
}
