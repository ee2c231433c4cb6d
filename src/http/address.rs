//! Reads URLs: the form for logs, the credentials, and whether two URLs name the same server.

use std::net::{IpAddr, Ipv4Addr};

use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::header::HeaderValue;

use super::secrets::basic_authorization;
use crate::source::{Error, Result};

/// A URL for logs and /proc/mounts: without credentials, and without its query, which may hold a
/// signature. Text that is not a URL is not repeated.
pub fn display_url(url: &str) -> String {
    let parsed = Url::parse(url);
    parsed.map_or_else(|_| "(not a URL)".into(), |url| display_name(&url))
}

/// Parses the URL of a server.
///
/// # Errors
/// If it is not a URL with a host and the scheme http or https.
pub fn parse_url(text: &str) -> Result<Url> {
    let invalid = |what: String| Error::Misconfigured { what };
    let wrong = |e| invalid(format!("{} is not a URL: {e}", display_text(text)));
    let url = Url::parse(text).map_err(wrong)?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(invalid(format!(
            "URLs of scheme '{}' are not supported; give http:// or https://",
            url.scheme()
        )));
    }
    Ok(url)
}

/// A text that is not a URL, for errors. It is not repeated if it may hold a password.
fn display_text(text: &str) -> String {
    let shown = text.split(['?', '#']).next().unwrap_or_default();
    if shown.contains('@') {
        "the address, which is not repeated because of its '@',".into()
    } else {
        format!("'{shown}'")
    }
}

/// A URL for logs and /proc/mounts; see [`display_url`].
pub(super) fn display_name(url: &Url) -> String {
    let mut shown = url.clone();
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.set_fragment(None);
    shown.to_string()
}

/// Whether two URLs have the same scheme, host and port. Credentials are sent only to the server that they were
/// given for.
pub(super) fn is_same_server(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host_str() == b.host_str()
        && a.port_or_known_default() == b.port_or_known_default()
}

/// The value of a Basic Authorization header (RFC 7617) from the `user:password@` of a URL.
pub(super) fn authorization_of(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decode = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let password = url.password().unwrap_or("");
    basic_authorization(&decode(url.username()), &decode(password))
}

/// Whether a URL's host is reached without a proxy, whatever the environment says: it is this machine, or the
/// metadata service of a cloud, which answers each machine differently (RFC 3927, section 2.7).
pub(super) fn is_never_proxied(url: &Url) -> bool {
    is_loopback(url) || is_metadata_service(url)
}

fn is_metadata_service(url: &Url) -> bool {
    match url.host_str().unwrap_or_default() {
        // AWS and Google have such names and addresses.
        "metadata.google.internal" | "[fd00:ec2::254]" | "[fd00:ec2::23]" => true,
        host => host
            .parse::<Ipv4Addr>()
            .is_ok_and(|address| address.is_link_local()),
    }
}

/// Whether a URL's host is this machine (RFC 6761, section 6.3; RFC 1122, section 3.2.1.3). Requests to it
/// never go through a proxy, which would look for the server on its own machine.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => {
            let name = host.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_of_this_machine_are_loopback() {
        let is =
            |host: &str| is_loopback(&Url::parse(&format!("http://{host}:80/")).expect("a URL"));
        for local in [
            "127.0.0.1",
            "127.1.2.3",
            "localhost",
            "a.localhost",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is(local), "{local}");
        }
        for other in ["example.com", "10.0.0.1", "localhost.example.com", "[::2]"] {
            assert!(!is(other), "{other}");
        }
    }

    #[test]
    fn metadata_services_are_never_asked_through_a_proxy() {
        let is =
            |host: &str| is_never_proxied(&Url::parse(&format!("http://{host}/")).expect("a URL"));
        for here in [
            "169.254.169.254",
            "169.254.170.2",
            "metadata.google.internal",
            "[fd00:ec2::254]",
            "127.0.0.1",
        ] {
            assert!(is(here), "{here}");
        }
        for other in ["10.0.0.1", "google.internal", "[fd00::254]"] {
            assert!(!is(other), "{other}");
        }
    }

    #[test]
    fn credentials_stay_with_their_server() {
        let url = |text| Url::parse(text).expect("a URL");
        let home = url("https://a.example/x");
        assert!(is_same_server(&home, &url("https://a.example:443/y")));
        for other in [
            "http://a.example/x",
            "https://b.example/x",
            "https://a.example:8443/x",
        ] {
            assert!(!is_same_server(&home, &url(other)), "{other}");
        }
    }
}
