//! The corpus of the fuzz targets, checked without the fuzzer.

use std::fs;
use std::path::Path;

use super::checks;

/// The inputs of a target.
fn inputs(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let files = fs::read_dir(dir).expect("the corpus is part of the repository");
    let read = |file: std::io::Result<fs::DirEntry>| fs::read(file.expect("a file").path());
    files.map(|file| read(file).expect("readable")).collect()
}

#[test]
fn index_corpus() {
    let inputs = inputs("index");
    assert!(inputs.len() > 40);
    for input in inputs {
        let Some((choice, blob)) = input.split_first() else {
            continue;
        };
        let encoding = ["cp437", "auto", "shift_jis", "cp866"][usize::from(choice & 3)];
        let whole = checks::index(blob, encoding, usize::MAX);
        let pieces = checks::index(blob, encoding, usize::from(choice >> 2) + 1);
        assert_eq!(
            whole.as_ref().map(checks::tell),
            pieces.as_ref().map(checks::tell)
        );
        if let Ok(index) = whole {
            checks::check(&index, blob);
        }
    }
}

#[test]
fn local_header_corpus() {
    let inputs = inputs("local_header");
    assert!(inputs.len() > 5);
    for input in inputs {
        let Some(([flags, method, size], line)) = input.split_first_chunk() else {
            continue;
        };
        let blob = crate::common::zips::under_a_right_directory(*flags, *method, *size, line);
        let index = checks::index(&blob, "cp437", usize::MAX).expect("the directory is right");
        checks::check(&index, &blob);
    }
}
