//! Connections, made by the HTTP library and carried away from it.
//!
//! The library knows all ways to a server: names, proxies, TLS. But it connects only for a request, and
//! has no way to send one while an answer comes. It lets others put a layer around its connector: this
//! one keeps the connection and fails, so that no request is sent.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::BytesMut;
use futures_util::future::{BoxFuture, FutureExt};
use hyper_util::client::legacy::connect::Connection;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf};
use tower_layer::Layer;
use tower_service::Service;

/// A connection to a server. The library does not name its type.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<W: AsyncRead + AsyncWrite + Send + Unpin> Wire for W {}

/// The half of a connection that is read.
pub(super) struct Reader {
    pub(super) from: ReadHalf<Box<dyn Wire>>,
    /// What has come and not been taken.
    pub(super) buffer: BytesMut,
}

/// The half of a connection that is written.
pub(super) struct Writer {
    pub(super) to: WriteHalf<Box<dyn Wire>>,
    /// Whether it leads to a proxy that wants to be told of whom something is asked.
    pub(super) is_proxied: bool,
}

impl Reader {
    /// Whether nothing has come over a connection that carries nothing: an end, or a server's word
    /// that it has waited for long enough.
    pub(super) fn is_open(&mut self) -> bool {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let read = poll_fn(|context| Pin::new(&mut self.from).poll_read(context, &mut buffer));
        read.now_or_never().is_none()
    }
}

/// The layer of the client that connects, and what it has kept.
#[derive(Clone, Default)]
pub(super) struct Keep(Arc<Mutex<Vec<(Reader, Writer)>>>);

impl Keep {
    /// One that was kept, if the error of a request says that one was.
    pub(super) fn take(&self, error: &reqwest::Error) -> Option<(Reader, Writer)> {
        let mut next: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = next {
            if error.is::<Kept>() {
                return self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
            }
            next = error.source();
        }
        None
    }
}

/// The error of a request for which a connection was made and kept.
#[derive(Debug)]
struct Kept;

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is kept for later")
    }
}

impl Error for Kept {}

/// A connector under [`Keep`].
#[derive(Clone)]
pub(super) struct Keeping<S>(S, Keep);

impl<S> Layer<S> for Keep {
    type Service = Keeping<S>;

    fn layer(&self, connector: S) -> Keeping<S> {
        Keeping(connector, self.clone())
    }
}

impl<S, R> Service<R> for Keeping<S>
where
    S: Service<R>,
    S::Response: hyper::rt::Read + hyper::rt::Write + Connection + Send + Unpin + 'static,
    S::Error: From<Box<dyn Error + Send + Sync>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (connecting, kept) = (self.0.call(request), self.1.clone());
        async move {
            let made = connecting.await?;
            let is_proxied = made.connected().is_proxied();
            let wire: Box<dyn Wire> = Box::new(TokioIo::new(made));
            let (from, to) = tokio::io::split(wire);
            let reader = Reader {
                from,
                buffer: BytesMut::new(),
            };
            let mut all = kept.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.push((reader, Writer { to, is_proxied }));
            Err(S::Error::from(Box::new(Kept)))
        }
        .boxed()
    }
}
