//! Any bytes as a tar: an index, never a panic; fed whole or in pieces, the same.
//!
//! The first byte of an input chooses the length of the pieces, the rest is the blob. A fuzzer seldom hits upon a right
//! checksum, so each block that names one gets it.

#![no_main]

#[path = "../../src/archive/mod.rs"]
#[allow(dead_code, unused_imports)]
mod archive;
#[path = "../../tests/suite/tar/checks.rs"]
mod checks;
#[path = "../../src/ranges/mod.rs"]
#[allow(dead_code, unused_imports)]
mod ranges;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((piece, blob)) = input.split_first() else {
        return;
    };
    let mut blob = blob.to_vec();
    run(*piece, &blob);
    for block in blob.chunks_exact_mut(512) {
        if block[148] != 0 {
            let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
            let sum = sum(block) - sum(&block[148..156]) + 8 * 32;
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    run(*piece, &blob);
});

fn run(piece: u8, blob: &[u8]) {
    let whole = checks::index(blob, usize::MAX);
    let pieces = checks::index(blob, usize::from(piece) + 1);
    assert_eq!(checks::tell(&whole), checks::tell(&pieces));
    checks::check(&whole, blob);
}
