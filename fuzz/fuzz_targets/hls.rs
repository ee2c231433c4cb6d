//! Any text as an HLS playlist; `tests/suite/playlist/check.rs` says what holds.

#![no_main]

#[path = "../../src/ranges/mod.rs"]
#[allow(dead_code, unused_imports)]
mod ranges;
#[path = "../../tests/suite/playlist/check.rs"]
mod check;
#[path = "../../src/playlist/mod.rs"]
#[allow(dead_code, unused_imports)]
mod playlist;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| check::check(
    playlist::Format::Hls,
    &String::from_utf8_lossy(input)
));
