//! What verification against a CID costs a reader over a link, with a paused clock: the same reads of
//! the same bytes over the same link, without and with it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::common::link::{Carried, Link, Shape};
use aiozfs::content::{Cid, Importer, Profile, Verified};
use aiozfs::reader::{BlobReader, ReaderOptions};
use aiozfs::source::{BlockCheck, Blocks, Result, Source};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, join_all};
use tokio::time::{Instant, sleep};

const MB: u64 = 1 << 20;

/// Long enough that the tree has inner nodes below its root.
const SIZE: u64 = 1200 * MB;

fn on_paused_clock<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(future)
}

/// The inner nodes of a tree, each a round trip away.
struct Nodes {
    rtt: Duration,
    nodes: HashMap<String, Bytes>,
}

impl Blocks for Nodes {
    fn block(&self, cid: &str, _most: usize, check: BlockCheck) -> BoxFuture<'_, Result<Bytes>> {
        let block = self.nodes.get(cid).expect("an inner node").clone();
        async move {
            sleep(self.rtt).await;
            assert!(check(&block));
            Ok(block)
        }
        .boxed()
    }
}

/// The tree of a blob that is all the same byte, as [`Link::plain`] has it.
struct Plain {
    cid: Cid,
    nodes: HashMap<String, Bytes>,
}

impl Plain {
    fn new(profile: Profile) -> Self {
        let mut nodes = HashMap::new();
        let keep = |cid: &Cid, block: &[u8]| {
            nodes.insert(cid.to_string(), Bytes::copy_from_slice(block));
        };
        let mut importer = Importer::with_nodes(profile, keep);
        let piece = vec![7; MB as usize];
        for _ in 0..SIZE / MB {
            importer.push(&piece);
        }
        let cid = importer.finish();
        Self { cid, nodes }
    }
}

/// A link and a reader over it, in the state of a mount that has been up for a second.
async fn blob(shape: Shape, plain: Option<&Plain>) -> (Arc<Link>, BlobReader) {
    let link = Link::plain(shape, SIZE);
    let source: Arc<dyn Source> = match plain {
        None => link.clone(),
        Some(plain) => {
            // As if the root had come over it.
            link.warm_up(1);
            let nodes = Nodes {
                rtt: shape.rtt,
                nodes: plain.nodes.clone(),
            };
            Arc::new(Verified::new(plain.cid, link.clone(), Arc::new(nodes)))
        }
    };
    let blob = BlobReader::open(source, 128 << 10, ReaderOptions::default()).await;
    let blob = blob.expect("a calm link");
    if plain.is_some() {
        // The end, which without verification came when the link was opened.
        let read = blob.read(SIZE - (128 << 10)..SIZE, SIZE);
        read.await.expect("a calm link");
    }
    sleep(Duration::from_secs(1)).await;
    link.carried();
    (link, blob)
}

/// Readers at once, each of one range, in steps.
async fn read(blob: &BlobReader, readers: &[Range<u64>], step: u64) {
    let reader = |range: Range<u64>| async move {
        let mut at = range.start;
        while at < range.end {
            let end = (at + step).min(range.end);
            let got = blob.read(at..end, SIZE).await;
            assert_eq!(got.expect("a calm link").len() as u64, end - at);
            at = end;
        }
    };
    join_all(readers.iter().cloned().map(reader)).await;
}

async fn cost(
    shape: Shape,
    plain: Option<&Plain>,
    readers: &[Range<u64>],
    step: u64,
) -> (Duration, Carried) {
    let (link, blob) = blob(shape, plain).await;
    let since = Instant::now();
    read(&blob, readers, step).await;
    (since.elapsed(), link.carried())
}

/// Time and bytes of the same reads, with verification as multiples of those without.
fn ratio(plain: &Plain, readers: &[Range<u64>], step: u64) -> (f64, f64, String) {
    let shape = Shape::new(50, 25.0, 100.0);
    let bare = on_paused_clock(cost(shape, None, readers, step));
    let verified = on_paused_clock(cost(shape, Some(plain), readers, step));
    let times = verified.0.as_secs_f64() / bare.0.as_secs_f64();
    let bytes = verified.1.bytes as f64 / bare.1.bytes as f64;
    let text = format!("{step}: {times:.3}, {bytes:.3}; {bare:?}, {verified:?}");
    println!("{text}");
    (times, bytes, text)
}

/// A leaf of a mebibyte came over one connection. That took nearly another round trip, and no
/// byte could be given out before the leaf was complete.
#[test]
fn a_leaf_for_a_demand_read_comes_at_the_rate_of_the_link() {
    const READS: u64 = 50;
    let len = 64 << 10;
    let readers: Vec<_> = (0..READS)
        .map(|n| 40 + n * 377 % 1000 * MB + n * 7919 % 900 * 1024)
        .map(|at| at..at + len)
        .collect();
    let one_by_one = |plain: Option<&Plain>| {
        on_paused_clock(async {
            let (link, blob) = blob(Shape::new(50, 25.0, 100.0), plain).await;
            let since = Instant::now();
            for range in &readers {
                read(&blob, std::slice::from_ref(range), len).await;
            }
            (since.elapsed().as_secs_f64(), link.carried())
        })
    };
    let plain = Plain::new(Profile::UNIXFS_V1_2025);
    let (bare, verified) = (one_by_one(None), one_by_one(Some(&plain)));
    let text = format!("{bare:?}, {verified:?}");
    println!("{text}");
    assert!(verified.1.bytes <= READS * (len + MB), "{text}");
    let more = (verified.1.bytes - bare.1.bytes) as f64 / 100e6;
    // A round trip for either inner node, and one until there are connections.
    assert!(verified.0 <= bare.0 + more + 3.0 * 0.05, "{text}");
}

/// Verified bytes come a leaf at a time. The reader measured the link's rate by them, saw it leap, and
/// kept twice as much in flight as the link needed. All of that was wasted when the reader stopped.
#[test]
fn verification_costs_at_most_a_tenth_of_time_and_a_fiftieth_of_bytes() {
    let begin = 40; // the first entry's data, behind its header
    let sequence = begin..begin + 256 * MB;
    let eight = (0..8).map(|n| begin + n * 128 * MB..begin + n * 128 * MB + 32 * MB);
    let eight: Vec<_> = eight.collect();
    for profile in [Profile::UNIXFS_V1_2025, Profile::UNIXFS_V0_2015] {
        let plain = Plain::new(profile);
        // The kernel's read-ahead as it is by itself, and raised.
        for step in [MB / 8, MB] {
            let (times, bytes, text) = ratio(&plain, std::slice::from_ref(&sequence), step);
            assert!(times < 1.1 && bytes < 1.02, "{}, {text}", profile.name);
        }
        let (times, bytes, text) = ratio(&plain, &eight, MB / 8);
        assert!(
            times < 1.1 && bytes < 1.02,
            "{}, eight, {text}",
            profile.name
        );
    }
}
