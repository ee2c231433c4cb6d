//! Method 8: Deflate (RFC 1951), which restarts between its blocks.
//!
//! A place to restart is a position in bits and the 32 KiB before it, which are kept compressed.
//! Compressors end a block after some ten thousand symbols; one that makes a single block of a large
//! entry leaves no places.

use super::inflate::{Inflate, WINDOW};
use super::packed;
use crate::decode::codec::{Checkpoint, Codec, Input};
use crate::decode::error::Error;
use crate::decode::memory::Share;

/// Decodes Deflate.
pub(in crate::decode) struct Deflate {
    input: Box<dyn Input>,
    inflate: Inflate,
    output: u64,
    has_ended: bool,
    /// The byte that was consumed last.
    last: u8,
    /// Whether to end a read at the end of a block.
    seeks_boundary: bool,
    /// Between blocks: the bits of `last` that belong to the next block.
    between_blocks: Option<u8>,
    /// Dropped last, because the others have the memory.
    _share: Share,
}

impl Deflate {
    pub(in crate::decode) fn new(
        input: Box<dyn Input>,
        from: Option<&Checkpoint>,
        mut share: Share,
    ) -> Result<Self, Error> {
        share.take(WINDOW as u64 * 3 / 2)?;
        let no_memory = || input.damaged("no memory for its window");
        let mut inflate = Inflate::new().ok_or_else(no_memory)?;
        if let Some(from) = from {
            let wrong = || input.damaged("its checkpoint is damaged");
            let (&[bits, byte], window) = from.state.split_first_chunk().ok_or_else(wrong)?;
            let window = packed::unpack(window, WINDOW).ok_or_else(wrong)?;
            if !inflate.restart(bits, byte, &window) {
                return Err(wrong());
            }
        }
        Ok(Self {
            input,
            _share: share,
            inflate,
            output: from.map_or(0, |from| from.output),
            has_ended: false,
            last: 0,
            seeks_boundary: false,
            between_blocks: None,
        })
    }
}

impl Codec for Deflate {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        self.between_blocks = None;
        let mut done = 0;
        while done < out.len() && !self.has_ended {
            let at = self.input.position();
            let bytes = self.input.buffered()?;
            let is_last = bytes.is_empty();
            let step = self
                .inflate
                .step(bytes, &mut out[done..], self.seeks_boundary)
                .map_err(|what| Error::Damaged { at, what })?;
            if let Some(last) = step.consumed.checked_sub(1) {
                self.last = bytes[last];
            }
            self.input.consume(step.consumed);
            done += step.produced;
            self.output += step.produced as u64;
            self.has_ended = step.has_ended;
            if step.between_blocks.is_some() && done > 0 {
                self.between_blocks = step.between_blocks;
                break;
            }
            if is_last && step.produced == 0 && !step.has_ended && step.between_blocks.is_none() {
                return Err(Error::damaged(at, "it ends in the middle"));
            }
        }
        Ok(done)
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.input.finish()
    }

    fn checkpoint(&mut self) -> Option<Checkpoint> {
        let Some(bits) = self.between_blocks else {
            self.seeks_boundary = true;
            return None;
        };
        self.seeks_boundary = false;
        let window = packed::pack(&self.inflate.window())?;
        let state = [&[bits, self.last][..], &window].concat();
        Some(self.input.checkpoint(self.output, state))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use flate2::Compression;
    use flate2::write::DeflateEncoder;
    use proptest::prelude::*;

    use super::*;
    use crate::decode::codec::Decryption;
    use crate::decode::memory::Memory;

    /// Bytes that compress in part: words, runs and noise.
    fn plain(seed: u64, len: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut out = Vec::new();
        while out.len() < len {
            match random.u8(0..4) {
                0 => out.extend(std::iter::repeat_n(random.u8(..), random.usize(1..5000))),
                1 => out.extend(std::iter::repeat_with(|| random.u8(..)).take(3000)),
                _ => (0..2000).for_each(|_| {
                    let _ = write!(out, "word{} ", random.u8(..));
                }),
            }
        }
        out.truncate(len);
        out
    }

    fn deflated(plain: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn open(stored: &[u8], from: Option<&Checkpoint>) -> Result<Deflate, Error> {
        let mut input = Cursor::new(stored.to_vec());
        input.set_position(from.map_or(0, |from| from.input));
        Deflate::new(Box::new(input), from, Memory::new(1 << 20).share_at_once())
    }

    fn rest(mut codec: Deflate, step: usize) -> Result<Vec<u8>, Error> {
        let (mut out, mut buffer) = (Vec::new(), vec![0; step]);
        loop {
            match codec.read(&mut buffer)? {
                0 => return Ok(out),
                count => out.extend_from_slice(&buffer[..count]),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// From each checkpoint on, the bytes are those of the whole.
        #[test]
        fn restarts_give_the_rest(seed: u64, len in 0usize..600_000, level in 0u32..10, step in 1usize..200_000, spacing in 1u64..200_000) {
            let plain = plain(seed, len);
            let stored = deflated(&plain, level);
            let mut codec = open(&stored, None).unwrap();
            let (mut at, mut last, mut points) = (0, 0, Vec::new());
            let mut buffer = vec![0; step.max(1000)];
            loop {
                let count = codec.read(&mut buffer).unwrap();
                if count == 0 {
                    break;
                }
                prop_assert_eq!(&buffer[..count], &plain[at..at + count]);
                at += count;
                if at as u64 - last >= spacing && let Some(point) = codec.checkpoint() {
                    prop_assert_eq!(point.output, at as u64);
                    last = at as u64;
                    points.push(point);
                }
            }
            prop_assert_eq!(at, plain.len());
            for point in points.iter().step_by(points.len() / 6 + 1) {
                let got = rest(open(&stored, Some(point)).unwrap(), step.max(1000)).unwrap();
                prop_assert!(got == plain[point.output as usize..]);
            }
        }

        /// Any bytes are an error or some content, and never more.
        #[test]
        fn noise_ends(stored in prop::collection::vec(any::<u8>(), 0..2000), state in prop::collection::vec(any::<u8>(), 0..100)) {
            let limited = |codec: Deflate| {
                let mut codec = codec;
                let mut buffer = vec![0; 65536];
                for _ in 0..64 {
                    match codec.read(&mut buffer) {
                        Ok(0) | Err(_) => return,
                        Ok(_) => { codec.checkpoint(); }
                    }
                }
            };
            limited(open(&stored, None).unwrap());
            let from = Checkpoint { output: 5, input: 0, state, decryption: Decryption::None };
            if let Ok(codec) = open(&stored, Some(&from)) {
                limited(codec);
            }
        }
    }

    #[test]
    fn a_stream_that_is_cut_or_damaged_is_an_error() {
        let plain = plain(1, 100_000);
        let stored = deflated(&plain, 6);
        for end in [0, 1, stored.len() / 2, stored.len() - 1] {
            let error = rest(open(&stored[..end], None).unwrap(), 5000).unwrap_err();
            let Error::Damaged { at, what } = error else {
                panic!("{error}");
            };
            assert!(
                at <= end as u64 && what.contains("ends in the middle"),
                "{at} {what}"
            );
        }
        let mut bad = stored.clone();
        bad[0] = 0xff; // the block type that does not exist
        let error = rest(open(&bad, None).unwrap(), 5000).unwrap_err();
        assert!(error.to_string().contains("invalid block type"), "{error}");
    }
}
