//! Raw blocks from trustless gateways (<https://specs.ipfs.tech/http-gateways/trustless-gateway/>).

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt};
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;

use super::HttpOptions;
use super::answer::{Answer, Codings};
use super::exchange::Exchange;
use super::link::{self, Link};
use crate::source::gateways::{Ask, block_reading};
use crate::source::retry::Backoff;
use crate::source::verdict::Stage;
use crate::source::{Blocks, Chunk, Error, Origin, Priority, Proof, Result, Roster};

/// The media type of a raw block; asked for beside `?format=raw`, for gateways heed one or both.
const RAW: &str = "application/vnd.ipld.raw";

/// Where a gateway has the block of a CID.
pub type UrlOf = Box<dyn Fn(&str) -> String + Send + Sync>;

/// [`Blocks`] of several gateways, asked as [`Gateways`](crate::source::Gateways) are.
pub struct HttpBlocks {
    inner: Arc<Inner>,
    roster: Arc<Roster>,
    patience: Duration,
}

struct Inner {
    gateways: Vec<(UrlOf, HttpOptions)>,
}

impl HttpBlocks {
    /// Blocks from `gateways`, each given as a function from a CID to the URL of its content, and
    /// how to talk to it. `roster` has the same gateways in the same order: what is learned of
    /// them by other requests counts here, and the other way round. What fails for a transient
    /// reason is asked again until `patience` ends.
    pub fn new(
        gateways: Vec<(UrlOf, HttpOptions)>,
        roster: Arc<Roster>,
        patience: Duration,
    ) -> Self {
        let mut gateways = gateways;
        for (_, options) in &mut gateways {
            // Each block is compared with its CID, whoever wants it.
            options.proven = true;
        }
        Self {
            inner: Arc::new(Inner { gateways }),
            roster,
            patience,
        }
    }

    /// Asks all gateways once.
    async fn round(&self, cid: &str, most: usize, proof: &Proof) -> Result<Bytes> {
        let (inner, cid, proof) = (self.inner.clone(), cid.to_owned(), proof.clone());
        let ask: Ask = Arc::new(move |index, _| {
            let (inner, cid, proof) = (inner.clone(), cid.clone(), proof.clone());
            let block = async move {
                let (url, options) = &inner.gateways[index];
                ask(&url(&cid), options, most, &proof).await
            };
            stream::once(block).boxed()
        });
        // An empty block is asked for like any other.
        let whole = 0..most.max(1) as u64;
        let mut stream = block_reading(self.roster.clone(), ask, whole);
        match stream.next().await {
            Some(chunk) => Ok(chunk?.bytes),
            None => Err(Error::Unsupported {
                what: "there is no gateway to ask for blocks".into(),
            }),
        }
    }
}

async fn ask(url: &str, options: &HttpOptions, most: usize, proof: &Proof) -> Result<Chunk> {
    let url = match url.contains('?') {
        true => format!("{url}&format=raw"),
        false => format!("{url}?format=raw"),
    };
    let link = Link::new(&url, options.clone())?;
    let (received, _) = link.get(link::Ask::Whole { accept: RAW }).await?;
    let origin = link.origin();
    check(origin, &received)?;
    let block = collect(origin, received, options.idle_timeout, most).await?;
    if !proof(&block) {
        return Err(Error::Forged {
            origin: origin.clone(),
            range: 0..block.len() as u64,
        });
    }
    Ok(Chunk {
        offset: 0,
        bytes: block,
        origin: origin.clone(),
    })
}

fn check(origin: &Origin, response: &Exchange) -> Result<()> {
    let none = |what: String| Error::NoRawBlocks {
        origin: origin.clone(),
        what,
    };
    let answer = Answer::of(response);
    if answer.status != StatusCode::OK {
        return Err(answer.refusal(origin, &(0..1), Stage::Block));
    }
    // A proof tells whether those that change nothing have changed nothing.
    let codings = Codings::of(answer.headers);
    if codings.change_content() {
        return Err(none(format!("it sends Content-Encoding: {}", codings.told)));
    }
    let text = |name| response.headers.get(name).and_then(|v| v.to_str().ok());
    match text(CONTENT_TYPE) {
        Some(kind) if !kind.starts_with(RAW) && !kind.starts_with("application/octet-stream") => {
            Err(none(format!("it sends {kind}")))
        }
        _ => Ok(()),
    }
}

async fn collect(
    origin: &Origin,
    mut received: Exchange,
    wait: Duration,
    most: usize,
) -> Result<Bytes> {
    let mut block = BytesMut::new();
    loop {
        let next = tokio::time::timeout(wait, received.chunk()).await;
        let next = next.map_err(|_| Error::Timeout {
            origin: origin.clone(),
            after: wait,
        })?;
        let next = next.map_err(|_| Error::Cut {
            origin: origin.clone(),
            range: 0..most as u64,
            got: block.len() as u64,
        })?;
        let Some(bytes) = next else {
            return Ok(block.freeze());
        };
        if block.len() + bytes.len() > most {
            return Err(Error::NoRawBlocks {
                origin: origin.clone(),
                what: format!("it sends more than the {most} bytes that a block may have"),
            });
        }
        block.extend_from_slice(&bytes);
    }
}

impl Blocks for HttpBlocks {
    fn block(&self, cid: &str, most: usize, proof: Proof) -> BoxFuture<'_, Result<Bytes>> {
        let cid = cid.to_owned();
        async move {
            let mut backoff = Backoff::new(self.patience, Priority::Demand);
            loop {
                match self.round(&cid, most, &proof).await {
                    Ok(block) => return Ok(block),
                    Err(error) => backoff.wait(error).await?,
                }
            }
        }
        .boxed()
    }
}
