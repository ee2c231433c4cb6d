//! Method 95: XZ (section 4.4.5).

use lzma_rust2::XzReader;

use super::sequential::Sequential;
use crate::decode::codec::{Codec, Coding, Input};
use crate::decode::error::Error;

/// Starts decoding.
pub(in crate::decode) fn open(
    coding: &Coding,
    input: Box<dyn Input>,
) -> Result<Box<dyn Codec>, Error> {
    // The library takes memory for the dictionary while it fills, so that content which fits into the memory
    // needs no limit.
    let limit = if coding.size <= coding.memory {
        u32::MAX
    } else {
        u32::try_from(coding.memory / 1024).unwrap_or(u32::MAX - 1)
    };
    let memory = coding.size.min(coding.memory);
    let make = |source| Ok(XzReader::new_mem_limit(source, true, limit));
    let codec = Sequential::new(input, memory, make)?;
    Ok(Box::new(Limited {
        codec,
        allowed: coding.memory,
    }))
}

/// Tells a dictionary beyond the limit from other errors.
struct Limited<C> {
    codec: C,
    allowed: u64,
}

impl<C: Codec> Codec for Limited<C> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        let allowed = self.allowed;
        self.codec.read(out).map_err(|error| match error {
            Error::Damaged { what, .. } if what.contains("mem_limit") => Error::TooMuchMemory {
                needs: allowed + 1,
                allowed,
            },
            error => error,
        })
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.codec.finish()
    }

    fn memory(&self) -> u64 {
        self.codec.memory()
    }
}
