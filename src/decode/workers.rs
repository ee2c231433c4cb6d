//! The threads that decode: on each core at most one decoder computes, and none on a thread that serves the kernel. Tiny
//! entries are an exception: the task that reads one decodes it ([`small`](super::small)).

use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most threads that work of all archives begins on, whether they compute or wait for bytes or memory. Far below the
/// number of the runtime's threads that may block: walks that hold memory need some of those to go on.
const THREADS: usize = 64;

/// The most of them for one archive, so that one whose server is silent leaves threads to others.
const THREADS_OF_ARCHIVE: usize = 16;

/// Runs decoders of one archive. All archives share the threads and the cores.
#[derive(Clone)]
pub(super) struct Workers {
    runtime: Handle,
    all_threads: Arc<Semaphore>,
    threads: Arc<Semaphore>,
    cores: Arc<Semaphore>,
}

/// A place on a thread. Work that has one begins at once.
pub(super) struct Place {
    _of_archive: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

/// A decoder's place on a core, which it gives up while it waits. All clones are the same place.
#[derive(Clone)]
pub(super) struct Turn {
    runtime: Handle,
    cores: Arc<Semaphore>,
    held: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl Workers {
    /// Must be called within a tokio runtime.
    pub(super) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self {
            runtime: Handle::current(),
            all_threads: Arc::new(Semaphore::new(THREADS)),
            threads: Arc::new(Semaphore::new(THREADS_OF_ARCHIVE)),
            cores: Arc::new(Semaphore::new(cores)),
        }
    }

    /// Those of another archive, on the same threads and cores.
    pub(super) fn of_archive(&self) -> Self {
        Self {
            runtime: self.runtime.clone(),
            all_threads: self.all_threads.clone(),
            threads: Arc::new(Semaphore::new(THREADS_OF_ARCHIVE)),
            cores: self.cores.clone(),
        }
    }

    /// A place on a core, which is not taken yet.
    pub(super) fn turn(&self) -> Turn {
        Turn {
            runtime: self.runtime.clone(),
            cores: self.cores.clone(),
            held: Arc::default(),
        }
    }

    /// Runs a task, which must not block.
    pub(super) fn spawn_task(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.runtime.spawn(task));
    }

    /// Runs the work of a walk that holds memory: at once, because all threads may wait for that memory.
    pub(super) fn go_on(&self, work: impl FnOnce() + Send + 'static) {
        drop(self.runtime.spawn_blocking(work));
    }

    /// Runs `work` on a thread that may block, as soon as there is one.
    pub(super) fn spawn(&self, work: impl FnOnce() + Send + 'static) {
        if let Some(place) = self.try_place() {
            return self.run(place, work);
        }
        let (place, this) = (self.place(), self.clone());
        self.runtime.spawn(async move {
            if let Some(place) = place.await {
                this.run(place, work);
            }
        });
    }

    /// Runs `work` on a thread that may block.
    pub(super) fn run(&self, place: Place, work: impl FnOnce() + Send + 'static) {
        drop(self.runtime.spawn_blocking(move || {
            work();
            drop(place);
        }));
    }

    /// A place on a thread, if one is free.
    pub(super) fn try_place(&self) -> Option<Place> {
        Some(Place {
            _of_archive: self.threads.clone().try_acquire_owned().ok()?,
            _of_all: self.all_threads.clone().try_acquire_owned().ok()?,
        })
    }

    /// Waits for a place on a thread. Never `None`: the semaphores are not closed.
    pub(super) fn place(&self) -> impl Future<Output = Option<Place>> + use<> {
        let (threads, all_threads) = (self.threads.clone(), self.all_threads.clone());
        async move {
            Some(Place {
                _of_archive: threads.acquire_owned().await.ok()?,
                _of_all: all_threads.acquire_owned().await.ok()?,
            })
        }
    }
}

impl Turn {
    /// Waits for a core. Only for threads that may block.
    pub(super) fn take(&self) {
        let core = self.cores.clone().try_acquire_owned();
        let core = core.or_else(|_| self.runtime.block_on(self.cores.clone().acquire_owned()));
        *self.held.lock() = core.ok();
    }

    /// Gives the core to another decoder.
    pub(super) fn give(&self) {
        *self.held.lock() = None;
    }

    /// Waits for a future while another decoder has the core.
    pub(super) fn wait_for<T>(&self, future: impl Future<Output = T>) -> T {
        self.give();
        let result = self.runtime.block_on(future);
        self.take();
        result
    }
}
