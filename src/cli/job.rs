//! Mounting, for every command that does.

use std::path::Path;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};

use super::Failure;
use super::access::Access;
use crate::mount::{self, Hangup, KernelOptions, Mounted, Signals};

/// What to mount, and how.
pub(super) struct Job {
    pub(super) access: Access,
    pub(super) kernel: KernelOptions,
}

impl Job {
    /// Opens the archive and mounts it on `mountpoint`, which was checked. When this returns, the
    /// tree is usable, and signals unmount it ([`Signals`]); SIGHUP does what `on_hangup` says.
    pub(super) fn mount(
        &self,
        mountpoint: &Path,
        runtime: &Runtime,
        on_hangup: impl FnOnce(&Mounted) -> Hangup,
    ) -> Result<Mounted, Failure> {
        let volume = Arc::new(runtime.block_on(self.access.open_unlocked())?);
        let signals = Signals::catch(runtime.handle())
            .map_err(|e| Failure::new(format!("cannot watch for signals: {e}")))?;
        let mounted = mount::mount(volume, mountpoint, &self.kernel, runtime.handle().clone())
            .map_err(Failure::new)?;
        signals.stop(&mounted.stopper(), runtime.handle(), on_hangup(&mounted));
        log::info!(
            "{} is mounted on {}",
            self.kernel.fs_name,
            mountpoint.display()
        );
        Ok(mounted)
    }
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
