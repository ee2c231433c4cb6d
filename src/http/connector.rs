//! Makes connections to one server: TCP, through a proxy if the environment names one, and TLS.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::Url;
use reqwest::header::HeaderValue;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig, PeerMisbehaved};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use tower_service::Service;

use super::head;
use super::network::{io_errors, root_cause};
use super::proxy::{Kind, Proxy};
use super::tunnel::{self, Refusal};

/// The limit on the time to make a connection.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection to a server or to a proxy; TLS if the proxy's URL begins with https.
type Hop = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// A connection over which requests go to a server; TLS if the server's URL begins with https.
type Stream = Either<Hop, Box<TlsStream<Hop>>>;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The half of a connection that is read.
pub(super) struct Reader {
    pub(super) from: ReadHalf<Stream>,
    /// Bytes that have arrived and were not taken.
    pub(super) buffer: BytesMut,
}

/// The half of a connection that is written.
pub(super) type Writer = WriteHalf<Stream>;

/// The state of a connection that carries no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdleState {
    Open,
    /// It ended, or the server sent something unasked, for example a 408 for an idle connection.
    Closed,
    /// The server sent a frame of HTTP/2.
    Http2,
}

impl Reader {
    /// Checks a connection that carries no request. Does not wait.
    pub(super) fn idle_state(&mut self) -> IdleState {
        let mut bytes = [0; head::HTTP2_FRAME_HEAD];
        let mut buffer = ReadBuf::new(&mut bytes);
        let mut context = Context::from_waker(Waker::noop());
        let read = Pin::new(&mut self.from).poll_read(&mut context, &mut buffer);
        match read {
            Poll::Pending => IdleState::Open,
            Poll::Ready(_) if head::is_http2(buffer.filled()) => IdleState::Http2,
            Poll::Ready(_) => IdleState::Closed,
        }
    }
}

/// Makes the connections to one server.
pub(super) struct Connector {
    tcp: HttpConnector,
    /// With scheme, host and port.
    server: Url,
    proxy: Option<Proxy>,
    /// Present if the server's or the proxy's URL begins with https.
    tls: Option<Arc<ClientConfig>>,
}

impl Connector {
    /// A connector to the server of `url`. `tls` is needed if [`needs_tls`] says so.
    pub(super) fn new(url: &Url, proxy: Option<Proxy>, tls: Option<Arc<ClientConfig>>) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        // The addresses of a name share this time: a dead one leaves time for the others.
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Self {
            tcp,
            server: url.clone(),
            proxy,
            tls,
        }
    }

    /// The proxy that connections go through.
    pub(super) fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// The proxy that requests are sent to in absolute form: an HTTP proxy in front of a server without TLS.
    pub(super) fn forwarding_proxy(&self) -> Option<&Proxy> {
        let proxy = self.proxy.as_ref()?;
        let is_http = matches!(proxy.kind, Kind::Http | Kind::Https);
        (is_http && self.server.scheme() == "http").then_some(proxy)
    }

    /// The value of Proxy-Authorization for a forwarding proxy, if its URL has a login.
    pub(super) fn proxy_authorization(&self) -> Option<HeaderValue> {
        tunnel::authorization(self.forwarding_proxy()?.login.as_ref()?)
    }

    /// Makes a connection that requests can be sent over.
    pub(super) async fn connect(&self) -> Result<(Reader, Writer), ConnectError> {
        let made = tokio::time::timeout(CONNECT_TIMEOUT, self.stream()).await;
        let stream = made.unwrap_or_else(|_| {
            Err(match &self.proxy {
                None => ConnectError::Timeout,
                Some(proxy) => ConnectError::ProxyTimeout(proxy.clone(), CONNECT_TIMEOUT),
            })
        })?;
        let (from, writer) = tokio::io::split(stream);
        let buffer = BytesMut::new();
        Ok((Reader { from, buffer }, writer))
    }

    async fn stream(&self) -> Result<Stream, ConnectError> {
        let host = self.server.host_str().unwrap_or_default();
        let hop = match &self.proxy {
            None => self.direct(host).await?,
            Some(proxy) => self.by_proxy(proxy, host).await?,
        };
        if self.server.scheme() != "https" {
            return Ok(Either::Left(hop));
        }
        let tls = self.handshake(host, hop).await.map_err(tls_error)?;
        Ok(Either::Right(Box::new(tls)))
    }

    async fn direct(&self, host: &str) -> Result<Hop, ConnectError> {
        // Subdomains of localhost are this machine (RFC 6761, section 6.3), but few systems resolve them.
        // Local gateways redirect to `<cid>.ipfs.localhost`.
        let hosts: &[&str] = if host.ends_with(".localhost") {
            &["127.0.0.1", "[::1]"]
        } else {
            &[host]
        };
        let mut first = None;
        for host in hosts {
            match self.tcp(host, self.port()).await {
                Ok(stream) => return Ok(Either::Left(stream)),
                Err(error) => first = first.or(Some(error)),
            }
        }
        let error = first.unwrap_or_else(|| "no address".into());
        Err(if is_timeout(&*error) {
            ConnectError::Timeout
        } else {
            ConnectError::Server(error)
        })
    }

    async fn by_proxy(&self, proxy: &Proxy, host: &str) -> Result<Hop, ConnectError> {
        let unreachable = |error: BoxError| {
            if is_timeout(&*error) {
                ConnectError::ProxyTimeout(proxy.clone(), CONNECT_TIMEOUT)
            } else {
                ConnectError::ProxyUnreachable(proxy.clone(), error)
            }
        };
        let tcp = self.tcp(&proxy.host, proxy.port).await;
        let tcp = tcp.map_err(unreachable)?;
        let hop: Hop = match proxy.kind {
            Kind::Https => {
                let tls = self.handshake(&proxy.host, tcp).await;
                Either::Right(Box::new(tls.map_err(|e| unreachable(e.into()))?))
            }
            _ => Either::Left(tcp),
        };
        if self.forwarding_proxy().is_some() {
            return Ok(hop);
        }
        let target = (without_brackets(host), self.port());
        let led = tunnel::through(proxy, hop, target).await;
        led.map_err(|refusal| ConnectError::Refused(proxy.clone(), refusal))
    }

    fn port(&self) -> u16 {
        self.server.port_or_known_default().unwrap_or(80)
    }

    async fn tcp(&self, host: &str, port: u16) -> Result<TcpStream, BoxError> {
        let address = format!("http://{host}:{port}/").parse()?;
        let mut tcp = self.tcp.clone();
        poll_fn(|context| tcp.poll_ready(context)).await?;
        Ok(tcp.call(address).await?.into_inner())
    }

    async fn handshake<S>(&self, host: &str, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(without_brackets(host).to_owned());
        let name = name.map_err(io::Error::other)?;
        let config = self.tls.clone();
        let config = config.ok_or_else(|| io::Error::other("TLS is not set up"))?;
        TlsConnector::from(config).connect(name, stream).await
    }
}

