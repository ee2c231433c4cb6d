//! Mounting, for every command that does.

use std::path::Path;

use tokio::runtime::{Builder, Runtime};

use super::access::Access;
use super::{Failure, background, logging};
use crate::library::Library;
use crate::mount::{self, KernelOptions, Mounted, OnHangup, Signals};

/// What to mount, and how.
pub(super) struct Job {
    pub(super) access: Access,
    pub(super) kernel: KernelOptions,
}

impl Job {
    /// Opens the archive and mounts it on `mountpoint`, which was checked. When this returns, the
    /// tree is usable, and signals unmount it ([`Signals`]).
    pub(super) fn mount(&self, mountpoint: &Path, runtime: &Runtime) -> Result<Mounted, Failure> {
        let volume = runtime.block_on(self.access.open_unlocked())?;
        mount_library(Library::one(volume), mountpoint, &self.kernel, runtime)
    }
}

/// Mounts `library` on `mountpoint`, which was checked. When this returns, the tree is usable, and signals
/// unmount it ([`Signals`]).
pub(super) fn mount_library(
    library: Library,
    mountpoint: &Path,
    kernel: &KernelOptions,
    runtime: &Runtime,
) -> Result<Mounted, Failure> {
    let signals = Signals::catch(runtime.handle())
        .map_err(|e| Failure::new(format!("cannot watch for signals: {e}")))?;
    let handle = runtime.handle().clone();
    let mounted =
        mount::mount(library.clone(), mountpoint, kernel, handle).map_err(Failure::new)?;
    signals.stop(
        &mounted.stopper(),
        runtime.handle(),
        on_hangup(library, runtime),
    );
    log::info!("{} is mounted on {}", kernel.fs_name, mountpoint.display());
    Ok(mounted)
}

/// What SIGHUP does instead of unmounting. In the background it opens the log file anew. It also reloads the list of
/// a library, unless the process has a terminal, whose end SIGHUP then announces.
fn on_hangup(library: Library, runtime: &Runtime) -> Option<OnHangup> {
    let is_background = background::is_child();
    let has_list = library.single().is_none();
    if !is_background && (!has_list || std::fs::File::open("/dev/tty").is_ok()) {
        return None;
    }
    let runtime = runtime.handle().clone();
    Some(Box::new(move || {
        if is_background {
            logging::reopen();
            log::info!("SIGHUP: the log file was reopened");
        }
        if has_list {
            let library = library.clone();
            runtime.spawn(async move {
                match library.reload().await {
                    Ok(done) => log::info!(
                        "SIGHUP: {} archives, {} of them new; {} removed",
                        done.archives,
                        done.added,
                        done.removed
                    ),
                    Err(why) => log::error!("SIGHUP: the list is not changed: {why}"),
                }
            });
        }
    }))
}

/// The runtime for everything that waits for a network.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    mount::share_memory();
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("aiozfs")
        .enable_all()
        .build()
        .map_err(|e| Failure::new(format!("cannot start: {e}")))
}
