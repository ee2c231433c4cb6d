//! Several gateways: every fault, alone and as one of three, and what is learned of the gateways.

use std::net::TcpListener;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use crate::common::fault::table::{Alone, faults};
use crate::common::fault::{Behaviour, FaultNode};
use crate::common::gateways::{SIZE, bases, content, gateways, read, reads, verified};
use aiozfs::gateways::Gateways;
use aiozfs::source::{ChunkStream, Error, Memory, Opened, Priority, Result, Retry, Source};
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt, join_all};
use tokio::time::Instant;

/// A read ends within this time, whatever its only gateway does: Retry and the idle timeout end it.
/// They need less than four seconds. The rest is for a machine that is busy with other tests.
const LONGEST: Duration = Duration::from_secs(20);

/// The reader above ends a read at its deadline. This stands for that deadline, for the one fault that
/// neither idles nor ends.
const DEADLINE: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_alone_is_a_clear_error_and_leaves_no_trace() {
    let content = content();
    let cases = faults().into_iter().map(|(fault, alone)| {
        let content = &content;
        async move {
            let node = content.node();
            let source = verified(content.cid, &[node.base()]);
            source.open(0).await.expect("it opens while all is well");
            node.behave(fault.clone());
            let whole = read(&*source, 0..200_000, Priority::Demand);
            let limit = if fault == Behaviour::Drip {
                DEADLINE
            } else {
                LONGEST
            };
            let failed = match tokio::time::timeout(limit, whole).await {
                Ok(Ok(got)) => {
                    assert!(got == content.bytes[..200_000], "{fault:?}: wrong bytes");
                    false
                }
                Ok(Err(error)) => {
                    assert!(!error.to_string().is_empty(), "{fault:?}");
                    true
                }
                Err(_) => {
                    assert_eq!(fault, Behaviour::Drip, "it has no end");
                    true
                }
            };
            match alone {
                Alone::Works => assert!(!failed, "{fault:?} is merely odd"),
                Alone::Fails => assert!(failed, "{fault:?} cannot have worked"),
                Alone::Either => {}
            }
            // As good as new at once, but where the server itself said when to come back.
            node.behave(Behaviour::Good);
            if !matches!(fault, Behaviour::Status(_, Some(_)) | Behaviour::AtMost(_)) {
                let failed = reads(&*source, &content.bytes).await;
                assert!(failed.is_empty(), "{fault:?}, then good: {failed:?}");
            }
        }
    });
    join_all(cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_as_one_of_three_is_not_noticed() {
    let content = content();
    let cases = faults().into_iter().flat_map(|(fault, _)| {
        let content = &content;
        [true, false].map(move |from_the_start| {
            let fault = fault.clone();
            async move {
                let nodes = content.nodes();
                if from_the_start {
                    nodes[0].behave(fault.clone());
                }
                let source = verified(content.cid, &bases(&nodes));
                let opened = source.open(0).await;
                opened.unwrap_or_else(|e| panic!("{fault:?} of one: {e}"));
                nodes[0].behave(fault.clone());
                let before = Instant::now();
                let failed = reads(&*source, &content.bytes).await;
                assert!(failed.is_empty(), "{fault:?} of one: {failed:?}");
                assert!(before.elapsed() < LONGEST, "{fault:?}: it took too long");
            }
        })
    });
    let cases: Vec<_> = cases.collect();
    futures_util::stream::iter(cases)
        .buffer_unordered(16)
        .collect::<Vec<()>>()
        .await;
}

/// Without a CID: faults that only verification finds are not found, all others are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_one_of_three_without_verification() {
    let content = content();
    let only_a_cid_tells = [Behaviour::Shifted, Behaviour::Flipped, Behaviour::Changed];
    let faults = faults().into_iter().map(|(fault, _)| fault);
    let cases = faults
        .filter(|f| !only_a_cid_tells.contains(f))
        .map(|fault| {
            let content = &content;
            async move {
                let nodes = content.nodes();
                nodes[0].behave(fault.clone());
                let source = gateways(&bases(&nodes), false);
                let opened = source.open(1000).await;
                let opened = opened.unwrap_or_else(|e| panic!("{fault:?} of one: {e}"));
                assert_eq!(opened.size, SIZE as u64, "{fault:?}");
                let failed = reads(&source, &content.bytes).await;
                assert!(failed.is_empty(), "{fault:?} of one: {failed:?}");
            }
        });
    let cases: Vec<_> = cases.collect();
    futures_util::stream::iter(cases)
        .buffer_unordered(16)
        .collect::<Vec<()>>()
        .await;
}

/// Places where there is nobody, and one where there is only IPv6.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreachable_gateways_cause_no_error() {
    let content = content();
    let refused = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}", listener.local_addr().expect("its address"))
    };
    let six = TcpListener::bind("[::1]:0").ok();
    let six = six.map(|listener| FaultNode::start_on(listener, content.bytes.clone()));
    for wrong in [refused, "http://no-such-host.invalid".into()] {
        let alone = gateways(std::slice::from_ref(&wrong), false);
        let error = alone.open(0).await.expect_err("nobody is there");
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
        let node = content.node();
        let source = verified(content.cid, &[wrong, node.base()]);
        source.open(0).await.expect("the other one");
        assert_eq!(reads(&*source, &content.bytes).await, []);
    }
    // A machine without IPv6 has nothing to try.
    if let Some(six) = six {
        let source = gateways(&[six.base()], false);
        source.open(0).await.expect("by IPv6");
        assert_eq!(reads(&source, &content.bytes).await, []);
    }
}

