//! The cost of an archive's size: `cargo bench --bench size`.
//!
//! A million entries in a thousand directories, a million in one, and five terabytes. Each line is a figure and its
//! limit. Everything is generated, and mounted from a local file or from a node in this process. Needs /dev/fuse and
//! about 400 MB of temporary disk.

#[path = "common/mod.rs"]
mod common;

use std::fmt::Display;
use std::fs;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use aiozfs::archive::{Index, IndexParser, ParseOptions};
use aiozfs::content::{Cid, Codec, Version};
use aiozfs::fs::{Ino, Owners, Symlinks, Tree, TreeOptions};
use aiozfs::serve::{Blob, Node};
use aiozfs::source::{Chunk, ChunkStream, Opened, Origin, Priority, Result, Source};
use bytes::Bytes;
use common::Mount;
use futures_util::future::{BoxFuture, FutureExt, ready};
use futures_util::stream::{self, StreamExt};

const MILLION: u64 = 1_000_000;

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    parsing();
    for (name, per_dir) in [("1,000 directories", 1000), ("one directory", MILLION)] {
        let path = dir.path().join("million.zip");
        write_archive(&path, MILLION, per_dir);
        million(name, &path);
        fs::remove_file(&path).expect("the archive");
    }
    for (what, per_dir, bar) in [
        ("100,000 files", 1000, "<= 0.8"),
        ("100,000 files in 20,000 directories", 5, ""),
    ] {
        let path = dir.path().join("hundred-thousand.zip");
        write_archive(&path, MILLION / 10, per_dir);
        let cache = dir.path().join("cache");
        let mount = Mount::new(path.to_str().expect("UTF-8"), &[], &cache);
        let took = find(&mount, "find . -size +0 | wc -l", MILLION / 10);
        let what = format!("find -size +0, {what}, s");
        figure(&what, took.as_secs_f64(), bar);
    }
    five_terabytes();
}

fn figure(what: &str, value: impl Display, bar: &str) {
    println!("{what:<58} {value:>10.3}   {bar}");
}

/// Seconds of processor time that this process has used.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("/proc");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .expect("fields")
        .split(' ')
        .collect();
    let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
    (ticks(12) + ticks(13)) / 100.0
}

fn parsing() {
    let per_entry = |entries: u64| {
        let (directory, size) = directory(entries, 1000);
        let rounds = (2 * MILLION / entries).max(1);
        let before = cpu_seconds();
        let mut tree = None;
        for _ in 0..rounds {
            tree = Some(Tree::build(Arc::new(parse(&directory, size)), options()));
        }
        let took = (cpu_seconds() - before) / (rounds * entries) as f64 * 1e9;
        (took, tree.expect("a tree"))
    };
    let (few, _) = per_entry(MILLION / 10);
    let (many, tree) = per_entry(MILLION);
    figure("index and tree, CPU ns an entry, 100,000 entries", few, "");
    figure(
        "index and tree, CPU ns an entry, 1,000,000 entries",
        many,
        "<= twice that",
    );
    lookups("1,000 directories", &tree);
    let (directory, size) = directory(MILLION, MILLION);
    lookups(
        "one directory",
        &Tree::build(Arc::new(parse(&directory, size)), options()),
    );
}

fn lookups(what: &str, tree: &Tree) {
    let mut at = 1u64;
    let names: Vec<(Ino, Vec<u8>)> = (0..200_000)
        .map(|_| {
            at = at
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let ino = Ino(2 + (at >> 33) % MILLION);
            let path = tree.path(ino);
            let name = path.rsplit(|b| *b == b'/').next().expect("a name").to_vec();
            (tree.parent(ino).expect("a parent"), name)
        })
        .collect();
    let before = Instant::now();
    let found = names
        .iter()
        .filter(|(dir, name)| tree.lookup(*dir, name).is_some())
        .count();
    let took = before.elapsed().as_secs_f64() / names.len() as f64 * 1e6;
    assert_eq!(found, names.len());
    figure(
        &format!("lookup of a random name, {what}, microseconds"),
        took,
        "<= 3",
    );
}

