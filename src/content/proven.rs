//! The decorator that proves ranges against a CID.
//!
//! Skeleton, then ranges: the inner nodes of the CID's tree come as raw blocks (`skeleton.rs`), the
//! data by ordinary ranges, widened to whole leaves, from any server. A leaf is hashed while its
//! bytes arrive, and no byte of it is given out before it has proven. One that does not is
//! rejected, so that whoever gave it is put aside, and asked for again; as a block at last. Where ranges
//! are refused, leaves come as blocks (`ways.rs`).

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, ready};
use futures_util::stream::{self, StreamExt};
use tokio::sync::OnceCell;

use super::Cid;
use super::data::{Data, OnTrial};
use super::leaf::LeafProof;
use super::skeleton::{Leaf, Root, Skeleton, nobody};
use super::ways::{Came, either};
use crate::source::{
    Blocks, Chunk, ChunkStream, Error, Memory, Opened, Origin, Priority, Result, Source,
};

/// How often a leaf's bytes are asked for by range; if all were wrong, it is asked for as a block.
const TRIES: u32 = 3;

/// A server that gives wrong bytes gives them to all parts of a read, and at each try: the log tells
/// of it this often. `aiozfs verify` lists all of them.
const TOLD_ONCE_IN: Duration = Duration::from_secs(5);

/// A [`Source`] that gives the bytes which a CID names, and no others.
#[derive(Clone)]
pub struct Proven(Arc<Inner>);

struct Inner {
    cid: Cid,
    data: Data,
    blocks: Arc<dyn Blocks>,
    content: OnceCell<Content>,
    /// Which servers the log has told of, and when.
    told: Mutex<Vec<(Origin, Instant)>>,
}

enum Content {
    /// A file of one block, which came with its proof.
    Small(Memory),
    Large(Skeleton),
}

impl Proven {
    /// The content of `cid`: its bytes from `data`, what proves them from `blocks`.
    pub fn new(cid: Cid, data: Arc<dyn Source>, blocks: Arc<dyn Blocks>) -> Self {
        Self(Arc::new(Inner {
            cid,
            data: Data::new(data),
            blocks,
            content: OnceCell::new(),
            told: Mutex::default(),
        }))
    }
}

impl Inner {
    /// Tells the log of a wrong leaf, unless it has just told of the same server.
    fn tell(&self, origin: &Origin, range: &Range<u64>) {
        let now = Instant::now();
        let is_new = {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.retain(|(_, at)| now.duration_since(*at) < TOLD_ONCE_IN);
            let is_new = told.iter().all(|(known, _)| known != origin);
            if is_new {
                told.push((origin.clone(), now));
            }
            is_new
        };
        let level = if is_new {
            log::Level::Warn
        } else {
            log::Level::Debug
        };
        log::log!(
            level,
            "{origin} gave wrong bytes {}-{}: they do not match the CID",
            range.start,
            range.end - 1
        );
    }

    async fn content(&self) -> Result<&Content> {
        let root = || async {
            Ok(match Skeleton::open(self.cid, self.blocks.clone()).await? {
                Root::Small(bytes) => Content::Small(Memory::new(&self.cid.to_string(), bytes)),
                Root::Tree(skeleton) => {
                    self.data.source().expect_size(skeleton.size());
                    Content::Large(skeleton)
                }
            })
        };
        self.content.get_or_try_init(root).await
    }

    async fn skeleton(&self) -> Result<&Skeleton> {
        match self.content().await? {
            Content::Large(skeleton) => Ok(skeleton),
            Content::Small(_) => Err(Error::Unsupported {
                what: "a file of one block has no leaves".into(),
            }),
        }
    }
}

/// How far a read has come.
struct Reading {
    proven: Arc<Inner>,
    asked: Range<u64>,
    priority: Priority,
    /// What has not been proven yet, as far as it is known which leaves there are.
    leaves: VecDeque<Leaf>,
    /// Where the leaves end that are known.
    known_to: u64,
    /// Bytes from here on,
    data: Option<ChunkStream>,
    /// and whether they come over several connections.
    in_pieces: bool,
    /// What came of the first leaf.
    trial: Option<Trial>,
    /// What came behind it.
    rest: Option<Chunk>,
    tries: u32,
    /// Proven, and not given out yet.
    ready: VecDeque<Chunk>,
    /// What has come and not been given out.
    on_trial: OnTrial,
}

