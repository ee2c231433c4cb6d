//! The reader over links that it was not made for, by a clock that stands still: what is measured
//! here depends on what is asked for and when, not on the machine.

mod common;

use std::time::Duration;

use aiozfs::reader::{Line, LineOptions};
use common::link::{Carried, Link, Shape};
use tokio::time::Instant;

const MB: u64 = 1 << 20;

fn on_paused_clock<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(future)
}

/// Opens a gigabyte behind `link`, as a mount does, and waits until that has calmed down.
async fn open(link: &std::sync::Arc<Link>, options: LineOptions) -> Line {
    let line = Line::open(link.clone(), 128 << 10, options).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    link.carried();
    line.expect("a calm link")
}

/// Reads the first 256 MiB in steps of a mebibyte.
async fn read_in_sequence(shape: Shape) -> (Duration, Carried) {
    let link = Link::plain(shape, 1 << 30);
    let line = open(&link, LineOptions::default()).await;
    let since = Instant::now();
    for at in 0..256 {
        let got = line.read(at * MB..(at + 1) * MB, 1 << 30).await;
        assert_eq!(got.expect("a calm link").len() as u64, MB);
    }
    (since.elapsed(), link.carried())
}

/// How many times as long as one round trip and the bytes a reader may take, of whom nothing is
/// known before. A request a round trip is all that a connection of HTTP/1.1 can do: with `r` what
/// one carries in a round trip, reading `n` bytes over `c` connections costs at least
/// `sqrt(2 c r / n)` times the bytes more (see `pace.rs`). Where all connections together are
/// slower than the link, that alone is a quarter at 50 ms and 10 MB/s, a third at 100 ms, half at
/// 200 ms.
fn bar(rtt: u64, connection: f64, total: f64) -> f64 {
    match (rtt, connection as u64, total as u64) {
        (50, 10, 300) => 1.4,
        (100, 10, 300) => 1.6,
        (200, 10, 300) => 1.8,
        // Three round trips until the link is known and full, of fourteen to eighteen.
        (50 | 100, 50, 300) => 1.35,
        (200, 50, 300) => 1.6,
        (100, 10, 100) => 1.3,
        (200, ..) => 1.5,
        _ => 1.22,
    }
}

/// `cargo test --test links -- --nocapture` shows the table.
#[test]
fn a_sequence_over_all_links() {
    let mut slow = Vec::new();
    println!(
        "rtt, MB/s a connection, MB/s in all: times of the limit, seconds, MB moved, requests"
    );
    for rtt in [10, 50, 100, 200] {
        for connection in [2.0, 10.0, 50.0] {
            for total in [20.0, 100.0, 300.0] {
                let shape = Shape::new(rtt, connection, total);
                let (took, carried) = on_paused_clock(read_in_sequence(shape));
                let (took, limit) = (took.as_secs_f64(), shape.limit(256 * MB, 16, 1));
                let times = took / limit.as_secs_f64();
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

/// Once a reader waited for all that it read, the blocks fetched ahead of it were never let go:
/// memory ran full, and it went on at one read a round trip.
#[test]
fn a_reader_that_always_waits_does_not_fill_the_memory() {
    let (took, _) = on_paused_clock(read_in_sequence(Shape::new(200, 10.0, 20.0)));
    assert!(took < Duration::from_secs(16), "{took:?}");
}

/// A read of a few kilobytes somewhere moves little more, and takes one round trip.
#[test]
fn random_reads_cost_little_more_than_their_bytes() {
    let (took, carried) = on_paused_clock(async {
        let link = Link::plain(Shape::new(50, 25.0, 100.0), 1 << 30);
        let line = open(&link, LineOptions::default()).await;
        let since = Instant::now();
        for n in 0..50 {
            let at = (n * 377 % 1000) * MB;
            let got = line.read(at..at + (64 << 10), 1 << 30).await;
            assert_eq!(got.expect("a calm link").len(), 64 << 10);
        }
        (since.elapsed(), link.carried())
    });
    assert!(took < Duration::from_millis(50 * 66), "{took:?}");
    assert!(carried.bytes < 20_000_000, "{carried:?}");
    assert_eq!(carried.requests, 50);
}
