//! Serializes requests (HTTP/1.1, RFC 9112).

use reqwest::header::{
    ACCEPT, CONTENT_LENGTH, HeaderName, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT,
};
use reqwest::{Method, Url};

use super::server::Claim;

/// The product that sends the requests (RFC 9110, section 10.1.5).
pub(super) const AGENT: &str = concat!("aiozfs/", env!("CARGO_PKG_VERSION"));

/// A request.
pub(super) struct Request<'a> {
    pub(super) method: &'a Method,
    pub(super) url: &'a Url,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Sent behind the head.
    pub(super) body: &'a [u8],
    pub(super) claim: Claim,
}

impl Request<'_> {
    /// Serializes the head. For a `forwarding` proxy, uses the absolute form of the target (RFC 9112,
    /// section 3.2.2) and adds Proxy-Authorization with the inner value, if there is one.
    pub(super) fn head(&self, forwarding: Option<Option<&HeaderValue>>) -> Vec<u8> {
        let url = self.url;
        let host = url.host_str().unwrap_or_default();
        let port = url.port().map_or(String::new(), |port| format!(":{port}"));
        let query = url
            .query()
            .map_or(String::new(), |query| format!("?{query}"));
        let origin = match forwarding {
            Some(_) => format!("{}://{host}{port}", url.scheme()),
            None => String::new(),
        };
        let path = url.path();
        let method = self.method;
        let mut text = format!("{method} {origin}{path}{query} HTTP/1.1\r\nhost: {host}{port}\r\n");
        text += "accept-encoding: identity\r\n";
        let lacks = |name| self.headers.iter().all(|(given, _)| *given != name);
        if lacks(ACCEPT) {
            text += "accept: */*\r\n";
        }
        if lacks(USER_AGENT) {
            text += &format!("user-agent: {AGENT}\r\n");
        }
        if *self.method != Method::GET && lacks(CONTENT_LENGTH) {
            text += &format!("content-length: {}\r\n", self.body.len());
        }
        let mut bytes = text.into_bytes();
        let proxy = forwarding
            .flatten()
            .map(|login| (PROXY_AUTHORIZATION, login));
        let proxy = proxy.iter().map(|(name, value)| (name, *value));
        let headers = self.headers.iter().map(|(name, value)| (name, value));
        for (name, value) in headers.chain(proxy) {
            for piece in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                bytes.extend_from_slice(piece);
            }
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Priority, Urgency};

    fn request(url: &str, headers: Vec<(HeaderName, HeaderValue)>, proxy: Option<&str>) -> String {
        let url = Url::parse(url).expect("a URL");
        let login = proxy.map(|login| HeaderValue::from_str(login).expect("a login"));
        let request = Request {
            method: &Method::GET,
            url: &url,
            headers,
            body: b"",
            claim: Claim {
                blob: None,
                urgency: Urgency::Fixed(Priority::Demand),
            },
        };
        let by_proxy = proxy.map(|_| login.as_ref());
        String::from_utf8(request.head(by_proxy)).expect("text")
    }

    #[test]
    fn headers_are_complete_and_not_repeated() {
        let own = concat!("user-agent: aiozfs/", env!("CARGO_PKG_VERSION"), "\r\n");
        assert_eq!(
            request("http://[::1]:8080/a%20b?c=d", Vec::new(), None),
            format!(
                "GET /a%20b?c=d HTTP/1.1\r\nhost: [::1]:8080\r\naccept-encoding: identity\r\n\
                 accept: */*\r\n{own}\r\n"
            )
        );
        let agent = (USER_AGENT, HeaderValue::from_static("me"));
        let accept = (ACCEPT, HeaderValue::from_static("a/b"));
        assert_eq!(
            request(
                "http://a.example:80/",
                vec![agent, accept],
                Some("Basic eA==")
            ),
            "GET http://a.example/ HTTP/1.1\r\nhost: a.example\r\naccept-encoding: identity\r\n\
             user-agent: me\r\naccept: a/b\r\nproxy-authorization: Basic eA==\r\n\r\n"
        );
    }
}
