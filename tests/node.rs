//! The node over real sockets: what it answers to what, and how it behaves towards clients and
//! sources that do not.

mod common;

use std::io::Read;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aiozfs::content::{Cid, Codec, Importer, Object, Profile, Tree, Version, parse_cid};
use aiozfs::serve::{Blob, Node};
use aiozfs::source::{Chunk, ChunkStream, Error, Memory, Opened, Origin, Priority, Result, Source};
use common::http::{Reply, request, send};
use futures_util::future::{BoxFuture, FutureExt, ready};
use futures_util::stream::{self, StreamExt};
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

/// Query, Range header; status, Content-Range, bytes of the blob.
type Case = (
    &'static str,
    Option<&'static str>,
    u16,
    Option<&'static str>,
    Range<usize>,
);

const RANGES: &[Case] = &[
    ("", None, 200, None, 0..1000),
    ("?x=y", None, 200, None, 0..1000),
    ("", Some("bytes=0-0"), 206, Some("bytes 0-0/1000"), 0..1),
    (
        "",
        Some("bytes=0-999"),
        206,
        Some("bytes 0-999/1000"),
        0..1000,
    ),
    (
        "",
        Some("bytes=100-199"),
        206,
        Some("bytes 100-199/1000"),
        100..200,
    ),
    (
        "",
        Some("bytes=900-"),
        206,
        Some("bytes 900-999/1000"),
        900..1000,
    ),
    (
        "",
        Some("bytes=-10"),
        206,
        Some("bytes 990-999/1000"),
        990..1000,
    ),
    (
        "",
        Some("bytes=-5000"),
        206,
        Some("bytes 0-999/1000"),
        0..1000,
    ),
    (
        "",
        Some("bytes=990-5000"),
        206,
        Some("bytes 990-999/1000"),
        990..1000,
    ),
    ("", Some("BYTES=1-2"), 206, Some("bytes 1-2/1000"), 1..3),
    ("", Some("bytes=1000-"), 416, Some("bytes */1000"), 0..0),
    ("", Some("bytes=-0"), 416, Some("bytes */1000"), 0..0),
    ("", Some("bytes=0-1,5-6"), 200, None, 0..1000),
    (
        "",
        Some("bytes=5000-,5-6"),
        206,
        Some("bytes 5-6/1000"),
        5..7,
    ),
    ("", Some("bytes=5-1"), 200, None, 0..1000),
    ("", Some("bytes=x"), 200, None, 0..1000),
    ("", Some("lines=0-1"), 200, None, 0..1000),
    ("?range=100,50", None, 200, None, 100..150),
    ("?range=100%2C50", None, 200, None, 100..150),
    ("?range=0,1000", None, 200, None, 0..1000),
    ("?range=1000,0", None, 200, None, 0..0),
    (
        "?range=100,50",
        Some("bytes=0-9"),
        206,
        Some("bytes 0-9/50"),
        100..110,
    ),
    (
        "?range=100,50",
        Some("bytes=40-"),
        206,
        Some("bytes 40-49/50"),
        140..150,
    ),
    (
        "?range=100,50",
        Some("bytes=-5"),
        206,
        Some("bytes 45-49/50"),
        145..150,
    ),
    (
        "?range=100,50",
        Some("bytes=45-500"),
        206,
        Some("bytes 45-49/50"),
        145..150,
    ),
    (
        "?range=100,50",
        Some("bytes=50-"),
        416,
        Some("bytes */50"),
        0..0,
    ),
    (
        "?range=100,0",
        Some("bytes=0-"),
        416,
        Some("bytes */0"),
        0..0,
    ),
    ("?range=100,901", None, 400, None, 0..0),
    ("?range=1001,0", None, 400, None, 0..0),
    ("?range=-1,5", None, 400, None, 0..0),
    ("?range=5", None, 400, None, 0..0),
    ("?range=", None, 400, None, 0..0),
    ("?range=1,2&range=1,2", None, 400, None, 0..0),
    ("?range=18446744073709551615,2", None, 400, None, 0..0),
];

