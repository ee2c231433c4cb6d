//! Method 12: bzip2, which restarts at each block.
//!
//! A stream is a header of 4 bytes, blocks, and an end with a checksum. Each block begins with a magic number of 48 bits, at
//! any bit of a byte, and depends on no other. Only the next magic number tells where it ends.
//!
//! The library decodes whole streams only. So this codec makes a stream of each block: the header, the block shifted
//! to a whole byte, and an end. `next_block` finds where the next block ends, `stream_of` makes the stream, and the library
//! decodes it.

use bzip2::{Decompress, Status};

use crate::decode::codec::{Checkpoint, Codec, Input};
use crate::decode::error::Error;
use crate::decode::memory::Share;

/// The magic numbers of a block and of the end of a stream.
const BLOCK_MAGIC: u64 = 0x3141_5926_5359;
const END_MAGIC: u64 = 0x1772_4538_5090;
const MAGIC_BITS: usize = 48;
const MAGIC_MASK: u64 = (1 << MAGIC_BITS) - 1;
/// The length of the CRC-32 behind a magic number.
const CRC_BITS: usize = 32;

/// The longest compressed block in bytes: 900,000 symbols of at most 20 bits, and tables.
const LONGEST: usize = 5 << 19;

/// Memory of the library for the largest block, and of the compressed block twice, in bytes.
const MEMORY: u64 = 4_000_000 + 2 * LONGEST as u64;

/// The most false ends of a block that are tried: bits within the block that look like a magic number. For each, the
/// block is decoded from its start again. By chance there is hardly ever one.
const MOST_FALSE_ENDS: u32 = 16;

/// Decodes bzip2.
pub(in crate::decode) struct Bzip2 {
    input: Box<dyn Input>,
    output: u64,
    is_first_stream: bool,
    /// The stream's block size in units of 100 KB, as a digit; 0 where a stream begins.
    level: u8,
    /// What was read and belongs to no block that was decoded. The next magic number begins in the first byte.
    bytes: Vec<u8>,
    /// The bit of the first byte at which it begins, counted from the most significant one.
    bit: usize,
    /// The block that is being decoded: the one at the beginning of `bytes`.
    block: Option<Block>,
    /// Dropped last, because the others have the memory.
    _share: Share,
}

/// A block that is being decoded.
struct Block {
    decoder: Decompress,
    /// A stream of this block alone.
    stream: Vec<u8>,
    /// Where the block ends and the next magic number begins, in bits from the first of [`Bzip2::bytes`].
    end: usize,
    /// How many false ends were tried before.
    false_ends: u32,
}

impl Bzip2 {
    pub(in crate::decode) fn new(
        input: Box<dyn Input>,
        from: Option<&Checkpoint>,
        mut share: Share,
    ) -> Result<Self, Error> {
        share.take(MEMORY)?;
        let mut codec = Self {
            input,
            _share: share,
            output: from.map_or(0, |from| from.output),
            is_first_stream: from.is_none(),
            level: 0,
            bytes: Vec::new(),
            bit: 0,
            block: None,
        };
        if let Some(from) = from {
            let wrong = || codec.input.damaged("its checkpoint is damaged");
            let (&[level, bit], bytes) = from.state.split_first_chunk().ok_or_else(wrong)?;
            let end = (usize::from(bit) + MAGIC_BITS).div_ceil(8);
            let is_sound = match level {
                0 => bytes.is_empty(),
                b'1'..=b'9' => bit < 8 && bytes.len() == end,
                _ => false,
            };
            if !is_sound {
                return Err(wrong());
            }
            (codec.level, codec.bit, codec.bytes) = (level, bit.into(), bytes.to_vec());
        }
        Ok(codec)
    }

    /// Reads until there are `len` bytes. Returns false if the input ends before.
    fn fill(&mut self, len: usize) -> Result<bool, Error> {
        while self.bytes.len() < len {
            let new = self.input.buffered()?;
            let new = &new[..new.len().min(len - self.bytes.len())];
            if new.is_empty() {
                return Ok(false);
            }
            self.bytes.extend_from_slice(new);
            let count = new.len();
            self.input.consume(count);
        }
        Ok(true)
    }

