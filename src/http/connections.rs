//! The connections to servers: makes them in tasks, and closes them in time.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::Url;
use reqwest::header::HeaderValue;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;
use tokio::time::Instant;

use super::address::is_never_proxied;
use super::connection::{IDLE_TIMEOUT, Turn};
use super::connector::{ConnectError, Connector, IdleState, Reader, Writer, needs_tls};
use super::pool::{Lease, Opening, Pool};
use super::proxy::Proxy;
use super::server::{Claim, ServerState};
use crate::source::sync::MutexGuard;
use crate::source::{Error, Origin};

/// How long to keep connections that were made in advance while it is not known whether the server keeps
/// connections open.
const UNPROVEN_TIMEOUT: Duration = Duration::from_secs(2);

/// The connections to all servers. Clones share them.
#[derive(Clone, Default)]
pub struct Clients(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// By scheme, host and port.
    servers: Mutex<HashMap<String, Arc<Connections>>>,
    roots: Vec<CertificateDer<'static>>,
    /// Made on first use: loading the system's roots takes longer than a whole mount over plain HTTP.
    tls: OnceLock<Arc<ClientConfig>>,
    /// Whether any server has ever answered.
    has_answer: AtomicBool,
    /// Whether servers that cannot be reached yet are waited for.
    waits_for_servers: AtomicBool,
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clients")
    }
}

impl Clients {
    /// Clients that trust the certificates of `pem` as roots, in addition to those of the system.
    ///
    /// # Errors
    /// If `pem` contains no certificate.
    pub fn with_roots(pem: &[u8]) -> Result<Self, String> {
        let roots = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        let roots = roots.unwrap_or_default();
        if roots.is_empty() {
            return Err("it has no certificate in PEM form".into());
        }
        Ok(Self(Arc::new(Shared {
            roots,
            ..Shared::default()
        })))
    }

    /// Waits about three seconds for a server that cannot be reached when content is opened, instead of half a second:
    /// at boot, it may start at the same time, and nobody tries again.
    pub fn wait_for_servers(&self) {
        self.0.waits_for_servers.store(true, Relaxed);
    }

    /// Whether a server that cannot be reached is expected to come.
    pub(super) fn expect(&self, server: &Connections) -> bool {
        self.0.waits_for_servers.load(Relaxed) || server.state().link.has_answer()
    }

    /// Records that a server answered: this machine has a network, even if it fails for a while.
    pub(super) fn answered(&self) {
        self.0.has_answer.store(true, Relaxed);
    }

    /// Whether any server has ever answered.
    pub(super) fn have_answer(&self) -> bool {
        self.0.has_answer.load(Relaxed)
    }

    /// The connections to the server of `url`.
    pub(super) fn of(&self, url: &Url) -> Result<Arc<Connections>, Error> {
        let server = url.origin().ascii_serialization();
        let mut servers = self.0.servers.lock();
        if let Some(known) = servers.get(&server) {
            return Ok(known.clone());
        }
        let made = self.connections(url).map_err(|cause| Error::Unsupported {
            what: format!("cannot set up HTTP: {cause}"),
        })?;
        Ok(servers.entry(server).or_insert(Arc::new(made)).clone())
    }

