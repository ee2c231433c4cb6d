//! Blocks read from disk.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::time::Instant;

use bytes::Bytes;

use super::blob::Blob;
use super::block::{BLOCK, HEAD, Head, PAGE, blocks_of, within};
use super::disk::Handle;
use super::shared::{Shared, Work, damaged};

/// From this size on, a part of a block is read past the page cache.
const LARGE: u64 = 256 << 10;

/// A block that is on disk.
pub(super) struct OpenBlock {
    file: Box<dyn Handle>,
    pub(super) head: Head,
    /// What of its bytes came along with the head, from the first on.
    beginning: Bytes,
}

/// What there is of a range, from its beginning on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// These bytes.
    There(Bytes),
    /// Nothing up to this place.
    Missing(u64),
}

impl Shared {
    /// What there is of `range`, which is not empty. One look gives no more than a block. Pieces
    /// that are shorter than a page and lie in the middle of what is missing count as missing: a
    /// request more would cost more than they bring.
    pub(super) fn look(&self, blob: &Blob, range: &Range<u64>) -> Span {
        for number in blocks_of(range) {
            let start = number * BLOCK;
            let mut wanted = within(number, range);
            let Some(block) = self.open_block(blob, number, &wanted) else {
                self.list_group(blob, number);
                continue;
            };
            while let Some(run) = block.head.ranges().first_in(&wanted) {
                let at = start + run.start;
                let is_short = run.end - run.start < PAGE && start + run.end < range.end;
                if at > range.start {
                    if is_short {
                        wanted.start = run.end;
                        continue;
                    }
                    return Span::Missing(at);
                }
                match self.read_run(blob, number, &block, &run) {
                    Some(bytes) => return Span::There(bytes),
                    None => break,
                }
            }
        }
        Span::Missing(range.end)
    }

    /// Finds out which blocks are near one that is not there, if that is not known.
    fn list_group(&self, blob: &Blob, number: u64) {
        let now = Instant::now();
        if self.is_paused(Work::Reading) || !blob.presence.is_unknown(number, now) {
            return;
        }
        let names = match self.disk.names(&blob.group_dir(number)) {
            Err(e) if e.kind() == ErrorKind::NotFound => Vec::new(),
            // Whoever opens one of them is told.
            Err(_) => return,
            Ok(names) => names,
        };
        let numbers = names.iter().map(|name| u64::from_str_radix(name, 16));
        blob.presence.listed(number, now, numbers.flatten());
    }

    /// A block's file and what it says; a damaged one is removed. `wanted`: what of the block will be
    /// read. Much of it comes along with the head: two reads take a disk nearly twice as long.
    pub(super) fn open_block(
        &self,
        blob: &Blob,
        number: u64,
        wanted: &Range<u64>,
    ) -> Option<OpenBlock> {
        let path = blob.block(number);
        let file = match self.disk.open(&path) {
            Ok(file) => file,
            Err(e) => {
                if e.kind() != ErrorKind::NotFound {
                    self.complain(Work::Reading, &e);
                }
                return None;
            }
        };
        let is_much = wanted.start < PAGE && wanted.end - wanted.start >= LARGE;
        let buffer = is_much.then(|| self.buffers.take()).flatten();
        let read = match buffer {
            Some(mut buffer) => {
                let end = wanted.end.next_multiple_of(PAGE).min(BLOCK);
                let read = file.read_large(&mut buffer[..(HEAD + end) as usize], 0);
                read.map(|read| buffer.freeze(0..read))
            }
            None => {
                let mut bytes = vec![0; HEAD as usize];
                let read = file.read_at(&mut bytes, 0);
                read.map(|read| Bytes::from(bytes).slice(..read))
            }
        };
        let block = read.and_then(|mut beginning| {
            let head = beginning.split_to(beginning.len().min(HEAD as usize));
            let head = Head::decode(&head, blob.key.hash(), number);
            Ok(OpenBlock {
                head: head.ok_or_else(|| damaged("its head"))?,
                file,
                beginning,
            })
        });
        match block {
            Ok(block) => Some(block),
            Err(e) => {
                self.discard(&path, &e);
                None
            }
        }
    }

    /// Reads and proves a run that is there.
    pub(super) fn read_run(
        &self,
        blob: &Blob,
        number: u64,
        block: &OpenBlock,
        run: &Range<u64>,
    ) -> Option<Bytes> {
        let span = block.head.to_prove(run);
        let proven = self.read_span(block, &span).and_then(|bytes| {
            let is_proven = block.head.proves(span.start, &bytes);
            is_proven
                .then_some(bytes)
                .ok_or_else(|| damaged("its content"))
        });
        let bytes = match proven {
            Ok(bytes) => bytes,
            Err(e) => {
                self.discard(&blob.block(number), &e);
                return None;
            }
        };
        self.note_use(&*block.file);
        let from = (run.start - span.start) as usize;
        let to = (run.end - span.start) as usize;
        Some(bytes.slice(from..to))
    }

    /// All bytes of a span of a block, from its file.
    fn read_span(&self, block: &OpenBlock, span: &Range<u64>) -> io::Result<Bytes> {
        let OpenBlock {
            file, beginning, ..
        } = block;
        if span.end <= beginning.len() as u64 {
            return Ok(beginning.slice(span.start as usize..span.end as usize));
        }
        let is_large = span.end - span.start >= LARGE;
        if is_large && let Some(mut buffer) = self.buffers.take() {
            // A disk reads whole pages.
            let start = span.start / HEAD * HEAD;
            let end = span.end.next_multiple_of(HEAD);
            let read = file.read_large(&mut buffer[..(end - start) as usize], HEAD + start)?;
            return if read as u64 >= span.end - start {
                let within = (span.start - start) as usize..(span.end - start) as usize;
                Ok(buffer.freeze(within))
            } else {
                Err(damaged("its content"))
            };
        }
        let mut bytes = vec![0; (span.end - span.start) as usize];
        match file.read_at(&mut bytes, HEAD + span.start)? {
            read if read == bytes.len() => Ok(bytes.into()),
            _ => Err(damaged("its content")),
        }
    }
}
