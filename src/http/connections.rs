//! The connections to servers: what makes them, how many there are, and how early they are asked.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Url;
use reqwest::header::HeaderValue;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

use super::breadth::Breadth;
use super::connector::{ConnectError, Connector, IdleState, Reader, Writer, needs_tls};
use super::lead::Lead;
use super::lease::Lease;
use super::pool::{Claim, Opening, Pool, SHELF_LIFE, Taken};
use super::proxy::Proxy;
use crate::source::{Error, Origin};

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
    tls: OnceLock<Arc<ClientConfig>>,
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
        let proxy = if is_loopback(url) {
            None
        } else {
            Proxy::of(url, |name| {
                let value = std::env::var_os(name)?;
                Some(value.to_string_lossy().into_owned())
            })?
        };
        let tls = if needs_tls(url, proxy.as_ref()) {
            Some(self.tls()?.clone())
        } else {
            None
        };
        let connector = Connector::new(url, proxy, tls);
        Ok(Connections {
            proxy_authorization: connector.proxy_authorization(),
            connector,
            pool: Pool::default(),
            lead: Mutex::default(),
            breadth: Mutex::default(),
            keeps: AtomicBool::new(false),
            is_tended: AtomicBool::new(false),
        })
    }

    fn tls(&self) -> Result<&Arc<ClientConfig>, String> {
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
        // Ranges in parallel need connections in parallel: one HTTP/2 connection shares one window.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(self.0.tls.get_or_init(|| Arc::new(config)))
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

/// Connections to one server; why one could not be made may be told to several.
type Wires = Pool<Reader, Writer, Arc<ConnectError>>;

/// One of them, for one request.
pub(super) type WireLease = Lease<Reader, Writer, Arc<ConnectError>>;

/// The connections to one server.
pub(super) struct Connections {
    pub(super) connector: Connector,
    /// What a forwarding proxy is sent with each request.
    pub(super) proxy_authorization: Option<HeaderValue>,
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
    ) -> Result<WireLease, Arc<ConnectError>> {
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
            match lease.reader().map_or(IdleState::Open, Reader::idle_state) {
                IdleState::Open => return Ok(lease),
                IdleState::Closed => lease.close(),
                IdleState::Http2 => {
                    lease.close();
                    return Err(Arc::new(ConnectError::OnlyHttp2));
                }
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

    fn open(self: &Arc<Self>, opening: Opening<Reader, Writer, Arc<ConnectError>>) {
        let connections = self.clone();
        tokio::spawn(async move {
            match connections.connector.connect().await {
                Ok((reader, writer)) => opening.made(reader, writer),
                Err(error) => opening.failed(Arc::new(error)),
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

    /// The error of a request to `origin` that was not answered within `wait`.
    pub(super) fn timeout(&self, origin: Origin, wait: Duration) -> Error {
        let (idle, busy, _) = self.pool.count();
        match self.connector.proxy() {
            Some(proxy) if idle + busy == 0 => Error::Unreachable {
                origin,
                cause: ConnectError::ProxyTimeout(proxy.clone(), wait).to_string(),
            },
            _ => Error::Timeout {
                origin,
                after: wait,
            },
        }
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
