//! The connections to servers: clients, and how many connections they have that are ready.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::CONNECTION;
use reqwest::{Client, ClientBuilder, Response, Url, Version, redirect};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

use super::link::root_cause;
use super::stock::{Keep, SHELF_LIFE, Stock, Take};
use crate::source::Error;

/// How long a connection may take to be made.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// For how long a connection that has served is taken to be ready. Servers keep it for 5 to 75
/// seconds.
const READY_FOR: Duration = Duration::from_secs(5);

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
        let client = |layered: ClientBuilder| {
            let client = layered.tls_backend_preconfigured(tls.clone()).build();
            client.map_err(|e| root_cause(&e))
        };
        let (stock, mut server) = (Stock::default(), url.clone());
        server.set_path("");
        server.set_query(None);
        Ok(Connections {
            requests: client(builder(url).connector_layer(Take(stock.clone())))?,
            // Without a pool every request of it needs a connection to be made.
            opener: client(
                builder(url)
                    .pool_max_idle_per_host(0)
                    .connector_layer(Keep(stock.clone())),
            )?,
            server,
            stock,
            usage: Mutex::default(),
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

/// The connections to one server.
pub(super) struct Connections {
    requests: Client,
    opener: Client,
    server: Url,
    stock: Stock,
    usage: Mutex<Usage>,
}

#[derive(Default)]
struct Usage {
    /// Connections that carry a request.
    busy: usize,
    /// Whether one was found to be good for another request. A server that closes them may also
    /// serve one at a time, and would wait for a request on one that carries none.
    keeps: bool,
    /// When those that carry none have served, oldest first. The library keeps them and does not
    /// tell; this is an estimate for deciding whether to make more.
    served: Vec<Instant>,
}

/// A request that is under way, for as long as this lives.
pub(super) struct Carried {
    by: Arc<Connections>,
    /// Whether the connection can carry another one.
    intact: bool,
}

impl Connections {
    /// What sends requests.
    pub(super) fn client(&self) -> &Client {
        &self.requests
    }

    /// Notes that a request is sent.
    pub(super) fn carry(self: &Arc<Self>) -> Carried {
        let mut usage = self.usage();
        usage.busy += 1;
        usage.served.pop();
        Carried {
            by: self.clone(),
            intact: false,
        }
    }

    /// Makes connections until, with those that carry something, there are `requests` of them.
    /// Returns how many carry one or are ready to. Must be called within a tokio runtime.
    pub(super) fn warm_up(&self, requests: usize) -> usize {
        let (kept, opening) = self.stock.count();
        let (busy, served) = {
            let mut usage = self.usage();
            usage.served.retain(|at| at.elapsed() < READY_FOR);
            if !usage.keeps {
                return kept + usage.busy;
            }
            (usage.busy, usage.served.len())
        };
        let usable = kept + served + busy;
        self.open(requests.saturating_sub(usable + opening));
        usable
    }

    /// Makes connections beside those of the first requests, before it is known whether the server
    /// keeps any: else the first large read has to wait for them. A server that serves one at a time
    /// would wait for a request on one of these, so they are closed when it turns out to close
    /// connections, and when it lets nobody know. Must be called within a tokio runtime.
    pub(super) fn warm_up_unknown(self: &Arc<Self>, requests: usize) {
        if self.usage().keeps {
            self.warm_up(requests);
            return;
        }
        let (kept, opening) = self.stock.count();
        self.open(requests.saturating_sub(kept + opening + self.usage().busy));
        let unknown = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(UNKNOWN_FOR).await;
            if !unknown.usage().keeps {
                unknown.stock.clear();
            }
        });
    }

    fn open(&self, connections: usize) {
        for _ in 0..connections {
            let (request, opening) = (self.opener.get(self.server.clone()), self.stock.opening());
            let stock = self.stock.clone();
            tokio::spawn(async move {
                // Why it cannot be made is told to whoever needs one.
                let _ = request.send().await;
                drop(opening);
                // What nobody has needed is closed then.
                tokio::time::sleep(SHELF_LIFE).await;
                stock.count();
            });
        }
    }

    fn usage(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Carried {
    /// All of the answer has come.
    pub(super) fn done(&mut self, response: &Response) {
        let connection = response.headers().get(CONNECTION);
        let closes =
            connection.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        self.intact = response.version() == Version::HTTP_11 && !closes;
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        let mut usage = self.by.usage();
        usage.busy -= 1;
        if self.intact {
            usage.keeps = true;
            usage.served.push(Instant::now());
        } else if !usage.keeps {
            self.by.stock.clear();
        }
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
