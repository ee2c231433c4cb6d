//! Method 95: XZ (section 4.4.5; `https://tukaani.org/xz/xz-file-format.txt`), which restarts where a block begins.
//!
//! The library decodes whole streams, so each block is decoded as the first one of a stream of its own. What follows
//! the last block of a stream is skipped: its index tells nothing that the entry's size and CRC-32 do not.
//!
//! The library decodes single blocks only if they have at most one filter besides LZMA2. If the first block has more, the
//! entry is decoded in sequence, and does not restart. If only a later one has more, the entry is not supported.

use std::io::{self, Cursor, ErrorKind, Read};

use lzma_rust2::{Action, XzReader, XzStream, lzma2_get_memory_usage};

use super::sequential::{Buffered, STEP, Sequential};
use crate::archive::{Entry, Method};
use crate::decode::codec::{Checkpoint, Codec, Input};
use crate::decode::error::Error;
use crate::decode::memory::Share;

/// Length of a stream's header and of its footer, in bytes (sections 2.1.1 and 2.1.2).
const HEADER: usize = 12;

/// The most bytes of a number of variable length (section 1.2).
const LONGEST_NUMBER: usize = 9;

/// The number of the filter LZMA2 (section 5.3.1).
const LZMA2: u64 = 0x21;

/// Starts decoding.
pub(in crate::decode) fn open(
    entry: &Entry,
    input: Box<dyn Input>,
    from: Option<&Checkpoint>,
    share: Share,
) -> Result<Box<dyn Codec>, Error> {
    let mut codec = Xz::new(entry, input, from, share)?;
    if from.is_none()
        && let Some(header) = codec.next_header()?
    {
        if is_chain(&header) {
            return codec.in_sequence(&header);
        }
        codec.block = Some(codec.begin_block(&header)?);
    }
    Ok(Box::new(codec))
}

/// Decodes XZ block by block.
struct Xz {
    input: Box<dyn Input>,
    output: u64,
    /// Length of the plain data in bytes.
    size: u64,
    /// The header of the present stream; empty between streams.
    header: Vec<u8>,
    is_first_stream: bool,
    block: Option<Block>,
    /// Dropped last, because the others have the memory.
    share: Share,
}

/// A block that is being decoded.
struct Block {
    stream: XzStream,
    rest: Rest,
}

/// What is left of a block's bytes. The data of LZMA2 consists of chunks that tell their lengths.
#[derive(Clone)]
struct Rest {
    /// The beginning of the next chunk, as far as it was seen.
    chunk: Vec<u8>,
    /// How many bytes are left of the present chunk, or of what follows the data.
    left: u64,
    /// Bytes of chunks so far.
    data: u64,
    /// Length of the check behind the data, in bytes.
    check: u64,
    /// Whether the data has ended.
    is_behind: bool,
}

impl Rest {
    fn is_empty(&self) -> bool {
        self.is_behind && self.left == 0
    }

    /// Whether the data has ended, or ends with the byte that follows.
    fn ends_with(&self, next: Option<&u8>) -> bool {
        self.is_behind || self.left == 0 && self.chunk.is_empty() && next == Some(&0)
    }

    /// Passes over bytes, and returns how many of them belong to the block.
    fn pass(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() && !self.is_empty() {
            if self.left > 0 {
                let count = self.left.min((bytes.len() - at) as u64);
                self.left -= count;
                at += count as usize;
            } else {
                self.chunk.push(bytes[at]);
                at += 1;
                self.begin_chunk();
            }
        }
        at
    }

    /// Looks whether the beginning of the chunk is complete.
    fn begin_chunk(&mut self) {
        let left = match self.chunk[..] {
            // The end of the data, its padding to a multiple of four bytes, and the check (section 3.3 and 3.4).
            [0] => {
                self.is_behind = true;
                (self.data + 1).wrapping_neg() % 4 + self.check
            }
            // A chunk that is not compressed.
            [1..0x80, high, low] => u64::from(u16::from_be_bytes([high, low])) + 1,
            // A compressed one, with a byte of properties or without.
            [0x80..0xc0, _, _, high, low] | [0xc0..=0xff, _, _, high, low, _] => {
                u64::from(u16::from_be_bytes([high, low])) + 1
            }
            _ => return,
        };
        self.data += self.chunk.len() as u64 + left;
        self.left = left;
        self.chunk.clear();
    }
}