    /// The next block; `None` at the end of the data.
    fn next_block(&mut self) -> Result<Option<Block>, Error> {
        loop {
            if self.level == 0 && !self.begin_stream()? {
                return Ok(None);
            }
            match bits(&self.bytes, self.bit) & MAGIC_MASK {
                BLOCK_MAGIC => return self.block_to_next_end(0).map(Some),
                END_MAGIC => {
                    // The CRC-32 of the stream is one of the blocks', which are compared.
                    if !self.fill((self.bit + MAGIC_BITS + CRC_BITS).div_ceil(8))? {
                        return Err(self.input.damaged("it ends in the middle"));
                    }
                    self.bytes.clear();
                    (self.level, self.bit, self.is_first_stream) = (0, 0, false);
                }
                _ => return Err(self.input.damaged("there is no bzip2 block")),
            }
        }
    }

    /// Reads a stream's header, and the magic number behind it. Returns false at the end of the data.
    fn begin_stream(&mut self) -> Result<bool, Error> {
        let is_whole = self.fill(4)?;
        if !is_whole && self.bytes.is_empty() && !self.is_first_stream {
            return Ok(false);
        }
        match self.bytes[..] {
            [b'B', b'Z', b'h', level @ b'1'..=b'9'] => self.level = level,
            _ => return Err(self.input.damaged("it is no bzip2 stream")),
        }
        self.bytes.clear();
        if !self.fill(MAGIC_BITS / 8)? {
            return Err(self.input.damaged("it ends in the middle"));
        }
        Ok(true)
    }

    /// The block at the beginning of `bytes`. It is assumed to end before the next magic number that was not read yet.
    fn block_to_next_end(&mut self, false_ends: u32) -> Result<Block, Error> {
        if false_ends > MOST_FALSE_ENDS {
            return Err(self
                .input
                .damaged("a bzip2 block has too many magic numbers in it"));
        }
        let end = self.find_end()?;
        Ok(Block {
            decoder: Decompress::new(false),
            stream: self.stream_of(end),
            end,
            false_ends,
        })
    }

    /// Reads to the end of the next magic number behind that of the block. Returns where it begins, in bits.
    fn find_end(&mut self) -> Result<usize, Error> {
        let from = self.bit + MAGIC_BITS;
        // The last eight bytes: the magic number may have begun in them.
        let last = &self.bytes[self.bytes.len().saturating_sub(8)..];
        let mut seen = last
            .iter()
            .fold(0, |seen, byte| seen << 8 | u64::from(*byte));
        loop {
            let new = self.input.buffered()?;
            if new.is_empty() {
                return Err(self.input.damaged("it ends in the middle"));
            }
            let known = self.bytes.len();
            let found = new.iter().enumerate().find_map(|(index, byte)| {
                seen = seen << 8 | u64::from(*byte);
                let end = (known + index + 1) * 8;
                let mut shifts = 0..8;
                let shift = shifts
                    .find(|shift| matches!(seen >> shift & MAGIC_MASK, BLOCK_MAGIC | END_MAGIC))?;
                let start = (end - shift).checked_sub(MAGIC_BITS)?;
                (start >= from).then_some((index, start))
            });
            let count = found.map_or(new.len(), |(index, _)| index + 1);
            self.bytes.extend_from_slice(&new[..count]);
            self.input.consume(count);
            if let Some((_, start)) = found {
                return Ok(start);
            }
            if self.bytes.len() > LONGEST {
                return Err(self.input.damaged("a bzip2 block has no end"));
            }
        }
    }

    /// A stream of the block that ends before the bit `end`.
    fn stream_of(&self, end: usize) -> Vec<u8> {
        let mut stream = vec![b'B', b'Z', b'h', self.level];
        let len = end - self.bit;
        stream.extend((0..len / 8).map(|at| (bits(&self.bytes, self.bit + at * 8) >> 40) as u8));
        // A stream of one block has the block's CRC-32, which follows the block's magic number.
        let crc = bits(&self.bytes, self.bit + MAGIC_BITS) >> (MAGIC_BITS - CRC_BITS);
        let rest = bits(&self.bytes, self.bit + len / 8 * 8) & MAGIC_MASK;
        let rest = u128::from(rest >> (MAGIC_BITS - len % 8));
        let tail = (rest << MAGIC_BITS | u128::from(END_MAGIC)) << CRC_BITS | u128::from(crc);
        let tail_len = len % 8 + MAGIC_BITS + CRC_BITS;
        stream.extend_from_slice(&(tail << (128 - tail_len)).to_be_bytes()[..tail_len.div_ceil(8)]);
        stream
    }
}

