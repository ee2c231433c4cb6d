//! Comments, prepended bytes, junk: where the directory is.

use super::super::zips::{End, Item, Zip, eocd};
use super::{Case, Expected, case, tree, two, two_shown};

pub(super) fn ends() -> Vec<Case> {
    let commented = |comment: &[u8]| {
        two().end(&End {
            comment: comment.to_vec(),
            ..End::default()
        })
    };
    let signature = b"PK\x05\x06".to_vec();
    let look_alike = [b"before".as_slice(), &eocd((0, 0, 0), 0, b"x"), b"after"].concat();
    let nested = Zip::of([Item::new("fake", "fake")]).finish();
    let start = two().line.len() as u32;
    // An archive in the comment whose offsets count from the blob's begin, as the true one's do.
    let fake_at = start + two().directory.len() as u32 + 22;
    let fake = Item::new("fake", "fake");
    let mut absolute = fake.local();
    absolute.extend(b"fake");
    let fake_cd = fake_at + absolute.len() as u32;
    let record = fake.central(fake_at);
    absolute.extend(&record);
    absolute.extend(eocd((1, record.len() as u32, fake_cd), 0, b""));

    let mut adjusted = Zip::default();
    adjusted.gap(b"#!/bin/sh\nexit\n");
    adjusted.add(&Item::new("a/b.ts", "hello"));
    adjusted.add(&Item::new("c", "world!"));

    let mut gap = two();
    let gap_start = gap.line.len() as u64;
    let gap_size = gap.directory.len() as u64;
    let directory = std::mem::take(&mut gap.directory);
    gap.gap(&directory);
    gap.gap(&[0; 100]);
    let gap = gap.end(&End {
        size: Some(gap_size),
        offset: Some(gap_start),
        ..End::default()
    });
    let mut signed = two();
    signed.directory.extend(b"PK\x05\x05\x03\x00sig");
    vec![
        case("two files", two().finish(), two_shown()),
        case("empty", Zip::default().finish(), tree(&[])),
        case(
            "empty, prepended",
            [b"junk".to_vec(), Zip::default().finish()].concat(),
            tree(&[]),
        ),
        case("comment", commented(b"a comment"), two_shown()),
        case("longest comment", commented(&[b'c'; 65_535]), two_shown()),
        case(
            "signature in the comment",
            commented(&[&signature[..], b"text"].concat()),
            two_shown(),
        ),
        case(
            "signature at the comment's end",
            commented(&signature),
            two_shown(),
        ),
        case(
            "look-alike in the comment",
            commented(&look_alike),
            two_shown(),
        ),
        case(
            "look-alike at the comment's end",
            commented(&eocd((0, 0, 0), 0, b"")),
            two_shown(),
        ),
        case("archive as the comment", commented(&nested), two_shown()),
        case(
            "archive in the comment by absolute offsets",
            commented(&absolute),
            two_shown(),
        ),
        case(
            "comment of signatures",
            commented(&signature.repeat(16_383)),
            two_shown(),
        ),
        case(
            "prepended",
            [b"#!/bin/sh\n".to_vec(), two().finish()].concat(),
            two_shown(),
        ),
        case(
            "prepended, offsets adjusted",
            adjusted.finish(),
            two_shown(),
        ),
        case(
            "after another archive",
            [nested.clone(), two().finish()].concat(),
            two_shown(),
        ),
        case(
            "junk behind",
            [two().finish(), b"junk\0\0\0".to_vec()].concat(),
            two_shown(),
        ),
        case(
            "much junk behind",
            [two().finish(), vec![0; 65_535]].concat(),
            two_shown(),
        ),
        case(
            "too much junk behind",
            [two().finish(), vec![0; 65_536]].concat(),
            Expected::Refused("not a ZIP archive"),
        ),
        case("gap behind the directory", gap, two_shown()),
        case("signed directory", signed.finish(), two_shown()),
    ]
}
