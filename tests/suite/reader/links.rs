//! The reader over links of many kinds, with a paused clock: the figures depend on what is requested
//! and when, not on the machine.

use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::common::link::{Carried, Link, Shape};
use aiozfs::reader::{BlobReader, ReaderOptions};
use aiozfs::source::{self, ChunkStream, Hints, Opened, Origin, Priority, Source};
use futures_util::future::BoxFuture;
use tokio::time::Instant;

const MB: u64 = 1 << 20;

fn on_paused_clock<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(future)
}

/// Opens the blob behind `link` as a mount does, and waits until the link is idle.
async fn open(link: &Arc<Link>, options: ReaderOptions) -> BlobReader {
    let blob = BlobReader::open(link.clone(), 128 << 10, options).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    link.carried();
    blob.expect("a calm link")
}

/// Reads the first 256 MiB in steps of a mebibyte.
async fn read_in_sequence(link: Arc<Link>) -> (Duration, Carried) {
    let blob = open(&link, ReaderOptions::default()).await;
    let since = Instant::now();
    for at in 0..256 {
        let got = blob.read(at * MB..(at + 1) * MB, 1 << 30).await;
        assert_eq!(got.expect("a calm link").len() as u64, MB);
    }
    (since.elapsed(), link.carried())
}

/// Reads a sequence over all kinds of links. The time must not exceed that of one round trip and the
/// bytes by more than the factor that `bar` gives.
fn over_all_links(
    link: fn(Shape) -> Arc<Link>,
    bar: fn(rtt: u64, connection: u64, total: u64) -> f64,
) {
    let mut slow = Vec::new();
    println!(
        "rtt, MB/s a connection, MB/s in all: times of the limit, seconds, MB moved, requests"
    );
    for rtt in [10, 50, 100, 200] {
        for connection in [2, 10, 50] {
            for total in [20, 100, 300] {
                let shape = Shape::new(rtt, connection as f64, total as f64);
                let (took, carried) =
                    on_paused_clock(async { read_in_sequence(link(shape)).await });
                let (took, limit) = (took.as_secs_f64(), shape.limit(1.0, 256 * MB));
                let times = took / limit;
                let (moved, requests) = (carried.bytes as f64 / 1e6, carried.requests);
                let text = format!(
                    "{rtt:4} {connection:3} {total:4}: {times:.2} {took:6.2} {moved:4.0} {requests:4}"
                );
                println!("{text}");
                assert!(carried.most_at_once <= 16, "{text}: {carried:?}");
                if times > bar(rtt, connection, total) {
                    slow.push(text);
                }
            }
        }
    }
    assert!(slow.is_empty(), "over their bars: {slow:#?}");
}

/// `cargo test --test links -- --nocapture` shows the table.
#[test]
fn a_sequential_read_fills_every_link() {
    over_all_links(
        |shape| Link::plain(shape, 1 << 30),
        |rtt, _, _| if rtt == 200 { 1.5 } else { 1.2 },
    );
}

/// Without pipelining, a connection is idle for a round trip before each request. If a connection has
/// the bandwidth-delay product `r`, a read of `n` bytes over `c` connections costs at least
/// `sqrt(2 c r / n)` times the bytes more (see `BALANCE` in the reader's flow control). If all
/// connections together are slower than the link, that alone is a quarter at 50 ms and 10 MB/s, a
/// third at 100 ms, half at 200 ms.
#[test]
fn a_sequential_read_with_pauses_fills_every_link() {
    over_all_links(
        |shape| Link::with_pauses(shape, 1 << 30),
        |rtt, connection, total| match (rtt, connection, total) {
            (50, 10, 300) => 1.4,
            (100, 10, 300) => 1.6,
            (200, 10, 300) => 1.8,
            // Three round trips until the link is known and full, of fourteen to eighteen.
            (50 | 100, 50, 300) => 1.35,
            (200, 50, 300) => 1.6,
            (100, 10, 100) => 1.3,
            (200, ..) => 1.5,
            _ => 1.22,
        },
    );
}

