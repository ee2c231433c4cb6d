//! What signs requests, for servers that want every request signed, as object stores do.

use std::time::Instant;

use futures_util::future::BoxFuture;
use reqwest::header::HeaderMap;
use reqwest::{Method, Url};

use super::refusal::Refusal;
use crate::source::Error;

/// Signs the requests for one object.
///
/// The signature is a function of time. So every request is signed just before it is sent, and no signed URL
/// is kept anywhere. Redirects to other servers are followed without a signature.
pub trait Authorizer: Send + Sync {
    /// Where the object is requested from. It may change after [`renew`](Self::renew).
    fn url(&self) -> Url;

    /// Adds what the server wants to see to a request. Must not wait for a network if it can be avoided:
    /// reads wait for it.
    ///
    /// # Errors
    /// If there are no credentials, or if they cannot be renewed.
    fn authorize<'a>(
        &'a self,
        method: &'a Method,
        url: &'a mut Url,
        headers: &'a mut HeaderMap,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// Decides whether a request that was sent at `asked` and refused is worth one more try with another
    /// signature: because its credentials have expired, for instance. If so, the next
    /// [`authorize`](Self::authorize) uses other ones.
    fn renew(&self, refusal: &Refusal, asked: Instant) -> bool;

    /// What a user can do about a refusal, as the end of a sentence; empty if nothing is known.
    fn advice(&self, refusal: &Refusal) -> String;
}
