//! Files that are read one after the other over a link, with a paused clock.

use std::sync::Arc;
use std::time::Duration;

use crate::common::link::{Carried, Link, Shape};
use crate::common::sparse::Sparse;
use aiozfs::archive::{EntryId, ParseOptions};
use aiozfs::reader::{Archive, ReaderOptions};
use tokio::time::Instant;

const KB: u64 = 1 << 10;

/// The sizes of a video's segments in four qualities, in kilobytes.
const SERIES: [(&str, u32); 4] = [
    ("1080p", 1510),
    ("360p", 225),
    ("480p", 400),
    ("720p", 1010),
];

const SEGMENTS: u32 = 150;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Follow {
    Bytes,
    Natural,
}

fn on_paused_clock<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(future)
}

/// A video's files in the order of their names, or in no order, as `zip -r` stores them.
fn video(is_ordered: bool) -> (u64, crate::common::link::Content) {
    let mut files: Vec<(String, u32)> = Vec::new();
    for (name, size) in SERIES {
        for n in 0..SEGMENTS {
            // Segments differ by a third.
            let size = size * 1000 / 100 * (85 + n * 7919 % 31);
            files.push((format!("hls/{name}_{n:04}.ts"), size));
        }
    }
    if !is_ordered {
        files.sort_by_key(|(name, _)| crc32fast::hash(name.as_bytes()));
    }
    let mut archive = Sparse::default();
    for (name, size) in files {
        archive.add(&name, size);
    }
    archive.finish()
}

/// Reads all files whose names begin with `prefix`, in the byte order of their names, as a shell's glob
/// does. Returns how long it took, how many bytes the files have, and what went through the link.
/// `follow` is the order in which the reader expects names. A mount expects the natural one, in which
/// 1080p is the last quality and not the first.
async fn read_all(
    is_ordered: bool,
    follow: Follow,
    prefix: &str,
    step: u64,
) -> (Duration, u64, Carried) {
    let (size, content) = video(is_ordered);
    let link = Link::new(Shape::new(50, 25.0, 100.0), size, content);
    let archive = Archive::open(
        link.clone(),
        ParseOptions::default(),
        ReaderOptions::default(),
    );
    let archive = Arc::new(archive.await.expect("an archive"));
    let index = archive.index().clone();
    let mut files: Vec<EntryId> = (0..index.len()).filter_map(|n| index.id(n)).collect();
    files.sort_by_key(|id| index.path(*id).to_vec());
    let mut order = files.clone();
    if follow == Follow::Natural {
        order.rotate_left(SEGMENTS as usize);
    }
    archive.follow_names(Box::new(move |id| {
        let at = order.iter().position(|other| *other == id)?;
        order.get(at + 1).copied()
    }));
    tokio::time::sleep(Duration::from_secs(1)).await;
    link.carried();
    let since = Instant::now();
    let mut bytes = 0;
    for id in files {
        if !index.path(id).starts_with(prefix.as_bytes()) {
            continue;
        }
        let size = index.get(id).size;
        let mut at = 0;
        while at < size {
            let end = (at + step).min(size);
            let got = archive.read(id, at..end).await.expect("a calm link");
            assert_eq!(got.len() as u64, end - at);
            at = end;
        }
        bytes += size;
    }
    (since.elapsed(), bytes, link.carried())
}

/// What is lost: a round trip or two until the reader has shown that it goes on and, if the next file
/// lies elsewhere, requests that are as short as the files.
#[test]
fn playing_and_copying_many_files_fill_the_link() {
    use Follow::{Bytes, Natural};
    let mut slow = Vec::new();
    for (what, is_ordered, follow, prefix, bars) in [
        (
            "one quality, in no order",
            false,
            Bytes,
            "hls/720p",
            [1.2, 1.08],
        ),
        (
            "one quality, in order",
            true,
            Bytes,
            "hls/720p",
            [1.18, 1.08],
        ),
        ("all, in no order", false, Bytes, "", [1.14, 1.1]),
        ("all, in order", true, Bytes, "", [1.06, 1.05]),
        // The bet on the next series is larger here, and one quality is not where it is expected.
        (
            "one quality, natural",
            false,
            Natural,
            "hls/720p",
            [1.2, 1.08],
        ),
        ("all, natural", false, Natural, "", [1.18, 1.15]),
    ] {
        // The kernel's read-ahead as it is by itself, and raised.
        for (step, bar) in [128 * KB, 1024 * KB].into_iter().zip(bars) {
            let (took, bytes, carried) =
                on_paused_clock(read_all(is_ordered, follow, prefix, step));
            let limit = Duration::from_millis(50) + Duration::from_secs_f64(bytes as f64 / 100e6);
            let times = took.as_secs_f64() / limit.as_secs_f64();
            let text = format!("{what}, {step}: {times:.2} {took:.2?} {carried:?}");
            println!("{text}");
            let in_vain = if follow == Bytes { 50 } else { 25 };
            assert!(carried.bytes < bytes + bytes / in_vain, "{text}");
            if times > bar {
                slow.push(text);
            }
        }
    }
    assert!(slow.is_empty(), "over their bars: {slow:#?}");
}

/// Each tiny file that was read made room for one more ahead of the reader, which became a request of its own.
#[test]
fn tiny_files_are_fetched_many_with_one_request() {
    let mut archive = Sparse::default();
    for n in 0..20_000 {
        archive.add(&format!("mail/{n:05}"), 100 + n * 7919 % 800);
    }
    let (size, content) = archive.finish();
    let (took, carried) = on_paused_clock(async {
        let link = Link::new(Shape::new(50, 25.0, 100.0), size, content);
        let (parse, options) = (ParseOptions::default(), ReaderOptions::default());
        let archive = Archive::open(link.clone(), parse, options).await;
        let archive = Arc::new(archive.expect("an archive"));
        let names = archive.index().clone();
        archive.follow_names(Box::new(move |id| names.id(id.index() + 1)));
        let since = Instant::now();
        link.carried();
        for id in archive.index().ids() {
            let size = archive.index().get(id).size;
            let got = archive.read(id, 0..size).await.expect("a calm link");
            assert_eq!(got.len() as u64, size);
        }
        (since.elapsed(), link.carried())
    });
    println!("{took:.3?}, {carried:?}");
    assert!(carried.requests < 100, "{carried:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
}

/// A large directory is requested all at once: one round trip for the end of the blob, one for the
/// rest of the directory, and one more while connections are made.
#[test]
fn a_large_directory_is_read_in_two_round_trips() {
    let mut archive = Sparse::default();
    for n in 0..60_000 {
        archive.add(
            &format!("photos/{:03}/{n:08}-of-a-long-year.jpg", n % 500),
            100,
        );
    }
    let (size, content) = archive.finish();
    let (took, carried) = on_paused_clock(async {
        let link = Link::new(Shape::new(50, 25.0, 100.0), size, content);
        let since = Instant::now();
        let archive = Archive::open(
            link.clone(),
            ParseOptions::default(),
            ReaderOptions::default(),
        );
        assert_eq!(archive.await.expect("an archive").index().len(), 60_000);
        (since.elapsed(), link.carried())
    });
    // Opening the link takes two round trips: one to connect and one to ask.
    let bytes = carried.bytes as f64 / 100e6;
    let limit = Duration::from_millis(4 * 50) + Duration::from_secs_f64(bytes);
    println!("{took:.3?} of {limit:.3?}, {carried:?}");
    assert!(
        took < limit + Duration::from_millis(20),
        "{took:?} of {limit:?}"
    );
}
