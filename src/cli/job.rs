//! A mount with everything resolved: what every command that mounts has in common.

use std::path::Path;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};

use super::access::Access;
use super::{Failure, background, logging};
use crate::fs::{Owners, Symlinks, Tree, TreeOptions};
use crate::mount::{self, KernelOptions, Mounted, Signals, Volume};

/// What to mount, and how.
pub(super) struct Job {
    pub(super) access: Access,
    pub(super) tree: TreeOptions,
    pub(super) kernel: KernelOptions,
    /// Show playlists as they are stored.
    pub(super) stored_playlists: bool,
}

impl Job {
    /// Opens the archive and mounts it on `mountpoint`, which was checked. When this returns, the
    /// tree is usable, and signals unmount it ([`Signals`]).
    pub(super) fn mount(&self, mountpoint: &Path, runtime: &Runtime) -> Result<Mounted, Failure> {
        let volume = runtime.block_on(self.open())?;
        let signals = Signals::catch(runtime.handle())
            .map_err(|e| Failure::new(format!("cannot watch for signals: {e}")))?;
        let mounted = mount::mount(volume, mountpoint, &self.kernel, runtime.handle().clone())
            .map_err(Failure::new)?;
        let reopen = background::is_child().then_some(logging::reopen as fn());
        signals.stop(&mounted.stopper(), runtime.handle(), reopen);
        log::info!(
            "{} is mounted on {}",
            self.kernel.fs_name,
            mountpoint.display()
        );
        Ok(mounted)
    }

    async fn open(&self) -> Result<Arc<Volume>, Failure> {
        let (archive, kept) = self.access.open_kept().await?;
        let index = archive.index();
        let known = kept.tree(index, self.tree).await;
        let is_known = known.is_some();
        let tree = known.unwrap_or_else(|| Tree::build(index.clone(), self.tree));
        let location = self.access.location();
        let volume = Volume::new(tree, Arc::new(archive), location.shown());
        let volume = volume.with_identity(location.identity());
        let volume = match self.stored_playlists {
            true => volume,
            false => volume.with_playable_playlists(),
        };
        if !is_known {
            kept.keep_tree(volume.tree());
        }
        Ok(Arc::new(volume))
    }
}

/// What runs everything that waits for a network.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    mount::share_memory();
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("aiozfs")
        .enable_all()
        .build()
        .map_err(|e| Failure::new(format!("cannot start: {e}")))
}

/// All files are those of the user who mounts, and all permissions those of the archive.
pub(super) fn own_tree() -> TreeOptions {
    TreeOptions {
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        fmask: 0,
        dmask: 0,
        owners: Owners::Given,
        symlinks: Symlinks::Inside,
    }
}
