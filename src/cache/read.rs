//! Reads blocks from disk and verifies them.

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

/// A block file that was opened.
pub(super) struct OpenBlock {
    file: Box<dyn Handle>,
    pub(super) head: Head,
    /// The block's first bytes, as far as they were read together with the head.
    beginning: Bytes,
}

/// What the disk has at the beginning of a range.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    /// These bytes.
    Found(Bytes),
    /// Nothing up to this offset.
    Missing(u64),
}

impl Shared {
    /// Reads the beginning of `range`, which is not empty, at most up to the end of a block. Found
    /// bytes shorter than a page in the middle of a gap count as missing: another request would cost
    /// more than they save.
    pub(super) fn look(&self, blob: &Blob, range: &Range<u64>) -> Lookup {
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
                    return Lookup::Missing(at);
                }
                match self.read_run(blob, number, &block, &run) {
                    Some(bytes) => return Lookup::Found(bytes),
                    None => break,
                }
            }
        }
        Lookup::Missing(range.end)
    }

    /// Lists the group of a missing block, unless a fresh listing exists.
    fn list_group(&self, blob: &Blob, number: u64) {
        let now = Instant::now();
        if self.is_paused(Work::Reading) || !blob.presence.is_unknown(number, now) {
            return;
        }
        let names = match self.disk.names(&blob.group_dir(number)) {
            Err(e) if e.kind() == ErrorKind::NotFound => Vec::new(),
            // Opening one of them reports the error.
            Err(_) => return,
            Ok(names) => names,
        };
        let numbers = names.iter().map(|name| u64::from_str_radix(name, 16));
        blob.presence.listed(number, now, numbers.flatten());
    }

    /// Opens a block's file and reads its head; removes a damaged one. If the caller will read much
    /// from the start of the block (`wanted`), one read gets it with the head: two take nearly twice as
    /// long.
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
                    self.report_failure(Work::Reading, &e);
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
            let head = Head::decode(&head, &blob.key.hash, number);
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

    /// Reads and verifies a run that the file has.
    pub(super) fn read_run(
        &self,
        blob: &Blob,
        number: u64,
        block: &OpenBlock,
        run: &Range<u64>,
    ) -> Option<Bytes> {
        let span = block.head.span_to_verify(run);
        let verified = self.read_span(block, &span).and_then(|bytes| {
            let is_intact = block.head.verifies(span.start, &bytes);
            is_intact
                .then_some(bytes)
                .ok_or_else(|| damaged("its content"))
        });
        let bytes = match verified {
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

    /// Reads all bytes of a span of a block.
    fn read_span(&self, block: &OpenBlock, span: &Range<u64>) -> io::Result<Bytes> {
        let OpenBlock {
            file, beginning, ..
        } = block;
        if span.end <= beginning.len() as u64 {
            return Ok(beginning.slice(span.start as usize..span.end as usize));
        }
        let is_large = span.end - span.start >= LARGE;
        if is_large && let Some(mut buffer) = self.buffers.take() {
            // Direct reads need whole pages.
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
