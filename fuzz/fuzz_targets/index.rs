//! Any bytes as an archive: an index or an error, never a panic; fed whole or in pieces, the same.
//!
//! The first byte of an input chooses the encoding and the pieces, the rest is the blob.

#![no_main]

#[path = "../../src/archive/mod.rs"]
#[allow(dead_code, unused_imports)]
mod archive;
#[path = "../../tests/suite/archive/checks.rs"]
mod drive;
#[path = "../../src/ranges/mod.rs"]
#[allow(dead_code, unused_imports)]
mod ranges;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choice, blob)) = input.split_first() else {
        return;
    };
    let encoding = ["cp437", "auto", "shift_jis", "cp866"][usize::from(choice & 3)];
    let whole = drive::index(blob, encoding, usize::MAX);
    let pieces = drive::index(blob, encoding, usize::from(choice >> 2) + 1);
    match (whole, pieces) {
        (Ok(whole), Ok(pieces)) => {
            assert_eq!(drive::tell(&whole), drive::tell(&pieces));
            drive::check(&whole, blob);
        }
        (Err(whole), Err(pieces)) => assert_eq!(whole, pieces),
        (whole, pieces) => panic!("whole: {whole:?}, in pieces: {pieces:?}"),
    }
});
