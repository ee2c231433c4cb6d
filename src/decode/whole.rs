//! A whole entry, decoded in one go and compared with what the directory lists.

use super::codec::{self, Input};
use super::error::Error;
use super::memory::Share;
use crate::archive::Entry;

/// How many bytes are decoded at once.
pub(super) const STEP: usize = 128 * 1024;

/// Decodes an entry, passes its bytes to `take`, and fails if its size or CRC-32 differ from what is listed.
/// `input` is decrypted already.
pub fn decode(
    entry: &Entry,
    input: Box<dyn Input>,
    share: Share,
    mut take: impl FnMut(&[u8]),
) -> Result<(), Error> {
    let size = entry.size;
    let mut codec = codec::open(entry, input, None, share)?;
    let mut buffer = vec![0; size.clamp(1, STEP as u64) as usize];
    let mut crc = crc32fast::Hasher::new();
    let mut actual = 0;
    loop {
        let count = codec.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        actual += count as u64;
        if actual > size {
            return Err(Error::TooLong { size });
        }
        crc.update(&buffer[..count]);
        take(&buffer[..count]);
    }
    if actual < size {
        return Err(Error::TooShort { size, actual });
    }
    codec.finish()?;
    Error::compare_crc32(entry.crc32, crc.finalize())
}
