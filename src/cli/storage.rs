//! The options of the cache of blocks, and the caches that this process has open.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use parking_lot::Mutex;

use super::config::Config;
use super::directories::{CacheDirArgs, cache_dir};
use super::settings::Settings;
use super::{Failure, units};
use crate::cache::{Cache, Content, Folder};
use crate::volume::open_cache;

/// How long the end of a process may be delayed to write what was read.
const SETTLE: Duration = Duration::from_millis(700);

/// Where the cache is, and how large.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct StorageArgs {
    #[command(flatten)]
    pub(super) dir: CacheDirArgs,
    /// The size limit of the cache on disk; 0 for no cache [default: 10G, or a tenth of the free space if
    /// that is less]
    #[arg(long, value_name = "SIZE", value_parser = units::size, env = "AIOZFS_CACHE_SIZE")]
    pub(super) cache_size: Option<u64>,
}

/// Opens the cache. Everything works without one, so an error is a warning.
pub(super) fn open(settings: &Settings, is_offline: bool) -> Option<Cache> {
    if settings.cache_size == Some(0) {
        return None;
    }
    let dir = cache_dir(settings.cache_dir.as_deref());
    let shown = dir.display();
    if is_offline && matches!(Folder::is_below(&dir), Ok(false)) {
        log::warn!("cache: there is none in {shown}");
        return None;
    }
    match open_cache(&dir, settings.cache_size) {
        Ok(cache) => {
            OPEN.lock().push(cache.clone());
            Some(cache)
        }
        Err(e) => {
            log::warn!(
                "cache: {shown} is not used, and nothing is kept: {e}; give another with --cache-dir, or --cache-size 0"
            );
            None
        }
    }
}

/// Gives the open caches another size.
pub(super) fn resize(size: u64) {
    OPEN.lock().iter().for_each(|cache| cache.set_size(size));
}

impl StorageArgs {
    /// The cache, for the commands that manage it. They do not create it: without one in the usual place, this tells the
    /// user so and returns `None`. Without one in the directory that the user named, it fails.
    pub(super) fn open_to_manage(&self, config: &Config) -> Result<Option<Cache>, Failure> {
        let dir = self.dir.dir_or(config.settings().cache_dir.as_deref());
        let shown = dir.display();
        let unusable = |e| Failure::new(format!("{shown}: {e}; give another with --cache-dir"));
        if !Folder::is_below(&dir).map_err(unusable)? {
            let missing = format!("there is no cache in {shown}");
            if self.dir.given().is_some() {
                return Err(Failure::new(missing));
            }
            tell!("aiozfs: {missing}; 'aiozfs mount' and 'aiozfs fetch' make one");
            return Ok(None);
        }
        let size = self.cache_size.or(config.settings().cache_size);
        open_cache(&dir, size).map(Some).map_err(unusable)
    }

    /// What is in the cache; `None` if there is none, or it cannot be read. Says nothing, and changes nothing.
    pub(super) fn content(&self, config: &Config) -> Option<Content> {
        let dir = self.dir.dir_or(config.settings().cache_dir.as_deref());
        let folder = Folder::open_as_it_is(&dir).ok()?;
        // Nothing is written to it, so it needs no size.
        let cache = Cache::new(Arc::new(folder), 0);
        cache.content().ok()
    }
}

/// The caches that this process has opened.
static OPEN: Mutex<Vec<Cache>> = Mutex::new(Vec::new());

/// Before the process ends: writes what was read to disk, for a limited time.
pub(super) fn settle() {
    for cache in OPEN.lock().drain(..) {
        cache.settle(SETTLE);
    }
}
