//! Comments, prepended bytes, junk: where the directory is.

use super::super::zips::{End, Item, Zip, eocd, locator};
use super::{Case, Expected, bytes, case, tree, two, two_shown};

pub(super) fn ends() -> Vec<Case> {
    let commented = |comment: &[u8]| {
        two().end(&End {
            comment: comment.to_vec(),
            ..End::default()
        })
    };
    let signature = b"PK\x05\x06".to_vec();
    let empty = [b"before".as_slice(), &eocd((0, 0, 0), 0, b"x"), b"after"].concat();
    let inner = || Zip::of([Item::new("fake", "fake")]);
    let nested = inner().finish();
    let nested_commented = inner().end(&End {
        comment: b"of the inner".to_vec(),
        ..End::default()
    });
    let nested_64 = inner().end(&End {
        zip64: true,
        ..End::default()
    });
    let fake_shown = || tree(&[("fake", bytes("fake"))]);
    let lost_locator = [locator(0), eocd((1, u32::MAX, u32::MAX), 0, b"")].concat();
    let start = two().bytes.len() as u32;
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

    let mut appended = Zip::default();
    appended.gap(&nested);
    appended.add(&Item::new("a/b.ts", "hello"));
    appended.add(&Item::new("c", "world!"));

    let mut gap = two();
    let gap_start = gap.bytes.len() as u64;
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
            "record without a directory in the comment",
            commented(&eocd(
                (1, 46, 0),
                0,
                b"text after it, longer than a record is",
            )),
            two_shown(),
        ),
        case(
            "record of entries without a size in the comment",
            commented(&eocd((3, 0, 0), 0, b"")),
            two_shown(),
        ),
        case(
            "locator without a ZIP64 record in the comment",
            commented(&lost_locator),
            two_shown(),
        ),
        case(
            "comment of signatures",
            commented(&signature.repeat(16_383)),
            two_shown(),
        ),
        // An empty archive in the comment hides nothing. (Python's zipfile and unzip show nothing.)
        case(
            "empty archive in the comment",
            commented(&empty),
            two_shown(),
        ),
        case(
            "empty archive at the comment's end",
            commented(&eocd((0, 0, 0), 0, b"")),
            two_shown(),
        ),
        case(
            "empty archive at the comment's end, bytes before all",
            [b"#!/bin/sh\n".to_vec(), commented(&eocd((0, 0, 0), 0, b""))].concat(),
            two_shown(),
        ),
        case(
            "empty archive after another archive",
            [two().finish(), Zip::default().finish()].concat(),
            tree(&[]),
        ),
        // Python's zipfile and unzip take the last record, and so the inner archive.
        case("archive as the comment", commented(&nested), fake_shown()),
        case(
            "archive with junk behind it in the comment",
            commented(&[b"see: ", &nested[..], b", the end"].concat()),
            fake_shown(),
        ),
        case(
            "archive with a comment in the comment",
            commented(&nested_commented),
            fake_shown(),
        ),
        case(
            "archive in the comment by absolute offsets",
            commented(&absolute),
            fake_shown(),
        ),
        // bsdtar shows the outer one, and jar refuses it.
        case(
            "ZIP64 archive as the comment",
            commented(&nested_64),
            fake_shown(),
        ),
        case(
            "archive in the comment of one in a comment",
            commented(&two().end(&End {
                comment: nested.clone(),
                ..End::default()
            })),
            fake_shown(),
        ),
        case(
            "archive in the comment of one with bytes before it",
            [b"#!/bin/sh\n".to_vec(), commented(&nested)].concat(),
            fake_shown(),
        ),
        case(
            "archive with junk behind it in the comment of one with bytes before it",
            [
                b"#!/bin/sh\n".to_vec(),
                commented(&[&nested[..], b", the end"].concat()),
            ]
            .concat(),
            fake_shown(),
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
        case(
            "after another archive, offsets adjusted",
            appended.finish(),
            two_shown(),
        ),
        case(
            "after another archive, with a comment",
            [nested.clone(), commented(b"of the second")].concat(),
            two_shown(),
        ),
        case("gap behind the directory", gap, two_shown()),
        case("signed directory", signed.finish(), two_shown()),
    ]
}