/// When a reader waited for each of its reads, the blocks fetched ahead of it were never released:
/// memory filled up, and the reader went on at one read per round trip.
#[test]
fn a_stalled_stream_does_not_fill_memory() {
    let link = || Link::plain(Shape::new(200, 10.0, 20.0), 1 << 30);
    let (took, _) = on_paused_clock(async { read_in_sequence(link()).await });
    assert!(took < Duration::from_secs(16), "{took:?}");
}

/// A random read of a few kilobytes moves little more, and takes one round trip.
#[test]
fn random_reads_cost_little_more_than_their_bytes() {
    let (took, carried) = on_paused_clock(async {
        let link = Link::plain(Shape::new(50, 25.0, 100.0), 1 << 30);
        let blob = open(&link, ReaderOptions::default()).await;
        let since = Instant::now();
        for n in 0..50 {
            let at = (n * 377 % 1000) * MB;
            let got = blob.read(at..at + (64 << 10), 1 << 30).await;
            assert_eq!(got.expect("a calm link").len(), 64 << 10);
        }
        (since.elapsed(), link.carried())
    });
    assert!(took < Duration::from_millis(50 * 66), "{took:?}");
    // The first reads might have been the beginning of a sequence.
    let asked = (3 * 256 + 47 * 64) << 10;
    assert!(carried.bytes <= asked + 50 * 1024, "{carried:?}");
    assert_eq!(carried.requests, 50);
}

/// Reads 16 MiB in sequence over a slow link, and stops while much is still on its way.
async fn read_and_stop() -> (Arc<Link>, BlobReader) {
    let link = Link::plain(Shape::new(50, 2.0, 20.0), 1 << 30);
    let blob = open(&link, ReaderOptions::default()).await;
    for at in 0..16 {
        let read = blob.read(at * MB..(at + 1) * MB, 1 << 30);
        read.await.expect("a calm link");
    }
    // A user looks at what has been read before seeking.
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(blob.status().requests_in_flight >= 8);
    link.carried();
    (link, blob)
}

/// A seek cancels what is being fetched for the place that the reader has left.
#[test]
fn a_seek_cancels_read_ahead_of_the_old_place() {
    on_paused_clock(async {
        let (link, blob) = read_and_stop().await;
        let since = Instant::now();
        let read = blob.read(600 * MB..600 * MB + (128 << 10), 1 << 30);
        read.await.expect("a calm link");
        let took = since.elapsed();
        assert!(took < Duration::from_millis(50 * 4), "{took:?}");
        tokio::time::sleep(Duration::from_secs(10)).await;
        let moved = link.carried().bytes;
        assert!(moved < 2_000_000, "{moved} bytes");
        assert_eq!(blob.status().requests_in_flight, 0);
    });
}

/// After a seek back, only bytes that had not come are requested again.
#[test]
fn a_seek_back_requests_only_missing_bytes() {
    on_paused_clock(async {
        let (link, blob) = read_and_stop().await;
        let read = blob.read(600 * MB..600 * MB + (128 << 10), 1 << 30);
        read.await.expect("a calm link");
        link.carried();
        let read = blob.read(15 * MB..16 * MB, 1 << 30);
        read.await.expect("in memory");
        assert_eq!(link.carried().requests, 0);
        for at in 16..48 {
            let read = blob.read(at * MB..(at + 1) * MB, 1 << 30);
            read.await.expect("a calm link");
        }
        assert!(link.carried().bytes > 8_000_000);
    });
}