/// The story that this guards against: after a failure the next gateway was asked for its size
/// before it was asked for the bytes, a round trip that the hash tree had made needless.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replacement_gateway_is_asked_for_the_bytes_at_once() {
    let content = content();
    let nodes = content.nodes();
    let source = verified(content.cid, &bases(&nodes));
    source.open(0).await.expect("it opens");
    nodes[0].behave(Behaviour::Cut(50_000));
    let got = read(&*source, 0..300_000, Priority::Demand).await;
    assert!(got.expect("the second goes on") == content.bytes[..300_000]);
    let asked = nodes[1].log();
    assert_eq!(asked.len(), 1, "{asked:?}");
    // What was still in the client's hands when the connection broke is lost with it.
    let goes_on = nodes[1].sent() <= 300_000 - 20_000;
    assert!(goes_on, "from where the bytes ended: {}", nodes[1].sent());
    // And it goes on serving.
    let before = nodes[0].requests();
    assert_eq!(reads(&*source, &content.bytes).await, []);
    assert_eq!(nodes[0].requests(), before);
}

/// A blob that is read at once, until it becomes silent: then its reads stop after some bytes.
struct Silenced {
    blob: Memory,
    reads: AtomicU64,
    is_silent: AtomicBool,
    stops_after: u64,
}

impl Source for Silenced {
    fn inner(&self) -> Option<&dyn Source> {
        None
    }

    fn open(&self, tail: u64) -> BoxFuture<'_, Result<Opened>> {
        self.blob.open(tail)
    }

    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        self.reads.fetch_add(1, SeqCst);
        if !self.is_silent.load(SeqCst) {
            return self.blob.read(range, priority);
        }
        let end = range.end.min(range.start + self.stops_after);
        let first = self.blob.read(range.start..end, priority);
        first.chain(futures_util::stream::pending()).boxed()
    }
}

/// Silence is noticed after the hedge delay, not after the idle timeout, however many reads wait.
#[tokio::test(start_paused = true)]
async fn a_silent_gateway_fails_over_at_the_hedge_delay() {
    let blob = crate::common::tree::bytes(3, 1 << 20);
    for stops_after in [0, 20_000] {
        let members = [0; 3].map(|_| {
            Arc::new(Silenced {
                blob: Memory::new("memory", blob.clone()),
                reads: AtomicU64::new(0),
                is_silent: AtomicBool::new(false),
                stops_after,
            })
        });
        let sources = members.iter().map(|member| {
            let source: Arc<dyn Source> = member.clone();
            source
        });
        let source = Gateways::new(sources.collect());
        source.open(0).await.expect("it opens");
        assert_eq!(reads(&source, &blob).await, []);
        let serving = members
            .iter()
            .max_by_key(|member| member.reads.load(SeqCst));
        serving.expect("three").is_silent.store(true, SeqCst);
        let before = Instant::now();
        let many =
            (0..10).map(|i| read(&source, i * 50_000..i * 50_000 + 50_000, Priority::Demand));
        for (at, got) in join_all(many).await.into_iter().enumerate() {
            let got = got.expect("from another");
            assert!(got == blob[at * 50_000..][..50_000], "read {at}");
        }
        let took = before.elapsed();
        assert!(took < Duration::from_millis(700), "{stops_after}: {took:?}");
    }
}

/// A server that answers 429 above some number of requests gets no more than that number from then on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_the_server_is_learned() {
    let content = content();
    let node = content.node();
    let gateways = gateways(&[node.base()], false);
    let source = Retry::new(Arc::new(gateways), Duration::from_secs(10));
    source.open(0).await.expect("it opens");
    node.behave(Behaviour::AtMost(4));
    let many = || (0..12).map(|i| read(&source, i * 1000..i * 1000 + 1000, Priority::Demand));
    for got in join_all(many()).await {
        got.expect("in the end");
    }
    // Now it is known: hardly anything is refused any more.
    let before = node.requests();
    for got in join_all(many()).await {
        got.expect("at once");
    }
    let asked = node.requests() - before;
    assert!(asked <= 12 + 4, "{asked} requests for 12 ranges");
}

