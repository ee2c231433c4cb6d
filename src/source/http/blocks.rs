//! Raw blocks from trustless gateways (<https://specs.ipfs.tech/http-gateways/trustless-gateway/>).

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{BoxFuture, FutureExt};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{Response, StatusCode};

use super::HttpOptions;
use super::answer::Answer;
use super::link::{Ask, Link};
use crate::source::retry::Backoff;
use crate::source::{Blocks, Error, Origin, Priority, Proof, Result};

/// The media type of a raw block; asked for beside `?format=raw`, for gateways heed one or both.
const RAW: &str = "application/vnd.ipld.raw";

/// Where a gateway has the block of a CID.
pub type UrlOf = Box<dyn Fn(&str) -> String + Send + Sync>;

/// [`Blocks`] of several gateways. Sticky: the one that gave the last block is asked first.
pub struct HttpBlocks {
    gateways: Vec<UrlOf>,
    options: HttpOptions,
    patience: Duration,
    current: AtomicUsize,
}

impl HttpBlocks {
    /// Blocks from `gateways`, each given as a function from a CID to the URL of its content.
    /// What fails for a transient reason is asked again until `patience` ends.
    pub fn new(gateways: Vec<UrlOf>, options: HttpOptions, patience: Duration) -> Self {
        Self {
            gateways,
            options,
            patience,
            current: AtomicUsize::new(0),
        }
    }

    /// Asks all gateways once.
    async fn round(&self, cid: &str, most: usize, proof: &Proof) -> Result<Bytes> {
        let mut failed: Option<Error> = None;
        let mut forgers = Vec::new();
        let first = self.current.load(Relaxed);
        for step in 0..self.gateways.len() {
            let at = (first + step) % self.gateways.len();
            match self.ask(&(self.gateways[at])(cid), most, proof).await {
                Ok(block) => {
                    self.current.store(at, Relaxed);
                    for origin in forgers {
                        log::warn!("{origin} gave a block that does not match its CID");
                    }
                    return Ok(block);
                }
                // Of no note if nobody does better: then it is the error itself that says so.
                Err(Error::Forged { origin, range }) => {
                    forgers.push(origin.clone());
                    failed.get_or_insert(Error::Forged { origin, range });
                }
                // One that may still come decides whether it is worth another round.
                Err(error) if failed.as_ref().is_none_or(|e| !e.is_transient()) => {
                    failed = Some(error);
                }
                Err(_) => {}
            }
        }
        Err(failed.unwrap_or_else(|| Error::Unsupported {
            what: "there is no gateway to ask for blocks".into(),
        }))
    }

    async fn ask(&self, url: &str, most: usize, proof: &Proof) -> Result<Bytes> {
        let url = match url.contains('?') {
            true => format!("{url}&format=raw"),
            false => format!("{url}?format=raw"),
        };
        let link = Link::new(&url, self.options.clone())?;
        let response = link.get(Ask::Whole { accept: RAW }).await?;
        let origin = link.origin();
        self.check(origin, &response)?;
        let block = self.collect(origin, response, most).await?;
        if !proof(&block) {
            return Err(Error::Forged {
                origin: origin.clone(),
                range: 0..block.len() as u64,
            });
        }
        Ok(block)
    }

    fn check(&self, origin: &Origin, response: &Response) -> Result<()> {
        let none = |what: String| Error::NoRawBlocks {
            origin: origin.clone(),
            what,
        };
        let answer = Answer::of(response);
        match answer.status {
            StatusCode::OK => {}
            // What a gateway says that knows no other form than files.
            status @ (StatusCode::BAD_REQUEST
            | StatusCode::NOT_ACCEPTABLE
            | StatusCode::NOT_IMPLEMENTED) => {
                return Err(none(format!("HTTP status {}", status.as_u16())));
            }
            status => return Err(answer.refusal(origin, &(0..1), status)),
        }
        let text = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
        if let Some(encoding) = text(CONTENT_ENCODING).filter(|e| *e != "identity") {
            return Err(none(format!("it is encoded as {encoding}")));
        }
        match text(CONTENT_TYPE) {
            Some(kind)
                if !kind.starts_with(RAW) && !kind.starts_with("application/octet-stream") =>
            {
                Err(none(format!("it sends {kind}")))
            }
            _ => Ok(()),
        }
    }

    async fn collect(&self, origin: &Origin, mut response: Response, most: usize) -> Result<Bytes> {
        let wait = self.options.idle_timeout;
        let mut block = BytesMut::new();
        loop {
            let next = tokio::time::timeout(wait, response.chunk()).await;
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
