//! The decorator that verifies ranges against a CID.
//!
//! The inner nodes of the CID's tree come as raw blocks (`dag_index.rs`). They tell where the leaves of the
//! file begin and what each hashes to. The data comes as ordinary ranges of whole leaves, from any server.
//!
//! A read goes from leaf to leaf. The bytes of a leaf are hashed as they arrive and returned once the hash is
//! right. If it is wrong, the source is told to reject the leaf, which suspends the server that gave it, and
//! the leaf is requested again: twice as a range, then as a raw block. If servers refuse the range, the leaf
//! comes as a raw block, too (`range_or_block.rs`).

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::dag_index::{DagIndex, Leaf, Root, block_origin};
use super::data::{Data, Unverified};
use super::leaf::LeafCheck;
use super::range_or_block::{Delivery, kept_or_block, range_or_block};
use super::{Cid, Codec, node};
use crate::source::{
    Blocks, Chunk, ChunkStream, Error, Fact, Hints, Memory, Opened, Origin, Priority, Result,
    Source, answer_without_bytes,
};

/// How often a leaf is requested as a range before it is requested as a raw block.
const TRIES: u32 = 3;

/// The least time between two warnings about one server, because a server usually gives many wrong leaves.
/// `aiozfs verify` lists all of them.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// A [`Source`] that returns only bytes that match a CID.
#[derive(Clone)]
pub struct Verified(Arc<Inner>);

struct Inner {
    cid: Cid,
    data: Data,
    blocks: Arc<dyn Blocks>,
    content: OnceCell<Content>,
    /// The servers that were warned about lately, and when.
    logged: Mutex<Vec<(Origin, Instant)>>,
}

enum Content {
    /// A file of a single block. It was verified when it was opened.
    Small(Memory),
    Large(DagIndex),
}

impl Verified {
    /// The content of `cid`, with its bytes from `data` and its inner nodes from `blocks`.
    pub fn new(cid: Cid, data: Arc<dyn Source>, blocks: Arc<dyn Blocks>) -> Self {
        Self(Arc::new(Inner {
            cid,
            data: Data::new(data),
            blocks,
            content: OnceCell::new(),
            logged: Mutex::default(),
        }))
    }
}

impl Inner {
    /// Logs a wrong leaf: as a warning, or for debugging if the same server was warned about lately.
    fn log_wrong_leaf(&self, origin: &Origin, range: &Range<u64>) {
        let now = Instant::now();
        let is_new = {
            let mut logged = self.logged.lock();
            logged.retain(|(_, at)| now.duration_since(*at) < LOG_INTERVAL);
            let is_new = logged.iter().all(|(known, _)| known != origin);
            if is_new {
                logged.push((origin.clone(), now));
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

    /// The content, opened at the first call.
    async fn content(&self) -> Result<&Content> {
        let root = || async {
            Ok(match DagIndex::open(self.cid, self.blocks.clone()).await? {
                Root::Small(bytes) => {
                    // No range is ever read of it, so this is how a cache learns its content.
                    let source = self.data.source();
                    source.learn(Fact::Size(bytes.len() as u64));
                    source.learn(Fact::Bytes(&Chunk {
                        offset: 0,
                        bytes: bytes.clone().into(),
                        origin: block_origin(),
                    }));
                    Content::Small(Memory::new(&self.cid.to_string(), bytes))
                }
                Root::Tree(index) => {
                    self.data.source().learn(Fact::Size(index.size()));
                    Content::Large(index)
                }
            })
        };
        self.content.get_or_try_init(root).await
    }

    async fn index(&self) -> Result<&DagIndex> {
        match self.content().await? {
            Content::Large(index) => Ok(index),
            Content::Small(_) => Err(Error::Unsupported {
                what: "a file of one block has no leaves".into(),
            }),
        }
    }
}

/// The state of a read.
struct VerifiedRead {
    source: Arc<Inner>,
    asked: Range<u64>,
    priority: Priority,
    /// The leaves that were looked up and are not verified yet. The first one is being received.
    leaves: VecDeque<Leaf>,
    /// The end of the last leaf that was looked up.
    known_to: u64,
    /// The stream of the data, from the next byte to `known_to`.
    data: Option<ChunkStream>,
    /// Whether `data` is split over several connections.
    is_split: bool,
    /// The received part of the first leaf.
    partial: Option<PartialLeaf>,
    /// Received bytes behind the first leaf.
    rest: Option<Chunk>,
    /// How often the first leaf was wrong.
    tries: u32,
    /// The leaves of `leaves`, in order, while no server gives ranges.
    blocks: Option<LeafStream>,
    /// Verified chunks to return.
    ready: VecDeque<Chunk>,
    /// Counts bytes that were received and not returned yet.
    unverified: Unverified,
}

/// Leaves one by one, each complete.
type LeafStream = BoxStream<'static, Result<Vec<Delivery>>>;

/// How many leaves are requested at once as blocks for one read.
const BLOCKS_AT_ONCE: usize = 4;

/// A leaf that is being received.
struct PartialLeaf {
    check: LeafCheck,
    chunks: Vec<Chunk>,
    /// The offset of the next byte.
    at: u64,
}

impl VerifiedRead {
    /// The next verified chunk; `None` at the end of the range.
    async fn next(&mut self) -> Result<Option<Chunk>> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                self.unverified.returned(chunk.bytes.len());
                return Ok(Some(chunk));
            }
            if self.leaves.is_empty() {
                self.end_data().await;
                if self.known_to >= self.asked.end {
                    return Ok(None);
                }
                self.look_up_leaves().await?;
            }
            let Some(leaf) = self.leaves.front().cloned() else {
                return Err(broken(&self.asked, "the tree ends too early"));
            };
            if self.is_between_leaves() && self.source.data.is_without_ranges() {
                self.next_as_block(&leaf).await?;
                continue;
            }
            match self.next_of(&leaf).await? {
                Delivery::Chunk(chunk) => {
                    let origin = chunk.origin.clone();
                    self.add_chunk(&leaf, chunk).await?;
                    // An empty chunk tells the reader that bytes arrive. A split range returns its chunks
                    // only when the first part is complete, so there it would come too late.
                    if self.partial.is_some() && !self.is_split {
                        self.ready.push_back(Chunk {
                            offset: leaf.range.start.max(self.asked.start),
                            bytes: Bytes::new(),
                            origin,
                        });
                    }
                }
                Delivery::Block(bytes) => self.take_block(&leaf, bytes),
            }
        }
    }

