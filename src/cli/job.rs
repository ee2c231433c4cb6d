//! Mounting, for every command that does.

use std::path::Path;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::Failure;
use super::access::Access;
use crate::library::Library;
use crate::mount::{self, Hangup, KernelOptions, Mounted, Signals};

/// The time after which the start of a mount is over: the first requests of the kernel and of the program that waited
/// for the mount have been answered.
const SETTLED: Duration = Duration::from_secs(2);

/// Opens the archive and mounts it on `mountpoint`, which was checked. When this returns, the
/// tree is usable, and signals unmount it ([`Signals`]); SIGHUP does what `on_hangup` says.
pub(super) fn mount_archive(
    access: &Access,
    mountpoint: &Path,
    kernel: &KernelOptions,
    runtime: &Runtime,
    on_hangup: impl FnOnce(&Mounted) -> Hangup,
) -> Result<Mounted, Failure> {
    let library = Library::one(runtime.block_on(access.open_unlocked())?);
    mount_library(library, mountpoint, kernel, runtime, on_hangup)
}

/// Mounts `library` on `mountpoint`, which was checked. See [`mount_archive`].
pub(super) fn mount_library(
    library: Library,
    mountpoint: &Path,
    kernel: &KernelOptions,
    runtime: &Runtime,
    on_hangup: impl FnOnce(&Mounted) -> Hangup,
) -> Result<Mounted, Failure> {
    let signals = Signals::catch(runtime.handle())
        .map_err(|e| Failure::new(format!("cannot watch for signals: {e}")))?;
    let handle = runtime.handle().clone();
    let mounted = mount::mount(library, mountpoint, kernel, handle).map_err(Failure::new)?;
    signals.stop(&mounted.stopper(), runtime.handle(), on_hangup(&mounted));
    log::info!("{} is mounted on {}", kernel.fs_name, mountpoint.display());
    runtime.spawn(async {
        tokio::time::sleep(SETTLED).await;
        mount::give_back_startup();
    });
    Ok(mounted)
}