#[test]
fn ranges() {
    let running = Running::start();
    let blob = bytes(SIZE);
    let cid = running.publish("blob.bin", &blob);
    for (query, range, status, content_range, expected) in RANGES {
        let what = format!("{query} {range:?}");
        let headers: Vec<_> = range.iter().map(|range| ("Range", *range)).collect();
        let reply = running.get(&format!("/ipfs/{cid}{query}"), &headers);
        assert_eq!(reply.status, *status, "{what}");
        assert_eq!(reply.header("content-range"), *content_range, "{what}");
        assert_eq!(reply.header("transfer-encoding"), None, "{what}");
        let length = reply.header("content-length").and_then(|n| n.parse().ok());
        assert_eq!(length, Some(reply.body.len()), "{what}");
        if *status >= 400 {
            assert_eq!(reply.header("cache-control"), Some("no-store"), "{what}");
            assert_eq!(reply.header("etag"), None, "{what}");
            continue;
        }
        assert_eq!(reply.body, blob[expected.clone()], "{what}");
        has_the_usual_headers(&reply, &what);
        // HEAD: as GET without the Range header, which means nothing to it (RFC 9110, 14.2).
        let head = request(
            running.addr,
            "HEAD",
            &format!("/ipfs/{cid}{query}"),
            &headers,
        );
        let whole = running.get(&format!("/ipfs/{cid}{query}"), &[]);
        assert_eq!((head.status, &head.body[..]), (200, &b""[..]), "{what}");
        has_the_usual_headers(&head, &what);
        for name in ["content-length", "content-type", "etag", "content-range"] {
            assert_eq!(head.header(name), whole.header(name), "{what}: {name}");
        }
    }
}

#[test]
fn an_empty_blob() {
    let running = Running::start();
    let cid = running.publish("empty", b"");
    for (range, status) in [("bytes=-5", 200), ("bytes=0-", 416), ("x", 200)] {
        let reply = running.get(&format!("/ipfs/{cid}"), &[("Range", range)]);
        assert_eq!(reply.status, status, "{range}");
    }
}

#[test]
fn conditions() {
    let running = Running::start();
    let blob = bytes(SIZE);
    let cid = running.publish("blob.bin", &blob);
    let (whole, window) = (format!("/ipfs/{cid}"), format!("/ipfs/{cid}?range=10,20"));
    let etag_of = |path: &str| {
        let reply = running.get(path, &[]);
        reply.header("etag").expect("an ETag").to_owned()
    };
    let (of_whole, of_window) = (etag_of(&whole), etag_of(&window));
    assert_ne!(of_whole, of_window);
    assert_ne!(of_window, etag_of(&format!("/ipfs/{cid}?range=10,21")));
    let weak = format!("W/{of_whole}");
    let part = ("Range", "bytes=0-9");
    let date = "Sat, 29 Oct 2050 19:43:31 GMT";
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let table: &[(&str, Headers<'_>, u16)] = &[
        (&whole, &[("If-None-Match", &of_whole)], 304),
        (&whole, &[("If-None-Match", &weak)], 304),
        (&whole, &[("If-None-Match", "*")], 304),
        (&whole, &[("If-None-Match", &of_whole), part], 304),
        (&whole, &[("If-None-Match", &of_window)], 200),
        (&window, &[("If-None-Match", &of_window)], 304),
        (&window, &[("If-None-Match", &of_whole)], 200),
        (&whole, &[("If-Modified-Since", date)], 200),
        (&whole, &[("If-Match", &of_whole)], 200),
        (&whole, &[("If-Match", &of_window)], 412),
        (&whole, &[("If-Range", &of_whole), part], 206),
        (&whole, &[("If-Range", &of_window), part], 200),
        (&whole, &[("If-Range", &weak), part], 200),
        (&whole, &[("If-Range", date), part], 200),
        (&window, &[("If-Range", &of_window), part], 206),
        // A mismatch makes the Range header mean nothing, not 416.
        (
            &whole,
            &[("If-Range", &weak), ("Range", "bytes=5000-")],
            200,
        ),
    ];
    for (path, headers, status) in table {
        let reply = running.get(path, headers);
        assert_eq!(reply.status, *status, "{path} {headers:?}");
        if *status == 304 {
            has_the_usual_headers(&reply, "304");
            assert_eq!(reply.body, b"");
            // One of 0 would be a lie about the 200 (RFC 9110, section 8.6).
            assert_eq!(reply.header("content-length"), None, "{reply:?}");
        }
        if *status != 412 {
            let head = request(running.addr, "HEAD", path, headers);
            let expected = if *status == 304 { 304 } else { 200 };
            assert_eq!(head.status, expected, "HEAD {path} {headers:?}");
        }
    }
}

#[test]
fn methods_and_cors() {
    let running = Running::start();
    let cid = running.publish("blob.bin", &bytes(SIZE));
    for path in ["/", "/index.json", "/nowhere", &format!("/ipfs/{cid}")] {
        for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"] {
            let reply = request(running.addr, method, path, &[("Content-Length", "0")]);
            assert_eq!(reply.status, 405, "{method} {path}");
            assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"));
        }
        let preflight = [
            ("Origin", "https://player.example"),
            ("Access-Control-Request-Method", "GET"),
            ("Access-Control-Request-Headers", "range"),
        ];
        let reply = request(running.addr, "OPTIONS", path, &preflight);
        assert_eq!((reply.status, &reply.body[..]), (204, &b""[..]), "{path}");
        let says = |name| reply.header(name).unwrap_or_default();
        assert_eq!(says("access-control-allow-origin"), "*");
        assert!(says("access-control-allow-methods").contains("GET"));
        assert!(says("access-control-allow-headers").contains("Range"));
        assert_eq!(says("allow"), "GET, HEAD, OPTIONS");
    }
}

