//! Method 98: PPMd, version I, revision 1 (section 5.10).

use std::io;

use ppmd_rust::Ppmd8Decoder;

use super::sequential::{Buffered, STEP, Sequential};
use crate::archive::Entry;
use crate::decode::codec::{Codec, Input};
use crate::decode::error::Error;
use crate::decode::memory::Share;

/// The most memory that the model touches for a byte of content: a context and a symbol for each order.
const MODEL_PER_BYTE: u64 = 16 * 24;

/// The least memory that the model touches.
const LEAST_MODEL: u64 = 1 << 20;

/// Starts decoding.
pub(in crate::decode) fn open(
    entry: &Entry,
    mut input: Box<dyn Input>,
    mut share: Share,
) -> Result<Box<dyn Codec>, Error> {
    let mut head = [0; 2];
    input.fill(&mut head)?;
    // Order, memory in MiB, and what to do when the memory is used up (section 5.10.3).
    let head = u16::from_le_bytes(head);
    let (order, mib, restore) = (head & 15, head >> 4 & 255, head >> 12);
    let model = (u64::from(mib) + 1) << 20;
    // The model begins with memory that the system gives only when it is touched.
    let needs = model.min(entry.size.saturating_mul(MODEL_PER_BYTE) + LEAST_MODEL);
    share.take(needs + STEP as u64)?;
    let make = |source: Buffered| {
        let restore = u8::try_from(restore).unwrap_or(u8::MAX).into();
        Ppmd8Decoder::new(source, u32::from(order) + 1, model as u32, restore)
            .map_err(|e| io::Error::other(e.to_string()))
    };
    Ok(Box::new(Sequential::new(input, share, make)?))
}
