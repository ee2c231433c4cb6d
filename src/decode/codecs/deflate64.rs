//! Method 9: Deflate64, which restarts anywhere.

use deflate64::InflaterManaged;

use super::packed;
use crate::decode::codec::{Checkpoint, Codec, Input};
use crate::decode::error::Error;
use crate::decode::memory::Share;

/// Length of the window and of the buffer for output behind it, in bytes.
const MEMORY: u64 = 512 * 1024;

/// The most bytes that the library takes in before it needs them.
const TAKEN: usize = 16;

/// The longest state, in bytes.
const LONGEST_STATE: usize = 256 * 1024;

/// Decodes Deflate64.
pub(in crate::decode) struct Deflate64 {
    input: Box<dyn Input>,
    inflater: Box<InflaterManaged>,
    output: u64,
    /// The bytes that were consumed last: a state may need some of them again.
    taken: Vec<u8>,
    /// Bytes to decode before those of the input.
    before: Vec<u8>,
    /// Dropped last, because the others have the memory.
    _share: Share,
}

impl Deflate64 {
    pub(in crate::decode) fn new(
        input: Box<dyn Input>,
        from: Option<&Checkpoint>,
        mut share: Share,
    ) -> Result<Self, Error> {
        share.take(MEMORY)?;
        let mut inflater = Box::new(InflaterManaged::new());
        let mut before = Vec::new();
        if let Some(from) = from {
            let wrong = || input.damaged("its checkpoint is damaged");
            let (taken, state) = from.state.split_first().ok_or_else(wrong)?;
            let (taken, state) = state
                .split_at_checked(usize::from(*taken))
                .ok_or_else(wrong)?;
            let state = packed::unpack(state, LONGEST_STATE).ok_or_else(wrong)?;
            let places = inflater.restore_from_checkpoint(&state).ok_or_else(wrong)?;
            let begins = places.input_bytes_to_skip + taken.len() as u64;
            if (begins, places.output_bytes_already_returned) != (from.input, from.output) {
                return Err(wrong());
            }
            before.extend_from_slice(taken);
        }
        Ok(Self {
            input,
            _share: share,
            inflater,
            output: from.map_or(0, |from| from.output),
            taken: before.clone(),
            before,
        })
    }
}

impl Codec for Deflate64 {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        loop {
            let at = self.input.position();
            let is_before = !self.before.is_empty();
            let bytes = if is_before {
                &self.before[..]
            } else {
                self.input.buffered()?
            };
            let is_last = bytes.is_empty();
            let step = self.inflater.inflate(bytes, out);
            if step.data_error {
                return Err(Error::damaged(at, "it is no Deflate64 data"));
            }
            if is_before {
                self.before.drain(..step.bytes_consumed);
            } else {
                let kept = bytes[..step.bytes_consumed].iter().rev().take(TAKEN).rev();
                self.taken.extend(kept);
                let excess = self.taken.len().saturating_sub(TAKEN);
                self.taken.drain(..excess);
                self.input.consume(step.bytes_consumed);
            }
            if step.bytes_written > 0 || self.inflater.finished() {
                self.output += step.bytes_written as u64;
                return Ok(step.bytes_written);
            }
            if is_last {
                return Err(Error::damaged(at, "it ends in the middle"));
            }
        }
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.input.finish()
    }

    fn checkpoint(&mut self) -> Option<Checkpoint> {
        if !self.before.is_empty() {
            return None;
        }
        let input = self.input.position();
        let (state, places) = self.inflater.checkpoint()?;
        if places.output_bytes_already_returned != self.output {
            return None;
        }
        let again = usize::try_from(input.checked_sub(places.input_bytes_to_skip)?).ok()?;
        let taken = self.taken.len().checked_sub(again)?;
        let taken = &self.taken[taken..];
        let state = packed::pack(&state)?;
        // At most TAKEN.
        let state = [&[taken.len() as u8][..], taken, &state].concat();
        Some(self.input.checkpoint(self.output, state))
    }
}
