//! Answers to OPTIONS: CORS preflights (Fetch standard, "CORS-preflight fetch").

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, Response, StatusCode, header};

use super::response::{response, set};

/// The methods of every path of the node.
pub(super) const METHODS: &str = "GET, HEAD, OPTIONS";

/// Allows pages of every origin to send GET and HEAD with any header.
///
/// Players add headers of their own and of their page. The node ignores them, but a browser whose
/// preflight is refused sends no request at all. So the answer names each header that was asked
/// for: `*` does not cover Authorization.
pub(super) fn answer(request: &HeaderMap) -> Response<Body> {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (header::ALLOW, METHODS),
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
        (
            header::VARY,
            "Access-Control-Request-Headers, Access-Control-Request-Private-Network",
        ),
    ] {
        set(&mut headers, name, value);
    }
    for names in request.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.append(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    if !headers.contains_key(header::ACCESS_CONTROL_ALLOW_HEADERS) {
        let every = "*, Authorization, Range";
        set(&mut headers, header::ACCESS_CONTROL_ALLOW_HEADERS, every);
    }
    // Private Network Access (<https://wicg.github.io/private-network-access/>): a page from the
    // internet may read from a node on this machine or in this network.
    if request.contains_key("access-control-request-private-network") {
        let name = HeaderName::from_static("access-control-allow-private-network");
        set(&mut headers, name, "true");
    }
    response(StatusCode::NO_CONTENT, headers, Body::empty())
}
