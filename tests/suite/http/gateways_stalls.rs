//! Gateways that stall one after the other, on a simulated clock: no read waits for an idle timeout if a gateway could
//! serve it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::gateways::read;
use aiozfs::gateways::Gateways;
use aiozfs::source::{ChunkStream, Error, Memory, Opened, Origin, Priority, Result, Source};
use futures_util::future::{BoxFuture, FutureExt, join_all};
use futures_util::stream::{self, StreamExt};
use tokio::time::{Instant, sleep};

/// After this time without bytes, a request ends with an error, as HTTP requests do by default.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// How a gateway answers a request.
#[derive(Clone, Copy)]
enum Answer {
    /// Its bytes, after this many seconds.
    Late(u64),
    NoConnection,
    NotFound,
    /// Nothing, until the request ends with an error.
    Silence,
}
use Answer::{Late, NoConnection, NotFound, Silence};

/// A gateway that answers each of its first requests as told, and all others with their bytes.
struct Gateway {
    blob: Memory,
    under_way: Arc<UnderWay>,
    answers: Mutex<VecDeque<Answer>>,
    requests: AtomicU64,
}

/// How many requests are under way to all gateways.
#[derive(Default)]
struct UnderWay {
    now: AtomicU64,
    most: AtomicU64,
}

/// Counts a request for as long as it lives.
struct Counted(Arc<UnderWay>);

impl Counted {
    fn new(under_way: &Arc<UnderWay>) -> Self {
        let now = under_way.now.fetch_add(1, SeqCst) + 1;
        under_way.most.fetch_max(now, SeqCst);
        Self(under_way.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, SeqCst);
    }
}

impl Gateway {
    fn requests(&self) -> u64 {
        self.requests.load(SeqCst)
    }
}

impl Source for Gateway {
    fn inner(&self) -> Option<&dyn Source> {
        Some(&self.blob)
    }

    fn open(&self, tail: u64) -> BoxFuture<'_, Result<Opened>> {
        self.blob.open(tail)
    }

    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        self.requests.fetch_add(1, SeqCst);
        let origin = Origin::new("gateway");
        let cause = String::from("refused");
        let (after, error) = match self.answers.lock().expect("answers").pop_front() {
            None => (Duration::ZERO, None),
            Some(Late(seconds)) => (Duration::from_secs(seconds), None),
            Some(NoConnection) => {
                let error = Error::Unreachable {
                    origin,
                    cause,
                    is_expected: true,
                };
                (Duration::ZERO, Some(error))
            }
            Some(NotFound) => (Duration::ZERO, Some(Error::NotFound { origin })),
            Some(Silence) => {
                let after = IDLE_TIMEOUT;
                (after, Some(Error::Timeout { origin, after }))
            }
        };
        let answer = match error {
            None => self.blob.read(range, priority),
            Some(error) => stream::iter([Err(error)]).boxed(),
        };
        let counted = Counted::new(&self.under_way);
        let answer = sleep(after).map(|()| answer).flatten_stream();
        answer
            .inspect(move |_| {
                let _ = &counted;
            })
            .boxed()
    }
}

/// A blob, the gateways that answer as told, and the source over them, which is open.
async fn gateways(answers: &[&[Answer]]) -> (Vec<u8>, Vec<Arc<Gateway>>, Gateways) {
    let blob = crate::common::tree::bytes(3, 1 << 20);
    let memory = Memory::new("memory", blob.clone());
    let under_way = Arc::new(UnderWay::default());
    let members = answers.iter().map(|answers| {
        Arc::new(Gateway {
            blob: memory.clone(),
            under_way: under_way.clone(),
            answers: Mutex::new(answers.iter().copied().collect()),
            requests: AtomicU64::new(0),
        })
    });
    let members: Vec<Arc<Gateway>> = members.collect();
    let sources = members.iter().cloned();
    let source = Gateways::new(sources.map(|member| member as Arc<dyn Source>).collect());
    source.open(0).await.expect("it opens");
    (blob, members, source)
}

/// Reads a part of the blob, compares it, and returns how long that took.
async fn time_of(source: &Gateways, blob: &[u8], at: usize) -> Duration {
    let before = Instant::now();
    let range = at as u64..at as u64 + 5000;
    let got = read(source, range, Priority::Demand).await;
    assert!(got.expect("bytes") == blob[at..at + 5000], "at {at}");
    before.elapsed()
}