#[test]
fn what_is_not_there_or_not_served() {
    let running = Running::start();
    let cid = running.publish("blob.bin", &bytes(SIZE));
    let other = cid_of(b"other");
    for path in [
        "/x",
        "/ipfs",
        "/ipfs/",
        "/ipfs/no-cid",
        &format!("/ipfs/{other}"),
    ] {
        let reply = running.get(path, &[]);
        assert_eq!(reply.status, 404, "{path}");
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    }
    // A client that wants a block must not take the file for one; this blob has none.
    let path = format!("/ipfs/{cid}");
    let raw = [("Accept", "application/vnd.ipld.raw")];
    assert_eq!(running.get(&path, &raw).status, 404);
    let car = [("Accept", "application/vnd.ipld.car")];
    assert_eq!(running.get(&path, &car).status, 406);
    assert_eq!(running.get(&format!("{path}?format=car"), &[]).status, 406);
    assert_eq!(running.get(&path, &[("Accept", "*/*")]).status, 200);
}

/// What an answer with a block says (trustless gateway specification, "HTTP response").
fn is_block(reply: &Reply, cid: &Cid, len: usize, what: &str) {
    let says = |name| reply.header(name).unwrap_or_default();
    assert_eq!(reply.status, 200, "{what}");
    assert_eq!(says("content-type"), "application/vnd.ipld.raw", "{what}");
    assert_eq!(says("content-length"), len.to_string(), "{what}");
    assert_eq!(says("etag"), format!("\"{cid}.raw\""), "{what}");
    assert!(says("cache-control").contains("immutable"), "{what}");
    assert_eq!(says("x-content-type-options"), "nosniff", "{what}");
    assert!(
        says("content-disposition").starts_with("attachment"),
        "{what}"
    );
    assert_eq!(says("vary"), "Accept", "{what}");
    assert_eq!(says("access-control-allow-origin"), "*", "{what}");
    assert_eq!(reply.header("transfer-encoding"), None, "{what}");
}

