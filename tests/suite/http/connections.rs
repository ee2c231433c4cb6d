//! Connections that are made before they are needed: to which server, how many, and that a dead one is not used.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crate::common::fault::{Behaviour, FaultNode};
use aiozfs::gateways::Gateways;
use aiozfs::http::{Http, HttpOptions};
use aiozfs::source::{Priority, Source};
use futures_util::StreamExt;

const SIZE: u64 = 1 << 20;

/// The content: a byte tells where it lies.
fn byte_at(at: u64) -> u8 {
    ((at * 31) >> 8) as u8
}

/// The first and the last byte that the next request on a connection asks for; `None` at its end.
fn asked(reader: &mut impl BufRead) -> Option<(u64, u64)> {
    let mut range = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return None;
        }
        if let Some(spec) = line.to_lowercase().strip_prefix("range: bytes=") {
            let (first, last) = spec.trim().split_once('-').expect("a range");
            range = Some(match first {
                "" => (SIZE - last.parse::<u64>().expect("a number"), SIZE - 1),
                first => (
                    first.parse().expect("a number"),
                    last.parse().expect("a number"),
                ),
            });
        }
        if line == "\r\n" {
            return Some(range.expect("a Range header"));
        }
    }
}

/// The head and the body of an answer.
fn answer((first, last): (u64, u64), version: &str) -> (String, Vec<u8>) {
    let body: Vec<u8> = (first..=last).map(byte_at).collect();
    let head = format!(
        "HTTP/{version} 206 Partial Content\r\nContent-Range: bytes {first}-{last}/{SIZE}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    (head, body)
}

/// Answers requests on one connection; at most `most` of them.
fn serve(connection: TcpStream, version: &str, most: usize) {
    let mut reader = BufReader::new(connection.try_clone().expect("a copy"));
    let mut out = connection;
    for _ in 0..most {
        let Some(range) = asked(&mut reader) else {
            return;
        };
        let (head, body) = answer(range, version);
        if out.write_all(&[head.as_bytes(), &body].concat()).is_err() {
            return;
        }
    }
}

fn http(listener: &TcpListener) -> Http {
    let address = listener.local_addr().expect("an address");
    Http::new(&format!("http://{address}/a.zip"), HttpOptions::default()).expect("a URL")
}

async fn read(source: &dyn Source, at: u64) {
    read_as(source, at, Priority::Demand).await;
}

async fn read_as(source: &dyn Source, at: u64, priority: Priority) {
    let mut stream = source.read(at..at + 1000, priority);
    let mut got = Vec::new();
    while let Some(chunk) = stream.next().await {
        got.extend_from_slice(&chunk.expect("served").bytes);
    }
    let wanted: Vec<u8> = (at..at + 1000).map(byte_at).collect();
    assert!(got == wanted, "bytes from {at}");
}

/// A server of `python3 -m http.server`'s kind before it had threads serves one connection at a
/// time. One that is open and carries no request would keep it from all others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_one_connection_at_a_time_is_not_blocked() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let source = http(&listener);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            serve(connection.expect("a connection"), "1.0", 1);
        }
    });
    let reading = async {
        source.open(1000).await.expect("open");
        for at in 0..10 {
            source.warm_up(8);
            read(&source, at * 1000).await;
        }
    };
    let patience = Duration::from_secs(10);
    tokio::time::timeout(patience, reading)
        .await
        .expect("no deadlock");
}

/// The first large read after a mount had to wait for connections that could have been made while
/// its size was asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_made_while_the_first_answers_are_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let source = http(&listener);
    std::thread::spawn(move || {
        // Nobody is answered before there are six.
        let connections = listener.incoming().take(6).collect::<Vec<_>>();
        for connection in connections {
            let connection = connection.expect("a connection");
            std::thread::spawn(move || serve(connection, "1.1", usize::MAX));
        }
    });
    let opened = tokio::time::timeout(Duration::from_secs(10), source.open(1000));
    opened.await.expect("six connections").expect("open");
}

/// One that serves the last who came first, and so waits for a request where none was sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_waits_on_an_unused_connection_is_released() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let source = http(&listener);
    std::thread::spawn(move || {
        let mut first: Vec<_> = listener.incoming().take(6).collect();
        while let Some(connection) = first.pop() {
            serve(connection.expect("a connection"), "1.0", 1);
        }
        for connection in listener.incoming() {
            serve(connection.expect("a connection"), "1.0", 1);
        }
    });
    let reading = async {
        source.open(1000).await.expect("open");
        read(&source, 5000).await;
    };
    let patience = Duration::from_secs(10);
    (tokio::time::timeout(patience, reading).await).expect("no deadlock");
}

