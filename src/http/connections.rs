//! The connections to servers: what makes them, how many there are, and how early they are asked.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::HeaderValue;
use reqwest::{Client, ClientBuilder, Url, redirect};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

use super::breadth::Breadth;
use super::lead::Lead;
use super::lease::Lease;
use super::link::root_cause;
use super::opener::{Keep, Reader, Writer};
use super::pool::{Claim, Opening, Pool, SHELF_LIFE, Taken};
use crate::source::Error;

/// How long a connection may take to be made.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long connections are kept that were made before the server has shown whether it serves one
/// at a time.
const UNKNOWN_FOR: Duration = Duration::from_secs(2);

/// The connections behind links. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub struct Clients(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// By scheme, host and port.
    servers: Mutex<HashMap<String, Arc<Connections>>>,
    roots: Vec<CertificateDer<'static>>,
    /// Made when first used: it loads the system's roots, which takes longer than a whole mount
    /// over plain HTTP.
    tls: OnceLock<ClientConfig>,
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
        let roots = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        let roots = roots.unwrap_or_default();
        if roots.is_empty() {
            return Err("no certificate in PEM form is in it".into());
        }
        Ok(Self(Arc::new(Shared {
            roots,
            ..Shared::default()
        })))
    }

    /// Somebody answered, so there is a network, even if it should be gone for a while.
    pub(super) fn heard(&self) {
        self.0.heard.store(true, Relaxed);
    }

    pub(super) fn have_heard(&self) -> bool {
        self.0.heard.load(Relaxed)
    }

    /// The connections to the server of `url`.
    pub(super) fn of(&self, url: &Url) -> Result<Arc<Connections>, Error> {
        let server = url.origin().ascii_serialization();
        let mut servers = self
            .0
            .servers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = servers.get(&server) {
            return Ok(known.clone());
        }
        let made = self.connections(url).map_err(|cause| Error::Unsupported {
            what: format!("cannot set up HTTP: {cause}"),
        })?;
        Ok(servers.entry(server).or_insert(Arc::new(made)).clone())
    }

    fn connections(&self, url: &Url) -> Result<Connections, String> {
        let tls = match url.scheme() {
            "https" => self.tls()?.clone(),
            _ => without_roots(),
        };
        let (keep, mut server) = (Keep::default(), url.clone());
        server.set_path("");
        server.set_query(None);
        let opener = builder(url).connector_layer(keep.clone());
        let opener = opener.tls_backend_preconfigured(tls).build();
        Ok(Connections {
            opener: opener.map_err(|e| root_cause(&e))?,
            keep,
            proxy_login: OnceLock::new(),
            server,
            pool: Pool::default(),
            lead: Mutex::default(),
            breadth: Mutex::default(),
            keeps: AtomicBool::new(false),
            is_tended: AtomicBool::new(false),
        })
    }

    fn tls(&self) -> Result<&ClientConfig, String> {
        if let Some(tls) = self.0.tls.get() {
            return Ok(tls);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = self.0.roots.iter().cloned();
        let verifier = Verifier::new_with_extra_roots(roots, provider.clone());
        let verifier = verifier.map_err(|e| e.to_string())?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .dangerous() // the name of a place for verifiers of one's own; this one is the system's
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(self.0.tls.get_or_init(|| config))
    }
}

/// What a client for plain HTTP gets, so that it does not load the system's roots.
fn without_roots() -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has what the default versions need")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

fn builder(url: &Url) -> ClientBuilder {
    let builder = Client::builder()
        .user_agent(concat!("aiozfs/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        // Parts in parallel need connections in parallel: one HTTP/2 connection shares one window.
        .http1_only()
        // It serves for connecting alone: every request of it needs a connection to be made.
        .pool_max_idle_per_host(0)
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true);
    let builder = match name_below_localhost(url) {
        Some(name) => builder.resolve_to_addrs(name, &LOOPBACK),
        None => builder,
    };
    match is_loopback(url) {
        true => builder.no_proxy(),
        false => builder,
    }
}

/// This machine; a URL's own port is used in place of 0.
const LOOPBACK: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0),
];

