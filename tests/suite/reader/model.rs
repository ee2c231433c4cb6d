//! The reader against a plain model: random reads, seeks and cancellations, over a source that answers
//! in chunks of any size, late, with errors and with wrong bytes.
//!
//! What must hold: a read gives exactly its bytes or an error; it ends before its deadline; no byte
//! is in flight twice at once; memory stays within its bound; no request stays in flight for ever.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bytes::Bytes;

use aiozfs::reader::{BlobReader, Error, ReaderOptions};
use aiozfs::source::{self, Chunk, ChunkStream, Opened, Origin, Priority, Source};
use futures_util::future::{BoxFuture, FutureExt, ready};
use futures_util::stream::{self, StreamExt};
use proptest::prelude::*;

const SIZE: u64 = 48 << 20;
const MEMORY: u64 = 16 << 20;
const TIMEOUT: Duration = Duration::from_secs(20);

/// All words of 8 bytes differ. The content is longer than the blob, for a source that gives too much.
static BLOB: LazyLock<Bytes> = LazyLock::new(|| {
    let words = (0..SIZE / 8 + 1).map(|i| i.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    words.flat_map(u64::to_le_bytes).collect::<Vec<u8>>().into()
});

fn bytes_of(range: &Range<u64>) -> Bytes {
    BLOB.slice(range.start as usize..range.end as usize)
}

/// xorshift64*: all random choices follow from the seed of the case.
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }
}

/// How a source misbehaves, in percent of its answers.
#[derive(Debug, Clone, Copy)]
struct Temper {
    unit: u64,
    fails: u64,
    lies: u64,
    stalls: u64,
}

struct Wild {
    temper: Temper,
    dice: Mutex<Dice>,
    on_their_way: Arc<Mutex<Vec<Range<u64>>>>,
    asked_twice: AtomicU64,
    requests: AtomicU64,
    bytes: AtomicU64,
}

/// Removes a range from the list when its stream ends or is dropped.
struct Struck(Arc<Mutex<Vec<Range<u64>>>>, Range<u64>);

impl Drop for Struck {
    fn drop(&mut self) {
        let mut list = self.0.lock().expect("the list");
        let at = list
            .iter()
            .position(|r| *r == self.1)
            .expect("a range that was entered");
        list.swap_remove(at);
    }
}

impl Wild {
    fn new(seed: u64, temper: Temper) -> Arc<Self> {
        Arc::new(Self {
            temper,
            dice: Mutex::new(Dice(seed | 1)),
            on_their_way: Arc::default(),
            asked_twice: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        })
    }

    fn error(range: &Range<u64>, got: u64) -> source::Error {
        source::Error::Cut {
            origin: Origin::new("wild"),
            range: range.clone(),
            got,
        }
    }
}

impl Source for Wild {
    fn inner(&self) -> Option<&dyn Source> {
        None
    }

    fn open(&self, _tail: u64) -> BoxFuture<'_, source::Result<Opened>> {
        ready(Ok(Opened {
            size: SIZE,
            tail: None,
        }))
        .boxed()
    }

    fn verification_unit(&self, range: Range<u64>) -> Range<u64> {
        let g = self.temper.unit;
        range.start / g * g..(range.end.div_ceil(g) * g).min(SIZE)
    }

    fn read(&self, range: Range<u64>, _priority: Priority) -> ChunkStream {
        assert!(
            range.start < range.end && range.end <= SIZE,
            "asked for {range:?}"
        );
        self.requests.fetch_add(1, SeqCst);
        self.bytes.fetch_add(range.end - range.start, SeqCst);
        let mut list = self.on_their_way.lock().expect("the list");
        if list
            .iter()
            .any(|other| other.start < range.end && range.start < other.end)
        {
            self.asked_twice.fetch_add(1, SeqCst);
        }
        list.push(range.clone());
        let struck = Struck(self.on_their_way.clone(), range.clone());
        let mut dice = Dice(self.dice.lock().expect("dice").below(u64::MAX) | 1);
        let (fate, temper) = (dice.below(100), self.temper);
        let length = range.end - range.start;
        // Where it goes wrong, if it does.
        let turn = range.start + dice.below(length);
        stream::unfold(
            (range.start, dice, struck),
            move |(at, mut dice, struck)| {
                let range = range.clone();
                async move {
                    if at >= range.end {
                        return None;
                    }
                    tokio::time::sleep(Duration::from_millis(dice.below(60))).await;
                    let len = (1 + dice.below(300_000)).min(range.end - at);
                    let mut end = at + len;
                    if fate < temper.fails && end > turn {
                        return Some((
                            Err(Wild::error(&range, at - range.start)),
                            (range.end, dice, struck),
                        ));
                    }
                    let mut offset = at;
                    if (temper.fails..temper.fails + temper.lies).contains(&fate) && end > turn {
                        // Shifted bytes, or more than requested: the reader must notice both.
                        match dice.below(2) {
                            0 => offset += 1,
                            _ => end = range.end + 1,
                        }
                    }
                    if fate >= 100 - temper.stalls && end > turn {
                        tokio::time::sleep(TIMEOUT * 3).await;
                    }
                    let bytes = bytes_of(&(at..end));
                    let chunk = Chunk {
                        offset,
                        bytes,
                        origin: Origin::new("wild"),
                    };
                    Some((Ok(chunk), (end, dice, struck)))
                }
            },
        )
        .boxed()
    }
}