/// Ten reads ahead wait for the only connection; a read that somebody waits for is the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn demand_goes_before_what_is_read_ahead() {
    let node = FaultNode::start((0..SIZE).map(byte_at).collect());
    let options = HttpOptions {
        connections: 1,
        ..HttpOptions::default()
    };
    let source = Http::new(&node.url(), options).expect("a URL");
    source.open(0).await.expect("open");
    // The first takes its time, so that the others queue up behind it.
    node.behave(Behaviour::AtMost(64));
    let before = node.log().len();
    let ahead = (0..10).map(|n| read_as(&source, n * 1000, Priority::Prefetch));
    let demand = async {
        while node.log().len() == before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        read_as(&source, 900_000, Priority::Demand).await;
    };
    futures_util::join!(futures_util::future::join_all(ahead), demand);
    let log = node.log();
    let place = log[before..]
        .iter()
        .position(|head| head.contains("=900000-"));
    let place = place.expect("it was asked for");
    assert!(place <= 2, "{place} went before it");
}

/// Reads at eight places at once over connections that were made before, `still_open` or ended by
/// the server meanwhile; returns how many connections were made in all.
async fn eight_reads_after_warming_up(still_open: bool) -> usize {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let source = http(&listener);
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = accepted.clone();
    let open = Arc::new(std::sync::Mutex::new(Vec::new()));
    let held = open.clone();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let connection = connection.expect("a connection");
            count.fetch_add(1, SeqCst);
            held.lock()
                .expect("held")
                .push(connection.try_clone().expect("a copy"));
            std::thread::spawn(move || serve(connection, "1.1", usize::MAX));
        }
    });
    source.open(1000).await.expect("open");
    source.warm_up(8);
    let all_ready = async {
        while accepted.load(SeqCst) < 8 || source.warm_up(8) < 8 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let patience = Duration::from_secs(10);
    (tokio::time::timeout(patience, all_ready).await).expect("eight connections");
    if !still_open {
        for connection in open.lock().expect("held").drain(..) {
            let ended = connection.shutdown(std::net::Shutdown::Both);
            ended.expect("open until now");
        }
        // What the server sends last needs a moment to arrive.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let reads = (0..8).map(|n| read(&source, n * 1000));
    futures_util::future::join_all(reads).await;
    accepted.load(SeqCst)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_ready_before_they_are_needed() {
    assert_eq!(eight_reads_after_warming_up(true).await, 8);
}

/// A server ends connections that carry nothing for a while. Reads do not fail for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_have_ended_are_not_used() {
    assert!(eight_reads_after_warming_up(false).await > 8);
}

/// After a machine had slept, its router knew none of its connections any more. A read hung on one of them until the idle
/// timeout, and so did each repetition of it, on the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_whose_connections_were_all_lost_is_sent_over_a_new_one() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let source = Arc::new(http(&listener));
    let is_lost = Arc::new(AtomicBool::new(false));
    let lost = is_lost.clone();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let (connection, lost) = (connection.expect("a connection"), lost.clone());
            let is_new = lost.load(SeqCst);
            std::thread::spawn(move || {
                let mut reader = BufReader::new(connection.try_clone().expect("a copy"));
                let mut out = connection;
                while let Some(range) = asked(&mut reader) {
                    if lost.load(SeqCst) && !is_new {
                        continue; // The request never arrives.
                    }
                    std::thread::sleep(Duration::from_millis(50));
                    let (head, body) = answer(range, "1.1");
                    let written = out.write_all(&[head.as_bytes(), &body].concat());
                    written.expect("a client that listens");
                }
            });
        }
    });
    let gateways = Gateways::new(vec![source.clone()]);
    gateways.open(1000).await.expect("open");
    // At once, so that there are several connections.
    futures_util::future::join_all((0..5).map(|n| read(&*source, n * 1000))).await;
    is_lost.store(true, SeqCst);
    let before = Instant::now();
    read(&gateways, 50_000).await;
    let took = before.elapsed();
    assert!(took < Duration::from_secs(13), "{took:?}");
}
