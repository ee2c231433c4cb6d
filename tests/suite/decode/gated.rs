//! A source whose bytes a test holds back, damages or refuses, and decoders over it.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aiozfs::archive::{EntryId, ParseOptions};
use aiozfs::decode::{CheckpointStore, Decoder, Decoding, Point};
use aiozfs::reader::{Archive, ReaderOptions};
use aiozfs::source::{Chunk, ChunkStream, Error, Opened, Origin, Priority, Result, Source};
use futures_util::future::{BoxFuture, FutureExt, ready};
use futures_util::stream::{self, StreamExt};
use tokio::sync::watch;

pub const MIB: u64 = 1 << 20;

/// A blob.
pub struct Gated {
    blob: Vec<u8>,
    state: Mutex<State>,
    is_open: watch::Sender<bool>,
    /// How many reads wait at the gate.
    pub waiting: Arc<AtomicUsize>,
}

#[derive(Default)]
struct State {
    /// A byte that is wrong.
    wrong: Option<u64>,
    /// Bytes that are wrong when they are read for the first time.
    wrong_once: Vec<u64>,
    /// Bytes that do not come before the gate is opened.
    gate: Range<u64>,
    /// Bytes whose reads fail.
    missing: Range<u64>,
}

impl Gated {
    pub fn new(blob: Vec<u8>) -> Arc<Self> {
        Arc::new(Self {
            blob,
            state: Mutex::default(),
            is_open: watch::Sender::new(true),
            waiting: Arc::default(),
        })
    }

    pub fn set_wrong(&self, at: Option<u64>) {
        self.state().wrong = at;
    }

    pub fn set_wrong_once(&self, at: &[u64]) {
        self.state().wrong_once = at.to_vec();
    }

    pub fn set_missing(&self, range: Range<u64>) {
        self.state().missing = range;
    }

    /// Closes the gate before these bytes.
    pub fn gate(&self, range: Range<u64>) {
        self.state().gate = range;
        self.waiting.store(0, SeqCst);
        self.is_open.send_replace(false);
    }

    pub fn open_gate(&self) {
        self.is_open.send_replace(true);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }
}

impl Source for Gated {
    fn inner(&self) -> Option<&dyn Source> {
        None
    }

    fn open(&self, _tail: u64) -> BoxFuture<'_, Result<Opened>> {
        let size = self.blob.len() as u64;
        ready(Ok(Opened { size, tail: None })).boxed()
    }

    fn read(&self, range: Range<u64>, _priority: Priority) -> ChunkStream {
        let mut bytes = self.blob[range.start as usize..range.end as usize].to_vec();
        let touches = |other: &Range<u64>| range.start < other.end && other.start < range.end;
        let origin = Origin::new("gated");
        let mut state = self.state();
        if touches(&state.missing) {
            let error = Error::NotFound { origin };
            return stream::once(ready(Err(error))).boxed();
        }
        let mut wrong: Vec<u64> = state.wrong.into_iter().collect();
        wrong.extend(&state.wrong_once);
        wrong.retain(|at| range.contains(at));
        for at in wrong {
            bytes[(at - range.start) as usize] ^= 0xff;
        }
        state.wrong_once.retain(|at| !range.contains(at));
        let chunk = Chunk {
            offset: range.start,
            bytes: bytes.into(),
            origin,
        };
        let waits = touches(&state.gate);
        let (mut is_open, waiting) = (self.is_open.subscribe(), self.waiting.clone());
        stream::once(async move {
            if waits {
                waiting.fetch_add(1, SeqCst);
                let _ = is_open.wait_for(|is_open| *is_open).await;
            }
            Ok(chunk)
        })
        .boxed()
    }
}

/// Remembers how many checkpoints were stored last.
#[derive(Default, Clone)]
pub struct Stored(Arc<Mutex<Vec<usize>>>);

impl Stored {
    pub fn counts(&self) -> Vec<usize> {
        self.0.lock().expect("no panic").clone()
    }
}

impl CheckpointStore for Stored {
    fn load(&self, _: EntryId) -> BoxFuture<'_, Vec<Point>> {
        ready(Vec::new()).boxed()
    }

    fn store(&self, _: EntryId, points: Vec<Arc<Point>>) {
        self.0.lock().expect("no panic").push(points.len());
    }
}

pub async fn decoder(
    source: Arc<Gated>,
    stored: Stored,
    memory: u64,
    decoding: &Decoding,
) -> Arc<Decoder> {
    let options = ReaderOptions {
        memory,
        timeout: Duration::from_secs(20),
        connections: 64,
        read_ahead: MIB,
        ..ReaderOptions::default()
    };
    let archive = Archive::open(source, ParseOptions::default(), options).await;
    let archive = Arc::new(archive.expect("an archive").checking_crcs());
    let store = Some(Box::new(stored) as Box<dyn CheckpointStore>);
    let decoder = Decoder::new(archive, store, Some(256 << 10), None, decoding);
    Arc::new(decoder)
}

pub fn id(decoder: &Decoder, number: usize) -> EntryId {
    let id = decoder.archive().index().id(number);
    id.expect("an entry")
}

/// Waits for something that other tasks bring about.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} has not come about");
}

/// Where the bytes of a blob are.
pub fn position(blob: &[u8], wanted: &[u8]) -> u64 {
    let found = blob
        .windows(wanted.len())
        .position(|window| window == wanted);
    found.expect("it is there") as u64
}
