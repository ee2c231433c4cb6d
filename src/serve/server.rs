//! Runs a node on a listener.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::extract::Request;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::answer::answer;
use super::node::Node;

/// How long answers in flight may continue after the shutdown begins.
const GRACE: Duration = Duration::from_millis(500);

impl Node {
    /// Accepts and answers connections until `shutdown` ends. Answers in flight then have half a
    /// second before their connections are cut: a client that has stopped reading would keep them for ever.
    pub async fn serve(
        &self,
        mut listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        // Dropping the set ends its tasks, so no connection outlives this future.
        let mut connections = JoinSet::new();
        let stopping = CancellationToken::new();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                // axum's accept: when no descriptors are left, it waits and tries again.
                (stream, addr) = Listener::accept(&mut listener) => {
                    // Without it, headers wait for the acknowledgement of an earlier answer.
                    if let Err(e) = stream.set_nodelay(true) {
                        log::debug!("connection from {addr}: {e}");
                    }
                    connections.spawn(run(self.clone(), stream, stopping.clone()));
                }
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        stopping.cancel();
        let ended = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(GRACE, ended).await;
        Ok(())
    }
}

/// Answers the requests of a connection, and after `stopping` those that are in flight.
async fn run(node: Node, stream: TcpStream, stopping: CancellationToken) {
    let node = &node;
    let service = service_fn(move |request: Request<Incoming>| async move {
        Ok::<_, Infallible>(answer(node, request).await)
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(e) = ended {
        log::debug!("{e}");
    }
}