/// A leaf on trial.
struct Trial {
    proof: LeafProof,
    chunks: Vec<Chunk>,
    /// Where the next byte belongs.
    at: u64,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Chunk>> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                self.on_trial.given_out(chunk.bytes.len());
                return Ok(Some(chunk));
            }
            if self.leaves.is_empty() {
                self.end_data().await;
                if self.known_to >= self.asked.end {
                    return Ok(None);
                }
                self.look_further().await?;
            }
            let Some(leaf) = self.leaves.front().cloned() else {
                return Err(broken(&self.asked, "the tree ends too early"));
            };
            match self.next_of(&leaf).await? {
                Came::Piece(piece) => {
                    let origin = piece.origin.clone();
                    self.try_piece(&leaf, piece).await?;
                    // When an answer in pieces begins is not when its first one is complete.
                    if self.trial.is_some() && !self.in_pieces {
                        self.ready.push_back(Chunk {
                            offset: leaf.range.start.max(self.asked.start),
                            bytes: Bytes::new(),
                            origin,
                        });
                    }
                }
                Came::Block(bytes) => self.take_block(&leaf, bytes),
            }
        }
    }

    /// Lets the data come to its end, behind the last byte: only then is its connection free for
    /// another request. What breaks now does not matter, for all has been proven.
    async fn end_data(&mut self) {
        if let Some(mut data) = self.data.take() {
            while let Some(Ok(_)) = data.next().await {}
        }
    }

    /// Finds out which leaves come next.
    async fn look_further(&mut self) -> Result<()> {
        let wanted = self.known_to..self.asked.end;
        let skeleton = self.proven.skeleton().await?;
        self.leaves = skeleton.leaves(&wanted).await?.into();
        if let Some(last) = self.leaves.back() {
            self.known_to = last.range.end;
        }
        Ok(())
    }

    /// The next bytes of the leaf, or all of it as a block.
    async fn next_of(&mut self, leaf: &Leaf) -> Result<Came> {
        let (proven, priority) = (self.proven.clone(), self.priority);
        let block = || async { proven.skeleton().await?.leaf(leaf).await };
        either(self.next_piece(leaf), block, &proven.data, priority).await
    }

    /// The next bytes, at most up to the end of the leaf.
    async fn next_piece(&mut self, leaf: &Leaf) -> Result<Chunk> {
        let at = self
            .trial
            .as_ref()
            .map_or(leaf.range.start, |trial| trial.at);
        let mut chunk = match self.rest.take() {
            Some(rest) => rest,
            None => {
                let end = self.known_to;
                let data = match &mut self.data {
                    Some(data) => data,
                    none => {
                        let (data, in_pieces) = self.proven.data.read(at..end, self.priority);
                        self.in_pieces = in_pieces;
                        none.insert(data)
                    }
                };
                match data.next().await {
                    Some(chunk) => {
                        let chunk = chunk?;
                        self.on_trial.came(chunk.bytes.len());
                        chunk
                    }
                    None => return Err(broken(&(at..end), "it ended too early")),
                }
            }
        };
        if chunk.offset != at {
            return Err(broken(
                &(at..leaf.range.end),
                "it gave other bytes than asked for",
            ));
        }
        let mine = (leaf.range.end - at).min(chunk.bytes.len() as u64);
        let rest = chunk.bytes.split_off(mine as usize);
        if !rest.is_empty() {
            self.rest = Some(Chunk {
                offset: leaf.range.end,
                bytes: rest,
                origin: chunk.origin.clone(),
            });
        }
        Ok(chunk)
    }

    async fn try_piece(&mut self, leaf: &Leaf, piece: Chunk) -> Result<()> {
        let trial = self.trial.get_or_insert_with(|| Trial {
            proof: LeafProof::new(leaf.cid, leaf.range.end - leaf.range.start),
            chunks: Vec::new(),
            at: leaf.range.start,
        });
        trial.proof.update(&piece.bytes);
        trial.at = piece.range().end;
        trial.chunks.push(piece);
        if trial.at < leaf.range.end {
            return Ok(());
        }
        let Some(Trial { proof, chunks, .. }) = self.trial.take() else {
            return Ok(());
        };
        if proof.holds() || is_wrapped_otherwise(leaf, &chunks) {
            for chunk in chunks {
                self.give_out(chunk);
            }
            self.leaf_done();
            return Ok(());
        }
        self.reject(leaf, &chunks).await
    }

    /// The leaf was wrong: whoever gave it is put aside, and it is asked for again.
    async fn reject(&mut self, leaf: &Leaf, chunks: &[Chunk]) -> Result<()> {
        let mut origins: Vec<&Origin> = chunks.iter().map(|chunk| &chunk.origin).collect();
        origins.dedup();
        for origin in origins {
            self.proven.tell(origin, &leaf.range);
            self.proven.data.source().reject(origin, leaf.range.clone());
        }
        // What comes behind it comes from the same server.
        (self.data, self.rest) = (None, None);
        self.tries += 1;
        if self.tries < TRIES {
            Ok(())
        } else {
            let forged = chunks.last().map(|chunk| Error::Forged {
                origin: chunk.origin.clone(),
                range: leaf.range.clone(),
            });
            let block = self.proven.skeleton().await?.leaf(leaf).await;
            let block = block.map_err(|error| match error {
                // The tree itself is wrong, whoever serves.
                Error::Unsupported { .. } => error,
                error => forged.unwrap_or(error),
            })?;
            self.take_block(leaf, block);
            Ok(())
        }
    }

    fn take_block(&mut self, leaf: &Leaf, bytes: Vec<u8>) {
        self.on_trial.replaced(bytes.len());
        let chunk = Chunk {
            offset: leaf.range.start,
            bytes: bytes.into(),
            origin: nobody(),
        };
        self.proven.data.source().keep(&chunk);
        self.give_out(chunk);
        (self.data, self.rest, self.trial) = (None, None, None);
        self.leaf_done();
    }

    fn leaf_done(&mut self) {
        self.tries = 0;
        self.leaves.pop_front();
    }

    /// Lets go those of the bytes that were asked for.
    fn give_out(&mut self, chunk: Chunk) {
        let start = chunk.offset.max(self.asked.start);
        let end = chunk.range().end.min(self.asked.end);
        if start < end {
            let within = (start - chunk.offset) as usize..(end - chunk.offset) as usize;
            self.ready.push_back(Chunk {
                offset: start,
                bytes: chunk.bytes.slice(within),
                origin: chunk.origin,
            });
        }
    }
}

