//! Servers that cannot be reached: one that nobody has reached is given up soon when content is opened, one that is
//! expected to come back is waited for.

use std::net::TcpStream;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use crate::common::fault::{Behaviour, FaultNode};
use crate::common::gateways::{content, gateways, options, read};
use crate::common::tree;
use aiozfs::cache::{Cache, CachedNodes, Folder, Key};
use aiozfs::content::Verified;
use aiozfs::gateways::{HttpBlocks, UrlOf};
use aiozfs::http::{Clients, Http, HttpOptions};
use aiozfs::source::{Blocks, ChunkStream, Error, Opened, Origin, Priority, Result, Retry, Source};
use futures_util::future::{BoxFuture, FutureExt, ready};
use futures_util::stream::{self, StreamExt};
use tokio::net::TcpSocket;
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(60);

/// A server that cannot be reached.
struct Down {
    is_expected: bool,
    requests: AtomicU64,
}

impl Down {
    fn error(&self) -> Error {
        self.requests.fetch_add(1, SeqCst);
        Error::Unreachable {
            origin: Origin::new("server"),
            cause: "refused".into(),
            is_expected: self.is_expected,
        }
    }
}

impl Source for Down {
    fn inner(&self) -> Option<&dyn Source> {
        None
    }

    fn open(&self, _tail: u64) -> BoxFuture<'_, Result<Opened>> {
        ready(Err(self.error())).boxed()
    }

    fn read(&self, _range: Range<u64>, _priority: Priority) -> ChunkStream {
        stream::iter([Err(self.error())]).boxed()
    }
}

/// A URL where connections are refused for as long as the socket lives: it is bound and does not listen.
fn refusing() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().expect("a socket");
    let any = "127.0.0.1:0".parse().expect("an address");
    socket.bind(any).expect("a port");
    let base = format!("http://{}", socket.local_addr().expect("its address"));
    (socket, base)
}

/// `aiozfs ls` of a wrong address took more than two seconds to say so.
#[tokio::test(start_paused = true)]
async fn opening_gives_a_server_up_that_has_never_answered() {
    for is_expected in [false, true] {
        let down = Arc::new(Down {
            is_expected,
            requests: AtomicU64::new(0),
        });
        let source = Retry::new(down.clone(), PATIENCE);
        let before = Instant::now();
        source.open(1000).await.expect_err("it is down");
        let took = before.elapsed();
        assert_eq!(took < Duration::from_millis(500), !is_expected, "{took:?}");
        assert!(took < Duration::from_secs(3), "{took:?}");
        // A server that was started at the same time is reached.
        assert!(down.requests.load(SeqCst) >= 3);
        // A read belongs to a mount, which its cache may have opened.
        let before = Instant::now();
        let got = read(&source, 0..1000, Priority::Demand).await;
        got.expect_err("it is down");
        assert!(before.elapsed() > PATIENCE / 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_tells_whether_to_expect_the_server() {
    let node = FaultNode::start(vec![1; 5000]);
    let known = Http::new(&node.url(), options()).expect("a URL");
    known.open(0).await.expect("it is up");
    node.die();
    // It listens for another moment.
    while TcpStream::connect(node.addr).is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (_bound, base) = refusing();
    let http = |url: &str, clients: &Clients| {
        let options = HttpOptions {
            clients: clients.clone(),
            ..options()
        };
        Http::new(url, options).expect("a URL")
    };
    let (hasty, patient) = (Clients::default(), Clients::default());
    patient.wait_for_servers();
    // It takes the connection and breaks it, as a proxy does while its server starts.
    let breaking = FaultNode::start(vec![1; 5000]);
    breaking.behave(Behaviour::Reset);
    for (what, source, expected) in [
        ("has answered", known, true),
        ("nobody there", http(&base, &hasty), false),
        ("waited for", http(&base, &patient), true),
        ("breaks", http(&breaking.url(), &hasty), true),
    ] {
        match source.open(0).await {
            Err(Error::Unreachable { is_expected, .. }) => {
                assert_eq!(is_expected, expected, "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

/// `aiozfs ls CID` through a gateway that is not there tried for the whole time-out of reads, a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opening_a_cid_gives_a_gateway_up_that_has_never_answered() {
    let (_bound, base) = refusing();
    let cid = content().cid;
    let dir = tree::temp();
    let cache = Cache::new(
        Arc::new(Folder::open(dir.path()).expect("a cache")),
        1 << 30,
    );
    for is_cached in [false, true] {
        let data = gateways(std::slice::from_ref(&base), false);
        let gateway = base.clone();
        let url: UrlOf = Box::new(move |cid: &str| format!("{gateway}/ipfs/{cid}"));
        let set = data.set().clone();
        let mut blocks: Arc<dyn Blocks> =
            Arc::new(HttpBlocks::new(vec![(url, options())], set, PATIENCE));
        if is_cached {
            blocks = Arc::new(CachedNodes::new(blocks, &cache, Key::verified(&cid)));
        }
        let before = Instant::now();
        let error = Verified::new(cid, Arc::new(data), blocks).open(0).await;
        let error = error.expect_err("nobody is there");
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        let took = before.elapsed();
        // Half a second, and what a busy machine adds.
        assert!(
            took < Duration::from_secs(5),
            "cached: {is_cached}, {took:?}"
        );
    }
}