fn million(what: &str, path: &Path) {
    let cache = tempfile::tempdir().expect("a cache");
    let before = Instant::now();
    let mount = Mount::new(path.to_str().expect("UTF-8"), &[], cache.path());
    figure(
        &format!("mount, {what}, s"),
        before.elapsed().as_secs_f64(),
        "<= 2.5",
    );
    let (now, peak) = mount.memory();
    figure(&format!("resident memory, {what}, MB"), now, "<= 160");
    figure(&format!("peak memory, {what}, MB"), peak, "<= 260");
    let took = find(&mount, "find . -type f | wc -l", MILLION);
    figure(
        &format!("find | wc -l, {what}, s"),
        took.as_secs_f64(),
        "<= 3",
    );
}

fn options() -> TreeOptions {
    TreeOptions {
        uid: 0,
        gid: 0,
        owners: Owners::Given,
        fmask: 0,
        dmask: 0,
        symlinks: Symlinks::Inside,
    }
}

// --- archives ------------------------------------------------------------------------------

fn name(entry: u64, per_dir: u64) -> String {
    format!("d{:03}/f{entry:06}.txt", entry / per_dir)
}

fn local(name: &str, size: u32) -> Vec<u8> {
    let sizes = [size.to_le_bytes(), size.to_le_bytes()].concat();
    let len = (name.len() as u16).to_le_bytes();
    let fixed = [20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0x58, 0, 0, 0, 0];
    [
        b"PK\x03\x04",
        &fixed[..],
        &sizes,
        &len,
        &[0, 0],
        name.as_bytes(),
    ]
    .concat()
}

/// A record with the extra fields that Info-ZIP's `zip` writes.
fn record(out: &mut Vec<u8>, name: &str, size: u32, offset: u64) {
    let zip64 = offset >= u64::from(u32::MAX);
    let extra_len: u16 = 24 + if zip64 { 12 } else { 0 };
    out.extend(b"PK\x01\x02\x1e\x03\x14\x00\0\0\0\0\0\0\x21\x58\0\0\0\0");
    out.extend([size.to_le_bytes(), size.to_le_bytes()].concat());
    out.extend((name.len() as u16).to_le_bytes());
    out.extend(extra_len.to_le_bytes());
    out.extend([0; 6]);
    out.extend((0o100_644u32 << 16).to_le_bytes());
    out.extend(if zip64 { u32::MAX } else { offset as u32 }.to_le_bytes());
    out.extend(name.as_bytes());
    out.extend(b"UT\x05\0\x03\0\x10\x60\x65ux\x0b\0\x01\x04\0\0\0\0\x04\0\0\0\0");
    if zip64 {
        out.extend(
            [
                &1u16.to_le_bytes()[..],
                &8u16.to_le_bytes(),
                &offset.to_le_bytes(),
            ]
            .concat(),
        );
    }
}