/// Whether these bytes of a leaf, which are not wrapped as usual, are right nevertheless.
fn is_wrapped_otherwise(leaf: &Leaf, chunks: &[Chunk]) -> bool {
    let proof = LeafProof::otherwise(leaf.cid, leaf.range.end - leaf.range.start);
    proof.is_some_and(|mut proof| {
        chunks.iter().for_each(|chunk| proof.update(&chunk.bytes));
        proof.holds()
    })
}

/// A source below that does not keep its contract.
fn broken(range: &Range<u64>, what: &str) -> Error {
    Error::BadAnswer {
        origin: nobody(),
        range: range.clone(),
        what: what.into(),
    }
}

impl Source for Proven {
    fn open(&self, _tail: u64) -> BoxFuture<'_, Result<Opened>> {
        async {
            // The size is what the root says; the server of the data is not asked.
            let size = match self.0.content().await? {
                Content::Small(memory) => memory.open(0).await?.size,
                Content::Large(skeleton) => skeleton.size(),
            };
            Ok(Opened { size, tail: None })
        }
        .boxed()
    }

    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        match self.0.content.get() {
            Some(Content::Small(memory)) => return memory.read(range, priority),
            Some(Content::Large(skeleton)) if range.end > skeleton.size() => {
                let size = skeleton.size();
                return stream::once(ready(Err(Error::OutOfBlob { range, size }))).boxed();
            }
            _ => {}
        }
        if range.is_empty() {
            return stream::empty().boxed();
        }
        let reading = Reading {
            proven: self.0.clone(),
            known_to: range.start,
            asked: range,
            priority,
            on_trial: self.0.data.none_on_trial(),
            in_pieces: false,
            leaves: VecDeque::new(),
            data: None,
            trial: None,
            rest: None,
            tries: 0,
            ready: VecDeque::new(),
        };
        stream::try_unfold(reading, |mut reading| async move {
            let next = reading.next().await?;
            Ok(next.map(|chunk| (chunk, reading)))
        })
        .boxed()
    }

    fn granule(&self, range: Range<u64>) -> Range<u64> {
        match self.0.content.get() {
            Some(Content::Large(skeleton)) => skeleton.bounds(&range),
            _ => range,
        }
    }

    fn seam(&self, end: u64) -> u64 {
        self.0.data.source().seam(end)
    }

    fn warm_up(&self, reads: usize) -> usize {
        self.0.data.source().warm_up(reads)
    }

    fn early_by(&self) -> Option<u64> {
        self.0.data.source().early_by()
    }

    fn at_once(&self) -> Option<usize> {
        self.0.data.source().at_once()
    }

    fn reject(&self, origin: &Origin, range: Range<u64>) {
        self.0.data.source().reject(origin, range);
    }

    fn received(&self) -> Option<u64> {
        Some(self.0.data.received())
    }

    fn on_trial(&self) -> u64 {
        self.0.data.on_trial()
    }

    fn trouble(&self, within: Duration) -> Option<Error> {
        self.0.data.source().trouble(within)
    }
}