    fn connections(&self, url: &Url) -> Result<Connections, String> {
        let proxy = if is_never_proxied(url) {
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
            gives_suffixes: AtomicBool::new(false),
            pool: Pool::default(),
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
            .dangerous() // rustls calls every custom verifier that; this one is the platform's
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        // Parallel ranges need parallel connections: an HTTP/2 connection shares one window.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(self.0.tls.get_or_init(|| Arc::new(config)))
    }
}

/// Why a connection could not be made. Shared, because several requests may get it.
type SharedError = Arc<ConnectError>;

/// The use of a connection for one request.
pub(super) type WireLease = Lease<Reader, Writer, SharedError>;

/// The connections to one server.
pub(super) struct Connections {
    pub(super) connector: Connector,
    /// Whether the server has answered a suffix range with the end of a blob, as a second request proved.
    pub(super) gives_suffixes: AtomicBool,
    /// The Proxy-Authorization of each request, if a forwarding proxy needs it.
    pub(super) proxy_authorization: Option<HeaderValue>,
    pool: Pool<Reader, Writer, SharedError>,
}

impl Connections {
    /// Takes a connection for a request, of which at most `most` are busy at once.
    pub(super) async fn lease(
        self: &Arc<Self>,
        most: usize,
        claim: &Claim,
    ) -> Result<WireLease, SharedError> {
        loop {
            let lease = self.pool.lease(most, claim, |opening| self.open(opening));
            let mut lease = lease.await?;
            let state = match &mut lease.loan.reader {
                Turn::Now(reader) => reader.idle_state(),
                _ => IdleState::Open,
            };
            match state {
                IdleState::Open => return Ok(lease),
                IdleState::Closed => lease.close(),
                IdleState::Http2 => {
                    lease.close();
                    return Err(Arc::new(ConnectError::OnlyHttp2));
                }
            }
        }
    }

    /// Makes connections until there are `requests` of them, busy ones included. Returns how many are idle
    /// or busy now. Must be called within a tokio runtime.
    pub(super) fn warm_up(self: &Arc<Self>, requests: usize) -> usize {
        let (idle, busy, is_persistent) = {
            let mut state = self.state();
            let (idle, busy, _) = state.count(Instant::now());
            (idle, busy, state.is_persistent)
        };
        if is_persistent {
            self.open_some(requests);
        }
        idle + busy
    }

    /// Makes connections in advance, before it is known whether the server keeps connections open: the first large
    /// read need not wait for them. A server that serves one connection at a time would wait for a request on one of
    /// them. So they are closed when the server turns out to close connections, or if that is still unknown after
    /// [`UNPROVEN_TIMEOUT`]. Must be called within a tokio runtime.
    pub(super) fn warm_up_unknown(self: &Arc<Self>, requests: usize) {
        self.open_some(requests);
        if self.state().is_persistent {
            return;
        }
        let unknown = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(UNPROVEN_TIMEOUT).await;
            unknown.state().close_unless_persistent();
        });
    }

    fn open_some(self: &Arc<Self>, up_to: usize) {
        for opening in self.pool.announce(up_to) {
            self.open(opening);
        }
    }

    fn open(self: &Arc<Self>, opening: Opening<Reader, Writer, SharedError>) {
        let connections = self.clone();
        tokio::spawn(async move {
            match connections.connector.connect().await {
                Ok((reader, writer)) => opening.made(reader, writer),
                Err(error) => opening.failed(Arc::new(error)),
            }
            connections.close_idle().await;
        });
    }

    /// Closes idle connections when they time out, until none are left. Returns at once if another task
    /// does so already.
    async fn close_idle(&self) {
        if !self.state().begin_to_close_idle() {
            return;
        }
        while self.state().close_idle(Instant::now()) {
            tokio::time::sleep(IDLE_TIMEOUT).await;
        }
    }

    /// The error of a request to `origin` that was not answered within `wait`.
    pub(super) fn timeout(&self, origin: Origin, wait: Duration) -> Error {
        let (idle, busy, _) = self.state().count(Instant::now());
        match self.connector.proxy() {
            Some(proxy) if idle + busy == 0 => Error::Unreachable {
                origin,
                cause: ConnectError::ProxyTimeout(proxy.clone(), wait).to_string(),
                is_expected: self.state().link.has_answer(),
            },
            _ => Error::Timeout {
                origin,
                after: wait,
            },
        }
    }

    /// Locks what is known of the server.
    pub(super) fn state(&self) -> MutexGuard<'_, ServerState<Reader, Writer, SharedError>> {
        self.pool.state()
    }
}