/// Two readers of one file that take turns are not taken for one reader that seeks.
#[test]
fn two_readers_of_a_file_do_not_cancel_each_other() {
    let carried = on_paused_clock(async {
        let link = Link::plain(Shape::new(50, 10.0, 100.0), 1 << 30);
        let blob = open(&link, ReaderOptions::default()).await;
        let reader = |start: u64| {
            let blob = blob.clone();
            async move {
                for at in start..start + 32 {
                    let read = blob.read(at * MB..(at + 1) * MB, 1 << 30);
                    read.await.expect("a calm link");
                }
            }
        };
        // The second begins while the first waits.
        let late = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            reader(500).await;
        };
        futures_util::join!(reader(0), late);
        link.carried()
    });
    // What is fetched ahead of either when it stops is in it.
    assert!(carried.bytes < 130_000_000, "{carried:?}");
}

/// Players that had just begun had waited for their first bytes, so they counted as sharing the link,
/// and the window of a simultaneous copy was too small to fill it.
#[test]
fn a_player_takes_no_more_of_the_link_than_it_reads() {
    const STEP: u64 = 128 << 10;
    const COPIED: u64 = 256 * MB;
    let link = Link::plain(Shape::new(50, 25.0, 100.0), 1 << 30);
    let took = on_paused_clock(async {
        let blob = open(&link, ReaderOptions::default()).await;
        let players = (1..4).map(|n| {
            let blob = blob.clone();
            tokio::spawn(async move {
                let (mut at, mut due) = (n * 256 * MB, Instant::now());
                loop {
                    let got = blob.read(at..at + STEP, (n + 1) * 256 * MB).await;
                    got.expect("a calm link");
                    at += STEP;
                    due += Duration::from_millis(200);
                    tokio::time::sleep_until(due).await;
                }
            })
        });
        let players: Vec<_> = players.collect();
        let since = Instant::now();
        for at in (0..COPIED).step_by(MB as usize) {
            let got = blob.read(at..at + MB, COPIED).await;
            got.expect("a calm link");
        }
        players.iter().for_each(|player| player.abort());
        since.elapsed()
    });
    // What it copies takes 2.7 s of the link, and what the players read 0.1 s.
    assert!(took < Duration::from_millis(3100), "{took:?}");
}

/// A source that looks at its reader whenever it is called.
struct Curious {
    source: Arc<Link>,
    reader: OnceLock<BlobReader>,
}

impl Curious {
    /// Would block for ever if the reader held its lock while it called the source.
    fn look(&self) {
        if let Some(reader) = self.reader.get() {
            reader.status();
        }
    }
}

impl Source for Curious {
    fn inner(&self) -> Option<&dyn Source> {
        Some(&*self.source)
    }

    fn open(&self, tail: u64) -> BoxFuture<'_, source::Result<Opened>> {
        self.source.open(tail)
    }

    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        self.look();
        self.source.read(range, priority)
    }

    fn verification_unit(&self, range: Range<u64>) -> Range<u64> {
        self.look();
        self.source.verification_unit(range)
    }

    fn reject(&self, _: &Origin, _: Range<u64>) {
        self.look();
    }

    fn warm_up(&self, reads: usize) -> usize {
        self.look();
        self.source.warm_up(reads)
    }

    fn hints(&self) -> Hints {
        self.look();
        self.source.hints()
    }
}

/// The reader asked the source where to cut requests, and for connections, with its state locked. All
/// reads of a mount waited while a source did so.
#[test]
fn the_source_is_never_called_with_the_reader_locked() {
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        on_paused_clock(async {
            let curious = Arc::new(Curious {
                source: Link::plain(Shape::new(50, 25.0, 100.0), 1 << 30),
                reader: OnceLock::new(),
            });
            let blob = BlobReader::open(curious.clone(), 0, ReaderOptions::default()).await;
            let blob = blob.expect("a calm link");
            let _ = curious.reader.set(blob.clone());
            // In sequence, within it, and elsewhere.
            for at in (0..32).chain(28..32).chain([900, 100]) {
                let read = blob.read(at * MB..(at + 1) * MB, 1 << 30).await;
                read.expect("a calm link");
            }
            blob.close();
        });
        done.send(()).expect("the test waits");
    });
    let ended = ended.recv_timeout(Duration::from_secs(60));
    ended.expect("the source was called with the reader locked");
}
