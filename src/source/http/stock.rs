//! Connections that were made before they are needed.
//!
//! A connection costs a round trip before its first request, with TLS two or three. The HTTP
//! library connects only for a request; but it lets others put a layer around its connector. So a
//! server has two clients. The layer of the one that connects puts what it has made into the stock
//! and fails: its request is not sent. The layer of the one for requests takes from the stock.

use std::any::Any;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt};
use hyper::rt::{Read, ReadBuf};
use tokio::sync::oneshot;
use tower_layer::Layer;
use tower_service::Service;

use crate::source::sync::{Mutex, MutexGuard};

/// How long a connection is kept that was never used. Servers give up on one that carries no
/// request after 5 to 60 seconds; whether this one has is looked at before it is used.
pub(super) const SHELF_LIFE: Duration = Duration::from_secs(20);

/// The library does not name the type of its connections.
type Connection = Box<dyn Any + Send>;

/// Unused connections to one server. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(super) struct Stock(Arc<Mutex<Shelf>>);

#[derive(Default)]
struct Shelf {
    ready: Vec<(Instant, Connection)>,
    opening: usize,
    /// Those being opened are to be closed if no request waits for them.
    unwanted: bool,
    /// Requests that wait for those being opened, first come first served.
    waiting: VecDeque<oneshot::Sender<Connection>>,
}

/// Says that a connection is being made for the stock, for as long as it lives.
pub(super) struct Opening(Stock);

impl Stock {
    /// How many connections are there, and how many are being made.
    pub(super) fn count(&self) -> (usize, usize) {
        let mut shelf = self.shelf();
        shelf
            .ready
            .retain(|(since, _)| since.elapsed() < SHELF_LIFE);
        (shelf.ready.len(), shelf.opening)
    }

    /// Announces a connection. Requests wait for it rather than make another one.
    pub(super) fn opening(&self) -> Opening {
        let mut shelf = self.shelf();
        shelf.opening += 1;
        shelf.unwanted = false;
        Opening(self.clone())
    }

    /// Closes those that nobody has needed yet, and those being made when they are.
    pub(super) fn clear(&self) {
        let mut shelf = self.shelf();
        shelf.unwanted = true;
        shelf.ready.clear();
    }

    fn put(&self, mut connection: Connection) {
        let mut shelf = self.shelf();
        while let Some(waiter) = shelf.waiting.pop_front() {
            match waiter.send(connection) {
                Ok(()) => return,
                Err(unwanted) => connection = unwanted,
            }
        }
        if !shelf.unwanted {
            shelf.ready.push((Instant::now(), connection));
        }
    }

    /// A connection of this stock, all of which are of type `C`; `None` if there is none to come.
    async fn take<C: Read + Unpin + Send + 'static>(&self) -> Option<C> {
        loop {
            let connection = match self.take_or_wait() {
                Ok(connection) => connection?,
                Err(waiting) => waiting.await.ok()?,
            };
            let mut connection = *connection.downcast::<C>().ok()?;
            if is_open(&mut connection) {
                return Some(connection);
            }
        }
    }

    fn take_or_wait(&self) -> Result<Option<Connection>, oneshot::Receiver<Connection>> {
        let mut shelf = self.shelf();
        while let Some((since, connection)) = shelf.ready.pop() {
            if since.elapsed() < SHELF_LIFE {
                return Ok(Some(connection));
            }
        }
        shelf.waiting.retain(|waiter| !waiter.is_closed());
        if shelf.waiting.len() >= shelf.opening {
            return Ok(None);
        }
        let (sender, receiver) = oneshot::channel();
        shelf.waiting.push_back(sender);
        Err(receiver)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        let mut shelf = self.0.shelf();
        shelf.opening -= 1;
        // It was not made: who counted on it connects by itself.
        let left = shelf.opening;
        shelf.waiting.truncate(left);
    }
}

/// Whether nothing has come over a connection that was never used: an end, or a server's word that
/// it has waited for long enough.
fn is_open<C: Read + Unpin>(connection: &mut C) -> bool {
    let mut byte = [0];
    let mut buffer = ReadBuf::new(&mut byte);
    let read = poll_fn(|context| Pin::new(&mut *connection).poll_read(context, buffer.unfilled()));
    read.now_or_never().is_none()
}

/// The layer of the client that connects.
#[derive(Clone)]
pub(super) struct Keep(pub(super) Stock);

/// The layer of the client for requests.
#[derive(Clone)]
pub(super) struct Take(pub(super) Stock);

/// A connector under [`Keep`].
#[derive(Clone)]
pub(super) struct Keeping<S>(S, Stock);

/// A connector under [`Take`].
#[derive(Clone)]
pub(super) struct Taking<S>(S, Stock);

impl<S> Layer<S> for Keep {
    type Service = Keeping<S>;

    fn layer(&self, connector: S) -> Keeping<S> {
        Keeping(connector, self.0.clone())
    }
}

impl<S> Layer<S> for Take {
    type Service = Taking<S>;

    fn layer(&self, connector: S) -> Taking<S> {
        Taking(connector, self.0.clone())
    }
}

impl<S, R> Service<R> for Keeping<S>
where
    S: Service<R>,
    S::Response: Send + 'static,
    S::Error: From<&'static str>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (connecting, stock) = (self.0.call(request), self.1.clone());
        async move {
            stock.put(Box::new(connecting.await?));
            Err("kept for later".into())
        }
        .boxed()
    }
}

impl<S, R> Service<R> for Taking<S>
where
    S: Service<R> + Clone + Send + 'static,
    S::Response: Read + Unpin + Send + 'static,
    S::Error: 'static,
    S::Future: Send + 'static,
    R: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        // The one that was found ready is the one to call.
        let other = self.0.clone();
        let mut connector = std::mem::replace(&mut self.0, other);
        let stock = self.1.clone();
        async move {
            match stock.take().await {
                Some(connection) => Ok(connection),
                None => connector.call(request).await,
            }
        }
        .boxed()
    }
}
