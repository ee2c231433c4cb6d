//! Raw blocks: the nodes of hash trees.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::Result;

/// Checks whether bytes are the requested block.
pub type BlockCheck = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// Gives blocks by their CIDs.
pub trait Blocks: Send + Sync + 'static {
    /// The block of this CID: at most `most` bytes that `check` accepts. A server that gives anything else is
    /// not used for a while, and the next one is asked.
    ///
    /// # Errors
    /// If no server is left.
    fn block(&self, cid: &str, most: usize, check: BlockCheck) -> BoxFuture<'_, Result<Bytes>>;

    /// As [`block`](Self::block), for the first block that is asked for when content is opened. A server that cannot be
    /// reached and has never answered is soon given up.
    fn first_block(
        &self,
        cid: &str,
        most: usize,
        check: BlockCheck,
    ) -> BoxFuture<'_, Result<Bytes>> {
        self.block(cid, most, check)
    }

    /// As [`block`](Self::block), for a leaf. Its bytes are bytes of the file, so a cache need not store them
    /// twice.
    fn leaf_block(
        &self,
        cid: &str,
        most: usize,
        check: BlockCheck,
    ) -> BoxFuture<'_, Result<Bytes>> {
        self.block(cid, most, check)
    }
}
