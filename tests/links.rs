//! The reader over links that it was not made for, by a clock that stands still: what is measured
//! here depends on what is asked for and when, not on the machine.

mod common;

use std::time::Duration;

use aiozfs::reader::{BlobReader, ReaderOptions};
use common::link::{Carried, Link, Shape};
use tokio::time::Instant;

const MB: u64 = 1 << 20;

fn on_paused_clock<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(future)
}

/// Opens a gigabyte behind `link`, as a mount does, and waits until that has calmed down.
async fn open(link: &std::sync::Arc<Link>, options: ReaderOptions) -> BlobReader {
    let line = BlobReader::open(link.clone(), 128 << 10, options).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    link.carried();
    line.expect("a calm link")
}

/// Reads the first 256 MiB in steps of a mebibyte.
async fn read_in_sequence(link: std::sync::Arc<Link>) -> (Duration, Carried) {
    let line = open(&link, ReaderOptions::default()).await;
    let since = Instant::now();
    for at in 0..256 {
        let got = line.read(at * MB..(at + 1) * MB, 1 << 30).await;
        assert_eq!(got.expect("a calm link").len() as u64, MB);
    }
    (since.elapsed(), link.carried())
}

/// A sequence over all kinds of links, each of which must take no more times as long as one round trip
/// and the bytes than its bar says.
fn over_all_links(
    link: fn(Shape) -> std::sync::Arc<Link>,
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
fn a_sequence_over_all_links() {
    over_all_links(
        |shape| Link::plain(shape, 1 << 30),
        |rtt, _, _| if rtt == 200 { 1.5 } else { 1.2 },
    );
}

/// Where requests cannot be sent early, a connection carries nothing for a round trip before each
/// part. With `r` what one carries in a round trip, reading `n` bytes over `c` connections costs at
/// least `sqrt(2 c r / n)` times the bytes more (see `pace.rs`). Where all connections together are
/// slower than the link, that alone is a quarter at 50 ms and 10 MB/s, a third at 100 ms, half at
/// 200 ms.
#[test]
fn a_sequence_over_all_links_with_a_pause_before_each_part() {
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

/// Once a reader waited for all that it read, the blocks fetched ahead of it were never let go:
/// memory ran full, and it went on at one read a round trip.
#[test]
fn a_reader_that_always_waits_does_not_fill_the_memory() {
    let link = || Link::plain(Shape::new(200, 10.0, 20.0), 1 << 30);
    let (took, _) = on_paused_clock(async { read_in_sequence(link()).await });
    assert!(took < Duration::from_secs(16), "{took:?}");
}

/// A read of a few kilobytes somewhere moves little more, and takes one round trip.
#[test]
fn random_reads_cost_little_more_than_their_bytes() {
    let (took, carried) = on_paused_clock(async {
        let link = Link::plain(Shape::new(50, 25.0, 100.0), 1 << 30);
        let line = open(&link, ReaderOptions::default()).await;
        let since = Instant::now();
        for n in 0..50 {
            let at = (n * 377 % 1000) * MB;
            let got = line.read(at..at + (64 << 10), 1 << 30).await;
            assert_eq!(got.expect("a calm link").len(), 64 << 10);
        }
        (since.elapsed(), link.carried())
    });
    assert!(took < Duration::from_millis(50 * 66), "{took:?}");
    // The first might have been the beginning of something.
    let asked = (3 * 256 + 47 * 64) << 10;
    assert!(carried.bytes <= asked + 50 * 1024, "{carried:?}");
    assert_eq!(carried.requests, 50);
}

/// Reads 16 MiB in sequence over a slow link, and stops while much is still on its way.
async fn read_and_stop() -> (std::sync::Arc<Link>, BlobReader) {
    let link = Link::plain(Shape::new(50, 2.0, 20.0), 1 << 30);
    let line = open(&link, ReaderOptions::default()).await;
    for at in 0..16 {
        let read = line.read(at * MB..(at + 1) * MB, 1 << 30);
        read.await.expect("a calm link");
    }
    // Whoever decides to go elsewhere has seen something.
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(line.status().requests_in_flight >= 8);
    link.carried();
    (link, line)
}

/// A seek gives up what is being fetched for the place that was left.
#[test]
fn a_seek_does_not_wait_for_what_was_left() {
    on_paused_clock(async {
        let (link, line) = read_and_stop().await;
        let since = Instant::now();
        let read = line.read(600 * MB..600 * MB + (128 << 10), 1 << 30);
        read.await.expect("a calm link");
        let took = since.elapsed();
        assert!(took < Duration::from_millis(50 * 4), "{took:?}");
        tokio::time::sleep(Duration::from_secs(10)).await;
        let moved = link.carried().bytes;
        assert!(moved < 2_000_000, "{moved} bytes");
        assert_eq!(line.status().requests_in_flight, 0);
    });
}

/// What had come when a place was left is not asked for again, and what had not come is.
#[test]
fn a_seek_back_finds_what_had_come() {
    on_paused_clock(async {
        let (link, line) = read_and_stop().await;
        let read = line.read(600 * MB..600 * MB + (128 << 10), 1 << 30);
        read.await.expect("a calm link");
        link.carried();
        let read = line.read(15 * MB..16 * MB, 1 << 30);
        read.await.expect("in memory");
        assert_eq!(link.carried().requests, 0);
        for at in 16..48 {
            let read = line.read(at * MB..(at + 1) * MB, 1 << 30);
            read.await.expect("a calm link");
        }
        assert!(link.carried().bytes > 8_000_000);
    });
}

/// Readers of one file who take turns are not taken for one who seeks.
#[test]
fn readers_side_by_side_do_not_cancel_each_other() {
    let carried = on_paused_clock(async {
        let link = Link::plain(Shape::new(50, 10.0, 100.0), 1 << 30);
        let line = open(&link, ReaderOptions::default()).await;
        let reader = |start: u64| {
            let line = line.clone();
            async move {
                for at in start..start + 32 {
                    let read = line.read(at * MB..(at + 1) * MB, 1 << 30);
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

/// Players that had just begun, and so had waited for their first bytes, were taken to share the link:
/// who copied beside them looked too little ahead to fill it.
#[test]
fn players_take_no_more_of_the_link_from_a_copy_than_they_read() {
    const STEP: u64 = 128 << 10;
    const COPIED: u64 = 256 * MB;
    let link = Link::plain(Shape::new(50, 25.0, 100.0), 1 << 30);
    let took = on_paused_clock(async {
        let line = open(&link, ReaderOptions::default()).await;
        let players = (1..4).map(|n| {
            let line = line.clone();
            tokio::spawn(async move {
                let (mut at, mut due) = (n * 256 * MB, Instant::now());
                loop {
                    let got = line.read(at..at + STEP, (n + 1) * 256 * MB).await;
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
            let got = line.read(at..at + MB, COPIED).await;
            got.expect("a calm link");
        }
        players.iter().for_each(|player| player.abort());
        since.elapsed()
    });
    // What it copies takes 2.7 s of the link, and what the players read 0.1 s.
    assert!(took < Duration::from_millis(3100), "{took:?}");
}