impl Xz {
    fn new(
        entry: &Entry,
        input: Box<dyn Input>,
        from: Option<&Checkpoint>,
        share: Share,
    ) -> Result<Self, Error> {
        let header = from.map_or_else(Vec::new, |from| from.state.clone());
        let codec = Self {
            input,
            output: from.map_or(0, |from| from.output),
            size: entry.size,
            share,
            header,
            is_first_stream: from.is_none(),
            block: None,
        };
        match codec.header.len() {
            0 | HEADER => Ok(codec),
            _ => Err(codec.input.damaged("its checkpoint is damaged")),
        }
    }

    /// Reads this many bytes.
    fn take(&mut self, len: usize) -> Result<Vec<u8>, Error> {
        let at = self.input.position();
        let mut bytes = vec![0; len];
        match self.input.read_exact(&mut bytes) {
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
                Err(self.input.damaged("it ends in the middle"))
            }
            Err(e) => Err(Error::of_io(e, at)),
            Ok(()) => Ok(bytes),
        }
    }

    fn is_at_end(&mut self) -> Result<bool, Error> {
        Ok(self.input.buffered()?.is_empty())
    }

    /// Reads the header of the next block. `None` at the end of the data.
    fn next_header(&mut self) -> Result<Option<Vec<u8>>, Error> {
        loop {
            if self.header.is_empty() && !self.begin_stream()? {
                return Ok(None);
            }
            let mut header = self.take(1)?;
            if header == [0] {
                self.skip_index()?;
                continue;
            }
            let len = usize::from(header[0]) * 4 + 3;
            header.extend(self.take(len)?);
            return Ok(Some(header));
        }
    }

    /// Decodes everything in sequence. `header` is that of the first block.
    fn in_sequence(mut self, header: &[u8]) -> Result<Box<dyn Codec>, Error> {
        let dictionary = dictionary(header);
        let dictionary =
            dictionary.ok_or_else(|| self.input.damaged("a block header is not valid"))?;
        // Later blocks may have larger dictionaries, and no more memory can be taken for them.
        let first = u64::from(lzma2_get_memory_usage(dictionary)) * 1024;
        let whole = self.most_needed();
        let allowed = first.max(self.share.most() / 4).min(whole);
        self.share.take(allowed + STEP as u64)?;
        let limit = if allowed == whole {
            u32::MAX
        } else {
            u32::try_from(allowed / 1024).unwrap_or(u32::MAX)
        };
        let head = Cursor::new([&self.header, header].concat());
        let make = |source: Buffered| {
            let reader = XzReader::new_mem_limit(head.chain(source), true, limit);
            let needs = whole;
            let beyond = Error::TooMuchMemory { needs, allowed };
            Ok(Limited { reader, beyond })
        };
        Ok(Box::new(Sequential::new(self.input, self.share, make)?))
    }

    /// The most memory that decoding takes, whatever the dictionaries are: they take memory as they fill. In bytes.
    fn most_needed(&self) -> u64 {
        self.size.min(u64::MAX / 2) + (1 << 20)
    }

    /// Reads the header of a stream, behind the padding of the one before (section 2.2).
    fn begin_stream(&mut self) -> Result<bool, Error> {
        let mut start = vec![0; 4];
        while start == [0; 4] {
            if self.is_at_end()? && !self.is_first_stream {
                return Ok(false);
            }
            start = self.take(4)?;
            if self.is_first_stream {
                break;
            }
        }
        start.extend(self.take(HEADER - 4)?);
        (self.header, self.is_first_stream) = (start, false);
        Ok(true)
    }

    /// Counts the memory of a block, whose header this is, and begins to decode it.
    fn begin_block(&mut self, header: &[u8]) -> Result<Block, Error> {
        let at = self.input.position();
        // The library fails with the need of the block before it takes memory.
        let mut stream = XzStream::new_mem_limit(false, 0);
        for part in [&self.header[..], header] {
            match stream.process(part, &mut [], Action::Run) {
                Err(e) if e.kind() != ErrorKind::OutOfMemory => {
                    return Err(Error::damaged(at, e.to_string()));
                }
                Err(_) | Ok(_) => {}
            }
        }
        let needs = stream.memory_usage();
        let needs = needs.ok_or_else(|| Error::damaged(at, "a block header is cut off"))?;
        let needs = (u64::from(needs) * 1024).min(self.most_needed());
        self.share.take(needs)?;
        stream.set_mem_limit(u32::MAX);
        // The lengths of checks by their numbers (section 2.1.1.2).
        let check = match self.header[7] & 15 {
            0 => 0,
            number => 4 << ((number - 1) / 3),
        };
        Ok(Block {
            stream,
            rest: Rest {
                chunk: Vec::new(),
                left: 0,
                data: 0,
                check,
                is_behind: false,
            },
        })
    }

    /// Skips the index of a stream and the stream's footer (section 4 and 2.1.2). The index indicator was read.
    fn skip_index(&mut self) -> Result<(), Error> {
        let mut len = 1;
        let records = self.number(&mut len)?;
        for _ in 0..records {
            self.number(&mut len)?;
            self.number(&mut len)?;
        }
        let padding = len.wrapping_neg() % 4;
        self.take(padding + 4 + HEADER)?;
        self.header.clear();
        Ok(())
    }

    /// A number in the index. Adds its length to `len`.
    fn number(&mut self, len: &mut usize) -> Result<u64, Error> {
        let mut bytes = Vec::new();
        while bytes.last().is_none_or(|last| *last >= 0x80) {
            bytes.extend(self.take(1)?);
            *len = len.wrapping_add(1);
            if bytes.len() > LONGEST_NUMBER {
                return Err(self.input.damaged("a number in its index is too long"));
            }
        }
        Ok(number(&bytes).map_or(0, |(number, _)| number))
    }
}

