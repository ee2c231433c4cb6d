//! Cached nodes of hash trees, stored with the blob that they verify.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};

use super::Cache;
use super::blob::Blob;
use super::job::Job;
use super::key::Key;
use super::shared::{Shared, damaged};
use super::store::Inner;
use crate::source::{BlockCheck, Blocks, Result};

/// [`Blocks`] that are cached on disk. Each is verified as if it came from a network.
pub struct CachedNodes {
    inner: Arc<dyn Blocks>,
    cache: Arc<Inner>,
    blob: Arc<Blob>,
}

impl CachedNodes {
    /// Caches the blocks of `inner` with the blob that `key` names.
    pub fn new(inner: Arc<dyn Blocks>, cache: &Cache, key: Key) -> Self {
        Self {
            inner,
            cache: cache.0.clone(),
            blob: Blob::new(key),
        }
    }

    /// The file name of a block; `None` if its CID cannot be one.
    fn name(cid: &str) -> Option<String> {
        let is_word = cid.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_word.then(|| format!("nodes/{cid}"))
    }

    /// The block from the cache, else `fetched`, which is then stored.
    fn kept_or<'a>(
        &'a self,
        fetched: BoxFuture<'a, Result<Bytes>>,
        cid: &str,
        most: usize,
        check: BlockCheck,
    ) -> BoxFuture<'a, Result<Bytes>> {
        let Some(name) = Self::name(cid) else {
            return fetched;
        };
        async move {
            if let Some(bytes) = self.kept(&name, most, &check).await {
                return Ok(bytes);
            }
            let bytes = fetched.await?;
            if let Some(room) = self.cache.room(bytes.len()) {
                self.cache.send(Job::Node {
                    path: self.blob.file(&name),
                    bytes: bytes.to_vec(),
                    _room: room,
                });
            }
            Ok(bytes)
        }
        .boxed()
    }

    async fn kept(&self, name: &str, most: usize, check: &BlockCheck) -> Option<Bytes> {
        let path = self.blob.file(name);
        let check = check.clone();
        let read = move |shared: &Shared| {
            let bytes = shared.read_plain(&path, most)?;
            if check(&bytes) {
                return Some(Bytes::from(bytes));
            }
            shared.discard(&path, &damaged("it"));
            None
        };
        self.cache.run_blocking(read).await?
    }
}

impl Blocks for CachedNodes {
    fn block(&self, cid: &str, most: usize, check: BlockCheck) -> BoxFuture<'_, Result<Bytes>> {
        let fetched = self.inner.block(cid, most, check.clone());
        self.kept_or(fetched, cid, most, check)
    }

    fn first_block(
        &self,
        cid: &str,
        most: usize,
        check: BlockCheck,
    ) -> BoxFuture<'_, Result<Bytes>> {
        let fetched = self.inner.first_block(cid, most, check.clone());
        self.kept_or(fetched, cid, most, check)
    }

    fn leaf_block(
        &self,
        cid: &str,
        most: usize,
        check: BlockCheck,
    ) -> BoxFuture<'_, Result<Bytes>> {
        let cid = cid.to_owned();
        async move {
            if let Some(name) = Self::name(&cid)
                && let Some(bytes) = self.kept(&name, most, &check).await
            {
                return Ok(bytes);
            }
            self.inner.leaf_block(&cid, most, check).await
        }
        .boxed()
    }
}
