//! Raw blocks: the nodes of the trees that prove ranges.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::Result;

/// Says whether some bytes are the block that was asked for.
pub type Proof = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// Gives blocks by their CIDs, from whoever has them.
pub trait Blocks: Send + Sync + 'static {
    /// The block of this CID, at most `most` bytes, as `proof` accepts it. Who gives something
    /// else is put aside and the next one asked; an error comes when there is none left.
    fn block(&self, cid: &str, most: usize, proof: Proof) -> BoxFuture<'_, Result<Bytes>>;

    /// The same for a leaf, whose bytes are those of the file: there is no need to keep it as a block
    /// where the file's bytes are kept.
    fn leaf_block(&self, cid: &str, most: usize, proof: Proof) -> BoxFuture<'_, Result<Bytes>> {
        self.block(cid, most, proof)
    }
}