/// The host of a URL, if it is a name that always means this machine (RFC 6761, section 6.3), but one
/// that few systems resolve: a gateway here redirects to `<cid>.ipfs.localhost`.
fn name_below_localhost(url: &Url) -> Option<&str> {
    let name = url.host_str()?;
    name.ends_with(".localhost").then_some(name)
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

/// Connections to one server; why one could not be made may be told to several.
type Wires = Pool<Reader, Writer, Arc<reqwest::Error>>;

/// One of them, for one request.
pub(super) type WireLease = Lease<Reader, Writer, Arc<reqwest::Error>>;

/// The connections to one server.
pub(super) struct Connections {
    opener: Client,
    keep: Keep,
    /// What a proxy wants to know of whoever asks it, if it does.
    proxy_login: OnceLock<Option<HeaderValue>>,
    server: Url,
    pool: Wires,
    lead: Mutex<Lead>,
    breadth: Mutex<Breadth>,
    /// Whether one was found to be good for another request. A server that closes them may also
    /// serve one at a time, and would wait for a request on one that carries none.
    keeps: AtomicBool,
    /// Whether a task looks after those that nobody needs.
    is_tended: AtomicBool,
}

impl Connections {
    /// A connection for a request, one of at most `most`.
    pub(super) async fn lease(
        self: &Arc<Self>,
        most: usize,
        claim: Claim,
    ) -> Result<WireLease, Arc<reqwest::Error>> {
        loop {
            let lead = self.early_by().unwrap_or(0);
            let mut lease = match self.pool.take(self.at_once(most), lead, claim) {
                Taken::Lease(lease) => lease,
                Taken::Open(opening) => {
                    self.open(opening);
                    continue;
                }
                Taken::Wait(waiting) => match waiting.await {
                    Ok(lease) => lease?,
                    Err(_) => continue,
                },
            };
            let is_open = lease.reader().is_none_or(Reader::is_open);
            match is_open {
                true => return Ok(lease),
                false => lease.close(),
            }
        }
    }

    /// Makes connections until, with those that carry something, there are `requests` of them.
    /// Returns how many carry one or are ready to. Must be called within a tokio runtime.
    pub(super) fn warm_up(self: &Arc<Self>, requests: usize) -> usize {
        let (idle, busy, _) = self.pool.count();
        if self.keeps.load(Relaxed) {
            self.open_some(requests);
        }
        idle + busy
    }

    /// Makes connections beside those of the first requests, before it is known whether the server
    /// keeps any: else the first large read has to wait for them. A server that serves one at a time
    /// would wait for a request on one of these, so they are closed when it turns out to close
    /// connections, and when it lets nobody know. Must be called within a tokio runtime.
    pub(super) fn warm_up_unknown(self: &Arc<Self>, requests: usize) {
        if self.keeps.load(Relaxed) {
            self.warm_up(requests);
            return;
        }
        self.open_some(requests);
        let unknown = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(UNKNOWN_FOR).await;
            if !unknown.keeps.load(Relaxed) {
                unknown.pool.clear();
            }
        });
    }

    fn open_some(self: &Arc<Self>, up_to: usize) {
        for opening in self.pool.announce(up_to) {
            self.open(opening);
        }
    }

    fn open(self: &Arc<Self>, opening: Opening<Reader, Writer, Arc<reqwest::Error>>) {
        let connections = self.clone();
        let request = self.opener.get(self.server.clone());
        tokio::spawn(async move {
            // There is no answer: the layer keeps the connection, and the request fails.
            let Err(error) = request.send().await else {
                return;
            };
            match connections.keep.take(&error) {
                Some((reader, writer)) => opening.made(reader, writer),
                None => opening.failed(Arc::new(error)),
            }
            connections.tend().await;
        });
    }

    /// Closes in time what nobody needs. One task does so for all.
    async fn tend(&self) {
        if self.is_tended.swap(true, Relaxed) {
            return;
        }
        while self.pool.count() != (0, 0, 0) {
            tokio::time::sleep(SHELF_LIFE).await;
        }
        self.is_tended.store(false, Relaxed);
    }

    /// How many bytes before the end of an answer the next request may be sent on its connection;
    /// `None` if this server is not to be asked so.
    pub(super) fn early_by(&self) -> Option<u64> {
        let is_allowed = self.pool.allows_early() && self.keeps.load(Relaxed);
        is_allowed.then(|| self.lead().bytes())
    }

    /// How many connections are worth it, of at most `most`.
    pub(super) fn at_once(&self, most: usize) -> usize {
        let round_trip = self.lead().round_trip();
        self.breadth().of(most, round_trip)
    }

    /// Bytes came, on one of at most `most`.
    pub(super) fn carried(&self, bytes: u64, most: usize) {
        let (round_trip, now) = (self.lead().round_trip(), Instant::now());
        if let Some(round_trip) = round_trip
            && self.breadth().listens(round_trip, now)
        {
            let in_use = (self.pool.count().1, most);
            self.breadth().came(bytes, in_use, round_trip, now);
        }
    }

    /// The server has answered something else than what it was asked early.
    pub(super) fn confused(&self) {
        self.pool.refuse_early();
    }

    /// An answer began so long after its request.
    pub(super) fn answered(&self, after: Duration, is_early: bool) {
        self.lead().answered(after, is_early);
    }

    /// So many bytes came within `took`, on one connection.
    pub(super) fn came(&self, bytes: u64, took: Duration) {
        self.lead().came(bytes, took);
    }

    /// A connection has served and can serve again.
    pub(super) fn kept(&self) {
        self.keeps.store(true, Relaxed);
    }

    /// A connection has served and cannot serve again.
    pub(super) fn broke(&self) {
        if !self.keeps.load(Relaxed) {
            self.pool.clear();
        }
    }

    /// What a proxy is told of whoever asks it: the login of the URL that the system names it by.
    pub(super) fn proxy_login(&self) -> Option<&HeaderValue> {
        let login = self.proxy_login.get_or_init(|| {
            let server = self.server.as_str().parse().ok()?;
            let proxy = Matcher::from_system().intercept(&server)?;
            proxy.basic_auth().cloned()
        });
        login.as_ref()
    }

    fn breadth(&self) -> MutexGuard<'_, Breadth> {
        self.breadth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lead(&self) -> MutexGuard<'_, Lead> {
        self.lead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
