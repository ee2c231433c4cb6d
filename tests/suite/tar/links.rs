//! The walk over a tar on simulated links, with a paused clock: what it costs depends only on what is requested.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use aiozfs::archive::{Index, ParseOptions};
use aiozfs::reader::{Archive, ReaderOptions};
use bytes::Bytes;
use tokio::time::Instant;

use super::made::Header;
use crate::common::link::{Carried, Link, Shape};

/// A tar of members that are not stored: only their headers are.
pub struct Members {
    sizes: Vec<u64>,
    starts: Vec<u64>,
    pub size: u64,
    /// The header of an empty member whose number is 0, and the sum of its other bytes.
    template: [u8; 512],
    sum: u32,
}

impl Members {
    pub fn new(sizes: Vec<u64>) -> Self {
        let mut at = 0;
        let starts = sizes.iter().map(|size| {
            let start = at;
            at += 512 + size.next_multiple_of(512);
            start
        });
        let starts: Vec<u64> = starts.collect();
        let size = at + 1024;
        let template = Header::new("s/0000000.ts", b'0', 0)
            .with(124, b"000000000000")
            .block();
        let sum = std::str::from_utf8(&template[148..154]).expect("digits");
        let sum = u32::from_str_radix(sum, 8).expect("digits") - 19 * u32::from(b'0');
        Self {
            sizes,
            starts,
            size,
            template,
            sum,
        }
    }

    fn bytes(&self, range: Range<u64>) -> Bytes {
        let mut out = vec![7; (range.end - range.start) as usize];
        let mut put = |at: u64, bytes: &[u8]| {
            let part = range.start.max(at)..range.end.min(at + bytes.len() as u64);
            if part.start < part.end {
                let to = (part.start - range.start) as usize..(part.end - range.start) as usize;
                let from = (part.start - at) as usize..(part.end - at) as usize;
                out[to].copy_from_slice(&bytes[from]);
            }
        };
        let first = self.starts.partition_point(|at| at + 512 <= range.start);
        for (n, at) in self.starts.iter().enumerate().skip(first) {
            if *at >= range.end {
                break;
            }
            put(*at, &self.header(n));
        }
        put(self.size - 1024, &[0; 1024]);
        out.into()
    }

    /// The header of a member. A million of them are made in a moment.
    fn header(&self, n: usize) -> [u8; 512] {
        let digits = |text: &str| text.bytes().map(u32::from).sum::<u32>();
        let (name, size) = (format!("{n:07}"), format!("{:012o}", self.sizes[n]));
        let mut block = self.template;
        block[2..9].copy_from_slice(name.as_bytes());
        block[124..136].copy_from_slice(size.as_bytes());
        let sum = self.sum + digits(&name) + digits(&size);
        block[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
        block
    }

    /// Opens it over a link.
    pub fn open(self, shape: Shape) -> (Arc<Index>, Duration, Carried) {
        open(self.size, move |range| self.bytes(range), shape)
    }
}

/// Opens an archive of `size` bytes over a link. Returns its index, and what that cost.
pub fn open(
    size: u64,
    bytes: impl Fn(Range<u64>) -> Bytes + Send + Sync + 'static,
    shape: Shape,
) -> (Arc<Index>, Duration, Carried) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async move {
        let link = Link::new(shape, size, Arc::new(bytes));
        let since = Instant::now();
        let options = ReaderOptions::default();
        let archive = Archive::open(link.clone(), ParseOptions::default(), options).await;
        let archive = archive.expect("a calm link");
        (archive.index().clone(), since.elapsed(), link.carried())
    })
}

/// 604 segments of 0.8 MB, as those of a film: the bar is four round trips and 1.2 times the transfer of what must be
/// read. All of it need not be read.
#[test]
fn film_of_604_segments_is_listed_in_less_time_than_its_transfer() {
    let sizes = (0..604u64).map(|n| 700_000 + n * 7919 % 216_000).collect();
    let members = Members::new(sizes);
    let size = members.size;
    let shape = Shape::new(50, 25.0, 100.0);
    let (index, took, carried) = members.open(shape);
    assert_eq!((index.len(), index.problem()), (604, None));
    println!("{took:?} {carried:?}");
    let whole = size as f64 / 100e6;
    assert!(
        took.as_secs_f64() < 4.0 * 0.05 + 1.2 * whole,
        "{took:?}, whole {whole} s"
    );
    assert!(took.as_secs_f64() < 3.0, "{took:?}");
    assert!(carried.bytes < size / 8, "{carried:?}");
}

/// Over links of many kinds, the walk takes no longer than the better of the two plain ways by much: all bytes at the
/// rate of the link, or one round trip a member.
#[test]
fn walk_is_near_the_better_of_both_ways_on_any_link() {
    let mut slow = Vec::new();
    for rtt in [1, 50, 200] {
        for (connection, total) in [(5.0, 10.0), (25.0, 100.0)] {
            for (count, size) in [
                (5000u64, 3000u64),
                (1000, 60_000),
                (300, 1_000_000),
                (100, 20_000_000),
            ] {
                let sizes = (0..count).map(|n| size / 2 + n * 7919 % size).collect();
                let members = Members::new(sizes);
                let bytes = members.size;
                let (index, took, carried) = members.open(Shape::new(rtt, connection, total));
                assert_eq!((index.len() as u64, index.problem()), (count, None));
                let through = bytes as f64 / (total * 1e6);
                let skipping = count as f64 * rtt as f64 / 1000.0;
                // Connecting, and the growth of read-ahead.
                let least = 0.8 + 30.0 * rtt as f64 / 1000.0;
                let bar = least + 1.6 * through.min(skipping);
                let line = format!(
                    "{rtt} ms, {connection}/{total} MB/s, {count} of {size}: {took:?}, bar {bar:.2} s, {carried:?}"
                );
                println!("{line}");
                if took.as_secs_f64() > bar {
                    slow.push(line);
                }
            }
        }
    }
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}

/// A member that is larger than all that is worth reading through costs its header and no more.
#[test]
fn large_members_are_skipped() {
    let members = Members::new(vec![40_000_000_000; 5]);
    let (index, took, carried) = members.open(Shape::new(50, 25.0, 100.0));
    assert_eq!((index.len(), index.problem()), (5, None));
    assert!(carried.bytes < 1 << 20, "{carried:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
}

/// A million small members, with a bound on the memory that their index takes.
#[test]
fn million_members_have_a_compact_index() {
    let members = Members::new(vec![0; 1_000_000]);
    let (index, _, carried) = members.open(Shape::new(1, 1000.0, 1000.0));
    assert_eq!((index.len(), index.problem()), (1_000_000, None));
    assert!(carried.requests < 2000, "{carried:?}");
    let each = index.stored_len() as f64 / 1e6;
    assert!(each < 60.0, "{each} bytes a member");
}