/// The 48 bits from bit `at` on; zeros behind the end.
fn bits(bytes: &[u8], at: usize) -> u64 {
    let (first, shift) = (at / 8, at % 8);
    let byte = |index: usize| u64::from(bytes.get(first + index).copied().unwrap_or(0));
    let word = (0..8).fold(0, |word, index| word << 8 | byte(index));
    word << shift >> (64 - MAGIC_BITS)
}

impl Block {
    /// Decodes into `out`. Returns how many bytes, and whether the block has ended. `None` if its stream is damaged, or cut
    /// off at a false end.
    fn decode(&mut self, out: &mut [u8]) -> Option<(usize, bool)> {
        let (consumed, produced) = (self.decoder.total_in(), self.decoder.total_out());
        let rest = &self.stream[consumed as usize..];
        let status = self.decoder.decompress(rest, out).ok()?;
        let count = (self.decoder.total_out() - produced) as usize;
        let has_ended = status == Status::StreamEnd;
        let is_stuck = !has_ended && count == 0 && self.decoder.total_in() == consumed;
        (!is_stuck).then_some((count, has_ended))
    }
}

impl Codec for Bzip2 {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        loop {
            let Some(block) = &mut self.block else {
                self.block = self.next_block()?;
                if self.block.is_none() {
                    return Ok(0);
                }
                continue;
            };
            let Some((count, has_ended)) = block.decode(out) else {
                if block.decoder.total_out() > 0 {
                    return Err(self.input.damaged("a bzip2 block is not valid"));
                }
                let false_ends = block.false_ends + 1;
                self.block = Some(self.block_to_next_end(false_ends)?);
                continue;
            };
            if has_ended {
                let end = block.end;
                self.block = None;
                self.bytes.drain(..end / 8);
                self.bit = end % 8;
            }
            if count > 0 {
                self.output += count as u64;
                return Ok(count);
            }
        }
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.input.finish()
    }

    fn checkpoint(&mut self) -> Option<Checkpoint> {
        if self.block.is_some() {
            return None;
        }
        // `bit` is less than 8.
        let head = [self.level, self.bit as u8];
        let state = [&head, &self.bytes[..]].concat();
        Some(self.input.checkpoint(self.output, state))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use super::*;
    use crate::decode::memory::Memory;

    /// Bytes whose map in the header of a block has the bits of a block's magic number.
    const BYTES: &[u8] =
        b"\x21\x23\x24\x27\x2a\x2d\x2e\x31\x33\x36\x37\x39\x3b\x3c\x3f\x70\x90\xf0";

    #[test]
    fn magic_numbers_within_a_block_are_not_its_end() {
        let mut random = fastrand::Rng::with_seed(4);
        let mut last = 0;
        // Without runs, which are encoded by other bytes.
        let content = std::iter::repeat_with(|| {
            last = (last + random.usize(1..BYTES.len())) % BYTES.len();
            BYTES[last]
        });
        let content: Vec<u8> = content.take(250_000).collect();
        let mut stored = Vec::new();
        let mut encoder = bzip2::read::BzEncoder::new(&content[..], bzip2::Compression::fast());
        encoder.read_to_end(&mut stored).unwrap();
        let magic = |at: &usize| bits(&stored, *at) == BLOCK_MAGIC;
        assert_eq!((0..stored.len() * 8).filter(magic).count(), 2 * 3);

        let input = Box::new(Cursor::new(stored));
        let share = Memory::new(64 << 20).share_at_once();
        let mut codec = Bzip2::new(input, None, share).unwrap();
        let (mut decoded, mut buffer) = (Vec::new(), [0; 10_000]);
        loop {
            let count = codec.read(&mut buffer).unwrap();
            if count == 0 {
                break;
            }
            decoded.extend_from_slice(&buffer[..count]);
        }
        assert!(decoded == content);
    }
}
