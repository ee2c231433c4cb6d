//! A node behind a link. Each connection is usable one round trip after it was opened, and has a rate.
//! All connections together have another.

use std::collections::HashMap;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::blob::Blob;
use super::shape::Shape;

/// What went over the link since the last asking.
#[derive(Debug, Clone, Copy, Default)]
pub struct Carried {
    pub connections: u64,
    pub requests: u64,
    pub bytes: u64,
}

/// A server of blobs, by their names.
pub struct Node {
    addr: SocketAddr,
    shared: Arc<Shared>,
    _runtime: tokio::runtime::Runtime,
}

struct Shared {
    shape: Shape,
    blobs: Arc<HashMap<&'static str, Blob>>,
    /// When the link is free for the next byte.
    free: Mutex<Instant>,
    connections: AtomicU64,
    requests: AtomicU64,
    bytes: AtomicU64,
}

/// Bytes that go through the link at once.
const CHUNK: u64 = 64 * 1024;

/// Who falls behind by more than this, since nobody took the bytes, does not catch up.
const SLACK: Duration = Duration::from_millis(5);

impl Node {
    pub fn start(shape: Shape, blobs: Arc<HashMap<&'static str, Blob>>) -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            shape,
            blobs,
            free: Mutex::new(Instant::now()),
            connections: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        });
        let serving = shared.clone();
        runtime.spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                serving.connections.fetch_add(1, Relaxed);
                let shared = serving.clone();
                // A client that hangs up is none of our business.
                tokio::spawn(async move { shared.serve(connection).await.ok() });
            }
        });
        Self {
            addr,
            shared,
            _runtime: runtime,
        }
    }

    pub fn url(&self, blob: &str) -> String {
        format!("http://{}/{blob}", self.addr)
    }

    /// What went through since the last asking.
    pub fn carried(&self) -> Carried {
        Carried {
            connections: self.shared.connections.swap(0, Relaxed),
            requests: self.shared.requests.swap(0, Relaxed),
            bytes: self.shared.bytes.swap(0, Relaxed),
        }
    }
}

impl Shared {
    /// Requests are taken when they come, also while an answer goes out: their way to the server is
    /// behind them by then.
    async fn serve(&self, mut connection: TcpStream) -> Result<()> {
        connection.set_nodelay(true)?;
        let usable = Instant::now() + self.shape.rtt;
        let (from, mut to) = connection.split();
        let (sender, mut requests) = mpsc::unbounded_channel();
        let taking = async move {
            let mut from = BufReader::new(from);
            while let Some((target, range)) = request(&mut from).await? {
                let asked = Instant::now().max(usable);
                if sender.send((target, range, asked)).is_err() {
                    break;
                }
            }
            Ok(())
        };
        let answering = async {
            while let Some((target, range, asked)) = requests.recv().await {
                self.requests.fetch_add(1, Relaxed);
                self.answer(&target, range.as_deref(), asked, &mut to)
                    .await?;
            }
            Ok(())
        };
        tokio::try_join!(taking, answering).map(|_: ((), ())| ())
    }

    async fn answer(
        &self,
        target: &str,
        range: Option<&str>,
        asked: Instant,
        to: &mut WriteHalf<'_>,
    ) -> Result<()> {
        let Some(blob) = self.blobs.get(target.trim_start_matches('/')) else {
            sleep_until(asked + self.shape.rtt).await;
            return to
                .write_all(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
                .await;
        };
        let size = blob.size();
        let (status, bytes) = match range {
            None => ("200 OK", 0..size),
            Some(text) => {
                let range = parse(text, size).ok_or(Error::from(ErrorKind::InvalidInput))?;
                ("206 Partial Content", range)
            }
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Range: bytes {}-{}/{size}\r\nETag: \"1\"\r\n\r\n",
            bytes.end - bytes.start,
            bytes.start,
            bytes.end - 1,
        );
        // Both halves of the round trip at once: it comes to the same. Behind another answer that is
        // long over.
        let mut gone = Instant::now().max(asked + self.shape.rtt);
        sleep_until(gone).await;
        to.write_all(head.as_bytes()).await?;
        let mut at = bytes.start;
        while at < bytes.end {
            let end = (at + CHUNK).min(bytes.end);
            gone = self.book(gone.max(Instant::now() - SLACK), end - at);
            let chunk = blob.read(at..end);
            sleep_until(gone).await;
            to.write_all(&chunk).await?;
            self.bytes.fetch_add(end - at, Relaxed);
            at = end;
        }
        to.flush().await
    }

    /// When bytes that can go from `from` on have gone.
    fn book(&self, from: Instant, bytes: u64) -> Instant {
        let mut free = self.free.lock().expect("the link");
        let own = from + Duration::from_secs_f64(bytes as f64 / self.shape.connection);
        *free = (*free).max(from) + Duration::from_secs_f64(bytes as f64 / self.shape.total);
        own.max(*free)
    }
}

/// The next request of a connection: its target, and its Range; `None` at the end.
async fn request(from: &mut BufReader<ReadHalf<'_>>) -> Result<Option<(String, Option<String>)>> {
    let (mut target, mut range) = (String::new(), None);
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        match line.split_once(": ") {
            _ if line.is_empty() => return Ok(Some((target, range))),
            Some((name, value)) if name.eq_ignore_ascii_case("range") => {
                range = Some(value.to_owned());
            }
            None => target = line.split(' ').nth(1).unwrap_or_default().to_owned(),
            Some(_) => {}
        }
    }
}

fn parse(text: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first, last) {
        ("", last) => size.saturating_sub(last.parse().ok()?)..size,
        (first, "") => first.parse().ok()?..size,
        (first, last) => first.parse().ok()?..size.min(last.parse::<u64>().ok()? + 1),
    };
    (range.start < range.end).then_some(range)
}
