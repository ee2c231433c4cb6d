//! The table of archives through the parser: whole, byte by byte, and in chunks of odd sizes.

use aiozfs::archive::Index;

use super::drive;
use crate::common::zip_cases::{self, Case, Content, Expected};

/// What is wrong with what comes of a case that is fed in such pieces.
fn check(case: &Case, piece: usize) -> Result<(), String> {
    let result = drive::index(&case.blob, case.encoding, || piece);
    match (&case.expected, result) {
        (Expected::Tree(entries, hidden), Ok(index)) => {
            check_entries(entries, &index, &case.blob)?;
            let (told, count) = index.hidden();
            let is_all = told.len() == hidden.len() && count == hidden.len() as u64;
            let mut pairs = told.iter().zip(hidden);
            if is_all && pairs.all(|(told, why)| told.why.contains(why)) {
                Ok(())
            } else {
                Err(format!("hidden: {told:?}, not {hidden:?}"))
            }
        }
        (Expected::Refused(why), Err(error)) if error.to_string().contains(why) => Ok(()),
        (Expected::Refused(why), Err(error)) => Err(format!("'{error}' lacks '{why}'")),
        (Expected::Tree(..), Err(error)) => Err(error.to_string()),
        (Expected::Refused(why), Ok(_)) => Err(format!("a tree instead of '{why}'")),
    }
}

fn check_entries(expected: &[(String, Content)], index: &Index, blob: &[u8]) -> Result<(), String> {
    let found = drive::tree(index, blob);
    if !found.iter().map(|e| &e.0).eq(expected.iter().map(|e| &e.0)) {
        let paths: Vec<_> = found.iter().take(20).map(|e| &e.0).collect();
        return Err(format!("shows {paths:?}"));
    }
    for ((path, found), (_, expected)) in found.iter().zip(expected) {
        let is_right = match (expected, found) {
            (Content::Dir, None) => true,
            (Content::Bytes(bytes), Some(Ok(found))) => found == bytes,
            (Content::Bad(why), Some(Err(error))) => error.to_string().contains(why),
            _ => false,
        };
        if !is_right {
            return Err(format!("{path} is {found:?}, not {expected:?}"));
        }
    }
    Ok(())
}

/// The whole table in pieces of this length.
fn check_all(piece: usize) {
    let wrong = |case: &Case| {
        let result = check(case, piece).err();
        result.map(|why| format!("{}: {why}", case.name))
    };
    let wrong: Vec<_> = zip_cases::all().iter().filter_map(wrong).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn whole() {
    check_all(usize::MAX);
}

#[test]
fn byte_by_byte() {
    check_all(1);
}

#[test]
fn in_chunks_of_odd_sizes() {
    check_all(7);
    check_all(46);
    check_all(1000);
}

/// Each archive that is right, cut at every offset: an error, whatever is left of it.
#[test]
fn cut_at_each_offset() {
    let is_right = |case: &&Case| matches!(case.expected, Expected::Tree(..));
    // Junk may be cut away, and one archive before another is one.
    let stays_right =
        |case: &&Case| case.name.contains("junk") || case.name.contains("after another");
    let cases = zip_cases::all();
    let small = cases.iter().filter(|case| case.blob.len() < 5000);
    let mut wrong = Vec::new();
    for case in small.filter(is_right).filter(|case| !stays_right(case)) {
        let cut = |len: &usize| {
            let blob = &case.blob[..*len];
            drive::index(blob, case.encoding, || usize::MAX).is_ok()
        };
        let lens: Vec<_> = (0..case.blob.len()).filter(cut).collect();
        if !lens.is_empty() {
            wrong.push(format!("{} cut to {lens:?} bytes", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
