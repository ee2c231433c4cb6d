//! Pipelining: requests are sent while the answer before them is still arriving. Servers that cannot handle that cost no
//! byte and little time.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use aiozfs::gateways::{Gateways, GatewaysOptions, Member};
use aiozfs::http::{Http, HttpOptions};
use aiozfs::source::{Origin, Priority, Retry, Source};
use futures_util::StreamExt;

const KB: u64 = 1024;

/// One part.
const PART: u64 = 512 * KB;

const SIZE: u64 = 64 * PART;

/// What goes over the link at once, and how long that takes; with the way there, 128 KB of an answer
/// are still to come when the next request should be sent.
const CHUNK: u64 = 32 * KB;
const PAUSE: Duration = Duration::from_millis(4);
const WAY: Duration = Duration::from_millis(16);

/// The content: a byte tells where it lies.
fn bytes(from: u64, to: u64) -> Vec<u8> {
    (from..to).map(|at| ((at * 31) >> 8) as u8).collect()
}

/// What a server makes of a request that comes while it answers another one.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Manner {
    /// Answers it next.
    Calm,
    /// So, too. The last bytes of an answer are not sent before there is one.
    Waits,
    /// Throws away what has come when it has answered.
    Loses,
    /// Closes the connection when it has answered, without having said so.
    Closes,
    /// Answers the one before once more.
    MixesUp,
    /// Says that it is a bad one.
    Refuses,
    /// Sends more than it said of the answer before.
    Garbles,
}

/// A slow server.
struct Server {
    listener: TcpListener,
    manner: Manner,
    connections: AtomicUsize,
    /// Requests that were there before the answer before them had gone.
    early: AtomicUsize,
}

impl Server {
    fn start(manner: Manner) -> (Arc<Self>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!(
            "http://{}/a.zip",
            listener.local_addr().expect("an address")
        );
        let server = Arc::new(Self {
            listener,
            manner,
            connections: AtomicUsize::new(0),
            early: AtomicUsize::new(0),
        });
        let serving = server.clone();
        thread::spawn(move || {
            for connection in serving.listener.incoming() {
                let (server, connection) = (serving.clone(), connection.expect("a connection"));
                server.connections.fetch_add(1, SeqCst);
                // An error means that the client hung up.
                thread::spawn(move || server.serve(connection).ok());
            }
        });
        (server, url)
    }

