//! The blocks in memory, and what keeps each of them there.
//!
//! A block stays while a read or a request uses it, while a stream will read it, or while it is among
//! the blocks that were read last. Its buffer then returns to the pool.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Weak};

use super::stream::StreamId;
use crate::reader::block::{Block, Blocks, blocks_of, missing};
use crate::reader::bound::Share;
use crate::reader::pool::{Grant, Pool};

/// One block in this many stays free for demand: read-ahead does not use it.
const DEMAND_SHARE: usize = 8;

pub(super) struct Memory {
    share: Arc<Share>,
    pool: Pool,
    /// The buffers that read-ahead has lacked since the last look.
    pub(super) lacking: Option<usize>,
    blocks: HashMap<u64, Weak<Block>>,
    /// Blocks that each stream has fetched and not read.
    held: HashMap<StreamId, Blocks>,
}

impl Memory {
    pub(super) fn new(share: Arc<Share>) -> Self {
        let pool = share.bound.pool.clone();
        Self {
            pool,
            share,
            lacking: None,
            blocks: HashMap::new(),
            held: HashMap::new(),
        }
    }

    /// Records that this reader is used now. Returns how many readers share connections and memory for read-ahead.
    pub(super) fn touch(&mut self) -> usize {
        self.share.touch(!self.held.is_empty());
        self.share.readers()
    }

    /// How many buffers read-ahead leaves free.
    fn reserve(&self) -> usize {
        self.pool.total() / DEMAND_SHARE
    }

    /// Bytes that read-ahead may use.
    pub(super) fn for_read_ahead(&self) -> u64 {
        self.share.for_read_ahead(self.reserve())
    }

    /// The block of this number, if it is in memory.
    pub(super) fn block(&self, number: u64) -> Option<Arc<Block>> {
        self.blocks.get(&number)?.upgrade()
    }

    /// The blocks of `range`, or the number of them that are not in memory.
    pub(super) fn find(&self, range: &Range<u64>) -> Result<Blocks, usize> {
        let numbers = blocks_of(range);
        let wanted = (numbers.end - numbers.start) as usize;
        let found: Blocks = numbers.filter_map(|number| self.block(number)).collect();
        match wanted - found.len() {
            0 => Ok(found),
            lacking => Err(lacking),
        }
    }

    /// The blocks of `range`, if all its bytes are in memory.
    pub(super) fn find_filled(&self, range: &Range<u64>) -> Option<Blocks> {
        let blocks = self.find(range).ok()?;
        missing(&blocks, range).is_empty().then_some(blocks)
    }

    /// The blocks of `range`. Those that are not in memory are made with `grant`, or with free
    /// buffers. If there are too few, returns the number of blocks that are not in memory.
    pub(super) fn claim(
        &mut self,
        range: &Range<u64>,
        grant: Option<Grant>,
    ) -> Result<Blocks, usize> {
        self.find(range).or_else(|lacking| {
            let grant = grant.or_else(|| self.pool.try_grant(lacking, 0));
            let made = grant.and_then(|grant| self.make(range, grant));
            made.ok_or(lacking)
        })
    }

    /// The blocks of `range` for read-ahead, which leaves buffers free for demand. If there are too
    /// few, lets go of what was fetched for streams that match `is_abandoned`.
    pub(super) fn claim_spare(
        &mut self,
        range: &Range<u64>,
        mut is_abandoned: impl FnMut(StreamId) -> bool,
    ) -> Option<Blocks> {
        let lacking = match self.find(range) {
            Ok(blocks) => return Some(blocks),
            Err(lacking) => lacking,
        };
        let reserve = self.reserve();
        let mut grant = self.pool.try_grant(lacking, reserve);
        if grant.is_none() {
            self.held.retain(|stream, _| !is_abandoned(*stream));
            grant = self.pool.try_grant(lacking, reserve);
        }
        if grant.is_none() {
            self.lacking = Some(lacking + reserve);
        }
        self.make(range, grant?)
    }

    fn make(&mut self, range: &Range<u64>, mut grant: Grant) -> Option<Blocks> {
        let mut blocks = Blocks::new();
        for number in blocks_of(range) {
            let block = match self.block(number) {
                Some(block) => block,
                None => {
                    let block = Arc::new(Block::new(number, grant.take()?));
                    self.blocks.insert(number, Arc::downgrade(&block));
                    block
                }
            };
            blocks.push(block);
        }
        // Forget dropped blocks when the map would have to grow.
        if self.blocks.len() > 1024 && self.blocks.len() == self.blocks.capacity() {
            self.blocks.retain(|_, block| block.strong_count() > 0);
        }
        Some(blocks)
    }

    /// Whether this many buffers are free.
    pub(super) fn has_free(&self, buffers: usize) -> bool {
        self.pool.available() >= buffers
    }

    /// Keeps blocks in memory until the stream has read them.
    pub(super) fn hold(&mut self, stream: StreamId, blocks: Blocks) {
        self.held.entry(stream).or_default().extend(blocks);
    }

    /// Lets go of the blocks that the stream will not read any more. They were read, and count as
    /// that from now on.
    pub(super) fn release_read(
        &mut self,
        stream: StreamId,
        will_read: impl Fn(&Range<u64>) -> bool,
    ) {
        let Some(held) = self.held.get_mut(&stream) else {
            return;
        };
        held.retain(|block| {
            let keep = will_read(&block.extent());
            if !keep {
                self.share.keep_read(block);
            }
            keep
        });
    }

    /// Lets go of what was fetched for the stream.
    pub(super) fn release(&mut self, stream: StreamId) {
        self.held.remove(&stream);
    }

    /// Lets go of what was fetched for all streams.
    pub(super) fn release_all(&mut self) {
        self.held.clear();
    }

    /// Keeps blocks that have been read. If there are too many, drops those that were read longest ago.
    pub(super) fn keep_read(&mut self, blocks: &[Arc<Block>]) {
        blocks.iter().for_each(|block| self.share.keep_read(block));
    }

    /// Lets go of all that was read.
    pub(super) fn drop_all_read(&mut self) {
        self.share.drop_all_read();
    }
}
