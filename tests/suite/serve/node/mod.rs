//! The node over real sockets: its answers, and how it handles clients and sources that misbehave.

mod answers;
mod blocks;
mod ranges;
mod sources;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::http::{Reply, request};
use aiozfs::content::{Cid, Importer, Profile, Tree};
use aiozfs::serve::{Blob, Node};
use aiozfs::source::Memory;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const SIZE: usize = 1000;

fn bytes(len: usize) -> Vec<u8> {
    (0..len as u32)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(len)
        .collect()
}

fn cid_of(bytes: &[u8]) -> Cid {
    let mut importer = Importer::new(Profile::default());
    importer.push(bytes);
    importer.finish()
}

struct Running {
    runtime: Runtime,
    node: Node,
    addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<std::io::Result<()>>>,
}

impl Running {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let node = Node::new();
        let served = node.clone();
        let served = runtime.spawn(async move {
            let ended = async { drop(stopped.await) };
            served.serve(listener, ended).await
        });
        Self {
            runtime,
            node,
            addr,
            stop: Some(stop),
            served: Some(served),
        }
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> Cid {
        let cid = cid_of(bytes);
        self.node.publish(Blob {
            cid,
            name: name.into(),
            size: bytes.len() as u64,
            source: Arc::new(Memory::new(name, bytes.to_vec())),
            tree: None,
        });
        cid
    }

    /// With its blocks.
    fn publish_tree(&self, name: &str, bytes: &[u8], profile: Profile) -> Arc<Tree> {
        let tree = Arc::new(Tree::import(bytes, profile, |_| true).expect("read"));
        self.node.publish(Blob {
            cid: tree.cid(),
            name: name.into(),
            size: bytes.len() as u64,
            source: Arc::new(Memory::new(name, bytes.to_vec())),
            tree: Some(tree.clone()),
        });
        tree
    }

    fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        request(self.addr, "GET", path, headers)
    }

    /// Asks the node to end, and waits until it has.
    fn end(&mut self) -> Duration {
        let start = Instant::now();
        drop(self.stop.take());
        let served = self.served.take().expect("ended once");
        let ended = self
            .runtime
            .block_on(async { tokio::time::timeout(Duration::from_secs(10), served).await });
        let ended = ended.expect("an end").expect("no panic");
        ended.expect("a clean end");
        start.elapsed()
    }
}

/// What every answer with a blob's bytes, or about them, says.
fn has_the_usual_headers(reply: &Reply, what: &str) {
    let says = |name: &str| reply.header(name).unwrap_or_default().to_owned();
    assert_eq!(says("accept-ranges"), "bytes", "{what}");
    assert_eq!(
        says("cache-control"),
        "public, max-age=29030400, immutable",
        "{what}"
    );
    assert!(says("etag").starts_with("\"baf"), "{what}");
    assert_eq!(says("access-control-allow-origin"), "*", "{what}");
    for name in ["Content-Range", "Content-Length", "ETag"] {
        let exposed = says("access-control-expose-headers");
        assert!(exposed.contains(name), "{what}: {name}");
    }
    assert!(reply.header("date").is_some(), "{what}");
}
