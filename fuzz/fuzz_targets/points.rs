//! Any bytes where the cache keeps checkpoints (a checksum guards them there; this is what holds without
//! it): none is loaded, or checkpoints whose offsets rise within the entry, from which a decoder restarts
//! without a panic.
//!
//! The first two bytes of an input say where the checkpoints end and compressed data begins.

#![no_main]

#[path = "../../src/archive/mod.rs"]
#[allow(dead_code, unused_imports)]
mod archive;
#[allow(dead_code, unused_imports)]
mod decode;
#[path = "../../src/ranges/mod.rs"]
#[allow(dead_code, unused_imports)]
mod ranges;

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((cut, kept)) = input.split_first_chunk::<2>() else {
        return;
    };
    let cut = usize::from(u16::from_le_bytes(*cut)).min(kept.len());
    let (file, stored) = kept.split_at(cut);
    // The sizes that the file itself tells, so that more of it is looked at.
    let Some(sizes) = file.first_chunk::<16>() else {
        return;
    };
    let [size, compressed] = [&sizes[..8], &sizes[8..]]
        .map(|eight| u64::from_le_bytes(eight.try_into().expect("eight bytes")));
    let mut left = file;
    let points = decode::load((size, compressed), &mut |out: &mut [u8]| {
        let Some((now, later)) = left.split_at_checked(out.len()) else {
            return false;
        };
        out.copy_from_slice(now);
        left = later;
        true
    });
    let Some(points) = points else { return };
    for pair in points.windows(2) {
        assert!(pair[0].checkpoint.output < pair[1].checkpoint.output);
    }
    for point in &points {
        assert!(point.checkpoint.output < size && point.checkpoint.input <= compressed);
        decode::restart(point, stored);
    }
    let points: Vec<_> = points.into_iter().map(Arc::new).collect();
    let mut again = Vec::new();
    decode::store((size, compressed), &points, &mut |part| again.extend_from_slice(part));
    assert_eq!(again.len() as u64, decode::stored_len(&points));
    assert_eq!(again[..], file[..again.len()]);
});
