//! One server, as HTTP sees it: clients, redirects, credentials.
//!
//! Redirects are followed here rather than by reqwest: where they lead is remembered, so that the
//! next range does not pay for the same redirect again, and credentials stay with the host that
//! they were given for.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HeaderValue, LOCATION, RANGE};
use reqwest::{Certificate, Client, Method, Response, StatusCode, Url, redirect};

use super::{HttpOptions, Secrets, network};
use crate::source::{Error, Origin};

/// More redirects than this are a loop (browsers allow 20, curl 50; a gateway needs one or two).
const MAX_REDIRECTS: usize = 10;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests to one URL, wherever it has moved to.
pub(super) struct Link {
    origin: Origin,
    /// Without credentials; those are in `secrets`.
    url: Url,
    secrets: Secrets,
    /// Where redirects led last time.
    moved: Mutex<Option<Url>>,
    options: HttpOptions,
}

/// The HTTP clients behind links, with their connections. Cheap to clone; clones share them.
///
/// One for each kind, made when first used: TLS loads the system's roots, which takes longer than
/// a whole mount over plain HTTP.
#[derive(Clone, Default)]
pub struct Clients(Arc<Kinds>);

#[derive(Default)]
struct Kinds {
    /// By whether it is TLS, and whether the host is this machine.
    made: [[OnceLock<Client>; 2]; 2],
    roots: Vec<Certificate>,
    /// Whether anybody ever answered.
    heard: AtomicBool,
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clients")
    }
}

impl Clients {
    /// Clients that trust the certificates of `pem` as roots, beside those of the system.
    ///
    /// # Errors
    /// If there is no certificate in it.
    pub fn with_roots(pem: &[u8]) -> Result<Self, String> {
        let roots = Certificate::from_pem_bundle(pem).unwrap_or_default();
        if roots.is_empty() {
            return Err("no certificate in PEM form is in it".into());
        }
        Ok(Self(Arc::new(Kinds {
            roots,
            ..Kinds::default()
        })))
    }

    /// Somebody answered, so there is a network, even if it should be gone for a while.
    fn heard(&self) {
        self.0.heard.store(true, Relaxed);
    }

    fn have_heard(&self) -> bool {
        self.0.heard.load(Relaxed)
    }

    fn of(&self, url: &Url) -> Result<Client, Error> {
        let (is_tls, is_local) = (url.scheme() == "https", is_loopback(url));
        let slot = &self.0.made[usize::from(is_tls)][usize::from(is_local)];
        if let Some(client) = slot.get() {
            return Ok(client.clone());
        }
        let client =
            build_client(is_tls, is_local, &self.0.roots).map_err(|e| Error::Unsupported {
                what: format!("cannot set up HTTP: {}", root_cause(&e)),
            })?;
        Ok(slot.get_or_init(|| client).clone())
    }
}

