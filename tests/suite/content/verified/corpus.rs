//! The corpus of the fuzz target for blocks, checked without the fuzzer.

use std::fs;
use std::path::Path;

use super::block_check::check;

#[test]
fn block_corpus() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/block");
    let files = fs::read_dir(dir).expect("the corpus is part of the repository");
    let mut count = 0;
    for file in files {
        let input = fs::read(file.expect("a file").path());
        check(&input.expect("readable"));
        count += 1;
    }
    assert!(count > 40, "{count} inputs");
}