fn end(out: &mut Vec<u8>, entries: u64, start: u64) {
    let (len, at) = (out.len() as u64, start + out.len() as u64);
    out.extend(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\0\x2d\0\0\0\0\0\0\0\0\0");
    out.extend(
        [entries, entries, len, start]
            .map(u64::to_le_bytes)
            .concat(),
    );
    out.extend(b"PK\x06\x07\0\0\0\0");
    out.extend(at.to_le_bytes());
    out.extend(b"\x01\0\0\0PK\x05\x06\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0");
}

const EACH: u32 = 10;

/// The central directory of `entries` small entries with its end, and the end of the blob.
fn directory(entries: u64, per_dir: u64) -> (Vec<u8>, u64) {
    let (mut out, mut offset) = (Vec::new(), 0);
    for entry in 0..entries {
        let name = name(entry, per_dir);
        record(&mut out, &name, EACH, offset);
        offset += 30 + name.len() as u64 + u64::from(EACH);
    }
    end(&mut out, entries, offset);
    let size = offset + out.len() as u64;
    (out, size)
}

fn write_archive(path: &Path, entries: u64, per_dir: u64) {
    let mut file = BufWriter::new(fs::File::create(path).expect("a file"));
    for entry in 0..entries {
        file.write_all(&local(&name(entry, per_dir), EACH))
            .expect("space");
        file.write_all(&[b'x'; EACH as usize]).expect("space");
    }
    file.write_all(&directory(entries, per_dir).0)
        .expect("space");
    file.flush().expect("space");
}

fn parse(directory: &[u8], size: u64) -> Index {
    let start = size - directory.len() as u64;
    let mut parser = IndexParser::new(size, ParseOptions::default()).expect("long enough");
    while let Some(wanted) = parser.wants() {
        let end = wanted.end.min(wanted.start + (512 << 10));
        let zeros;
        let bytes = match wanted.start.checked_sub(start) {
            Some(from) => &directory[from as usize..(end - start) as usize],
            None => {
                zeros = vec![0; (end - wanted.start) as usize];
                &zeros
            }
        };
        parser.feed(bytes).expect("an archive");
    }
    parser.finish().expect("an index")
}

// --- five terabytes --------------------------------------------------------------------------

/// Files of 1 GiB of nothing but their header; a blob that is computed, not kept.
struct Vast {
    tail: Bytes,
    start: u64,
}

const FILES: u64 = 5 * 1024;
const FILE: u64 = 1 << 30;
const HEADER: u64 = 64;

impl Vast {
    fn new() -> Self {
        let mut tail = Vec::new();
        for file in 0..FILES {
            record(
                &mut tail,
                &format!("f{file:04}"),
                FILE as u32,
                file * (FILE + HEADER),
            );
        }
        let start = FILES * (FILE + HEADER);
        end(&mut tail, FILES, start);
        Self {
            tail: tail.into(),
            start,
        }
    }

    fn size(&self) -> u64 {
        self.start + self.tail.len() as u64
    }

    fn byte(&self, at: u64) -> u8 {
        if at >= self.start {
            return self.tail[(at - self.start) as usize];
        }
        let (file, within) = (at / (FILE + HEADER), at % (FILE + HEADER));
        if within >= HEADER {
            return 0;
        }
        // A local header with an extra field that fills it up to 64 bytes.
        let mut header = local(&format!("f{file:04}"), FILE as u32);
        let extra = (HEADER as usize - header.len()) as u16;
        header[28..30].copy_from_slice(&extra.to_le_bytes());
        header.extend([&0xffffu16.to_le_bytes()[..], &(extra - 4).to_le_bytes()].concat());
        header.get(within as usize).copied().unwrap_or(0)
    }
}

impl Source for Vast {
    fn inner(&self) -> Option<&dyn Source> {
        None
    }

    fn open(&self, _tail: u64) -> BoxFuture<'_, Result<Opened>> {
        ready(Ok(Opened {
            size: self.size(),
            tail: None,
        }))
        .boxed()
    }

    fn read(&self, range: Range<u64>, _priority: Priority) -> ChunkStream {
        let mut pieces = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let end = (at + (64 << 10)).min(range.end);
            let bytes: Vec<u8> = (at..end).map(|at| self.byte(at)).collect();
            pieces.push(Ok(Chunk {
                offset: at,
                bytes: bytes.into(),
                origin: Origin::new("vast"),
            }));
            at = end;
        }
        stream::iter(pieces).boxed()
    }
}

fn five_terabytes() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let vast = Vast::new();
    let cid = Cid::of_block(Version::V1, Codec::Raw, b"a name for what has none");
    let node = Node::new();
    node.publish(Blob {
        cid,
        name: "vast.zip".into(),
        size: vast.size(),
        source: Arc::new(vast),
        tree: None,
    });
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let url = format!(
        "http://{}/ipfs/{cid}",
        listener.local_addr().expect("an address")
    );
    runtime.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        node.serve(listener, std::future::pending()).await
    });
    let cache = tempfile::tempdir().expect("a cache");
    let before = Instant::now();
    // Without a tree, nothing is verified.
    let mount = Mount::new(&url, &["--verify", "none"], cache.path());
    figure(
        "mount, 5 TiB in 5,120 files, s",
        before.elapsed().as_secs_f64(),
        "",
    );
    let far = mount.path().join("f5119");
    let before = Instant::now();
    let file = fs::File::open(&far).expect("the last file");
    let mut page = [1; 4096];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut page, FILE - 4096)
        .expect("its last page");
    assert_eq!(page, [0; 4096]);
    figure(
        "the last page of the last of them, s",
        before.elapsed().as_secs_f64(),
        "",
    );
    drop(file);
    drop(mount);
    runtime.shutdown_background();
}

fn find(mount: &Mount, command: &str, expected: u64) -> std::time::Duration {
    let before = Instant::now();
    let output = std::process::Command::new("sh")
        .args(["-c", command])
        .current_dir(mount.path())
        .output();
    let took = before.elapsed();
    let count = String::from_utf8(output.expect("find").stdout).expect("a number");
    let count: u64 = count.trim().parse().expect("a number");
    assert!(
        (expected..expected + 2000).contains(&count),
        "{count} found"
    );
    took
}