/// One reader, which reads in sequence, seeks, comes back, and cancels reads.
async fn reader(blob: BlobReader, mut dice: Dice, steps: u64) -> Result<(), String> {
    let mut place = dice.below(SIZE);
    for _ in 0..steps {
        if dice.below(6) == 0 {
            place = dice.below(SIZE);
        }
        if dice.below(8) == 0 {
            // Long enough that other streams are taken for abandoned ones, and are continued later.
            tokio::time::sleep(Duration::from_millis(dice.below(400))).await;
        }
        let len = 1 + dice.below(1 << 17);
        let range = place..(place + len).min(SIZE);
        let limit = match dice.below(2) {
            0 => SIZE,
            _ => (range.end + dice.below(4 << 20)).min(SIZE),
        };
        let mut out = Vec::new();
        if dice.below(2) == 0 && blob.try_read(&range, limit, &mut out) {
            check(&range, &out)?;
        } else if dice.below(10) == 0 {
            // A reader that is interrupted.
            let patience = Duration::from_millis(dice.below(50));
            let _ = tokio::time::timeout(patience, blob.read(range.clone(), limit)).await;
        } else {
            let since = tokio::time::Instant::now();
            match blob.read(range.clone(), limit).await {
                Ok(out) => check(&range, &out)?,
                Err(Error::Source(_) | Error::Deadline { .. }) => {}
                Err(other) => return Err(format!("{range:?}: {other}")),
            }
            let took = since.elapsed();
            if took > TIMEOUT + Duration::from_secs(1) {
                return Err(format!("{range:?} took {took:?}"));
            }
        }
        let used = blob.status().memory_used;
        if used > MEMORY {
            return Err(format!("{used} bytes of memory in use"));
        }
        place = range.end % SIZE;
    }
    Ok(())
}

fn check(range: &Range<u64>, got: &[u8]) -> Result<(), String> {
    if &bytes_of(range)[..] == got {
        Ok(())
    } else {
        Err(format!("wrong bytes for {range:?}"))
    }
}

