//! One object: what the store has of it.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::{HeaderValue, RANGE};

use super::error::Error;
use super::hashes::Hashes;
use crate::http::Clients;
use crate::ranges::decimal;
use crate::stores::{Ask, Requests, Store};

/// The name of the metadata that tells an object's CID.
pub(super) const CID: &str = "x-amz-meta-cid";

/// For how long a request is repeated after errors that may pass.
const PATIENCE: Duration = Duration::from_secs(300);

/// An object that may be written.
pub struct Object {
    pub(super) requests: Requests,
}

/// An object that is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing {
    /// Its length in bytes.
    pub size: u64,
    etag: String,
    cid: String,
}

impl Existing {
    /// Whether it says that it has the content of this CID.
    pub fn has_cid(&self, cid: &str) -> bool {
        self.cid == cid
    }

    /// Whether its ETag is one of these hashes.
    pub fn has(&self, hashes: &Hashes) -> bool {
        hashes.are_of(&self.etag)
    }
}

impl Object {
    /// The object that `store` is made for.
    pub fn new(store: Arc<Store>, clients: Clients) -> Self {
        Self {
            requests: Requests::new(store, clients, PATIENCE),
        }
    }

    /// The URL of the object, without signatures.
    pub fn url(&self) -> String {
        self.requests.url()
    }

    /// The object, if it is in the store.
    pub async fn existing(&self) -> Result<Option<Existing>, Error> {
        let doing = "find out whether the object exists";
        let first_byte = [(RANGE, HeaderValue::from_static("bytes=0-0"))];
        let asked = self.requests.send(Ask {
            doing,
            // Not HEAD: this is what a mount will ask for.
            method: Method::GET,
            query: &[],
            headers: &first_byte,
            body: Default::default(),
        });
        let answer = match asked.await.map_err(Error::from) {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) if error.status() == Some(416) => {
                return Ok(Some(Existing {
                    size: 0,
                    etag: String::new(),
                    cid: String::new(),
                }));
            }
            Err(error) => return Err(error),
        };
        let header = |name: &str| {
            let value = answer.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let size = header("content-range");
        let size = size.and_then(|range| decimal(range.rsplit_once('/')?.1));
        let size = size.ok_or_else(|| Error::Answer {
            doing,
            what: "it has no Content-Range".into(),
        })?;
        Ok(Some(Existing {
            size,
            etag: header("etag").unwrap_or_default(),
            cid: header(CID).unwrap_or_default(),
        }))
    }
}
