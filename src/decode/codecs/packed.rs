//! The states of checkpoints, which are kept compressed.
//!
//! States are compressed by zlib-rs, which the program has for Deflate. zstd's compressor would add 0.3 MB. A state is
//! mostly a window of plain bytes, which compresses about as well as the entry did.

use zlib_rs::{
    DeflateConfig, InflateConfig, ReturnCode, compress_bound, compress_slice, decompress_slice,
};

/// The level of zlib: the fastest.
const LEVEL: i32 = 1;

/// Compresses a state; `None` if there is not enough memory.
pub(super) fn pack(state: &[u8]) -> Option<Vec<u8>> {
    let mut packed = vec![0; compress_bound(state.len())];
    let (done, code) = compress_slice(&mut packed, state, DeflateConfig::new(LEVEL));
    let len = done.len();
    packed.truncate(len);
    packed.shrink_to_fit();
    (code == ReturnCode::Ok).then_some(packed)
}

/// The state that [`pack`] compressed; `None` if it is damaged or longer than `most` bytes.
pub(super) fn unpack(packed: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut state = vec![0; most];
    let (done, code) = decompress_slice(&mut state, packed, InflateConfig::default());
    let len = done.len();
    state.truncate(len);
    (code == ReturnCode::Ok).then_some(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_return_and_damaged_or_long_ones_do_not() {
        for state in [Vec::new(), vec![7, 8], b"some words ".repeat(3000)] {
            let packed = pack(&state).expect("packed");
            assert!(packed.len() < 500, "{}", packed.len());
            assert_eq!(unpack(&packed, state.len()), Some(state.clone()));
            assert_eq!(unpack(&packed, 1 << 18), Some(state.clone()));
            if let Some(less) = state.len().checked_sub(1) {
                assert_eq!(unpack(&packed, less), None);
            }
            for end in 0..packed.len() {
                assert_eq!(unpack(&packed[..end], 1 << 18), None, "{end}");
            }
            let mut damaged = packed.clone();
            *damaged.last_mut().expect("a checksum") ^= 1;
            assert_eq!(unpack(&damaged, 1 << 18), None);
        }
    }
}
