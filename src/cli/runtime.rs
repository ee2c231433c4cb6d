//! The runtime of a command, and the signals that end it.

use futures_util::future::select_all;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use super::Failure;
use crate::mount;

/// The runtime for everything that waits for a network.
pub(super) fn new() -> Result<Runtime, Failure> {
    mount::limit_arenas();
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("aiozfs")
        .enable_all()
        .build()
        .map_err(|e| Failure::new(format!("cannot start: {e}")))
}

/// Does `work`, and waits for nothing that it leaves behind, such as bytes that are fetched ahead.
pub(super) fn run<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = new()?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}

/// Ends when SIGINT (Ctrl-C), SIGTERM or SIGHUP (the terminal is gone) comes. Must be called within a runtime.
pub(super) fn end_on_signals() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    let mut signals = Vec::new();
    for kind in [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ] {
        let watched = signal(kind);
        signals.push(watched.map_err(|e| Failure::new(format!("cannot watch for signals: {e}")))?);
    }
    Ok(async move {
        let any = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
        select_all(any).await;
    })
}
