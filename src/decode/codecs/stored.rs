//! Method 0: no compression. Needed for entries that are encrypted.

use crate::decode::codec::{Checkpoint, Codec, Input};
use crate::decode::error::Error;

/// Copies its input.
pub(in crate::decode) struct Stored {
    input: Box<dyn Input>,
    output: u64,
}

impl Stored {
    pub(in crate::decode) fn new(input: Box<dyn Input>, from: Option<&Checkpoint>) -> Self {
        let output = from.map_or(0, |from| from.output);
        Self { input, output }
    }
}

impl Codec for Stored {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        let at = self.input.position();
        let count = self.input.read(out).map_err(|e| Error::of_io(e, at))?;
        self.output += count as u64;
        Ok(count)
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.input.finish()
    }

    fn checkpoint(&mut self) -> Option<Checkpoint> {
        Some(self.input.checkpoint(self.output, Vec::new()))
    }
}
