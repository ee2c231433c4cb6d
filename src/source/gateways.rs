//! Many servers of one blob: the first that answers serves, the others step in when it fails.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt};

use super::{Chunk, ChunkStream, Error, Opened, Origin, Priority, Result, Source};

/// A [`Source`] over several sources of the same blob. Sticky: it stays with the one that served
/// last until that one fails.
#[derive(Clone)]
pub struct Gateways(Arc<Inner>);

struct Inner {
    members: Vec<Member>,
    /// Index of the member that is asked first.
    current: AtomicUsize,
    size: OnceLock<u64>,
}

struct Member {
    source: Arc<dyn Source>,
    /// By what name its bytes come, once some have.
    origin: OnceLock<Origin>,
    /// Until when it is asked only if nobody else is left.
    aside: Mutex<Option<Instant>>,
}

/// How long a member that gave wrong bytes is put aside.
const ASIDE: Duration = Duration::from_secs(300);

impl Gateways {
    /// A source over `members`, asked in this order.
    ///
    /// # Panics
    /// If there is none.
    pub fn new(members: Vec<Arc<dyn Source>>) -> Self {
        assert!(!members.is_empty(), "a blob needs a source");
        Self(Arc::new(Inner {
            members: members.into_iter().map(Member::new).collect(),
            current: AtomicUsize::new(0),
            size: OnceLock::new(),
        }))
    }
}

impl Member {
    fn new(source: Arc<dyn Source>) -> Self {
        Self {
            source,
            origin: OnceLock::new(),
            aside: Mutex::new(None),
        }
    }

    fn is_aside(&self) -> bool {
        let until = *self.aside.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn put_aside(&self) {
        let until = Instant::now() + ASIDE;
        *self.aside.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }
}

impl Inner {
    /// The members, beginning with the current one; those put aside come last.
    fn in_turn(&self) -> Vec<usize> {
        let (first, count) = (self.current.load(Ordering::Relaxed), self.members.len());
        let mut turn: Vec<usize> = (0..count).map(|i| (first + i) % count).collect();
        turn.sort_by_key(|at| self.members[*at].is_aside());
        turn
    }

    async fn open(&self, tail: u64) -> Result<Opened> {
        let mut errors = Vec::new();
        for index in self.in_turn() {
            match self.members[index].source.open(tail).await {
                Ok(opened) => {
                    let size = *self.size.get_or_init(|| opened.size);
                    if size == opened.size {
                        self.current.store(index, Ordering::Relaxed);
                        return Ok(opened);
                    }
                    log::warn!("gateway {index} has {} bytes, not {size}", opened.size);
                }
                Err(error) => errors.push(error),
            }
        }
        Err(most_hopeful(errors))
    }

    /// Steps from a member that failed to the next one, which must agree on the size.
    async fn step_in(&self, index: usize) -> Result<()> {
        let opened = self.members[index].source.open(0).await?;
        match self.size.get() {
            Some(size) if *size != opened.size => Err(Error::Unsupported {
                what: format!("gateways disagree: {size} bytes or {}", opened.size),
            }),
            _ => {
                self.current.store(index, Ordering::Relaxed);
                Ok(())
            }
        }
    }
}

/// Of several failures, the one to go on with: a transient one may pass, and a "not found" tells
/// less than any other.
fn most_hopeful(errors: Vec<Error>) -> Error {
    let rank = |e: &Error| match e {
        e if e.is_transient() => 0,
        Error::NotFound { .. } => 2,
        _ => 1,
    };
    let best = errors.into_iter().min_by_key(rank);
    best.expect("every member was asked, and there is at least one")
}

struct Reading {
    gateways: Arc<Inner>,
    left: Range<u64>,
    priority: Priority,
    stream: Option<ChunkStream>,
    /// Whose stream that is.
    asking: usize,
    /// Members not yet tried since the last byte came.
    turn: Vec<usize>,
    errors: Vec<Error>,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Chunk>> {
        loop {
            if let Some(stream) = &mut self.stream {
                match stream.next().await {
                    Some(Ok(chunk)) => {
                        self.left.start = chunk.range().end;
                        let member = &self.gateways.members[self.asking];
                        let _ = member.origin.set(chunk.origin.clone());
                        return Ok(Some(chunk));
                    }
                    None => return Ok(None),
                    Some(Err(_)) if self.left.is_empty() => return Ok(None),
                    Some(Err(error)) => self.errors.push(error),
                }
                self.stream = None;
            }
            if self.turn.is_empty() {
                return Err(most_hopeful(std::mem::take(&mut self.errors)));
            }
            let index = self.turn.remove(0);
            if !self.errors.is_empty()
                && let Err(error) = self.gateways.step_in(index).await
            {
                self.errors.push(error);
                continue;
            }
            let member = &self.gateways.members[index];
            self.asking = index;
            self.stream = Some(member.source.read(self.left.clone(), self.priority));
        }
    }
}

impl Source for Gateways {
    fn open(&self, tail: u64) -> BoxFuture<'_, Result<Opened>> {
        self.0.open(tail).boxed()
    }

    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        let reading = Reading {
            turn: self.0.in_turn(),
            gateways: self.0.clone(),
            left: range,
            priority,
            stream: None,
            asking: 0,
            errors: Vec::new(),
        };
        stream::try_unfold(reading, |mut reading| async move {
            let next = reading.next().await?;
            Ok(next.map(|chunk| (chunk, reading)))
        })
        .boxed()
    }

    fn granule(&self, range: Range<u64>) -> Range<u64> {
        let current = self.0.current.load(Ordering::Relaxed);
        self.0.members[current].source.granule(range)
    }

    fn reject(&self, origin: &Origin, range: Range<u64>) {
        for member in &self.0.members {
            if member.origin.get() == Some(origin) {
                member.put_aside();
            }
            member.source.reject(origin, range.clone());
        }
    }
}
