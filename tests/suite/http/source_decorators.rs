//! What every decorator passes on: the hints of the source below, whole, and all that it is told.
//!
//! A decorator that kept a hint to itself would have the reader put sixteen requests in flight to a server that can
//! use three, or wait for a time-out while the cause is known.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aiozfs::cache::{Ask, Cache, Cached, Folder, Key};
use aiozfs::content::{Cid, Verified};
use aiozfs::gateways::{Gateways, GatewaysOptions, Member};
use aiozfs::http::Http;
use aiozfs::source::{
    BlockCheck, Blocks, Chunk, ChunkStream, Error, Fact, Hints, Memory, Offline, Opened, Origin,
    Priority, Result, Retry, Source, Trouble,
};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, ready};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::time::Instant;

use crate::common::fault::FaultNode;
use crate::common::gateways::{import, options};
use crate::common::tree;

const SIZE: u64 = 3 << 20;

/// A source that knows something for every hint, and records what it is told.
struct Talkative {
    blob: Memory,
    hints: Hints,
    /// Whether its reads bring nothing.
    is_silent: bool,
    told: Mutex<Vec<String>>,
}

impl Talkative {
    fn new(blob: &[u8], is_silent: bool) -> Arc<Self> {
        let origin = Origin::new("below");
        let hints = Hints {
            stored_unit: Some(1000),
            concurrency: Some(3),
            pipelined_within: Some(5),
            received: Some(9),
            unverified: 4,
            trouble: Some(Trouble::new(Error::NotFound { origin }, Instant::now())),
        };
        Arc::new(Self {
            blob: Memory::new("below", blob.to_vec()),
            hints,
            is_silent,
            told: Mutex::default(),
        })
    }

    fn record(&self, what: String) {
        self.told.lock().expect("told").push(what);
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock().expect("told"))
    }
}

impl Source for Talkative {
    fn inner(&self) -> Option<&dyn Source> {
        None
    }

    fn open(&self, tail: u64) -> BoxFuture<'_, Result<Opened>> {
        self.blob.open(tail)
    }

    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        if self.is_silent {
            stream::pending().boxed()
        } else {
            self.blob.read(range, priority)
        }
    }

    fn reject(&self, origin: &Origin, range: Range<u64>) {
        self.record(format!("{origin} was wrong about {range:?}"));
    }

    fn verification_unit(&self, range: Range<u64>) -> Range<u64> {
        range.start / 10 * 10..range.end.next_multiple_of(10)
    }

    fn version(&self) -> Option<String> {
        Some("first".into())
    }

    fn hints(&self) -> Hints {
        self.hints.clone()
    }

    fn learn(&self, fact: Fact<'_>) {
        self.record(match fact {
            Fact::Size(size) => format!("{size} bytes long"),
            Fact::Bytes(chunk) => format!("{:?} verified", chunk.range()),
            Fact::NoRanges { error, .. } => format!("no ranges: {error}"),
            Fact::Version(version, size) => format!("{version}, {size} bytes long"),
        });
    }

    fn warm_up(&self, reads: usize) -> usize {
        self.record(format!("{reads} reads"));
        7
    }
}

/// A decorator that differs in nothing.
struct Plain(Arc<dyn Source>);

impl Source for Plain {
    fn inner(&self) -> Option<&dyn Source> {
        Some(&*self.0)
    }

    fn open(&self, tail: u64) -> BoxFuture<'_, Result<Opened>> {
        self.0.open(tail)
    }

    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        self.0.read(range, priority)
    }
}

/// All blocks of a tree.
struct Nodes(HashMap<String, Vec<u8>>);

impl Blocks for Nodes {
    fn block(&self, cid: &str, _most: usize, check: BlockCheck) -> BoxFuture<'_, Result<Bytes>> {
        let block = self.0.get(cid).filter(|block| check(block)).cloned();
        let origin = Origin::new("nodes");
        ready(block.map(Bytes::from).ok_or(Error::NotFound { origin })).boxed()
    }
}

