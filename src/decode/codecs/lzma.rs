//! Method 14: LZMA (section 5.8).

use lzma_rust2::LzmaReader;

use super::sequential::{Buffered, STEP, Sequential};
use crate::archive::Entry;
use crate::decode::codec::{Codec, Input};
use crate::decode::error::Error;
use crate::decode::memory::Share;

/// Bit 1 of the general purpose flags: a marker ends the data (section 4.4.4).
const END_MARKER: u16 = 1 << 1;

/// Before the data: version of the SDK, length of the properties, properties (section 5.8.8).
const HEAD: usize = 9;

/// Starts decoding.
pub(in crate::decode) fn open(
    entry: &Entry,
    mut input: Box<dyn Input>,
    mut share: Share,
) -> Result<Box<dyn Codec>, Error> {
    let at = input.position();
    let mut head = [0; HEAD];
    input.fill(&mut head)?;
    let [_, _, len_low, len_high, properties, dictionary @ ..] = head;
    if u16::from_le_bytes([len_low, len_high]) != 5 {
        return Err(Error::damaged(
            at,
            "its LZMA properties have another length than 5",
        ));
    }
    if properties >= 9 * 5 * 5 {
        return Err(Error::damaged(at, "its LZMA properties are not valid"));
    }
    let dictionary = u32::from_le_bytes(dictionary);
    let (lc, lp) = (properties % 9, properties / 9 % 5);
    // The library takes memory for the dictionary while it fills.
    let dictionary_needs = u64::from(dictionary).max(4096).min(entry.size.max(4096));
    let needs = dictionary_needs + ((2 * 0x300) << (lc + lp));
    share.take(needs + STEP as u64)?;
    let size = match entry.flags & END_MARKER {
        0 => entry.size,
        _ => u64::MAX,
    };
    let make = |source: Buffered| {
        LzmaReader::new_with_props(source, size, properties, dictionary_needs as u32, None)
    };
    Ok(Box::new(Sequential::new(input, share, make)?))
}