/// What is asked of a URL.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ask<'a> {
    /// A part of it: the value of the Range header.
    Range(&'a str),
    /// All of it, as this media type.
    Whole { accept: &'static str },
}

impl Link {
    /// A link to `url`, which may carry `user:password@`.
    pub(super) fn new(url: &str, options: HttpOptions) -> Result<Self, Error> {
        let unsupported = |what: String| Error::Unsupported { what };
        // The text is not repeated in the error: it may hold a password.
        let mut url = Url::parse(url).map_err(|e| unsupported(format!("not a URL: {e}")))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(unsupported(format!(
                "URLs of scheme '{}' are not supported; give http:// or https://",
                url.scheme()
            )));
        }
        let mut secrets = options.secrets.clone();
        let netrc = || {
            let (login, password) = options.netrc.login(url.host_str()?)?;
            basic_authorization(login.as_bytes(), password.as_bytes())
        };
        if !secrets.has_authorization()
            && let Some(basic) = authorization_of(&url).or_else(netrc)
        {
            secrets = secrets.with(AUTHORIZATION, basic);
        }
        // Both fail only for URLs that cannot have a host, which were refused above.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        Ok(Self {
            origin: Origin::new(display_name(&url)),
            url,
            secrets,
            moved: Mutex::new(None),
            options,
        })
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Sends a GET and follows redirects. The answer is not judged here, but for redirects.
    pub(super) async fn get(&self, ask: Ask<'_>) -> Result<Response, Error> {
        let known = self.moved().clone();
        if let Some(url) = known {
            let response = self.follow(url, ask).await;
            // What a redirect led to may expire (a presigned URL, a node that left): ask anew.
            let expired = match &response {
                Ok(r) => matches!(r.status().as_u16(), 401 | 403 | 404 | 410),
                Err(e) => matches!(e, Error::Unreachable { .. }),
            };
            if !expired {
                return response;
            }
            *self.moved() = None;
        }
        self.follow(self.url.clone(), ask).await
    }

    async fn follow(&self, mut url: Url, ask: Ask<'_>) -> Result<Response, Error> {
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send(&url, ask).await?;
            if !is_redirect(response.status()) {
                if url != self.url {
                    *self.moved() = Some(url);
                }
                return Ok(response);
            }
            url = self.next_hop(&url, &response)?;
        }
        Err(self.misdirected(format!("more than {MAX_REDIRECTS} redirects")))
    }

    fn next_hop(&self, from: &Url, response: &Response) -> Result<Url, Error> {
        let location = response.headers().get(LOCATION);
        let location = location.and_then(|value| value.to_str().ok());
        let target = location.and_then(|text| from.join(text).ok());
        let Some(mut target) = target else {
            return Err(self.misdirected("a redirect without a usable Location".into()));
        };
        if !matches!(target.scheme(), "http" | "https") {
            return Err(self.misdirected(format!("a redirect to scheme '{}'", target.scheme())));
        }
        if from.scheme() == "https" && target.scheme() == "http" {
            return Err(self.misdirected("a redirect from https to http".into()));
        }
        // A server has no say in whose credentials are sent.
        let _ = target.set_username("");
        let _ = target.set_password(None);
        Ok(target)
    }

    async fn send(&self, url: &Url, ask: Ask<'_>) -> Result<Response, Error> {
        let client = self.options.clients.of(url)?;
        let request = client
            .request(Method::GET, url.clone())
            .header(ACCEPT_ENCODING, "identity");
        let mut request = match ask {
            Ask::Range(range) => request.header(RANGE, range),
            Ask::Whole { accept } => request.header(ACCEPT, accept),
        };
        if same_server(url, &self.url) {
            for (name, value) in self.secrets.iter() {
                request = request.header(name.clone(), value.clone());
            }
        }
        let wait = self.options.idle_timeout;
        match tokio::time::timeout(wait, request.send()).await {
            Err(_) => Err(Error::Timeout {
                origin: self.origin.clone(),
                after: wait,
            }),
            Ok(Err(e)) if e.is_timeout() => Err(Error::Timeout {
                origin: self.origin.clone(),
                after: CONNECT_TIMEOUT,
            }),
            Ok(Err(e)) if !self.options.clients.have_heard() && network::is_missing(&e) => {
                Err(Error::NoNetwork {
                    origin: self.origin.clone(),
                })
            }
            Ok(Err(e)) => Err(Error::Unreachable {
                origin: self.origin.clone(),
                cause: root_cause(&e),
            }),
            Ok(Ok(response)) => {
                self.options.clients.heard();
                Ok(response)
            }
        }
    }

    fn moved(&self) -> std::sync::MutexGuard<'_, Option<Url>> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn misdirected(&self, what: String) -> Error {
        Error::Unsupported {
            what: format!("{} redirects wrongly: {what}", self.origin),
        }
    }
}

/// Whether a URL's host is this machine (RFC 6761, section 6.3; RFC 1122, section 3.2.1.3). It is
/// never asked through a proxy, which would look for it on its own machine.
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

