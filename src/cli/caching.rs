//! The cache of archives that were read before: its options, and what goes into it beside bytes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;

use super::cache_dir::CacheArgs;
use super::config::Config;
use super::{Failure, units};
use crate::archive::{self, Index, ParseOptions};
use crate::cache::{Cache, CacheOptions, Cached, Folder};
use crate::fs::{self, Tree, TreeOptions};

/// By default the cache takes no more than this, in bytes,
const USUAL_SIZE: u64 = 10 << 30;

/// and no more than this part of what is free or the cache's own.
const USUAL_PART: u64 = 10;

/// A tree of fewer entries is built sooner than read.
const LARGE_TREE: usize = 10_000;

/// Where the cache is, and how large.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct PlaceArgs {
    #[command(flatten)]
    dir: CacheArgs,
    /// The most to keep on disk of what was read, 0 for nothing [default: 10G, or a tenth of the
    /// free space if that is less]
    #[arg(long, value_name = "SIZE", value_parser = units::size, env = "AIOZFS_CACHE_SIZE")]
    cache_size: Option<u64>,
}

/// The options of all commands that read archives.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct KeepArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Ask no server: only what was kept can be read
    #[arg(long)]
    offline: bool,
}

impl KeepArgs {
    /// Mount options say otherwise.
    pub(super) fn with(mut self, dir: Option<PathBuf>, size: Option<u64>, offline: bool) -> Self {
        if let Some(dir) = dir {
            self.place.dir = CacheArgs::at(dir);
        }
        self.place.cache_size = size.or(self.place.cache_size);
        self.offline |= offline;
        self
    }

    /// Whether no server is to be asked.
    pub(super) fn is_offline(&self) -> bool {
        self.offline
    }

    /// The cache. Without one all works, so what is wrong with it is a warning.
    pub(super) fn open(&self, config: &Config) -> Option<Cache> {
        let size = self.place.cache_size.or(config.cache_size());
        if size == Some(0) {
            return None;
        }
        let dir = self.place.dir.dir_or(config.cache_dir());
        match open_at(&dir, size) {
            Ok(cache) => {
                open_ones().push(cache.clone());
                Some(cache)
            }
            Err(e) => {
                let dir = dir.display();
                log::warn!(
                    "cache: {dir} is not used, and nothing is kept: {e}; give another with --cache-dir, or --cache-size 0"
                );
                None
            }
        }
    }
}

impl PlaceArgs {
    /// The cache, to be looked at.
    pub(super) fn open_to_manage(&self, config: &Config) -> Result<Cache, Failure> {
        let dir = self.dir.dir_or(config.cache_dir());
        let size = self.cache_size.or(config.cache_size());
        open_at(&dir, size).map_err(|e| Failure::new(format!("{}: {e}", dir.display())))
    }
}

fn open_at(dir: &Path, size: Option<u64>) -> io::Result<Cache> {
    let mut folder = Folder::open(dir)?;
    folder.discard_others();
    let usual = || {
        let room = Cache::room(&folder).unwrap_or(0);
        USUAL_SIZE.min(room / USUAL_PART)
    };
    let options = CacheOptions {
        size: size.unwrap_or_else(usual),
    };
    Ok(Cache::new(Arc::new(folder), &options))
}

/// Those that this process has opened.
static OPEN: Mutex<Vec<Cache>> = Mutex::new(Vec::new());

fn open_ones() -> std::sync::MutexGuard<'static, Vec<Cache>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Before the process ends: lets the disk have what waits for it, but not for long.
pub(super) fn settle(patience: Duration) {
    for cache in open_ones().drain(..) {
        cache.settle(patience);
    }
}

/// What is kept of an archive beside its bytes.
#[derive(Clone)]
pub(super) struct Kept {
    cached: Option<Cached>,
    /// Names that were read otherwise make another index.
    encoding: String,
}

/// Their names carry their formats: what another version has written is not there.
const INDEX: &str = "index-1";
const TREE: &str = "tree-2";
const _: () = assert!(archive::STORED_FORMAT == 1 && fs::STORED_FORMAT == 2);

impl Kept {
    pub(super) fn new(cached: Option<Cached>, parse: &ParseOptions) -> Self {
        let encoding = match parse.encoding.is_usual() {
            true => String::new(),
            false => format!("-{}", parse.encoding),
        };
        Self { cached, encoding }
    }

    fn name(&self, what: &str) -> String {
        format!("{what}{}", self.encoding)
    }

    pub(super) async fn index(&self) -> Option<Index> {
        self.cached
            .as_ref()?
            .load(self.name(INDEX), |pull| Index::load(pull))
            .await
    }

    pub(super) fn keep_index(&self, index: &Arc<Index>) {
        if let Some(cached) = &self.cached {
            let (size, index) = (index.stored_len(), index.clone());
            cached.keep(
                self.name(INDEX),
                size,
                Box::new(move |push| index.store(push)),
            );
        }
    }

    /// The tree of an index.
    pub(super) async fn tree(&self, index: &Arc<Index>, options: TreeOptions) -> Option<Tree> {
        if index.len() < LARGE_TREE {
            return None;
        }
        let index = index.clone();
        let load = move |pull: &mut crate::cache::Pull| Tree::load(index, options, pull);
        self.cached.as_ref()?.load(self.name(TREE), load).await
    }

    pub(super) fn keep_tree(&self, tree: &Arc<Tree>) {
        if let Some(cached) = &self.cached
            && tree.index().len() >= LARGE_TREE
        {
            let (size, tree) = (tree.stored_len(), tree.clone());
            cached.keep(
                self.name(TREE),
                size,
                Box::new(move |push| tree.store(push)),
            );
        }
    }
}