/// A blob, its tree, and a cache.
struct Case {
    blob: Vec<u8>,
    cid: Cid,
    nodes: Arc<Nodes>,
    cache: Cache,
    _dir: tree::TempDir,
}

impl Case {
    fn new() -> Self {
        let blob = tree::bytes(21, SIZE as usize);
        let (cid, blocks) = import(&blob);
        let dir = tree::temp();
        let disk = Folder::open(dir.path()).expect("a cache");
        Self {
            blob,
            cid,
            nodes: Arc::new(Nodes(blocks)),
            cache: Cache::new(Arc::new(disk), 1 << 30),
            _dir: dir,
        }
    }

    fn verified(&self, data: Arc<dyn Source>) -> Verified {
        Verified::new(self.cid, data, self.nodes.clone())
    }

    /// Every decorator of one source, over `below`, by name.
    fn decorators(&self, below: &Arc<dyn Source>) -> [(&'static str, Arc<dyn Source>); 6] {
        let cached = |key| Arc::new(Cached::new(below.clone(), &self.cache, key, Ask::Always));
        let retry = Retry::new(below.clone(), Duration::from_secs(60));
        [
            ("plain", Arc::new(Plain(below.clone()))),
            ("retry", Arc::new(retry)),
            // Nothing of it is stored yet.
            ("cache", cached(Key::id("blob", &[]))),
            ("cache of a URL", cached(Key::url("http://a/", "http://a/"))),
            ("gateways", Arc::new(Gateways::new(vec![below.clone()]))),
            ("proof", Arc::new(self.verified(below.clone()))),
        ]
    }
}

#[tokio::test(start_paused = true)]
async fn every_decorator_passes_hints_and_facts() {
    let case = Case::new();
    let below = Talkative::new(&case.blob, false);
    for (name, source) in case.decorators(&(below.clone() as Arc<dyn Source>)) {
        source.open(0).await.expect(name);
        below.told();
        let expected = match name {
            // It counts for itself what it has not verified.
            "proof" => Hints {
                received: Some(0),
                unverified: 0,
                ..below.hints()
            },
            _ => below.hints(),
        };
        assert_eq!(source.hints(), expected, "{name}");
        assert_eq!(source.version(), below.version(), "{name}");
        if name != "proof" {
            assert_eq!(source.verification_unit(15..25), 10..30, "{name}");
        }

        let chunk = Chunk {
            offset: 0,
            bytes: Bytes::copy_from_slice(&case.blob[..10]),
            origin: Origin::new("elsewhere"),
        };
        source.learn(Fact::Size(SIZE));
        source.learn(Fact::Bytes(&chunk));
        source.reject(&Origin::new("below"), 0..10);
        assert_eq!(source.warm_up(5), 7, "{name}");
        let expected = [
            format!("{SIZE} bytes long"),
            "0..10 verified".into(),
            "below was wrong about 0..10".into(),
            "5 reads".into(),
        ];
        assert_eq!(below.told(), expected, "{name}");
    }
}

/// What several gateways say together.
#[tokio::test]
async fn gateways_answer_for_their_members() {
    let case = Case::new();
    let below = [(); 2].map(|()| Talkative::new(&case.blob, false));
    let gateways = |stripe| {
        let members = below.iter().map(|source| Member {
            name: Origin::new("member"),
            source: source.clone(),
            weight: 1.0,
        });
        let options = GatewaysOptions {
            stripe,
            ..GatewaysOptions::default()
        };
        Gateways::with(members.collect(), &options)
    };
    let one_serves = gateways(false);
    assert_eq!(one_serves.hints(), below[0].hints());
    assert_eq!(one_serves.version(), None);
    assert_eq!(one_serves.warm_up(5), 7);
    assert_eq!(below[0].told(), ["5 reads"]);
    assert_eq!(below[1].told(), [""; 0]);

    let both_serve = gateways(true);
    let expected = Hints {
        concurrency: Some(6),
        received: Some(18),
        unverified: 8,
        ..below[0].hints()
    };
    assert_eq!(both_serve.hints(), expected);
    assert_eq!(both_serve.warm_up(5), 14);
    both_serve.learn(Fact::Size(SIZE));
    for below in &below {
        assert_eq!(
            below.told(),
            ["3 reads".into(), format!("{SIZE} bytes long")]
        );
    }
    // The error of a member that was asked goes before what members say.
    let with_offline = Gateways::new(vec![below[0].clone(), Arc::new(Offline)]);
    with_offline.open(0).await.expect("one of them");
    let error = with_offline.hints().trouble.map(|trouble| trouble.error);
    assert_eq!(error.as_deref(), Some(&Error::Offline));
}

/// Bytes from a disk come at once, and in whole blocks; only the trouble is that of the servers.
#[tokio::test]
async fn a_cache_that_has_the_bytes_has_hints_of_its_own() {
    let case = Case::new();
    let below = Talkative::new(&case.blob, false);
    let source = Cached::new(
        below.clone(),
        &case.cache,
        Key::id("blob", &[]),
        Ask::Always,
    );
    let expected = Hints {
        stored_unit: Some(1 << 20),
        trouble: below.hints().trouble,
        ..Hints::default()
    };
    assert_eq!(source.hints(), expected);
    assert_eq!(source.hints().preferred_end(5), 1 << 20);
    assert_eq!(source.warm_up(5), 1);
    assert_eq!(below.told(), [""; 0]);
}

/// A range that is refused comes as a block, because the decorators between say what the trouble is. On a clock that
/// stands still this takes no time; without the hint the read would wait for ever.
#[tokio::test(start_paused = true)]
async fn a_refused_range_comes_as_a_block_through_every_decorator() {
    let case = Case::new();
    let below: Arc<dyn Source> = Talkative::new(&case.blob, true);
    for (name, data) in case.decorators(&below) {
        if name == "proof" {
            continue;
        }
        let source = case.verified(data);
        source.open(0).await.expect(name);
        let mut read = source.read(10..20, Priority::Demand);
        let came = async {
            let mut bytes = Vec::new();
            while let Some(chunk) = read.next().await {
                bytes.extend_from_slice(&chunk.expect(name).bytes);
            }
            bytes
        };
        let came = tokio::time::timeout(Duration::from_secs(30), came).await;
        assert_eq!(came.expect(name), case.blob[10..20], "{name}");
    }
}

/// A source without a server knows no hints; one over HTTP knows them from its answers, and the stack above it says
/// the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kinds_know_their_own_hints() {
    let blob = tree::bytes(22, 300_000);
    let memory = Memory::new("memory", blob.clone());
    for kind in [&memory as &dyn Source, &Offline] {
        assert_eq!(kind.hints(), Hints::default());
        assert_eq!(kind.warm_up(5), 1);
        assert_eq!(kind.version(), None);
        assert_eq!(kind.verification_unit(5..6), 5..6);
    }
    assert_eq!(Offline.open(0).await.map(drop), Err(Error::Offline));
    let read = Offline.read(0..1, Priority::Demand).next().await;
    assert_eq!(read.map(|read| read.map(drop)), Some(Err(Error::Offline)));

    let node = FaultNode::start(blob);
    let http = Http::new(&node.url(), options()).expect("a usable URL");
    assert_eq!(http.hints(), Hints::default());
    let gateways: Arc<dyn Source> = Arc::new(Gateways::new(vec![Arc::new(http.clone())]));
    let stack = Retry::new(gateways, Duration::from_secs(60));
    stack.open(0).await.expect("open");
    let read = stack.read(0..300_000, Priority::Demand);
    read.try_collect::<Vec<_>>().await.expect("bytes");
    assert!(http.hints().pipelined_within.is_some());
    assert_eq!(stack.hints(), http.hints());
}