/// A reader with a limit of memory, whose errors tell what was allowed.
struct Limited<R> {
    reader: R,
    /// What is wrong with a block whose dictionary is beyond the limit.
    beyond: Error,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.reader.read(out).map_err(|e| match e.kind() {
            ErrorKind::OutOfMemory => self.beyond.clone().into(),
            _ => e,
        })
    }
}

/// Whether a block, whose header this is, has several filters besides LZMA2.
fn is_chain(header: &[u8]) -> bool {
    // The number of filters, less one.
    header[1] & 3 > 1
}

/// The size of the dictionary in bytes, from a block's header (section 3.1). `None` if the header is not valid.
fn dictionary(header: &[u8]) -> Option<u32> {
    let (flags, mut rest) = header.get(1..)?.split_first()?;
    // The lengths of the stored and of the plain data, if there are any.
    for _ in 0..(flags >> 6).count_ones() {
        (_, rest) = number(rest)?;
    }
    for _ in 0..=flags & 3 {
        let (filter, after) = number(rest)?;
        let (len, after) = number(after)?;
        let (properties, after) = after.split_at_checked(usize::try_from(len).ok()?)?;
        match (filter, properties) {
            (LZMA2, [40]) => return Some(u32::MAX),
            (LZMA2, [bits @ 0..40]) => return Some((2 | u32::from(bits & 1)) << (bits / 2 + 11)),
            (LZMA2, _) => return None,
            _ => rest = after,
        }
    }
    None
}

/// A number of variable length at the beginning of some bytes (section 1.2), and what follows it.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let last = bytes
        .iter()
        .take(LONGEST_NUMBER)
        .position(|byte| *byte < 0x80)?;
    let (digits, rest) = bytes.split_at(last + 1);
    let digits = digits.iter().rev();
    let number = digits.fold(0, |number, digit| number << 7 | u64::from(digit & 0x7f));
    Some((number, rest))
}

impl Codec for Xz {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        let mut done = 0;
        loop {
            let Some(block) = &mut self.block else {
                // A read ends with a block, where there is a checkpoint.
                if done > 0 {
                    return Ok(done);
                }
                let Some(header) = self.next_header()? else {
                    return Ok(0);
                };
                if is_chain(&header) {
                    let method = Method::Xz;
                    return Err(Error::Unsupported { method });
                }
                self.block = Some(self.begin_block(&header)?);
                continue;
            };
            let at = self.input.position();
            let bytes = self.input.buffered()?;
            let count = block.rest.clone().pass(bytes);
            let step = block
                .stream
                .process(&bytes[..count], &mut out[done..], Action::Run);
            let step = step.map_err(|e| Error::damaged(at, e.to_string()))?;
            block.rest.pass(&bytes[..step.bytes_consumed]);
            let is_last = bytes.is_empty();
            let ends = block.rest.ends_with(bytes.get(step.bytes_consumed));
            self.input.consume(step.bytes_consumed);
            done += step.bytes_produced;
            self.output += step.bytes_produced as u64;
            let is_stuck = step.bytes_consumed == 0 && step.bytes_produced == 0;
            if block.rest.is_empty() {
                self.block = None;
            } else if done == out.len() && (is_stuck || !ends) {
                return Ok(done);
            } else if is_stuck {
                let what = if is_last {
                    "it ends in the middle"
                } else {
                    "an XZ block is not valid"
                };
                return Err(self.input.damaged(what));
            }
        }
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.input.finish()
    }

    fn checkpoint(&mut self) -> Option<Checkpoint> {
        let is_between = self.block.is_none();
        is_between.then(|| self.input.checkpoint(self.output, self.header.clone()))
    }
}