    /// Whether no data of the next leaf has come or is under way.
    fn is_between_leaves(&self) -> bool {
        self.data.is_none() && self.rest.is_none() && self.partial.is_none()
    }

    /// Takes the next leaf while no server gives ranges. The leaves behind it are requested meanwhile.
    async fn next_as_block(&mut self, leaf: &Leaf) -> Result<()> {
        let next = match &mut self.blocks {
            Some(blocks) => blocks,
            none => {
                let (source, priority) = (self.source.clone(), self.priority);
                let leaves: Vec<Leaf> = self.leaves.iter().cloned().collect();
                let leaves = stream::iter(leaves).map(move |leaf| {
                    let source = source.clone();
                    async move {
                        let (kept, _) = source.data.read(leaf.range.clone(), priority);
                        let block = || async { source.index().await?.leaf(&leaf).await };
                        kept_or_block(kept.try_collect(), block, &source.data).await
                    }
                });
                none.insert(leaves.buffered(BLOCKS_AT_ONCE).boxed())
            }
        };
        let Some(deliveries) = next.next().await else {
            self.blocks = None;
            return Ok(());
        };
        for delivery in deliveries.inspect_err(|_| self.blocks = None)? {
            match delivery {
                Delivery::Chunk(chunk) => {
                    self.unverified.received(chunk.bytes.len());
                    self.add_chunk(leaf, chunk).await?;
                    if self.blocks.is_none() {
                        break; // It was rejected.
                    }
                }
                Delivery::Block(bytes) => self.take_block(leaf, bytes),
            }
        }
        Ok(())
    }

    /// Polls the data to the end of its stream, because only then its connection is free again. All bytes
    /// are there, so errors do not matter.
    async fn end_data(&mut self) {
        if let Some(mut data) = self.data.take() {
            while let Some(Ok(_)) = data.next().await {}
        }
    }

    /// Looks up leaves from `known_to` on.
    async fn look_up_leaves(&mut self) -> Result<()> {
        let wanted = self.known_to..self.asked.end;
        self.blocks = None;
        let index = self.source.index().await?;
        self.leaves = index.leaves(&wanted).await?.into();
        if let Some(last) = self.leaves.back() {
            self.known_to = last.range.end;
        }
        Ok(())
    }

    /// The next bytes of the leaf, or the whole leaf as a block.
    async fn next_of(&mut self, leaf: &Leaf) -> Result<Delivery> {
        let (source, priority) = (self.source.clone(), self.priority);
        let block = || async { source.index().await?.leaf(leaf).await };
        range_or_block(self.next_chunk(leaf), block, &source.data, priority).await
    }

