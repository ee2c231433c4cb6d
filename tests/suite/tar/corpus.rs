//! The corpus of the fuzz target `tar`, checked without the fuzzer.

use std::fs;

use super::checks;

#[test]
fn corpus_gives_the_same_index_whole_and_in_pieces() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/tar");
    let (mut inputs, mut members) = (0, 0);
    for file in fs::read_dir(corpus).expect("the corpus") {
        let input = fs::read(file.expect("a file").path()).expect("an input");
        let Some((piece, blob)) = input.split_first() else {
            continue;
        };
        let whole = checks::index(blob, usize::MAX);
        let pieces = checks::index(blob, usize::from(*piece) + 1);
        assert_eq!(checks::tell(&whole), checks::tell(&pieces));
        checks::check(&whole, blob);
        inputs += 1;
        members += whole.len();
    }
    assert!(
        inputs > 10 && members > 20,
        "{members} members in {inputs} inputs"
    );
}
