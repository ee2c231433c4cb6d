//! What a mount serves, and the state of this mount.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use tokio::runtime::Handle;

use super::listings::Listings;
use super::logged::Logged;
use super::tally::Tally;
use crate::library::Library;

/// What the adapter serves.
pub(super) struct Served {
    pub(super) library: Library,
    /// When it was mounted.
    pub(super) since: Instant,
    /// The listings of its directories.
    pub(super) listings: Listings,
    /// The failures that were logged.
    pub(super) logged: Logged,
    pub(super) tally: Tally,
    /// The hash of the source, for which [`is_source`](super::is_source) asks.
    pub(super) source_hash: Option<String>,
    runtime: Handle,
    /// Each request that waits in a task has a clone.
    waiting: Arc<()>,
}

impl Served {
    pub(super) fn new(library: Library, source_hash: Option<String>, runtime: Handle) -> Self {
        Self {
            library,
            since: Instant::now(),
            listings: Listings::default(),
            logged: Logged::default(),
            tally: Tally::default(),
            source_hash,
            runtime,
            waiting: Arc::default(),
        }
    }

    /// Continues a request in a task, which may wait, and catches its panic.
    pub(super) fn spawn(
        &self,
        what: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let waiting = self.waiting.clone();
        self.runtime.spawn(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                log_panic(what);
            }
            drop(waiting);
        });
    }

    /// Whether requests wait in tasks.
    pub(super) fn has_waiting(&self) -> bool {
        Arc::strong_count(&self.waiting) > 1
    }
}

/// Runs a request and catches its panic. The reply inside it is dropped, which answers EIO. The panic
/// hook has logged the cause.
pub(super) fn guard(what: &str, request: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(request)).is_err() {
        log_panic(what);
    }
}

fn log_panic(what: &str) {
    log::error!("{what} panicked; the request is answered with EIO. Please report this");
}