#[test]
fn every_block_of_what_is_served() {
    let running = Running::start();
    let raw = [("Accept", "application/vnd.ipld.raw")];
    for profile in [
        Profile::new("raw", 256, 3, true, Version::V1),
        Profile::new("pb", 256, 3, false, Version::V0),
    ] {
        let blob = bytes(5000);
        let tree = running.publish_tree("blob.bin", &blob, profile);
        // From the root down, as a client goes.
        let (mut todo, mut file, mut count) = (vec![tree.cid()], Vec::new(), 0);
        while let Some(cid) = todo.pop() {
            let path = format!("/ipfs/{cid}");
            let reply = running.get(&format!("{path}?format=raw"), &[]);
            is_block(&reply, &cid, reply.body.len(), "by the query");
            assert_eq!(cid.verify(&reply.body), Ok(()));
            let by_header = running.get(&path, &raw);
            is_block(&by_header, &cid, reply.body.len(), "by the header");
            assert_eq!(by_header.body, reply.body);
            let head = request(running.addr, "HEAD", &path, &raw);
            is_block(&head, &cid, reply.body.len(), "HEAD");
            assert!(head.body.is_empty());
            let etag = format!("\"{cid}.raw\"");
            let again = running.get(&path, &[raw[0], ("If-None-Match", &etag)]);
            assert_eq!((again.status, &again.body[..]), (304, &b""[..]));
            // The same block under the other version's name.
            let v1 = cid.to_v1();
            let other = running.get(&format!("/ipfs/{v1}?format=raw"), &[]);
            is_block(&other, &v1, reply.body.len(), "version 1");
            assert_eq!(other.body, reply.body);
            let decoded = Object::decode(&cid, &reply.body);
            let Ok(Object::File { data, children, .. }) = decoded else {
                panic!("{cid}: {decoded:?}");
            };
            file.extend(data);
            todo.extend(children.iter().rev().map(|child| child.cid));
            count += 1;
        }
        assert!(file == blob, "{}", profile.name());
        // 20 leaves, 7 nodes, 3 nodes, the root.
        assert_eq!(count, 31);
        let car = running.get(&format!("/ipfs/{}?format=car", tree.cid()), &raw);
        assert_eq!(car.status, 406);
        let window = format!("/ipfs/{}?format=raw&range=0,1", tree.cid());
        assert_eq!(running.get(&window, &[]).status, 400);
    }
    let other = Cid::of_block(Version::V1, Codec::Raw, b"something else");
    assert_eq!(
        running
            .get(&format!("/ipfs/{other}?format=raw"), &[])
            .status,
        404
    );
    let small = running.publish_tree("small", b"small", Profile::UNIXFS_V0_2015);
    let reply = running.get(&format!("/ipfs/{}?format=raw", small.cid()), &[]);
    assert_eq!(small.cid().verify(&reply.body), Ok(()));
}

#[test]
fn a_block_that_the_cid_carries_itself() {
    let running = Running::start();
    let empty = parse_cid("bafkqaaa").expect("a CID");
    for (path, accept) in [("?format=raw", "*/*"), ("", "application/vnd.ipld.raw")] {
        let path = format!("/ipfs/bafkqaaa{path}");
        let reply = running.get(&path, &[("Accept", accept)]);
        is_block(&reply, &empty, 0, accept);
        assert!(reply.body.is_empty());
    }
    // "Hello", by the multibase and multihash tables.
    let hello = running.get("/ipfs/f0155000548656c6c6f?format=raw", &[]);
    assert_eq!((hello.status, &hello.body[..]), (200, &b"Hello"[..]));
}

#[test]
fn a_block_of_a_file_that_is_gone_is_taken_from_another_that_has_it() {
    let running = Running::start();
    let profile = Profile::new("raw", 256, 3, true, Version::V1);
    let head = bytes(256);
    let leaf = Cid::of_block(Version::V1, Codec::Raw, &head);
    let path = format!("/ipfs/{leaf}?format=raw");
    let gone: Vec<u8> = [&head[..], b"one"].concat();
    let tree = Tree::import(&gone[..], profile, |_| true).expect("read");
    running.node.publish(Blob {
        cid: tree.cid(),
        name: "gone".into(),
        size: gone.len() as u64,
        source: Arc::new(Memory::new("gone", "")),
        tree: Some(Arc::new(tree)),
    });
    running.publish_tree("here", &[&head[..], b"two"].concat(), profile);
    let reply = running.get(&path, &[]);
    assert_eq!((reply.status, &reply.body), (200, &head));
    assert_eq!(running.runtime.block_on(running.node.list()).len(), 1);
}

#[test]
fn a_cid_in_any_encoding() {
    let running = Running::start();
    // sha256 of "foo" as the raw CID; the other forms with npm multiformats 14.0.5.
    let cid = running.publish("foo", b"foo");
    assert_eq!(
        cid.to_string(),
        "bafkreibme22gw2h7y2h7tg2fhqotaqjucnbc24deqo72b6mkl2egezxhvy"
    );
    for form in [
        "BAFKREIBME22GW2H7Y2H7TG2FHQOTAQJUCNBC24DEQO72B6MKL2EGEZXHVY",
        "mAVUSICwmtGto/8aP+ZtFPB0wQTQTQi1wZIO/oPmKXohiZueu",
        "f015512202c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    ] {
        assert_eq!(parse_cid(form), Ok(cid), "{form}");
        let escaped = form.replace('/', "%2F");
        let reply = running.get(&format!("/ipfs/{escaped}/foo"), &[]);
        assert_eq!(
            (reply.status, &reply.body[..]),
            (200, &b"foo"[..]),
            "{form}"
        );
    }
}

