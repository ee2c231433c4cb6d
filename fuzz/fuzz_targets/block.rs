//! Any bytes where a block of a CID's tree should be; `tests/suite/content/verified/block_check.rs` says what holds.

#![no_main]

#[path = "../../tests/suite/content/verified/block_check.rs"]
mod block_check;
#[allow(dead_code, unused_imports)]
mod content;
#[path = "../../src/ranges/mod.rs"]
#[allow(dead_code, unused_imports)]
mod ranges;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| block_check::check(input));
