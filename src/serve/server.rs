//! Runs a node on a listener.

use std::future::Future;
use std::io;
use std::time::Duration;

use axum::extract::Request;
use axum::handler::HandlerWithoutStateExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::answer::answer;
use super::connection::CuttableListener;
use super::node::Node;

/// How long answers in flight may continue after the shutdown begins.
const GRACE: Duration = Duration::from_millis(500);

impl Node {
    /// Accepts and answers connections until `shutdown` ends. Answers in flight then have half a
    /// second before their connections are cut.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let cut = CancellationToken::new();
        let listener = CuttableListener {
            listener,
            cut: cut.clone(),
        };
        // No connection outlives this future, even if it is dropped before it ends.
        let cut_at_end = cut.clone().drop_guard();
        let node = self.clone();
        let handler = move |request: Request| answer(node, request);
        let ended = async move {
            shutdown.await;
            tokio::spawn(async move {
                tokio::time::sleep(GRACE).await;
                cut.cancel();
            });
        };
        // The bare handler, not a router: a router adds a Content-Length of 0 to 304 answers.
        let served = axum::serve(listener, handler.into_make_service())
            .with_graceful_shutdown(ended)
            .await;
        drop(cut_at_end);
        served
    }
}