async fn run(seed: u64, temper: Temper, readers: u64) -> Result<(), String> {
    let source = Wild::new(seed, temper);
    let options = ReaderOptions {
        memory: MEMORY,
        timeout: TIMEOUT,
        connections: 8,
        read_ahead: u64::MAX,
        ..Default::default()
    };
    let blob = BlobReader::open(source.clone(), 0, options)
        .await
        .map_err(|e| e.to_string())?;
    let mut dice = Dice(seed.rotate_left(17) | 1);
    let tasks = (0..readers).map(|_| {
        let dice = Dice(dice.below(u64::MAX) | 1);
        tokio::spawn(reader(blob.clone(), dice, 40))
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.map_err(|e| e.to_string())??;
    }
    let twice = source.asked_twice.load(SeqCst);
    if twice > 0 {
        return Err(format!("{twice} ranges were asked for while on their way"));
    }
    blob.close();
    tokio::time::sleep(Duration::from_millis(1)).await;
    match source.on_their_way.lock().expect("the list").as_slice() {
        [] => Ok(()),
        left => Err(format!("still on their way after the close: {left:?}")),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    // Time stands still while there is something to do, and then jumps: minutes pass in moments.
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
}

fn temper() -> impl Strategy<Value = Temper> {
    let unit = prop::sample::select(vec![1, 4096, 100_000, 256 << 10, 1 << 20]);
    (unit, 0u64..20, 0u64..5, 0u64..5).prop_map(|(unit, fails, lies, stalls)| Temper {
        unit,
        fails,
        lies,
        stalls,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_read_is_right_or_an_error(seed: u64, temper in temper(), readers in 1u64..10) {
        let result = runtime().block_on(run(seed, temper, readers));
        prop_assert!(result.is_ok(), "{}", result.unwrap_err());
    }
}

const CALM: Temper = Temper {
    unit: 1,
    fails: 0,
    lies: 0,
    stalls: 0,
};

/// Reads all of a file that is this range.
async fn read_all(blob: &BlobReader, range: Range<u64>) {
    read_on_in(blob, range.clone(), range.end).await;
}

#[test]
fn a_sequence_requests_each_byte_once_in_few_large_requests() {
    runtime().block_on(async {
        let source = Wild::new(7, CALM);
        let options = ReaderOptions {
            connections: 8,
            ..ReaderOptions::default()
        };
        let blob = BlobReader::open(source.clone(), 0, options)
            .await
            .expect("open");
        read_all(&blob, 0..SIZE).await;
        assert_eq!(source.bytes.load(SeqCst), SIZE);
        let requests = source.requests.load(SeqCst);
        assert!(requests <= SIZE / (256 << 10), "{requests} requests");
    });
}

#[test]
fn a_random_read_requests_little_more_than_its_bytes() {
    runtime().block_on(async {
        let source = Wild::new(8, CALM);
        let blob = BlobReader::open(source.clone(), 0, ReaderOptions::default())
            .await
            .expect("open");
        for place in [40u64 << 20, 3 << 20, 20 << 20, 30 << 20] {
            blob.read(place..place + 4096, SIZE)
                .await
                .expect("a calm source");
        }
        let (requests, bytes) = (source.requests.load(SeqCst), source.bytes.load(SeqCst));
        assert_eq!(requests, 4);
        assert!(bytes <= 4 * (256 << 10), "{bytes} bytes");
    });
}

#[test]
fn bytes_that_were_read_are_not_requested_again() {
    runtime().block_on(async {
        let source = Wild::new(9, CALM);
        let blob = BlobReader::open(source.clone(), 0, ReaderOptions::default())
            .await
            .expect("open");
        read_all(&blob, 0..8 << 20).await;
        let before = source.bytes.load(SeqCst);
        read_all(&blob, 0..8 << 20).await;
        assert_eq!(source.bytes.load(SeqCst), before);
    });
}

/// After EIO on a page that it read ahead, the kernel asks for that page alone. If the failure were
/// not remembered, the application would wait for two deadlines.
#[test]
fn a_range_that_just_failed_fails_again_at_once() {
    runtime().block_on(async {
        let source = Wild::new(
            10,
            Temper {
                stalls: 100,
                ..CALM
            },
        );
        let options = ReaderOptions {
            timeout: TIMEOUT,
            ..ReaderOptions::default()
        };
        let blob = BlobReader::open(source, 0, options).await.expect("open");
        let since = tokio::time::Instant::now();
        assert!(matches!(
            blob.read(0..131_072, SIZE).await,
            Err(Error::Deadline { .. })
        ));
        assert!(blob.read(0..4096, SIZE).await.is_err());
        assert!(
            since.elapsed() < TIMEOUT + Duration::from_millis(100),
            "{:?}",
            since.elapsed()
        );
    });
}

#[test]
fn closing_ends_reads_that_wait() {
    runtime().block_on(async {
        let source = Wild::new(
            11,
            Temper {
                stalls: 100,
                ..CALM
            },
        );
        let blob = BlobReader::open(source, 0, ReaderOptions::default())
            .await
            .expect("open");
        let waiting = tokio::spawn({
            let blob = blob.clone();
            async move { blob.read(0..4096, SIZE).await }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        let since = tokio::time::Instant::now();
        blob.close();
        assert_eq!(waiting.await.expect("the task"), Err(Error::Closed));
        assert_eq!(blob.read(0..4096, SIZE).await, Err(Error::Closed));
        assert!(since.elapsed() < Duration::from_millis(100));
    });
}

/// Idle streams held what they had fetched ahead, the blocks that were read held the rest of the
/// memory, and a reader of something else waited for memory until its deadline: making room ended one
/// stream, whether that held anything or not, and then only waited.
#[test]
fn memory_held_for_idle_streams_is_given_to_reads() {
    runtime().block_on(async {
        let source = Wild::new(12, CALM);
        let options = ReaderOptions {
            memory: MEMORY,
            timeout: TIMEOUT,
            connections: 8,
            read_ahead: u64::MAX,
            ..Default::default()
        };
        let blob = BlobReader::open(source, 0, options).await.expect("open");
        let read_alone = async |number: u64| {
            let place = (20 << 20) + number * (1 << 20);
            let got = blob.read(place..place + 4096, SIZE).await;
            check(&(place..place + 4096), &got.expect("memory")).expect("right bytes");
        };
        // These streams are older than the one that holds nearly all memory, and hold nothing.
        for number in 0..3 {
            read_alone(number).await;
        }
        read_on_in(&blob, 0..4 << 20, 20 << 20).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(
            blob.status().memory_used >= MEMORY * 3 / 4,
            "{:?}",
            blob.status()
        );
        for number in 3..27 {
            read_alone(number).await;
        }
        assert!(blob.status().memory_used <= MEMORY);
    });
}

/// Reads `range` of a file that ends at `limit` in the kernel's steps.
async fn read_on_in(blob: &BlobReader, range: Range<u64>, limit: u64) {
    let mut at = range.start;
    while at < range.end {
        let step = at..(at + (128 << 10)).min(range.end);
        let got = blob.read(step.clone(), limit).await.expect("a calm source");
        check(&step, &got).expect("right bytes");
        at = step.end;
    }
}
