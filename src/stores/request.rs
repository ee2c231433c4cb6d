//! Requests to a store: signed, repeated while that makes sense, and their errors in words.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::utf8_percent_encode;
use sha2::{Digest, Sha256};

use super::address::{IN_QUERY, Service};
use super::store::{CONTENT_HASH, Store};
use crate::http::{Authorizer, Clients, Refusal, call, display_url};
use crate::ranges::hex;
use crate::source::{self, Backoff, Origin};

/// How long to wait for an answer. Each request that had none in time doubles it: the link is slow.
const WAIT: Duration = Duration::from_secs(120);

/// After this long, the user is told of a request that still fails; otherwise nothing seems to happen.
const SILENT: Duration = Duration::from_secs(2);

/// How often the wait is doubled.
const MOST_DOUBLED: u32 = 4;

/// The longest answer in bytes: a page of a thousand keys, parts or uploads.
const MAX_ANSWER: usize = 4 << 20;

/// Sends requests for one object or bucket.
pub struct Requests {
    store: Arc<Store>,
    clients: Clients,
    patience: Duration,
    doubled: AtomicU32,
}

/// One request.
pub struct Ask<'a> {
    /// What it is for, as errors say it: "cannot ...".
    pub doing: &'static str,
    /// Its method.
    pub method: Method,
    /// Names and values of the query, not encoded.
    pub query: &'a [(&'a str, &'a str)],
    /// Headers beside those of the signature.
    pub headers: &'a [(HeaderName, HeaderValue)],
    /// The body; empty for none.
    pub body: Bytes,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {doing}: {error}")]
pub struct RequestError {
    /// What was asked of the store.
    pub doing: &'static str,
    /// Why that failed.
    pub error: source::Error,
    /// The store's code, such as `NoSuchUpload`; empty without one.
    pub code: String,
}

impl RequestError {
    /// The HTTP status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match &self.error {
            source::Error::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

impl Requests {
    /// For the object or bucket of `store`. A request is repeated for `patience` after errors that may pass.
    pub fn new(store: Arc<Store>, clients: Clients, patience: Duration) -> Self {
        Self {
            store,
            clients,
            patience,
            doubled: AtomicU32::new(0),
        }
    }

    /// The kind of the store.
    pub fn service(&self) -> Service {
        self.store.service()
    }

    /// The URL of the object, without signatures.
    pub fn url(&self) -> String {
        self.store.url().to_string()
    }

    /// Sends a request until it succeeds. Every answer that is not a success, also 404, is an error.
    ///
    /// # Errors
    /// The last error: one that does not pass, or that has not passed for the patience.
    pub async fn send(&self, ask: Ask<'_>) -> Result<http::Response<Bytes>, RequestError> {
        let hash = hex(Sha256::digest(&ask.body));
        let hash = HeaderValue::from_str(&hash).expect("hexadecimal digits");
        let mut backoff = Backoff::opening(self.patience);
        let mut is_signed_anew = false;
        let (mut failing, mut is_told) = (None, false);
        loop {
            let asked = Instant::now();
            let (error, code) = match self.once(&ask, &hash).await {
                Ok(answer) if answer.status().is_success() => match refusal_in_success(&answer) {
                    None => return Ok(answer),
                    Some(refusal) => self.failed(&refusal),
                },
                Ok(answer) => {
                    let (parts, body) = answer.into_parts();
                    let refusal = Refusal::parse(parts.status, parts.headers, &body);
                    if !is_signed_anew && self.store.renew(&refusal, asked) {
                        is_signed_anew = true;
                        continue;
                    }
                    self.failed(&refusal)
                }
                Err(error) => {
                    if matches!(error, source::Error::Timeout { .. }) {
                        self.doubled.fetch_add(1, Relaxed);
                    }
                    (error, String::new())
                }
            };
            let since = *failing.get_or_insert(asked);
            if !is_told && error.is_transient() && since.elapsed() >= SILENT {
                let (doing, patience) = (ask.doing, self.patience.as_secs());
                let code = match code.as_str() {
                    "" => String::new(),
                    code => format!(" ({code})"),
                };
                log::warn!("cannot {doing}: {error}{code}; trying again for {patience} seconds");
                is_told = true;
            }
            let waited = backoff.wait(error).await;
            waited.map_err(|error| RequestError {
                doing: ask.doing,
                error,
                code,
            })?;
        }
    }

    async fn once(
        &self,
        ask: &Ask<'_>,
        hash: &HeaderValue,
    ) -> Result<http::Response<Bytes>, source::Error> {
        let mut url = self.store.url();
        if !ask.query.is_empty() {
            let pairs = ask.query.iter();
            let pairs = pairs
                .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, &IN_QUERY)));
            url.set_query(Some(&pairs.collect::<Vec<_>>().join("&")));
        }
        let mut headers: HeaderMap = ask.headers.iter().cloned().collect();
        if self.store.service() == Service::S3 {
            headers.insert(CONTENT_HASH, hash.clone());
        }
        self.store
            .authorize(&ask.method, &mut url, &mut headers)
            .await?;
        let request = http::Request::builder()
            .method(&ask.method)
            .uri(url.as_str());
        let mut request =
            request
                .body(ask.body.clone())
                .map_err(|e| source::Error::Unsupported {
                    what: format!("the request cannot be made: {e}"),
                })?;
        *request.headers_mut() = headers;
        let wait = WAIT * 2u32.pow(self.doubled.load(Relaxed).min(MOST_DOUBLED));
        call(&self.clients, request, wait, MAX_ANSWER).await
    }

    /// The error of a refused request, and its code.
    fn failed(&self, refusal: &Refusal) -> (source::Error, String) {
        let origin = Origin::new(display_url(&self.url()));
        let is_busy = matches!(
            refusal.code.as_str(),
            "RequestTimeout" | "SlowDown" | "InternalError" | "ServiceUnavailable"
        );
        let error = source::Error::Status {
            origin: origin.clone(),
            status: if is_busy { 503 } else { refusal.status },
            retry_after: None,
        };
        if error.is_transient() {
            return (error, refusal.code.clone());
        }
        let why = refusal.text_with(&self.store.advice(refusal));
        let error = source::Error::Refused {
            origin,
            status: refusal.status,
            why,
        };
        (error, refusal.code.clone())
    }
}

/// S3 may answer 200 before it knows whether it will succeed, and then say in the body that it did not (AWS,
/// "CompleteMultipartUpload").
fn refusal_in_success(answer: &http::Response<Bytes>) -> Option<Refusal> {
    let body = answer.body();
    let begin = &body[..body.len().min(1024)];
    let is_error = begin.windows(7).any(|window| window == b"<Error>");
    is_error.then(|| {
        let (status, headers) = (http::StatusCode::INTERNAL_SERVER_ERROR, answer.headers());
        Refusal::parse(status, headers.clone(), body)
    })
}