fn build_client(is_tls: bool, is_local: bool, roots: &[Certificate]) -> reqwest::Result<Client> {
    // Installing it a second time fails, and the first one stays: either way there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(concat!("aiozfs/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        // Parts in parallel need connections in parallel: one HTTP/2 connection shares one window.
        .http1_only()
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true);
    if is_local {
        builder = builder.no_proxy();
    }
    if is_tls {
        return builder.tls_certs_merge(roots.iter().cloned()).build();
    }
    let no_roots = rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    builder.tls_backend_preconfigured(no_roots).build()
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Credentials go only where they were given for: same scheme, host and port.
fn same_server(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host_str() == b.host_str()
        && a.port_or_known_default() == b.port_or_known_default()
}

/// `user:password@` as a Basic Authorization header (RFC 7617), marked so that it is never logged.
fn authorization_of(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decode = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
    let password = url.password().unwrap_or("");
    basic_authorization(&decode(url.username()), &decode(password))
}

fn basic_authorization(login: &[u8], password: &[u8]) -> Option<HeaderValue> {
    let pair = [login, b":", password].concat();
    let mut value = HeaderValue::from_str(&format!("Basic {}", base64(&pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Base64 with padding (RFC 4648, section 4): all that Basic authorization needs.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, b| bits << 8 | u32::from(*b));
        let bits = bits << (8 * (3 - group.len()));
        for i in 0..4 {
            let index = (bits >> (18 - 6 * i)) as usize & 63;
            let is_padding = i > group.len();
            text.push(if is_padding {
                '='
            } else {
                ALPHABET[index] as char
            });
        }
    }
    text
}

/// A URL fit for logs and /proc/mounts: a query may hold a signature, so it is left out.
pub(super) fn display_name(url: &Url) -> String {
    let mut shown = url.clone();
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.set_fragment(None);
    shown.to_string()
}

/// The innermost error says what happened; the outer ones repeat the URL, secrets and all.
pub(super) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_a_url_are_not_in_its_name() {
        let options = HttpOptions::default();
        let link = Link::new("https://joe:s3cret@example.com/a.zip?sig=abc#x", options)
            .expect("a usable URL");
        assert_eq!(link.origin.to_string(), "https://example.com/a.zip");
        let (_, header) = link.secrets.iter().next().expect("credentials");
        assert!(header.is_sensitive());
        assert_eq!(header.as_bytes(), b"Basic am9lOnMzY3JldA==");
        assert_eq!(link.url.query(), Some("sig=abc"));
    }

    #[test]
    fn this_machine_has_many_names() {
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

    /// The plainest wins: what was given for this request, then the URL's, then the file's.
    #[test]
    fn one_authorization_is_chosen() {
        let first = |url: &str, secrets: Secrets| {
            let netrc = super::super::Netrc::parse("machine a.example login n password n");
            let options = HttpOptions {
                secrets,
                netrc,
                ..HttpOptions::default()
            };
            let link = Link::new(url, options).expect("a usable URL");
            let values: Vec<String> = link
                .secrets
                .iter()
                .map(|(_, value)| value.to_str().expect("text").to_owned())
                .collect();
            values.join(", ")
        };
        let none = Secrets::default;
        let token = || none().with_token("t").expect("a token");
        assert_eq!(first("http://u:u@a.example/", token()), "Bearer t");
        assert_eq!(first("http://u:u@a.example/", none()), "Basic dTp1");
        assert_eq!(first("http://a.example/", none()), "Basic bjpu");
        assert_eq!(first("http://b.example/", none()), "");
    }

    #[test]
    fn base64_pads() {
        // RFC 4648, section 10.
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn credentials_stay_with_their_server() {
        let url = |text| Url::parse(text).expect("a URL");
        let home = url("https://a.example/x");
        assert!(same_server(&home, &url("https://a.example:443/y")));
        for other in [
            "http://a.example/x",
            "https://b.example/x",
            "https://a.example:8443/x",
        ] {
            assert!(!same_server(&home, &url(other)), "{other}");
        }
    }
}