    fn serve(&self, connection: TcpStream) -> std::io::Result<()> {
        let mut out = connection.try_clone()?;
        let mut from = BufReader::new(connection);
        let (mut before, mut is_early) = (None, false);
        while let Some(wanted) = request(&mut from)? {
            match self.manner {
                Manner::Refuses if is_early => {
                    out.write_all(b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n")?;
                    is_early = false;
                    continue;
                }
                Manner::Garbles if is_early => out.write_all(b"and so on")?,
                _ => {}
            }
            let (first, last) = before.take().unwrap_or(wanted);
            is_early = self.answer(first, last, &mut from, &mut out)?;
            self.early.fetch_add(usize::from(is_early), SeqCst);
            match self.manner {
                Manner::Closes if is_early => return Ok(()),
                Manner::MixesUp if is_early => before = Some(wanted),
                Manner::Loses if is_early => {
                    let come = from.fill_buf()?.len();
                    from.consume(come);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Answers, and returns whether there was another request before the last bytes had gone.
    fn answer(
        &self,
        first: u64,
        last: u64,
        from: &mut BufReader<TcpStream>,
        out: &mut TcpStream,
    ) -> std::io::Result<bool> {
        thread::sleep(WAY);
        let head = format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {first}-{last}/{SIZE}\r\nContent-Length: {}\r\n\r\n",
            last + 1 - first
        );
        out.write_all(head.as_bytes())?;
        let (mut at, mut is_early) = (first, false);
        while at <= last {
            thread::sleep(PAUSE);
            let end = (at + CHUNK).min(last + 1);
            if end > last {
                let since = Instant::now();
                // The last one has none behind it; nor have those before the link is known.
                let patience = match self.manner {
                    _ if first < 2 * PART => Duration::ZERO,
                    Manner::Calm => Duration::ZERO,
                    Manner::Waits => Duration::from_secs(1),
                    // One that was sent early will be there, however busy the machine is.
                    _ if self.early.load(SeqCst) == 0 => Duration::from_secs(2),
                    // If there are more: long enough for them to be there, but not for each to wait.
                    _ => Duration::from_millis(100),
                };
                while !has_more(from) && since.elapsed() < patience {
                    thread::sleep(Duration::from_millis(1));
                }
                is_early = has_more(from);
            }
            out.write_all(&bytes(at, end))?;
            at = end;
        }
        Ok(is_early)
    }
}

/// Whether something has come that was not taken.
fn has_more(from: &mut BufReader<TcpStream>) -> bool {
    if !from.buffer().is_empty() {
        return true;
    }
    let connection = from.get_ref();
    connection.set_nonblocking(true).expect("a socket");
    let found = matches!(connection.peek(&mut [0]), Ok(n) if n > 0);
    connection.set_nonblocking(false).expect("a socket");
    found
}

/// The range of the next request; `None` at the end of the connection.
fn request(from: &mut BufReader<TcpStream>) -> std::io::Result<Option<(u64, u64)>> {
    let mut range = None;
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if let Some(spec) = line.to_lowercase().strip_prefix("range: bytes=") {
            let (first, last) = spec.trim().split_once('-').expect("a range");
            range = Some((
                first.parse().expect("a number"),
                last.parse().expect("a number"),
            ));
        }
        if line == "\r\n" {
            return Ok(range);
        }
    }
}

fn source(url: &str, connections: usize) -> Arc<dyn Source> {
    let options = HttpOptions {
        connections,
        ..HttpOptions::default()
    };
    let http = Http::new(url, options).expect("a URL");
    Arc::new(Retry::new(Arc::new(http), Duration::from_secs(20)))
}

async fn read(source: Arc<dyn Source>, part: u64) {
    let range = part * PART..(part + 1) * PART;
    let mut stream = source.read(range.clone(), Priority::Demand);
    let mut got = Vec::new();
    while let Some(chunk) = stream.next().await {
        got.extend_from_slice(&chunk.expect("served").bytes);
    }
    assert!(got == bytes(range.start, range.end), "part {part}");
}

/// Reads two parts, so that the link is measured, and then `parts` at once.
async fn read_parts(source: &Arc<dyn Source>, parts: u64) -> Duration {
    source.open(0).await.expect("a server");
    for part in 0..2 {
        read(source.clone(), part).await;
    }
    let since = Instant::now();
    let reads = (2..2 + parts).map(|part| read(source.clone(), part));
    futures_util::future::join_all(reads).await;
    since.elapsed()
}

/// A connection was idle for a round trip before each part: over long links of slow connections that
/// was a third of the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_request_arrives_before_the_answer_ends() {
    let (server, url) = Server::start(Manner::Waits);
    let source = source(&url, 1);
    read_parts(&source, 6).await;
    assert_eq!(server.connections.load(SeqCst), 1, "connections");
    // Behind the last of them there was none.
    assert_eq!(server.early.load(SeqCst), 5);
}

/// The same through the gateways of a CID. The gate of each gateway limits its requests to the number of its
/// connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_to_gateways_are_pipelined() {
    let (server, url) = Server::start(Manner::Waits);
    let member = Member {
        name: Origin::new("the only one"),
        source: source(&url, 1),
        weight: 1.0,
    };
    let options = GatewaysOptions {
        connections: 1,
        ..GatewaysOptions::default()
    };
    let source: Arc<dyn Source> = Arc::new(Gateways::with(vec![member], &options));
    read_parts(&source, 6).await;
    assert_eq!(server.connections.load(SeqCst), 1, "connections");
    assert_eq!(server.early.load(SeqCst), 5);
}

/// There are no more connections than allowed, and each may have one request waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelining_uses_all_allowed_connections_and_no_more() {
    let (server, url) = Server::start(Manner::Waits);
    let source = source(&url, 3);
    read_parts(&source, 12).await;
    assert_eq!(server.connections.load(SeqCst), 3, "connections");
    assert!(server.early.load(SeqCst) >= 6);
}

/// What such a server does with early requests must show in no byte, and in little time; and it is not
/// asked so again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn servers_without_pipelining_lose_no_bytes() {
    let manners = [
        Manner::Loses,
        Manner::Closes,
        Manner::MixesUp,
        Manner::Refuses,
        Manner::Garbles,
    ];
    let all = manners.map(|manner| async move {
        let (server, url) = Server::start(manner);
        let source = source(&url, 2);
        let took = read_parts(&source, 16).await;
        // A request that is lost is waited for two seconds, and there may be two of them.
        assert!(took < Duration::from_secs(15), "{manner:?}: {took:?}");
        let early = server.early.load(SeqCst);
        assert!((1..=4).contains(&early), "{manner:?}: {early} early ones");
        assert_eq!(source.hints().pipelined_within, None, "{manner:?}");
        read_parts(&source, 16).await;
        assert_eq!(server.early.load(SeqCst), early, "{manner:?}: asked again");
    });
    futures_util::future::join_all(all).await;
}

/// Who gives up while waiting for the turn leaves an answer behind that nobody wants: it must reach
/// nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_abandoned_answer_reaches_no_other_request() {
    let (_server, url) = Server::start(Manner::Calm);
    let source = source(&url, 2);
    read_parts(&source, 4).await;
    for turn in 0..12 {
        let wanted = (0..6).map(|part| read(source.clone(), 2 + part));
        let given_up = (0..6).map(|part| {
            let read = read(source.clone(), 20 + part);
            let patience = Duration::from_millis(15 * turn + 7 * part);
            async move { drop(tokio::time::timeout(patience, read).await) }
        });
        let both = futures_util::future::join(
            futures_util::future::join_all(wanted),
            futures_util::future::join_all(given_up),
        );
        let patience = Duration::from_secs(60);
        (tokio::time::timeout(patience, both).await).expect("nobody waits for ever");
    }
}
