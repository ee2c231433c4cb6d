//! Method 93: Zstandard (RFC 8878), which restarts where a frame begins.

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use crate::decode::codec::{Checkpoint, Codec, Coding, Input};
use crate::decode::error::Error;

/// The binary logarithm of the longest window that the library decodes, in bytes.
const LONGEST_WINDOW: u32 = 31;

/// Memory of a decoder besides its window, in bytes.
const CONTEXT: u64 = 256 * 1024;

/// Decodes Zstandard.
pub(in crate::decode) struct Zstd {
    input: Box<dyn Input>,
    decoder: Decoder<'static>,
    output: u64,
    between_frames: bool,
    /// Length of the plain data in bytes, and the memory that is allowed.
    size: u64,
    allowed: u64,
    /// The longest window so far, in bytes.
    window: u64,
}

impl Zstd {
    pub(in crate::decode) fn new(
        coding: &Coding,
        input: Box<dyn Input>,
        from: Option<&Checkpoint>,
    ) -> Result<Self, Error> {
        let at = input.position();
        // A window takes memory as it fills, so that content which fits into the memory needs no limit.
        let longest = if coding.size <= coding.memory {
            LONGEST_WINDOW
        } else {
            coding.memory.max(1).ilog2().clamp(10, LONGEST_WINDOW)
        };
        let decoder = Decoder::new().and_then(|mut decoder| {
            decoder.set_parameter(DParameter::WindowLogMax(longest))?;
            Ok(decoder)
        });
        Ok(Self {
            decoder: decoder.map_err(|e| Error::of_io(e, at))?,
            input,
            output: from.map_or(0, |from| from.output),
            between_frames: true,
            size: coding.size,
            allowed: coding.memory,
            window: 0,
        })
    }
}

impl Codec for Zstd {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        let mut done = 0;
        loop {
            let at = self.input.position();
            let bytes = self.input.fill_buf().map_err(|e| Error::of_io(e, at))?;
            let is_last = bytes.is_empty();
            if is_last && self.between_frames {
                return Ok(done);
            }
            if self.between_frames {
                let window = window(bytes).unwrap_or(0);
                self.window = self.window.max(window.min(self.size));
            }
            let mut from = InBuffer::around(bytes);
            let mut to = OutBuffer::around(&mut out[done..]);
            let step = self.decoder.run(&mut from, &mut to);
            let (consumed, produced) = (from.pos(), to.pos());
            let hint = step.map_err(|e| match e.to_string() {
                what if what.contains("too much memory") => Error::TooMuchMemory {
                    needs: window(bytes).unwrap_or(0).max(self.allowed + 1),
                    allowed: self.allowed,
                },
                what => Error::Damaged { at, what },
            })?;
            self.input.consume(consumed);
            self.output += produced as u64;
            done += produced;
            self.between_frames = hint == 0;
            // A read ends with a frame, where there is a checkpoint.
            if done > 0 && (self.between_frames || done == out.len()) {
                return Ok(done);
            }
            if is_last && produced == 0 && !self.between_frames {
                return Err(Error::Damaged {
                    at,
                    what: "it ends in the middle".into(),
                });
            }
        }
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.input.finish()
    }

    fn checkpoint(&mut self) -> Option<Checkpoint> {
        self.between_frames.then(|| Checkpoint {
            output: self.output,
            input: self.input.position(),
            state: Vec::new(),
            decryption: self.input.state(),
        })
    }

    fn memory(&self) -> u64 {
        CONTEXT + self.window
    }
}

/// The length in bytes of a frame's window, from the beginning of the frame (RFC 8878, section 3.1.1.1). `None`
/// for a frame that is skipped, and if the bytes do not suffice.
fn window(frame: &[u8]) -> Option<u64> {
    let (magic, header) = frame.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*magic) != 0xfd2f_b528 {
        return None;
    }
    let descriptor = *header.first()?;
    if descriptor & 1 << 5 == 0 {
        let window = header.get(1)?;
        let base = 1u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    // A single segment: the window is the content, whose length is given.
    let dictionary_id = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size = header.get(1 + dictionary_id..)?;
    let number = |len: usize| {
        let bytes = size.get(..len)?.iter().rev();
        Some(bytes.fold(0, |number, byte| number << 8 | u64::from(*byte)))
    };
    match descriptor >> 6 {
        0 => number(1),
        1 => number(2).map(|size| size + 256),
        2 => number(4),
        _ => number(8),
    }
}
