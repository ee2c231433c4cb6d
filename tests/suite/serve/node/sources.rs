//! Sources that break and clients that do not read, and that others are not affected.

use std::io::Read;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aiozfs::serve::Blob;
use aiozfs::source::{Chunk, ChunkStream, Error, Opened, Origin, Priority, Result, Source};
use futures_util::future::{BoxFuture, FutureExt, ready};
use futures_util::stream::{self, StreamExt};

use super::{Running, bytes, cid_of};
use crate::common::http::{request, send};

/// A large blob of zeros that counts what is read, and may break.
struct Zeros {
    read: Arc<AtomicU64>,
    breaks_at: u64,
    now: Arc<AtomicU64>,
}

const CHUNK: u64 = 64 * 1024;

impl Source for Zeros {
    fn inner(&self) -> Option<&dyn Source> {
        None
    }

    fn open(&self, _: u64) -> BoxFuture<'_, Result<Opened>> {
        let size = self.now.load(Ordering::SeqCst);
        ready(Ok(Opened { size, tail: None })).boxed()
    }

    fn read(&self, range: Range<u64>, _: Priority) -> ChunkStream {
        let (read, breaks_at) = (self.read.clone(), self.breaks_at);
        let origin = Origin::new("zeros");
        stream::iter(range.clone().step_by(CHUNK as usize))
            .map(move |offset| {
                let len = CHUNK.min(range.end - offset);
                if offset + len > breaks_at {
                    return Err(Error::Changed {
                        origin: origin.clone(),
                        what: "on purpose".into(),
                    });
                }
                read.fetch_add(len, Ordering::SeqCst);
                Ok(Chunk {
                    offset,
                    bytes: vec![0; len as usize].into(),
                    origin: origin.clone(),
                })
            })
            .boxed()
    }
}

/// Publishes zeros that break at some place; returns their path, the counter of bytes read, and
/// the size that the source will tell when opened.
fn zeros(running: &Running, breaks_at: u64) -> (String, Arc<AtomicU64>, Arc<AtomicU64>) {
    let size = 256 << 20;
    let (read, now) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(size)));
    // Not their CID: the node does not compare.
    let cid = cid_of(&breaks_at.to_le_bytes());
    running.node.publish(Blob {
        cid,
        name: "zeros".into(),
        size,
        source: Arc::new(Zeros {
            read: read.clone(),
            breaks_at,
            now: now.clone(),
        }),
        tree: None,
    });
    (format!("/ipfs/{cid}"), read, now)
}

#[test]
fn an_error_in_the_middle_breaks_the_connection() {
    let running = Running::start();
    let (path, ..) = zeros(&running, 1 << 20);
    let reply = running.get(&path, &[]);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-length"), Some("268435456"));
    assert!(reply.body.len() <= 1 << 20, "nothing is made up");
}

#[test]
fn a_blob_that_changed_is_withdrawn() {
    let running = Running::start();
    let (path, _, now) = zeros(&running, u64::MAX);
    let get = || running.get(&path, &[("Range", "bytes=0-9")]).status;
    assert_eq!(get(), 206);
    now.fetch_add(1, Ordering::SeqCst);
    assert_eq!(get(), 404);
    // It stays withdrawn even in its old state: the publisher has to check it again.
    now.fetch_sub(1, Ordering::SeqCst);
    assert_eq!(get(), 404);
    let told = running.runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(5), running.node.withdrew()).await
    });
    assert!(told.is_ok());
}

#[test]
fn a_blob_is_read_only_as_fast_as_the_client_reads() {
    let running = Running::start();
    let (path, read, _) = zeros(&running, u64::MAX);
    let mut stream = send(running.addr, "GET", &path, &[]);
    stream.read_exact(&mut vec![0; 100_000]).expect("the head");
    let mut seen = 0;
    // Until the sockets' buffers are full and nothing moves.
    while read.load(Ordering::SeqCst) != seen {
        seen = read.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(300));
    }
    assert!(seen < 64 << 20, "{seen} bytes are read ahead");
    drop(stream);
    // HEAD and a range read nothing, and nothing else.
    let before = read.load(Ordering::SeqCst);
    request(running.addr, "HEAD", &path, &[]);
    let range = ("Range", "bytes=1000000-1000009");
    assert_eq!(running.get(&path, &[range]).body.len(), 10);
    assert_eq!(read.load(Ordering::SeqCst) - before, 10);
}

#[test]
fn shutdown_does_not_wait_for_stalled_clients() {
    let mut running = Running::start();
    let (path, ..) = zeros(&running, u64::MAX);
    let mut stuck = send(running.addr, "GET", &path, &[]);
    stuck.read_exact(&mut [0; 1000]).expect("the head");
    let idle = std::net::TcpStream::connect(running.addr).expect("a connection");
    let took = running.end();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(std::net::TcpStream::connect(running.addr).is_err());
    // The rest never comes.
    let rest = std::io::copy(&mut stuck, &mut std::io::sink());
    assert!(rest.map_or(true, |got| got < 256 << 20));
    drop(idle);
}

#[test]
fn many_readers_get_their_bytes() {
    let running = Running::start();
    let blob = bytes(3 << 20);
    let path = format!("/ipfs/{}", running.publish("blob.bin", &blob));
    std::thread::scope(|scope| {
        for reader in 0..16usize {
            let (running, blob, path) = (&running, &blob, &path);
            scope.spawn(move || {
                for turn in 0..8 {
                    let start = (reader * 7919 + turn * 104_729) % (2 << 20);
                    let end = start + 300_000 + reader;
                    let range = format!("bytes={start}-{}", end - 1);
                    let reply = running.get(path, &[("Range", &range)]);
                    assert!(reply.body == blob[start..end], "{range}");
                }
            });
        }
    });
}