#[test]
fn media_types() {
    let running = Running::start();
    let cid = running.publish("film.zip", &bytes(SIZE));
    for (rest, expected) in [
        ("", "application/zip"),
        ("?range=0,10", "application/octet-stream"),
        (
            "/master_playlist.m3u8?range=0,10",
            "application/vnd.apple.mpegurl",
        ),
        ("/dash/manifest.mpd", "application/dash+xml"),
        ("/720p_0000.ts?range=10,10", "video/mp2t"),
        ("/init.mp4", "video/mp4"),
        ("/a.m4s", "video/mp4"),
        ("/en.vtt", "text/vtt; charset=utf-8"),
        ("/cover%2Ejpg", "image/jpeg"),
        ("/read%20me.txt", "text/plain; charset=utf-8"),
        ("/no-extension", "application/octet-stream"),
    ] {
        let reply = running.get(&format!("/ipfs/{cid}{rest}"), &[]);
        assert_eq!(reply.status, 200, "{rest}");
        assert_eq!(reply.header("content-type"), Some(expected), "{rest}");
    }
}

#[test]
fn lists() {
    let running = Running::start();
    let text = |path: &str| {
        let reply = running.get(path, &[]);
        let kind = reply.header("content-type").unwrap_or_default().to_owned();
        (kind, String::from_utf8(reply.body).expect("UTF-8"))
    };
    assert_eq!(text("/index.json").1, "[]");
    let cid = running.publish("sub/a <b> & é.zip", &bytes(SIZE));
    let (kind, page) = text("/");
    assert_eq!(kind, "text/html; charset=utf-8");
    assert!(page.contains("sub/a &lt;b&gt; &amp; é.zip"), "{page}");
    let (kind, json) = text("/index.json");
    assert_eq!(kind, "application/json");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json[0]["cid"], cid.to_string());
    assert_eq!(json[0]["size"], SIZE);
    assert_eq!(json[0]["name"], "sub/a <b> & é.zip");
    let path = json[0]["path"].as_str().expect("a path");
    assert!(page.contains(path));
    assert_eq!(running.get(path, &[]).body, bytes(SIZE));
}

#[test]
fn the_same_bytes_twice_and_withdrawal() {
    let running = Running::start();
    let blob = |name: &str| Blob {
        cid: cid_of(b"x"),
        name: name.into(),
        size: 1,
        source: Arc::new(Memory::new(name, "x")),
        tree: None,
    };
    let (one, two) = (
        running.node.publish(blob("1")),
        running.node.publish(blob("2")),
    );
    let path = format!("/ipfs/{}", cid_of(b"x"));
    let listed = || running.runtime.block_on(running.node.list()).len();
    assert_eq!((listed(), running.get(&path, &[]).status), (2, 200));
    assert!(running.node.withdraw(one) && !running.node.withdraw(one));
    assert_eq!((listed(), running.get(&path, &[]).status), (1, 200));
    assert!(running.node.withdraw(two));
    assert_eq!((listed(), running.get(&path, &[]).status), (0, 404));
}

/// A large blob of zeros that counts what is read, and may break.
struct Zeros {
    read: Arc<AtomicU64>,
    breaks_at: u64,
    now: Arc<AtomicU64>,
}

const CHUNK: u64 = 64 * 1024;

impl Source for Zeros {
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
    // Even if it were what it was again: whoever published it looks at it anew.
    now.fetch_sub(1, Ordering::SeqCst);
    assert_eq!(get(), 404);
    let told = running.runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(5), running.node.withdrew()).await
    });
    assert!(told.is_ok());
}

#[test]
fn no_more_is_read_than_the_client_takes() {
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
fn the_end_does_not_wait_for_clients_that_do_not_read() {
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