/// A blob with a few reads that begin very late, on a simulated clock.
struct Hiccups {
    blob: Memory,
    every: u64,
    reads: Arc<AtomicU64>,
}

impl Source for Hiccups {
    fn inner(&self) -> Option<&dyn Source> {
        Some(&self.blob)
    }

    fn open(&self, tail: u64) -> BoxFuture<'_, Result<Opened>> {
        self.blob.open(tail)
    }

    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        let turn = self.reads.fetch_add(1, SeqCst) + 1;
        let is_slow = turn.is_multiple_of(self.every);
        let pause = Duration::from_millis(if is_slow { 10_000 } else { 200 });
        let stream = self.blob.read(range, priority);
        let begin = async move {
            tokio::time::sleep(pause).await;
            stream
        };
        begin.into_stream().flatten().boxed()
    }
}

/// What stalls is asked of the next one as well; but of all requests, that is one in twenty.
#[tokio::test(start_paused = true)]
async fn hedges_cut_the_tail_and_are_few() {
    let blob = crate::common::tree::bytes(3, 1 << 20);
    for (every, may_be_slow) in [(40, 0), (4, 200)] {
        let counts = [0, 1].map(|_| Arc::new(AtomicU64::new(0)));
        let members = counts.iter().enumerate().map(|(at, reads)| {
            let source: Arc<dyn Source> = Arc::new(Hiccups {
                blob: Memory::new("memory", blob.clone()),
                every: if at == 0 { every } else { u64::MAX },
                reads: reads.clone(),
            });
            source
        });
        let source = Gateways::new(members.collect());
        source.open(0).await.expect("it opens");
        let mut slow = 0;
        // Two at once, so that one which stalls is not a gateway that is silent altogether.
        for round in 0..400u64 {
            let (source, blob) = (&source, &blob);
            let both = [0, 1].map(|i| async move {
                let at = (round * 2 + i) * 1000;
                let before = Instant::now();
                let got = read(source, at..at + 2000, Priority::Demand).await;
                assert!(got.expect("bytes") == blob[at as usize..][..2000]);
                u64::from(before.elapsed() > Duration::from_secs(2))
            });
            slow += join_all(both).await.iter().sum::<u64>();
        }
        let hedges = counts[1].load(SeqCst);
        assert!(slow <= may_be_slow, "every {every}th: {slow} were slow");
        assert!(hedges > 5, "{hedges} hedges");
        if every == 40 {
            assert!(hedges <= 41, "{hedges} hedges of 800 requests");
        }
    }
}

/// What was forged is told to be forged, its gateway is left alone, and none of it is given out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forging_gateway_is_not_asked_again() {
    let content = content();
    let nodes = content.nodes();
    let source = verified(content.cid, &bases(&nodes));
    source.open(0).await.expect("it opens");
    nodes[0].behave(Behaviour::Flipped);
    assert_eq!(reads(&*source, &content.bytes).await, []);
    let before = nodes[0].requests();
    assert!(before > 1, "it was asked first");
    nodes[0].behave(Behaviour::Good);
    assert_eq!(reads(&*source, &content.bytes).await, []);
    assert_eq!(nodes[0].requests(), before, "and not any more");
}

/// A blob that takes a while to be opened, longer if it brings its end.
struct Late(Memory);

impl Source for Late {
    fn inner(&self) -> Option<&dyn Source> {
        Some(&self.0)
    }

    fn open(&self, tail: u64) -> BoxFuture<'_, Result<Opened>> {
        async move {
            let size = self.0.open(0).await?.size;
            let pause = if tail > 0 { 140 } else { 100 };
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let mut end = self.0.read(size - tail..size, Priority::Demand);
            let tail = end.next().await.transpose()?;
            Ok(Opened { size, tail })
        }
        .boxed()
    }

    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        self.0.read(range, priority)
    }
}

/// The story: two of three gateways agreed on the size before the tail had come. The tail was then
/// thrown away and requested once more, so a mount through three gateways took twice the time of a
/// mount through one.
#[tokio::test(start_paused = true)]
async fn agreeing_on_a_size_does_not_fetch_the_tail_again() {
    let members = [0; 3].map(|_| {
        let source: Arc<dyn Source> = Arc::new(Late(Memory::new("memory", vec![1; 5000])));
        source
    });
    let source = Gateways::new(members.into());
    let before = Instant::now();
    let opened = source.open(1000).await.expect("they agree");
    assert!(opened.tail.is_some_and(|tail| tail.offset == 4000));
    assert!(before.elapsed() < Duration::from_millis(150));
}