/// A gateway that had refused the connection was not asked again as long as the requests to the other two were silent,
/// which was until their idle timeout. Reads with a deadline of 20 s failed on a busy machine.
#[tokio::test(start_paused = true)]
async fn a_gateway_that_has_recovered_serves_a_read_that_the_others_do_not_answer() {
    let (blob, _, source) = gateways(&[&[NoConnection], &[Silence], &[Silence]]).await;
    let took = time_of(&source, &blob, 0).await;
    assert!(took < Duration::from_secs(8), "{took:?}");
}

/// All three stall, one after the other, and answer other requests again.
#[tokio::test(start_paused = true)]
async fn a_read_that_all_gateways_left_unanswered_is_sent_again() {
    let (blob, members, source) = gateways(&[&[Silence; 2], &[Silence], &[Silence]]).await;
    let took = time_of(&source, &blob, 0).await;
    assert!(took < Duration::from_secs(8), "{took:?}");
    let requests: u64 = members.iter().map(|member| member.requests()).sum();
    assert!(requests <= 6, "each twice at most: {requests}");
}

/// After the replacement of a silent gateway had failed, no other gateway was asked until the idle timeout of the
/// silent one, because it counted as replaced.
#[tokio::test(start_paused = true)]
async fn the_next_gateway_is_asked_after_the_replacement_of_a_silent_one_fails() {
    let (blob, _, source) = gateways(&[
        &[NoConnection, Silence],
        &[NoConnection, NoConnection],
        &[NotFound],
    ])
    .await;
    let error = read(&source, 0..5000, Priority::Demand).await;
    error.expect_err("all three fail");
    // The first two may be asked again at once, the third is suspended for a minute.
    sleep(Duration::from_secs(1)).await;
    let took = time_of(&source, &blob, 0).await;
    assert!(took < Duration::from_secs(4), "{took:?}");
}

/// Twelve requests hang while their gateway answers others: for instance over connections that a router has forgotten.
/// The gateway is not silent, and there were hedges for four of them. The others waited for the idle timeout.
#[tokio::test(start_paused = true)]
async fn requests_that_hang_at_a_gateway_that_serves_others_are_sent_again() {
    let (blob, _, source) = gateways(&[&[Silence; 12], &[]]).await;
    let (source, blob) = (&source, &blob);
    let hanging = join_all((0..12).map(|i| time_of(source, blob, i * 5000)));
    let others = async {
        sleep(Duration::from_millis(10)).await;
        loop {
            time_of(source, blob, 500_000).await;
            sleep(Duration::from_millis(120)).await;
        }
    };
    tokio::select! {
        took = hanging => {
            let longest = took.into_iter().max().expect("twelve");
            assert!(longest < Duration::from_secs(8), "{longest:?}");
        }
        () = others => {}
    }
}

/// A gateway that needs long to find content is asked a second time, and its first answer counts.
#[tokio::test(start_paused = true)]
async fn a_slow_gateway_is_not_cut_off_and_gets_two_requests_at_most() {
    let (blob, members, source) = gateways(&[&[Late(12); 9]]).await;
    let took = time_of(&source, &blob, 0).await;
    assert_eq!(took.as_secs(), 12, "{took:?}");
    assert_eq!(members[0].requests(), 2);
}

/// Three gateways that all needed 12 s got the same range six times at once, also for read-ahead.
#[tokio::test(start_paused = true)]
async fn of_the_second_round_one_request_is_under_way_at_a_time_and_none_for_read_ahead() {
    for (priority, requests, at_once) in [(Priority::Demand, 6, 4), (Priority::Prefetch, 3, 3)] {
        let (blob, members, source) =
            gateways(&[&[Late(12); 9], &[Late(12); 9], &[Late(12); 9]]).await;
        let before = Instant::now();
        let got = read(&source, 0..5000, priority).await;
        assert!(got.expect("bytes") == blob[..5000]);
        assert_eq!(before.elapsed().as_secs(), 12, "{priority:?}");
        let sent: u64 = members.iter().map(|member| member.requests()).sum();
        assert_eq!(sent, requests, "{priority:?}");
        assert_eq!(
            members[0].under_way.most.load(SeqCst),
            at_once,
            "{priority:?}"
        );
    }
}
