//! Answers scrapes.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{self, SocketAddr};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net as unix;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::Request;
use axum::handler::HandlerWithoutStateExt;
use axum::http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::text::{Format, text_of};
use crate::mount::Report;

/// The media type that Prometheus accepts if it understands OpenMetrics.
const NAME: &[u8] = b"application/openmetrics-text";

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
    let handler = move |request: Request| {
        let report = report.clone();
        async move { answer(&request, &*report) }
    };
    let service = handler.into_make_service();
    // axum goes on after errors of single connections, and returns none.
    Ok(match listener {
        Listener::Tcp(listener) => {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            Box::pin(async move { drop(axum::serve(listener, service).await) })
        }
        Listener::Unix(listener) => {
            let listener = tokio::net::UnixListener::from_std(listener)?;
            Box::pin(async move { drop(axum::serve(listener, service).await) })
        }
    })
}

fn answer(request: &Request, report: &Reporter) -> Response {
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
