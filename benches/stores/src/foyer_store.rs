//! `foyer`: large files of the library's own, an index of them in memory, and a scan to find it again.

use std::path::Path;
use std::sync::Arc;

use foyer::{
    BlockEngineConfig, DeviceBuilder, FsDeviceBuilder, HybridCache, HybridCacheBuilder,
    PsyncIoEngineConfig,
};
use tokio::runtime::Runtime;

use crate::store::Store;

/// Room for all blocks of any run.
const CAPACITY: usize = 2 << 30;

/// What it evicts at once, and more than its largest entry.
const REGION: usize = 64 << 20;

/// What may wait to be written, as with us.
const WAITING: usize = 32 << 20;

pub struct Foyer {
    runtime: Runtime,
    cache: HybridCache<u64, Vec<u8>>,
}

impl Foyer {
    pub fn open(dir: &Path, direct: bool) -> anyhow::Result<Self> {
        let runtime = Runtime::new()?;
        let cache = runtime.block_on(async {
            let device = FsDeviceBuilder::new(dir)
                .with_capacity(CAPACITY)
                .with_direct(direct)
                .build()?;
            let engine = BlockEngineConfig::new(device)
                .with_block_size(REGION)
                .with_buffer_pool_size(WAITING)
                .with_submit_queue_size_threshold(WAITING);
            // Next to nothing in memory: it is the disk that is measured.
            HybridCacheBuilder::new()
                .memory(1)
                .with_shards(1)
                .storage()
                .with_io_engine_config(PsyncIoEngineConfig::new())
                .with_engine_config(engine)
                .build()
                .await
        })?;
        Ok(Self { runtime, cache })
    }
}

impl Store for Foyer {
    fn put(&self, number: u64, block: Arc<[u8]>) {
        let _runtime = self.runtime.enter();
        let writer = self.cache.storage_writer(number);
        drop(writer.force().insert(block.to_vec()));
    }

    fn settle(&self) {
        self.runtime.block_on(self.cache.storage().wait());
    }

    fn get(&self, number: u64, see: &mut dyn FnMut(&[u8])) -> bool {
        match self
            .runtime
            .block_on(async { self.cache.get(&number).await })
        {
            Ok(Some(entry)) => {
                see(entry.value());
                true
            }
            _ => false,
        }
    }
}
