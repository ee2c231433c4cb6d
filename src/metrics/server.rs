//! Answers scrapes.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::io::{self, ErrorKind};
use std::net::{self, SocketAddr};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net as unix;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;

use super::text::{Format, text_of};
use crate::mount::Report;

/// The media type that Prometheus accepts if it understands OpenMetrics.
const NAME: &[u8] = b"application/openmetrics-text";

/// The most connections at once. More wait to be accepted.
const MOST: usize = 32;

/// How long a connection lasts at most: as long as Prometheus waits for a scrape by default (`scrape_timeout`). Each scrape
/// has a connection of its own.
const LONGEST: Duration = Duration::from_secs(10);

/// Where scrapes come in.
pub enum Listener {
    /// A TCP port.
    Tcp(net::TcpListener),
    /// A Unix socket.
    Unix(unix::UnixListener),
}

/// Tells the statistics at one moment.
type Reporter = dyn Fn() -> Report + Send + Sync;

impl Listener {
    /// Listens on a TCP port.
    pub fn tcp(address: SocketAddr) -> io::Result<Self> {
        let listener = net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self::Tcp(listener))
    }

    /// Listens on a Unix socket. Removes a socket that an ended process left there.
    pub fn unix(path: &Path) -> io::Result<Self> {
        let bound = match unix::UnixListener::bind(path) {
            Err(e) if e.kind() == ErrorKind::AddrInUse && is_left(path) => {
                std::fs::remove_file(path)?;
                unix::UnixListener::bind(path)
            }
            bound => bound,
        };
        let listener = bound?;
        listener.set_nonblocking(true)?;
        Ok(Self::Unix(listener))
    }
}

/// Whether a path is a socket on which nobody listens.
fn is_left(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    let refused = |e: io::Error| e.kind() == ErrorKind::ConnectionRefused;
    is_socket && unix::UnixStream::connect(path).is_err_and(refused)
}

/// Answers scrapes for as long as the runtime lives. Must be called within a tokio runtime.
///
/// # Errors
/// If the listener cannot be used.
pub fn serve(
    listener: Listener,
    report: impl Fn() -> Report + Send + Sync + 'static,
) -> io::Result<Pin<Box<dyn Future<Output = ()> + Send>>> {
    let report: Arc<Reporter> = Arc::new(report);
    Ok(match listener {
        Listener::Tcp(listener) => {
            Box::pin(accept(tokio::net::TcpListener::from_std(listener)?, report))
        }
        Listener::Unix(listener) => Box::pin(accept(
            tokio::net::UnixListener::from_std(listener)?,
            report,
        )),
    })
}

/// A connection of either kind: hyper is compiled for it once.
trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<C: AsyncRead + AsyncWrite + Send + Unpin> Connection for C {}

async fn accept(mut listener: impl axum::serve::Listener, report: Arc<Reporter>) {
    let slots = Arc::new(Semaphore::new(MOST));
    // The semaphore is never closed.
    while let Ok(slot) = slots.clone().acquire_owned().await {
        // It waits and tries again when no descriptors are left.
        let (stream, _) = listener.accept().await;
        let stream: Box<dyn Connection> = Box::new(stream);
        let report = report.clone();
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                ready(Ok::<_, Infallible>(answer(&request, &*report)))
            });
            let mut server = http1::Builder::new();
            let connection = server
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // A client that sends or reads slowly is cut off, so that clients cannot use up the descriptors.
            match tokio::time::timeout(LONGEST, connection).await {
                Ok(Ok(())) => {}
                Ok(Err(e)) => log::debug!("metrics: {e}"),
                Err(_) => log::debug!("metrics: cut off after {} s", LONGEST.as_secs()),
            }
            drop(slot);
        });
    }
}

fn answer<B>(request: &Request<B>, report: &Reporter) -> Response {
    let plain = |status: StatusCode, text: &'static str| (status, text).into_response();
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let allow = [(ALLOW, "GET, HEAD")];
        return (StatusCode::METHOD_NOT_ALLOWED, allow, "").into_response();
    }
    let accepted = request.headers().get_all(ACCEPT).iter();
    let names = |value: &HeaderValue| {
        value
            .as_bytes()
            .windows(NAME.len())
            .any(|part| part == NAME)
    };
    let format = if accepted.into_iter().any(names) {
        Format::OpenMetrics
    } else {
        Format::Prometheus
    };
    match request.uri().path() {
        "/metrics" => match text_of(report(), format) {
            Ok(text) => ([(CONTENT_TYPE, format.media_type())], text).into_response(),
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "no metrics\n"),
        },
        "/" => plain(StatusCode::OK, "aiozfs: the metrics are at /metrics\n"),
        _ => plain(StatusCode::NOT_FOUND, "the metrics are at /metrics\n"),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    use super::*;

    /// Clients that send nothing, or a header without an end, kept their connections until no descriptors were left for
    /// the mount. The clock is the runtime's, so that this takes no time.
    #[tokio::test(start_paused = true)]
    async fn silent_clients_do_not_keep_others_out() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("socket");
        let listener = Listener::unix(&path).expect("a socket");
        tokio::spawn(serve(listener, Report::default).expect("served"));
        let mut silent = Vec::new();
        for _ in 0..2 * MOST {
            let mut client = UnixStream::connect(&path).await.expect("connected");
            client
                .write_all(b"GET / HTTP/1.1\r\nHost:")
                .await
                .expect("sent");
            silent.push(client);
        }
        let mut client = UnixStream::connect(&path).await.expect("connected");
        let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
        client.write_all(request).await.expect("sent");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        for mut client in silent {
            // It is closed, with an error or without.
            let _ = client.read_to_end(&mut Vec::new()).await;
        }
    }
}
