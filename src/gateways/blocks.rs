//! Raw blocks from several gateways.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt};

use super::read::{Ask, read_block};
use super::set::GatewaySet;
use crate::http::{HttpOptions, raw_block};
use crate::source::{Backoff, BlockCheck, Blocks, Error, Priority, Result};

/// The URL of a CID at one gateway.
pub type UrlOf = Box<dyn Fn(&str) -> String + Send + Sync>;

/// [`Blocks`] of several gateways. They are chosen and hedged as for [`Gateways`](super::Gateways).
pub struct HttpBlocks {
    gateways: Arc<[(UrlOf, HttpOptions)]>,
    set: Arc<GatewaySet>,
    patience: Duration,
}

impl HttpBlocks {
    /// Blocks from `gateways`, each given as a function from a CID to the URL of its content, and its options.
    /// `set` has the same gateways in the same order, and other requests share it. Transient errors are retried
    /// until `patience` ends.
    pub fn new(
        mut gateways: Vec<(UrlOf, HttpOptions)>,
        set: Arc<GatewaySet>,
        patience: Duration,
    ) -> Self {
        for (_, options) in &mut gateways {
            // The check compares each block with its CID.
            options.verified = true;
        }
        Self {
            gateways: gateways.into(),
            set,
            patience,
        }
    }

    /// Asks all gateways, again after transient errors, until `backoff` ends.
    fn retried(
        &self,
        mut backoff: Backoff,
        cid: &str,
        most: usize,
        check: BlockCheck,
    ) -> BoxFuture<'_, Result<Bytes>> {
        let cid = cid.to_owned();
        async move {
            loop {
                match self.round(&cid, most, &check).await {
                    Ok(block) => return Ok(block),
                    Err(error) => backoff.wait(error).await?,
                }
            }
        }
        .boxed()
    }

    /// Asks all gateways once.
    async fn round(&self, cid: &str, most: usize, check: &BlockCheck) -> Result<Bytes> {
        let (gateways, cid, check) = (self.gateways.clone(), cid.to_owned(), check.clone());
        let ask: Ask = Arc::new(move |index, _| {
            let (gateways, cid, check) = (gateways.clone(), cid.clone(), check.clone());
            let block = async move {
                let (url, options) = &gateways[index];
                raw_block(&url(&cid), options, most, &check).await
            };
            stream::once(block).boxed()
        });
        // Not an empty range: an empty block must be asked for, too.
        let whole = 0..most.max(1) as u64;
        let mut stream = read_block(self.set.clone(), ask, whole);
        match stream.next().await {
            Some(chunk) => {
                let chunk = chunk?;
                // The request counts as answered only when its stream has ended.
                let _ = stream.next().await;
                Ok(chunk.bytes)
            }
            None => Err(Error::Unsupported {
                what: "there is no gateway to ask for blocks".into(),
            }),
        }
    }
}

impl Blocks for HttpBlocks {
    fn block(&self, cid: &str, most: usize, check: BlockCheck) -> BoxFuture<'_, Result<Bytes>> {
        let backoff = Backoff::new(self.patience, Priority::Demand);
        self.retried(backoff, cid, most, check)
    }

    fn first_block(
        &self,
        cid: &str,
        most: usize,
        check: BlockCheck,
    ) -> BoxFuture<'_, Result<Bytes>> {
        self.retried(Backoff::opening(self.patience), cid, most, check)
    }
}