/// Whether a connection to `server` by `proxy` needs TLS.
pub(super) fn needs_tls(server: &Url, proxy: Option<&Proxy>) -> bool {
    server.scheme() == "https" || proxy.is_some_and(|proxy| proxy.kind == Kind::Https)
}

fn without_brackets(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Whether the error is that no address of a name answered in time.
fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    io_errors(error).any(|error| error.kind() == io::ErrorKind::TimedOut)
}

fn tls_error(error: io::Error) -> ConnectError {
    use rustls::Error::{AlertReceived, PeerMisbehaved as Misbehaved};
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        // The client offers only HTTP/1.1 (ALPN; RFC 7301, section 3.2).
        Some(
            AlertReceived(AlertDescription::NoApplicationProtocol)
            | Misbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol),
        ) => ConnectError::OnlyHttp2,
        _ => ConnectError::Server(error.into()),
    }
}

/// Why a connection could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// The server did not answer within [`CONNECT_TIMEOUT`].
    #[error("it did not answer")]
    Timeout,
    /// No connection through the proxy was made within this time.
    #[error("no connection through the proxy {} within {:.1} s", .0, .1.as_secs_f64())]
    ProxyTimeout(Proxy, Duration),
    /// The server cannot be reached, or TLS failed.
    #[error("{}", root_cause(&**.0))]
    Server(#[source] BoxError),
    /// The proxy cannot be reached, or TLS to it failed.
    #[error("cannot reach the proxy {}: {}", .0, root_cause(&**.1))]
    ProxyUnreachable(Proxy, #[source] BoxError),
    /// The proxy did not connect to the server.
    #[error("{}", .1.text(.0))]
    Refused(Proxy, Refusal),
    /// The server does not speak HTTP/1.1.
    #[error("{}", head::ONLY_HTTP2)]
    OnlyHttp2,
}

impl ConnectError {
    /// Whether the certificate of the server, or of the proxy, cannot be trusted. To ask again does not
    /// help.
    pub(super) fn is_untrusted(&self) -> bool {
        let (Self::Server(error) | Self::ProxyUnreachable(_, error)) = self else {
            return false;
        };
        let error = error.downcast_ref::<io::Error>();
        let error = error.and_then(|error| error.get_ref()?.downcast_ref());
        matches!(error, Some(rustls::Error::InvalidCertificate(_)))
    }
}
