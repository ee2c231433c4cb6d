//! A relay in front of a node that forges what it passes on, and counts it.
//!
//! The node behind it may be any: the relay knows of HTTP/1.1 only what it needs to tell ranges
//! from raw blocks. Blocking threads, one a connection, so that nothing here shares machinery with
//! what is tested.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

use super::http::{self, Reply};

/// What a relay does to what it passes on.
#[derive(Debug, Clone, PartialEq)]
pub enum Forge {
    /// Nothing.
    Nothing,
    /// The lowest bit of this byte of the blob is another, in answers to ranges.
    Bit(u64),
    /// The same, and so in the raw block of this CID, the leaf that holds it.
    Leaf(u64, String),
    /// In every raw block one bit is another; ranges are right.
    Blocks,
    /// No raw blocks: 406, as gateways that know files alone answer.
    NoBlocks,
    /// Ranges are answered with the whole blob, as by servers that know none.
    NoRanges,
    /// Ranges are refused with this status and a Retry-After of this many seconds; blocks are given.
    RefusedRanges(u16, Option<u64>),
    /// Blocks are refused with this status, and ranges given.
    RefusedBlocks(u16),
}

struct Shared {
    node: SocketAddr,
    forge: Mutex<Forge>,
    stop: AtomicBool,
    blocks: AtomicU64,
    ranges: Mutex<Vec<Range<u64>>>,
    under_way: AtomicUsize,
    most_at_once: AtomicUsize,
}

/// The relay. It listens until it is dropped.
pub struct Forger {
    shared: Arc<Shared>,
    pub addr: SocketAddr,
}

impl Forger {
    /// A relay that passes on what the node gives.
    pub fn before(node: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            node,
            forge: Mutex::new(Forge::Nothing),
            stop: AtomicBool::new(false),
            blocks: AtomicU64::new(0),
            ranges: Mutex::new(Vec::new()),
            under_way: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        });
        let accepting = shared.clone();
        thread::spawn(move || {
            for connection in listener.incoming() {
                if accepting.stop.load(SeqCst) {
                    return;
                }
                let Ok(connection) = connection else { continue };
                let shared = accepting.clone();
                thread::spawn(move || {
                    let _ = pass_on(&shared, connection);
                    shared.under_way.fetch_sub(1, SeqCst);
                });
            }
        });
        Self { shared, addr }
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub fn forge(&self, forge: Forge) {
        *self.shared.forge.lock().expect("forge") = forge;
    }

    /// How many raw blocks were asked for.
    pub fn blocks(&self) -> u64 {
        self.shared.blocks.load(SeqCst)
    }

    /// The most requests that were under way at once.
    pub fn most_at_once(&self) -> usize {
        self.shared.most_at_once.load(SeqCst)
    }

    /// The ranges that were asked for.
    pub fn ranges(&self) -> Vec<Range<u64>> {
        self.shared.ranges.lock().expect("ranges").clone()
    }
}

impl Drop for Forger {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        let _ = TcpStream::connect(self.addr); // wakes the thread that accepts, which then ends
    }
}

/// One request a connection.
fn pass_on(shared: &Shared, mut client: TcpStream) -> std::io::Result<()> {
    let at_once = shared.under_way.fetch_add(1, SeqCst) + 1;
    shared.most_at_once.fetch_max(at_once, SeqCst);
    let mut reader = BufReader::new(client.try_clone()?);
    let Some(head) = http::head(&mut reader)? else {
        return Ok(());
    };
    let mut headers: Vec<_> = http::fields(&head).collect();
    let host = headers.iter().find(|(name, _)| name == "host").cloned();
    let host = host.map_or(String::new(), |(_, host)| host);
    headers.retain(|(name, _)| name == "range" || name == "accept");
    let path = head.split(' ').nth(1).unwrap_or("/");
    // As a gateway with a sub-domain for each CID, before a node that has none.
    let path = match host.split_once(".ipfs.") {
        Some((cid, _)) => format!("/ipfs/{cid}{path}"),
        None => path.to_owned(),
    };
    let path = &path[..];
    let is_block = path.contains("format=raw");
    let forge = shared.forge.lock().expect("forge").clone();
    if is_block {
        shared.blocks.fetch_add(1, SeqCst);
    }
    if forge == Forge::NoRanges {
        headers.retain(|(name, _)| name != "range");
    }
    let headers: Vec<_> = headers.iter().map(|(n, v)| (&n[..], &v[..])).collect();
    let mut reply = http::request(shared.node, "GET", path, &headers);
    if let Some(range) = content_range(&reply) {
        shared.ranges.lock().expect("ranges").push(range);
    }
    let refusal = match forge {
        Forge::NoBlocks if is_block => Some((406, None)),
        Forge::RefusedBlocks(status) if is_block => Some((status, None)),
        Forge::RefusedRanges(status, retry_after) if !is_block => Some((status, retry_after)),
        _ => None,
    };
    if let Some((status, retry_after)) = refusal {
        let retry = retry_after.map_or(String::new(), |s| format!("Retry-After: {s}\r\n"));
        let head = format!("HTTP/1.1 {status} No\r\n{retry}Content-Length: 0\r\n\r\n");
        return client.write_all(head.as_bytes());
    }
    if let Some(at) = place_of_lie(&forge, path, &reply) {
        reply.body[at] ^= 1;
    }
    let mut head = format!(
        "HTTP/1.1 {} Whatever\r\nConnection: close\r\n",
        reply.status
    );
    for (name, value) in &reply.headers {
        if name != "connection" {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    client.write_all(head.as_bytes())?;
    client.write_all(b"\r\n")?;
    client.write_all(&reply.body)
}

fn content_range(reply: &Reply) -> Option<Range<u64>> {
    let (range, _) = reply
        .header("content-range")?
        .strip_prefix("bytes ")?
        .split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some(first.parse().ok()?..last.parse::<u64>().ok()? + 1)
}

/// Which byte of an answer is to be another, if one is.
fn place_of_lie(forge: &Forge, path: &str, reply: &Reply) -> Option<usize> {
    let is_block = path.contains("format=raw");
    let middle = (!reply.body.is_empty()).then_some(reply.body.len() / 2);
    match forge {
        Forge::Nothing | Forge::NoBlocks | Forge::NoRanges => None,
        Forge::RefusedRanges(..) | Forge::RefusedBlocks(_) => None,
        Forge::Blocks => middle.filter(|_| is_block),
        Forge::Leaf(_, cid) if is_block => middle.filter(|_| path.contains(cid.as_str())),
        Forge::Bit(_) if is_block => None,
        Forge::Bit(at) | Forge::Leaf(at, _) => {
            let whole = 0..reply.body.len() as u64;
            let range = content_range(reply).unwrap_or(whole);
            range.contains(at).then(|| (at - range.start) as usize)
        }
    }
}
