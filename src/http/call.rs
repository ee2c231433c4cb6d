//! One request with a body, and its whole answer. For what is not the range of a blob: the credentials of
//! object stores, for instance.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Url;

use super::Clients;
use super::address::display_name;
use super::exchange::Exchange;
use super::request::Request;
use super::server::Claim;
use crate::source::{Error, Origin, Priority, Urgency};

/// How many connections to a server these requests may take.
const CONNECTIONS: usize = 16;

/// Sends `request`, whose URI is absolute, and returns the answer, whatever its status. Redirects are not
/// followed. The request may be sent twice: the first connection may turn out to be closed.
///
/// # Errors
/// If there is no answer within `wait`, or if its body has more than `most` bytes.
pub async fn call(
    clients: &Clients,
    request: http::Request<Bytes>,
    wait: Duration,
    most: usize,
) -> Result<http::Response<Bytes>, Error> {
    let (parts, body) = request.into_parts();
    let url = Url::parse(&parts.uri.to_string()).map_err(|e| Error::Unsupported {
        what: format!("not a URL: {e}"),
    })?;
    let origin = Origin::new(display_name(&url));
    let connections = clients.of(&url)?;
    let headers = parts.headers.iter();
    let request = Request {
        method: &parts.method,
        url: &url,
        headers: headers
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        body: &body,
        claim: Claim {
            blob: None,
            urgency: Urgency::Fixed(Priority::Demand),
        },
    };
    let answered = async {
        let begun = Exchange::begin(&connections, CONNECTIONS, &request).await;
        let mut answer = begun.map_err(|failure| {
            failure.error(origin.clone(), clients.expect(&connections), false)
        })?;
        clients.answered();
        let mut whole = BytesMut::new();
        loop {
            let next = answer.chunk().await.map_err(|e| Error::Unreachable {
                origin: origin.clone(),
                cause: format!("its answer broke off after {} bytes: {e}", whole.len()),
                is_expected: true,
            })?;
            let Some(bytes) = next else { break };
            if whole.len() + bytes.len() > most {
                return Err(Error::BadAnswer {
                    origin: origin.clone(),
                    range: 0..most as u64,
                    what: "its answer is too long".into(),
                });
            }
            whole.extend_from_slice(&bytes);
        }
        let mut response = http::Response::new(whole.freeze());
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers.clone();
        Ok(response)
    };
    let answered = tokio::time::timeout(wait, answered).await;
    answered.unwrap_or_else(|_| Err(connections.timeout(origin.clone(), wait)))
}