    /// The next bytes, at most up to the end of the leaf.
    async fn next_chunk(&mut self, leaf: &Leaf) -> Result<Chunk> {
        let at = self
            .partial
            .as_ref()
            .map_or(leaf.range.start, |partial| partial.at);
        let mut chunk = match self.rest.take() {
            Some(rest) => rest,
            None => {
                let end = self.known_to;
                let data = match &mut self.data {
                    Some(data) => data,
                    none => {
                        let (data, is_split) = self.source.data.read(at..end, self.priority);
                        self.is_split = is_split;
                        none.insert(data)
                    }
                };
                match data.next().await {
                    Some(chunk) => {
                        let chunk = chunk?;
                        self.unverified.received(chunk.bytes.len());
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

    /// Adds bytes to the first leaf. If that completes the leaf, verifies and delivers or rejects it.
    async fn add_chunk(&mut self, leaf: &Leaf, chunk: Chunk) -> Result<()> {
        let partial = self.partial.get_or_insert_with(|| PartialLeaf {
            check: LeafCheck::new(leaf.cid, leaf.range.end - leaf.range.start, node::FILE),
            chunks: Vec::new(),
            at: leaf.range.start,
        });
        partial.check.update(&chunk.bytes);
        partial.at = chunk.range().end;
        partial.chunks.push(chunk);
        if partial.at < leaf.range.end {
            return Ok(());
        }
        let Some(PartialLeaf { check, chunks, .. }) = self.partial.take() else {
            return Ok(());
        };
        if check.matches() || matches_raw_encoding(leaf, &chunks) {
            for chunk in chunks {
                self.deliver(chunk);
            }
            self.leaf_done();
            return Ok(());
        }
        self.reject(leaf, &chunks).await
    }

    /// Rejects a wrong leaf. After the last try as a range, fetches the leaf as a raw block.
    async fn reject(&mut self, leaf: &Leaf, chunks: &[Chunk]) -> Result<()> {
        let mut origins: Vec<&Origin> = chunks.iter().map(|chunk| &chunk.origin).collect();
        origins.dedup();
        for origin in origins {
            self.source.log_wrong_leaf(origin, &leaf.range);
            self.source.data.source().reject(origin, leaf.range.clone());
        }
        // What follows in the stream comes from the same server, so it is dropped.
        (self.data, self.rest, self.blocks) = (None, None, None);
        self.tries += 1;
        if self.tries < TRIES {
            Ok(())
        } else {
            let forged = chunks.last().map(|chunk| Error::Forged {
                origin: chunk.origin.clone(),
                range: leaf.range.clone(),
            });
            let block = self.source.index().await?.leaf(leaf).await;
            let block = block.map_err(|error| match error {
                // The tree itself is malformed.
                Error::Unsupported { .. } => error,
                error => forged.unwrap_or(error),
            })?;
            self.take_block(leaf, block);
            Ok(())
        }
    }

    /// Delivers a leaf that came as a raw block, and offers it to the cache.
    fn take_block(&mut self, leaf: &Leaf, bytes: Vec<u8>) {
        self.unverified.replaced(bytes.len());
        let chunk = Chunk {
            offset: leaf.range.start,
            bytes: bytes.into(),
            origin: block_origin(),
        };
        self.source.data.source().learn(Fact::Bytes(&chunk));
        self.deliver(chunk);
        (self.data, self.rest, self.partial) = (None, None, None);
        self.leaf_done();
    }

    fn leaf_done(&mut self) {
        self.tries = 0;
        self.leaves.pop_front();
    }

    /// Queues the requested part of a verified chunk.
    fn deliver(&mut self, chunk: Chunk) {
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

/// Whether the chunks match the leaf in the other encoding of dag-pb leaves: UnixFS type `raw` in place of
/// `file`. Only the hash tells which one the importer wrote.
fn matches_raw_encoding(leaf: &Leaf, chunks: &[Chunk]) -> bool {
    if leaf.cid.codec() != Codec::DagPb {
        return false;
    }
    let mut check = LeafCheck::new(leaf.cid, leaf.range.end - leaf.range.start, node::RAW);
    chunks.iter().for_each(|chunk| check.update(&chunk.bytes));
    check.matches()
}

/// The error for a data source that breaks the contract of [`Source`].
fn broken(range: &Range<u64>, what: &str) -> Error {
    Error::BadAnswer {
        origin: block_origin(),
        range: range.clone(),
        what: what.into(),
    }
}

impl Source for Verified {
    /// The source of the data.
    fn inner(&self) -> Option<&dyn Source> {
        Some(self.0.data.source())
    }

    fn open(&self, _tail: u64) -> BoxFuture<'_, Result<Opened>> {
        async {
            // The root has the size, so the data's server is not asked.
            let size = match self.0.content().await? {
                Content::Small(memory) => memory.open(0).await?.size,
                Content::Large(index) => index.size(),
            };
            Ok(Opened { size, tail: None })
        }
        .boxed()
    }

    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        let size = match self.0.content.get() {
            Some(Content::Small(memory)) => return memory.read(range, priority),
            Some(Content::Large(index)) => Some(index.size()),
            None => None,
        };
        if let Some(answer) = answer_without_bytes(&range, size) {
            return answer;
        }
        let reading = VerifiedRead {
            source: self.0.clone(),
            known_to: range.start,
            asked: range,
            priority,
            unverified: self.0.data.start_unverified(),
            is_split: false,
            leaves: VecDeque::new(),
            data: None,
            partial: None,
            rest: None,
            tries: 0,
            blocks: None,
            ready: VecDeque::new(),
        };
        stream::try_unfold(reading, |mut reading| async move {
            let next = reading.next().await?;
            Ok(next.map(|chunk| (chunk, reading)))
        })
        .boxed()
    }

    fn verification_unit(&self, range: Range<u64>) -> Range<u64> {
        match self.0.content.get() {
            Some(Content::Large(index)) => index.bounds(&range),
            _ => range,
        }
    }

    fn hints(&self) -> Hints {
        Hints {
            received: Some(self.0.data.received()),
            unverified: self.0.data.unverified(),
            ..self.0.data.source().hints()
        }
    }
}
