//! Method 93: Zstandard (RFC 8878), which restarts where a frame begins.

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use crate::archive::Entry;
use crate::decode::codec::{Checkpoint, Codec, Input};
use crate::decode::error::Error;
use crate::decode::memory::Share;

/// The binary logarithm of the longest window that the library decodes, in bytes.
const LONGEST_WINDOW: u32 = 31;

/// Memory of a decoder besides its window, in bytes (`ZSTD_estimateDStreamSize` of libzstd): its context, a buffer for a
/// compressed block, and two blocks and some bytes behind the window. A block has at most 128 KiB.
const CONTEXT: u64 = 96 * 1024 + 3 * 128 * 1024;

/// The beginning of a frame that tells how long its header is, in bytes (section 3.1.1).
const START: usize = 5;

/// Decodes Zstandard.
pub(in crate::decode) struct Zstd {
    input: Box<dyn Input>,
    /// `None` until the first frame begins.
    decoder: Option<Decoder<'static>>,
    output: u64,
    between_frames: bool,
    /// The header of a frame that begins, and how many bytes of it were decoded.
    header: Vec<u8>,
    decoded: usize,
    /// Length of the plain data in bytes.
    size: u64,
    /// The longest window so far, in bytes, which `share` is for.
    window: u64,
    share: Share,
}

impl Zstd {
    pub(in crate::decode) fn new(
        entry: &Entry,
        input: Box<dyn Input>,
        from: Option<&Checkpoint>,
        share: Share,
    ) -> Self {
        Self {
            input,
            decoder: None,
            output: from.map_or(0, |from| from.output),
            between_frames: true,
            header: Vec::new(),
            decoded: 0,
            size: entry.size,
            window: 0,
            share,
        }
    }

    /// Reads the header of a frame and counts its window. Returns false at the end of the data.
    fn begin_frame(&mut self) -> Result<bool, Error> {
        self.header.clear();
        self.decoded = 0;
        let mut len = START;
        while self.header.len() < len {
            let bytes = self.input.buffered()?;
            let part = &bytes[..bytes.len().min(len - self.header.len())];
            if part.is_empty() && self.header.is_empty() {
                return Ok(false);
            }
            if part.is_empty() {
                break; // The decoder says what is wrong.
            }
            self.header.extend_from_slice(part);
            let count = part.len();
            self.input.consume(count);
            len = header_len(&self.header);
        }
        // A window takes memory as it fills.
        let window = window(&self.header).unwrap_or(0).min(self.size);
        if self.decoder.is_none() || window > self.window {
            self.decoder = None;
            self.share.take(CONTEXT + window)?;
            self.window = window;
            let decoder = Decoder::new().and_then(|mut decoder| {
                decoder.set_parameter(DParameter::WindowLogMax(LONGEST_WINDOW))?;
                Ok(decoder)
            });
            let at = self.input.position();
            self.decoder = Some(decoder.map_err(|e| Error::of_io(e, at))?);
        }
        Ok(true)
    }
}

impl Codec for Zstd {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        let mut done = 0;
        loop {
            if self.between_frames && !self.begin_frame()? {
                return Ok(done);
            }
            let at = self.input.position();
            let is_header = self.decoded < self.header.len();
            let bytes = if is_header {
                &self.header[self.decoded..]
            } else {
                self.input.buffered()?
            };
            let is_last = bytes.is_empty();
            let mut from = InBuffer::around(bytes);
            let mut to = OutBuffer::around(&mut out[done..]);
            // A frame that begins makes a decoder.
            let decoder = self.decoder.as_mut().expect("a frame has begun");
            let hint = decoder.run(&mut from, &mut to);
            let hint = hint.map_err(|e| Error::damaged(at, e.to_string()))?;
            let (consumed, produced) = (from.pos(), to.pos());
            if is_header {
                self.decoded += consumed;
            } else {
                self.input.consume(consumed);
            }
            self.output += produced as u64;
            done += produced;
            self.between_frames = hint == 0;
            // A read ends with a frame, where there is a checkpoint.
            if done > 0 && (self.between_frames || done == out.len()) {
                return Ok(done);
            }
            if is_last && produced == 0 && !self.between_frames {
                return Err(Error::damaged(at, "it ends in the middle"));
            }
        }
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.input.finish()
    }

    fn checkpoint(&mut self) -> Option<Checkpoint> {
        (self.between_frames).then(|| self.input.checkpoint(self.output, Vec::new()))
    }
}

/// The length of a frame's header in bytes, which its first [`START`] bytes tell (section 3.1.1.1). The beginning of
/// another frame is as long as is known.
fn header_len(start: &[u8]) -> usize {
    match start {
        [0x28, 0xb5, 0x2f, 0xfd, descriptor, ..] => {
            let is_single = descriptor >> 5 & 1;
            let size = match descriptor >> 6 {
                0 => is_single,
                exponent => 1 << exponent,
            };
            let dictionary_id = [0, 1, 2, 4][usize::from(descriptor & 3)];
            START + usize::from(1 - is_single + size) + dictionary_id
        }
        _ => START,
    }
}

/// The length in bytes of a frame's window, from the beginning of the frame (section 3.1.1.1). `None`
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Too little was counted: 256 KiB besides the window.
    #[test]
    fn a_decoder_takes_no_more_memory_than_is_counted() {
        for log in [10, 17, 18, 23, 27] {
            // A frame without the content's length, and the header of a raw block that is not the last one.
            let frame = [0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3, 8, 0, 0];
            let window = window(&frame).unwrap();
            assert_eq!(window, 1 << log);
            let mut context = zstd::zstd_safe::DCtx::create();
            let mut out = [0; 10];
            let mut to = OutBuffer::around(&mut out[..]);
            let mut from = InBuffer::around(&frame[..]);
            context.decompress_stream(&mut to, &mut from).unwrap();
            let taken = context.sizeof() as u64;
            let counted = CONTEXT + window;
            assert!(
                taken > window && taken <= counted,
                "{taken} of {counted} bytes"
            );
        }
    }
}
