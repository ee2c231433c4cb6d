//! The choice of a gateway, on a simulated clock: the fastest by its weight, and sometimes one that was not used for long.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::gateways::read;
use aiozfs::gateways::{Gateways, GatewaysOptions, Member};
use aiozfs::source::{ChunkStream, Memory, Opened, Origin, Priority, Result, Source};
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

const PART: u64 = 1 << 20;

/// A blob behind a link with a round trip of 50 ms. All reads share its bandwidth.
#[derive(Clone)]
struct Link {
    blob: Memory,
    state: Arc<Mutex<State>>,
}

struct State {
    rate: f64,
    free: Instant,
    reads: u64,
    sent: u64,
}

impl Link {
    fn new(blob: &Memory, rate: f64) -> Self {
        let free = Instant::now();
        Self {
            blob: blob.clone(),
            state: Arc::new(Mutex::new(State {
                rate,
                free,
                reads: 0,
                sent: 0,
            })),
        }
    }

    fn state<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.state.lock().expect("state"))
    }

    fn reads(&self) -> u64 {
        self.state(|state| state.reads)
    }

    fn sent(&self) -> u64 {
        self.state(|state| state.sent)
    }
}

impl Source for Link {
    fn inner(&self) -> Option<&dyn Source> {
        Some(&self.blob)
    }

    fn open(&self, tail: u64) -> BoxFuture<'_, Result<Opened>> {
        self.blob.open(tail)
    }

    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        self.state(|state| state.reads += 1);
        let link = self.clone();
        let begin = tokio::time::sleep(Duration::from_millis(50)).into_stream();
        let chunks = self.blob.read(range, priority).then(move |chunk| {
            let bytes = chunk.as_ref().map_or(0, |chunk| chunk.bytes.len());
            let until = link.state(|state| {
                state.sent += bytes as u64;
                let takes = Duration::from_secs_f64(bytes as f64 / state.rate);
                state.free = state.free.max(Instant::now()) + takes;
                state.free
            });
            tokio::time::sleep_until(until).map(|()| chunk)
        });
        let begin = begin.filter_map(|()| std::future::ready(None));
        begin.chain(chunks).boxed()
    }
}

/// Gateways with these rates and weights; they are open.
async fn gateways(blob: &[u8], members: &[(f64, f64)], stripe: bool) -> (Gateways, Vec<Link>) {
    let memory = Memory::new("memory", blob.to_vec());
    let links: Vec<Link> = members
        .iter()
        .map(|(rate, _)| Link::new(&memory, *rate))
        .collect();
    let known = members.iter().zip(&links).enumerate();
    let known = known.map(|(at, ((_, weight), link))| Member {
        name: Origin::new(format!("link {at}")),
        source: Arc::new(link.clone()),
        weight: *weight,
    });
    let options = GatewaysOptions {
        stripe,
        ..GatewaysOptions::default()
    };
    let source = Gateways::with(known.collect(), &options);
    source.open(0).await.expect("it opens");
    (source, links)
}

/// Reads the blob as read-ahead does, with `at_once` parts in parallel.
async fn read_ahead(source: &Gateways, blob: &[u8], at_once: usize) {
    let parts = blob.len() as u64 / PART;
    let parts = (0..parts).map(|at| read(source, at * PART..(at + 1) * PART, Priority::Prefetch));
    let mut done = stream::iter(parts).buffered(at_once).enumerate();
    while let Some((at, got)) = done.next().await {
        let is_right = got.expect("bytes") == blob[at << 20..(at + 1) << 20];
        assert!(is_right, "part {at}");
    }
}

/// Read-ahead that is striped takes from each gateway in proportion to its rate, and so comes as
/// fast as all of them together.
#[tokio::test(start_paused = true)]
async fn stripes_are_in_proportion_to_rates() {
    let blob = crate::common::tree::bytes(4, 64 << 20);
    let mut took = Vec::new();
    for stripe in [false, true] {
        let rates = [(20e6, 1.0), (10e6, 1.0), (5e6, 1.0)];
        let (source, links) = gateways(&blob, &rates, stripe).await;
        let before = Instant::now();
        read_ahead(&source, &blob, 14).await;
        took.push(before.elapsed().as_secs_f64());
        let share = |link: &Link| link.sent() as f64 / blob.len() as f64;
        let shares: Vec<f64> = links.iter().map(share).collect();
        if stripe {
            assert!((0.4..0.7).contains(&shares[0]), "{shares:?}");
            assert!((0.2..0.4).contains(&shares[1]), "{shares:?}");
            assert!((0.08..0.3).contains(&shares[2]), "{shares:?}");
        }
    }
    // 35 MB/s instead of 20, less what it takes to find that out.
    assert!(took[0] / took[1] > 1.35, "{took:?}");
}

/// Before anything is known, the heaviest is asked; afterwards a weight is how much faster it is
/// taken to be: a slower one that costs nothing may be preferred.
#[tokio::test(start_paused = true)]
async fn weights_are_preferences() {
    let blob = crate::common::tree::bytes(4, 64 << 20);
    for (weights, preferred) in [([1.0, 1.0], 0), ([1.0, 3.0], 1), ([3.0, 1.0], 0)] {
        let members = [(20e6, weights[0]), (15e6, weights[1])];
        let (source, links) = gateways(&blob, &members, false).await;
        read(&source, 0..1000, Priority::Demand)
            .await
            .expect("bytes");
        assert_eq!(links[preferred].reads(), 1, "{weights:?}: the first");
        for _ in 0..3 {
            read_ahead(&source, &blob, 4).await;
        }
        let (most, other) = (links[preferred].reads(), links[1 - preferred].reads());
        assert!(
            most > 180 && other < 10,
            "{weights:?}: {most} and {other} reads"
        );
    }
}

/// Who is never asked can never show that it is better. So one in fifty read-ahead requests goes to
/// one that has not been heard for half a minute; a demand read never does.
#[tokio::test(start_paused = true)]
async fn a_gateway_that_has_become_faster_is_found_out() {
    let blob = crate::common::tree::bytes(4, 64 << 20);
    let (source, links) = gateways(&blob, &[(10e6, 1.0), (2e6, 1.0)], false).await;
    for at in 0..200 {
        let wanted = at * 1000..(at + 1) * 1000;
        read(&source, wanted, Priority::Demand)
            .await
            .expect("bytes");
    }
    assert_eq!(links[1].reads(), 0, "demand is no time for trying");
    // 6.4 s each: one try in half a minute.
    for _ in 0..4 {
        read_ahead(&source, &blob, 4).await;
    }
    let tries = links[1].reads();
    assert!((1..=5).contains(&tries), "{tries} tries of 256 requests");

    links[1].state(|state| state.rate = 50e6);
    for _ in 0..16 {
        read_ahead(&source, &blob, 4).await;
    }
    let (before, other) = (links[1].reads(), links[0].reads());
    read_ahead(&source, &blob, 4).await;
    assert!(links[1].reads() - before > 60, "it serves");
    assert!(links[0].reads() - other < 4, "and the other one no longer");
}
