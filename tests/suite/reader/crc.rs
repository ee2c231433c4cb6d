//! Entries are compared with their CRC-32 as they are read, over sources that give wrong bytes once,
//! always, or on one of two servers.
//!
//! What must hold: the read of an entry's last byte fails if a byte was wrong; from then on only right
//! bytes of the entry are given out; right bytes are never found wrong.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aiozfs::archive::{EntryId, ParseOptions, TAIL};
use aiozfs::gateways::Gateways;
use aiozfs::reader::{Archive, Error, ReaderOptions};
use aiozfs::source::{self, Chunk, ChunkStream, Opened, Origin, Priority, Source};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, join_all, ready};
use futures_util::stream::{self, StreamExt};
use proptest::prelude::*;

/// How the kernel reads.
const STEP: u64 = 128 << 10;

/// An archive of stored files, and where their data begins.
fn zip(files: &[(&str, Vec<u8>)]) -> (Vec<u8>, Vec<u64>) {
    let (mut bytes, mut directory, mut starts) = (Vec::new(), Vec::new(), Vec::new());
    for (name, data) in files {
        let offset = bytes.len() as u32;
        let crc = crc32fast::hash(data).to_le_bytes();
        let sizes = [(data.len() as u32).to_le_bytes(); 2].concat();
        let name_len = (name.len() as u16).to_le_bytes();
        let common = [&[20, 0, 0, 8, 0, 0, 0, 0, 0x21, 0x58], &crc[..], &sizes].concat();
        let local = [b"PK\x03\x04", &common[..], &name_len, &[0, 0]];
        bytes.extend([&local.concat(), name.as_bytes()].concat());
        starts.push(bytes.len() as u64);
        bytes.extend(data);
        directory.extend([b"PK\x01\x02", &[20, 3][..], &common, &name_len, &[0; 8]].concat());
        directory.extend((0o100_644u32 << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, len) = (bytes.len() as u32, directory.len() as u32);
    let count = (files.len() as u16).to_le_bytes();
    bytes.extend(directory);
    bytes.extend([b"PK\x05\x06", &[0; 4][..], &count, &count].concat());
    bytes.extend([len.to_le_bytes(), start.to_le_bytes()].concat());
    bytes.extend([0, 0]);
    (bytes, starts)
}

fn content(seed: u64, len: usize) -> Vec<u8> {
    let words = (seed..).map(|i| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    words.flat_map(u64::to_le_bytes).skip(5).take(len).collect()
}

/// Gives a blob in which the bits of some bytes are inverted.
struct Liar {
    blob: Bytes,
    origin: Origin,
    wrong: Mutex<Vec<u64>>,
    rejected: Mutex<Vec<Range<u64>>>,
    sent: AtomicU64,
}

impl Liar {
    fn new(name: &str, blob: &[u8]) -> Arc<Self> {
        Arc::new(Self {
            blob: Bytes::copy_from_slice(blob),
            origin: Origin::new(name),
            wrong: Mutex::default(),
            rejected: Mutex::default(),
            sent: AtomicU64::new(0),
        })
    }

    fn lie_at(&self, offset: u64) {
        self.wrong.lock().expect("wrong").push(offset);
    }

    fn mend(&self) {
        self.wrong.lock().expect("wrong").clear();
    }

    fn rejected(&self) -> Vec<Range<u64>> {
        self.rejected.lock().expect("rejected").clone()
    }
}

impl Source for Liar {
    fn inner(&self) -> Option<&dyn Source> {
        None
    }

    fn open(&self, _tail: u64) -> BoxFuture<'_, source::Result<Opened>> {
        let size = self.blob.len() as u64;
        ready(Ok(Opened { size, tail: None })).boxed()
    }

    fn read(&self, range: Range<u64>, _priority: Priority) -> ChunkStream {
        self.sent.fetch_add(range.end - range.start, SeqCst);
        let mut bytes = self.blob[range.start as usize..range.end as usize].to_vec();
        for at in self.wrong.lock().expect("wrong").iter() {
            if range.contains(at) {
                bytes[(at - range.start) as usize] ^= 0xff;
            }
        }
        let (bytes, origin, start) = (Bytes::from(bytes), self.origin.clone(), range.start);
        let pieces = (0..bytes.len()).step_by(50_000);
        let chunks: Vec<_> = pieces
            .map(|at| {
                Ok(Chunk {
                    offset: start + at as u64,
                    bytes: bytes.slice(at..bytes.len().min(at + 50_000)),
                    origin: origin.clone(),
                })
            })
            .collect();
        let late = tokio::time::sleep(Duration::from_millis(5));
        stream::once(late)
            .flat_map(move |()| stream::iter(chunks.clone()))
            .boxed()
    }

    fn reject(&self, origin: &Origin, range: Range<u64>) {
        if *origin == self.origin {
            self.rejected.lock().expect("rejected").push(range);
        }
    }
}

/// An archive of one file, the servers that give it, and how often it was reported wrong.
struct Case {
    archive: Archive,
    liars: Vec<Arc<Liar>>,
    data: Vec<u8>,
    start: u64,
    id: EntryId,
    told: Arc<AtomicU64>,
}

impl Case {
    /// `count` gateways of an archive with a file of this size. None of it comes with the index.
    async fn new(size: usize, count: usize) -> Self {
        let data = content(1, size);
        let (blob, starts) = zip(&[
            ("dir/file.bin", data.clone()),
            ("next", content(2, TAIL as usize)),
        ]);
        let names = ["one", "two", "three"];
        let liars: Vec<_> = names[..count]
            .iter()
            .map(|name| Liar::new(name, &blob))
            .collect();
        let source: Arc<dyn Source> = match count {
            1 => liars[0].clone(),
            _ => {
                let members = liars.iter().map(|liar| liar.clone() as Arc<dyn Source>);
                Arc::new(Gateways::new(members.collect()))
            }
        };
        let (archive, told) = open(source, ReaderOptions::default()).await;
        Self {
            id: archive.index().id(0).expect("an entry"),
            archive,
            liars,
            data,
            start: starts[0],
            told,
        }
    }

    async fn read(&self, range: Range<u64>) -> Result<(), Error> {
        let got = self.archive.read(self.id, range.clone()).await?;
        let want = &self.data[range.start as usize..range.end as usize];
        assert!(got == want, "wrong bytes of {range:?}, and no error");
        Ok(())
    }

    /// Reads in the kernel's steps. Returns where that failed; the bytes before may be wrong.
    async fn read_through(&self) -> Result<(), (u64, Error)> {
        let size = self.data.len() as u64;
        for at in (0..size).step_by(STEP as usize) {
            let step = at..size.min(at + STEP);
            let read = self.archive.read(self.id, step).await;
            read.map_err(|error| (at, error))?;
        }
        Ok(())
    }

    /// Reads all in the kernel's steps, and compares.
    async fn assert_right(&self) {
        let size = self.data.len() as u64;
        for at in (0..size).step_by(STEP as usize) {
            let read = self.read(at..size.min(at + STEP)).await;
            assert_eq!(read, Ok(()), "from {at} on");
        }
    }

    fn last_step(&self) -> u64 {
        (self.data.len() as u64 - 1) / STEP * STEP
    }

    fn error(&self) -> Error {
        let range = self.start..self.start + self.data.len() as u64;
        Error::Checksum { range }
    }
}

async fn open(source: Arc<dyn Source>, options: ReaderOptions) -> (Archive, Arc<AtomicU64>) {
    let archive = Archive::open(source, ParseOptions::default(), options).await;
    let archive = archive.expect("an archive").checking_crcs();
    let told = Arc::new(AtomicU64::new(0));
    let telling = told.clone();
    archive.on_wrong(Box::new(move |id| {
        assert_eq!(id.index(), 0);
        telling.fetch_add(1, SeqCst);
    }));
    (archive, told)
}

/// Runs with a paused clock.
fn run<T>(test: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(test)
}

/// Long enough that wrong entries have been reported, and may be fetched again.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(1100)).await;
}

const LARGE: usize = 3_000_001;

#[test]
fn reads_fail_until_the_only_server_gives_right_bytes() {
    run(async {
        let case = Case::new(LARGE, 1).await;
        case.liars[0].lie_at(case.start + 777_777);
        let (at, error) = case.read_through().await.expect_err("a wrong byte");
        assert_eq!((at, error), (case.last_step(), case.error()));
        pause().await;
        assert_eq!(case.told.load(SeqCst), 1);
        let wrong = case.start..case.start + LARGE as u64;
        assert_eq!(case.liars[0].rejected(), [wrong]);
        for _ in 0..3 {
            // Reads of right bytes fail as well.
            for at in [0, 777_000, 2_000_000, LARGE as u64 - 10] {
                assert_eq!(case.read(at..at + 10).await, Err(case.error()));
            }
            pause().await;
        }
        case.liars[0].mend();
        case.assert_right().await;
        assert_eq!(case.told.load(SeqCst), 1);
    });
}

#[test]
fn one_wrong_answer_then_right_bytes() {
    run(async {
        let case = Case::new(LARGE, 1).await;
        case.liars[0].lie_at(case.start);
        let opened = case.archive.moment();
        case.read_through().await.expect_err("a wrong byte");
        case.liars[0].mend();
        tokio::time::sleep(Duration::from_millis(10)).await;
        let sent = case.liars[0].sent.load(SeqCst);
        case.assert_right().await;
        case.assert_right().await;
        let sent = case.liars[0].sent.load(SeqCst) - sent;
        assert_eq!(sent, LARGE as u64, "fetched again once");
        // A reader that began before has got wrong bytes, and must get errors for a while.
        assert!(case.archive.outdated(case.id, opened).is_some());
        assert!(
            case.archive
                .outdated(case.id, case.archive.moment())
                .is_none()
        );
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(case.archive.outdated(case.id, opened).is_none());
        case.assert_right().await;
    });
}

#[test]
fn right_bytes_come_from_another_server() {
    run(async {
        let case = Case::new(LARGE, 3).await;
        for liar in &case.liars[..2] {
            liar.lie_at(case.start + LARGE as u64 - 1);
        }
        let (at, _) = case.read_through().await.expect_err("a wrong byte");
        assert_eq!(at, case.last_step());
        tokio::time::sleep(Duration::from_millis(10)).await;
        case.assert_right().await;
        let rejected = case.liars.iter().map(|liar| liar.rejected().len());
        assert_eq!(rejected.collect::<Vec<_>>(), [1, 1, 0]);
    });
}

/// Nothing of the file was given out, so only the log reports it.
#[test]
fn a_file_read_in_one_call_is_read_again_elsewhere_without_an_error() {
    run(async {
        let case = Case::new(100_000, 2).await;
        case.liars[0].lie_at(case.start + 5);
        assert_eq!(case.read(0..100_000).await, Ok(()));
        assert_eq!(case.liars[0].rejected().len(), 1);
        assert_eq!(case.told.load(SeqCst), 0);
        assert_eq!(case.archive.moment(), 0);
    });
}

/// After an error on a whole small file, the kernel asks for its pages one by one. A single page cannot
/// be compared with the CRC, and would be given out wrong.
#[test]
fn parts_of_a_wrong_file_fail_as_well() {
    run(async {
        let case = Case::new(100_000, 1).await;
        case.liars[0].lie_at(case.start + 5);
        assert_eq!(case.read(0..100_000).await, Err(case.error()));
        for at in [0, 4096, 99_000] {
            assert_eq!(case.read(at..at + 1000).await, Err(case.error()));
            let mut out = vec![7];
            let range = at..at + 1000;
            assert!(!case.archive.try_read(case.id, &range, &mut out));
            assert_eq!(out, [7]);
        }
        case.liars[0].mend();
        pause().await;
        assert_eq!(case.read(4096..5000).await, Ok(()));
        case.assert_right().await;
    });
}

/// A file that is found in memory is compared as well.
#[test]
fn bytes_found_in_memory_are_compared() {
    run(async {
        let case = Case::new(600_000, 1).await;
        case.liars[0].lie_at(case.start + 400_000);
        let (mut failed, mut from_memory) = (false, 0);
        for at in (0..600_000u64).step_by(STEP as usize) {
            let step = at..600_000.min(at + STEP);
            tokio::time::sleep(Duration::from_millis(50)).await;
            let mut out = Vec::new();
            if case.archive.try_read(case.id, &step, &mut out) {
                from_memory += 1
            } else {
                failed |= case.archive.read(case.id, step).await.is_err()
            }
        }
        assert!(failed && from_memory > 0, "{from_memory}");
        assert_eq!(case.liars[0].rejected().len(), 1);
    });
}

/// Bytes that were right are not compared again while they stay in memory. Bytes that are fetched anew
/// are.
#[test]
fn bytes_fetched_again_are_compared_again() {
    run(async {
        let (data, other) = (content(1, 2 << 20), content(2, 24 << 20));
        let (blob, starts) = zip(&[("a", data.clone()), ("b", other)]);
        let liar = Liar::new("one", &blob);
        // An eighth of the memory is for blocks that were read. The first file fits: with its header it
        // has nine blocks. (Of the least memory an eighth is eight blocks, and the file stayed only as
        // long as its stream held one of them.)
        let options = ReaderOptions {
            memory: 2 * ReaderOptions::MIN_MEMORY,
            ..ReaderOptions::default()
        };
        let (archive, told) = open(liar.clone(), options).await;
        let read = async |at: usize, size: u64| {
            let id = archive.index().id(at).expect("an entry");
            for at in (0..size).step_by(STEP as usize) {
                archive.read(id, at..size.min(at + STEP)).await?;
            }
            Ok::<(), Error>(())
        };
        let size = data.len() as u64;
        assert_eq!(read(0, size).await, Ok(()));
        liar.lie_at(starts[0] + 100);
        let sent = liar.sent.load(SeqCst);
        assert_eq!(read(0, size).await, Ok(()));
        assert_eq!(liar.sent.load(SeqCst), sent, "it was in memory");
        assert_eq!(read(1, 24 << 20).await, Ok(()));
        assert!(matches!(read(0, size).await, Err(Error::Checksum { .. })));
        pause().await;
        assert_eq!(told.load(SeqCst), 1);
    });
}

#[test]
fn readers_that_end_after_the_mismatch_get_an_error() {
    run(async {
        let case = Case::new(LARGE, 1).await;
        case.liars[0].lie_at(case.start + 9);
        let first: Vec<_> = (0..LARGE as u64).step_by(STEP as usize).collect();
        let reads = first.iter().map(|at| {
            let range = *at..(at + STEP).min(LARGE as u64);
            case.archive.read(case.id, range)
        });
        let results = join_all(reads).await;
        let failed = results.iter().filter(|result| result.is_err()).count();
        assert!(failed >= 1, "nobody was told");
        assert_eq!(case.read(50..60).await, Err(case.error()));
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Reads in any order, by one reader or several at once: right bytes are never found wrong, and one
    /// wrong byte is found at the end.
    #[test]
    fn any_order_of_reads_is_right_or_an_error(
        reads in prop::collection::vec((0u64..700_000, 1u64..200_000), 0..12),
        wrong in prop::option::of(0u64..700_000),
        at_once: bool,
        backwards: bool,
    ) {
        run(async {
            let size = 700_000;
            let case = Case::new(size as usize, 1).await;
            if let Some(wrong) = wrong {
                case.liars[0].lie_at(case.start + wrong);
            }
            let mut ranges: Vec<_> = reads.iter().map(|(at, len)| *at..size.min(at + len)).collect();
            let steps = (0..6).map(|n| n * STEP..size.min((n + 1) * STEP));
            if backwards { ranges.extend(steps.rev()) } else { ranges.extend(steps) }
            let read = async |range: Range<u64>| case.archive.read(case.id, range).await.map(drop);
            let results = if at_once { join_all(ranges.into_iter().map(read)).await } else {
                let mut results = Vec::new();
                for range in ranges {
                    results.push(read(range).await);
                }
                results
            };
            let failed = results.iter().any(Result::is_err);
            prop_assert_eq!(failed, wrong.is_some());
            for result in results {
                let is_expected = matches!(result, Ok(()) | Err(Error::Checksum { .. }));
                prop_assert!(is_expected, "{result:?}");
            }
            Ok(())
        })?;
    }
}
