//! Requests to a store: signed, repeated while that makes sense, and their errors in words.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::error::Error;
use crate::http::{Authorizer, Clients, Refusal, call, display_url};
use crate::ranges::hex;
use crate::source::{self, Backoff, Origin, Priority};

/// How long to wait for an answer. Each request that had none in time doubles it: the link is slow.
const WAIT: Duration = Duration::from_secs(120);

/// How often the wait is doubled.
const MOST_DOUBLED: u32 = 4;

/// For how long a request is repeated after errors that may pass.
const PATIENCE: Duration = Duration::from_secs(300);

/// The longest answer in bytes: a list of a thousand parts or uploads.
const MAX_ANSWER: usize = 4 << 20;

/// What a signature expects to be percent-encoded in a query: all but the unreserved characters of RFC 3986
/// (AWS, "Create a signed AWS API request", step 1).
const ENCODED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// What a request's body hashes to, which is signed with it. So nobody changes it on the way.
const CONTENT_HASH: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// Sends requests for one object or bucket.
pub(super) struct Requests {
    authorizer: Arc<dyn Authorizer>,
    clients: Clients,
    doubled: AtomicU32,
}

/// One request.
pub(super) struct Ask<'a> {
    /// For errors: "cannot ...".
    pub(super) doing: &'static str,
    pub(super) method: Method,
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) headers: &'a [(HeaderName, HeaderValue)],
    pub(super) body: Bytes,
}

impl Requests {
    pub(super) fn new(authorizer: Arc<dyn Authorizer>, clients: Clients) -> Self {
        Self {
            authorizer,
            clients,
            doubled: AtomicU32::new(0),
        }
    }

    /// The URL of the object, without signatures.
    pub(super) fn url(&self) -> String {
        self.authorizer.url().to_string()
    }

    /// Sends a request until it succeeds, or until its error is one that does not pass. An answer with status 404
    /// is returned like a success.
    pub(super) async fn send(&self, ask: Ask<'_>) -> Result<http::Response<Bytes>, Error> {
        let hash = hex(Sha256::digest(&ask.body));
        let hash = HeaderValue::from_str(&hash).expect("hexadecimal digits");
        let mut backoff = Backoff::new(PATIENCE, Priority::Demand);
        let mut is_signed_anew = false;
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
                    if !is_signed_anew && self.authorizer.renew(&refusal, asked) {
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
            let waited = backoff.wait(error).await;
            waited.map_err(|error| Error::Store {
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
        let mut url = self.authorizer.url();
        if !ask.query.is_empty() {
            let pairs = ask.query.iter();
            let pairs = pairs
                .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, &ENCODED)));
            url.set_query(Some(&pairs.collect::<Vec<_>>().join("&")));
        }
        let mut headers: HeaderMap = ask.headers.iter().cloned().collect();
        headers.insert(CONTENT_HASH, hash.clone());
        self.authorizer
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
        let advice = self.authorizer.advice(refusal);
        let why = match advice.as_str() {
            "" => refusal.text(),
            advice => format!("{}; {advice}", refusal.text()),
        };
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
