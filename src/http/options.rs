//! The options of requests to a server, which the rooms above set.

use std::sync::Arc;
use std::time::Duration;

use super::authorizer::Authorizer;
use super::connections::Clients;
use super::secrets::{Netrc, Secrets};
use crate::source::{Priority, Urgency};

/// How to talk to a server.
#[derive(Clone)]
pub struct HttpOptions {
    /// The maximum number of connections to a server.
    pub connections: usize,
    /// For how long a server may send nothing, before an answer or within one.
    pub idle_timeout: Duration,
    /// Whether each answer must have the ETag or Last-Modified of the first one, because the content at the URL can
    /// change. False for content named by a CID: it cannot change, and gateways put the range into the ETag.
    pub pinned: bool,
    /// Whether the caller verifies all bytes against a CID. If so, redirects from https to http are
    /// followed.
    pub verified: bool,
    /// The urgency of the requests that open a blob.
    pub opening: Urgency,
    /// The connections to use. Sources with the same clients share them.
    pub clients: Clients,
    /// Headers that are sent to the URL's own server, but not to servers that it redirects to.
    pub secrets: Secrets,
    /// What signs each request, if the server wants that.
    pub authorization: Option<Arc<dyn Authorizer>>,
    /// Logins by host, for URLs without other credentials.
    pub netrc: Netrc,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connections: 16,
            idle_timeout: Duration::from_secs(15),
            pinned: true,
            verified: false,
            opening: Urgency::Fixed(Priority::Demand),
            clients: Clients::default(),
            secrets: Secrets::default(),
            authorization: None,
            netrc: Netrc::default(),
        }
    }
}
