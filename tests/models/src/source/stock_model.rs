//! The stock of connections: whoever wants one gets one of the stock or makes its own, and nobody waits
//! forever for one that was announced, whether it is made, fails, or is not wanted any more.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};

use futures_util::future::{BoxFuture, FutureExt};
use hyper::rt::{Read, ReadBufCursor};
use shuttle::future::{block_on, spawn, yield_now};
use shuttle::rand::{Rng, thread_rng};
use tower_layer::Layer;
use tower_service::Service;

use super::stock::{Keep, Stock, Take};

/// A connection over which nothing comes. Counted while it is open.
struct Connection(Arc<AtomicUsize>);

impl Read for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Poll::Pending
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// Connects, or does not, after a while.
#[derive(Clone)]
struct Connector {
    open: Arc<AtomicUsize>,
    fails: bool,
}

impl Service<()> for Connector {
    type Response = Connection;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<Connection, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        let this = self.clone();
        async move {
            yield_now().await;
            if this.fails {
                return Err("refused".into());
            }
            this.open.fetch_add(1, SeqCst);
            Ok(Connection(this.open))
        }
        .boxed()
    }
}

pub fn model() {
    let (stock, open) = (Stock::default(), Arc::new(AtomicUsize::new(0)));
    let connector = |fails| Connector {
        open: open.clone(),
        fails,
    };
    let openers = (0..3).map(|n| {
        let stock = stock.clone();
        let mut keeping = Keep(stock.clone()).layer(connector(n == 0));
        let announced = stock.opening();
        spawn(async move {
            // It is kept, or has failed: there is none in its hands.
            assert!(keeping.call(()).await.is_err());
            drop(announced);
        })
    });
    let takers = (0..4).map(|_| {
        let mut taking = Take(stock.clone()).layer(connector(false));
        spawn(async move {
            let mut wanted = taking.call(());
            match thread_rng().gen_range(0..3) {
                // Gives up, maybe while a connection is on its way to it.
                0 => {
                    let taken = (&mut wanted).now_or_never();
                    yield_now().await;
                    drop(taken);
                }
                _ => drop(wanted.await.expect("a connection of its own, if no other")),
            }
        })
    });
    let mut all: Vec<_> = openers.chain(takers).collect();
    let is_cleared = thread_rng().gen_range(0..2) == 0;
    if is_cleared {
        let stock = stock.clone();
        all.push(spawn(async move { stock.clear() }));
    }
    block_on(async {
        for task in all {
            task.await.expect("a task that does not panic");
        }
    });
    let (kept, opening) = stock.count();
    assert_eq!(opening, 0, "those being made");
    assert_eq!(open.load(SeqCst), kept, "what is open is in the stock");
    // All were announced before.
    assert!(!is_cleared || kept == 0, "kept, though nobody wants it");
}
