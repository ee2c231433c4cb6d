//! Any bytes where local headers should be, under a directory that is right: an entry's extent or
//! an error, never a panic, and never an extent that leaves the entry's place.
//!
//! The first three bytes of an input choose flags, method and size of the first entry; the rest is
//! the line before the directory. A second entry lies behind it.

#![no_main]

#[path = "../../src/archive/mod.rs"]
#[allow(dead_code, unused_imports)]
mod archive;
#[path = "../../tests/suite/archive/checks.rs"]
mod drive;
#[path = "../../src/ranges/mod.rs"]
#[allow(dead_code, unused_imports)]
mod ranges;
#[path = "../../tests/common/zips.rs"]
#[allow(dead_code)]
mod zips;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some(([flags, method, size], line)) = input.split_first_chunk() else {
        return;
    };
    let blob = zips::under_a_right_directory(*flags, *method, *size, line);
    let index = drive::index(&blob, "cp437", usize::MAX).expect("the directory is right");
    assert_eq!(index.len(), 2);
    drive::check(&index, &blob);
});
