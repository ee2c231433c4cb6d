//! Indexes put together byte by byte, right ones and those of an attacker.

use std::cell::Cell;

use proptest::prelude::*;

use super::*;

/// What a box refers to: an index or media, its size and its duration.
type Ref = (bool, u32, u32);

const MEDIA: bool = false;
const INDEX: bool = true;

/// A box of version 0.
fn sidx(time: u32, first_offset: u32, references: &[Ref]) -> Vec<u8> {
    let mut content = vec![0; 4];
    for number in [1, 90_000, time, first_offset, references.len() as u32] {
        content.extend(number.to_be_bytes());
    }
    content.extend(written(references));
    in_box(*b"sidx", &content)
}

/// A box of version 1, its length in the long form.
fn long_sidx(time: u64, first_offset: u64, references: &[Ref]) -> Vec<u8> {
    let mut bytes = [1u32.to_be_bytes(), *b"sidx"].concat();
    bytes.extend((16 + 32 + 12 * references.len() as u64).to_be_bytes());
    bytes.extend([1, 0, 0, 0]);
    bytes.extend([1u32, 90_000].iter().flat_map(|n| n.to_be_bytes()));
    bytes.extend([time, first_offset].iter().flat_map(|n| n.to_be_bytes()));
    bytes.extend((references.len() as u32).to_be_bytes());
    bytes.extend(written(references));
    bytes
}

fn written(references: &[Ref]) -> Vec<u8> {
    let fields = |(is_index, size, duration): &Ref| {
        [u32::from(*is_index) << 31 | size, *duration, 0x9000_0000]
    };
    let fields = references.iter().flat_map(fields);
    fields.flat_map(u32::to_be_bytes).collect()
}

fn in_box(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
    let size = 8 + content.len() as u32;
    [&size.to_be_bytes(), &kind[..], content].concat()
}

fn media(size: usize) -> Vec<u8> {
    in_box(*b"mdat", &vec![0; size - 8])
}

fn reading(file: &[u8]) -> impl Fn(Span) -> Option<Vec<u8>> {
    |part| {
        let at = usize::try_from(part.offset).ok()?;
        let bytes = file.get(at..)?.get(..usize::try_from(part.size).ok()?)?;
        Some(bytes.to_vec())
    }
}

/// Segments as offset, size, time and duration.
type Told = Vec<(u64, u64, u64, u32)>;

/// The segments of a file by the index in `size` bytes from `offset`.
fn told(file: &[u8], offset: u64, size: u64) -> Result<Told, Unlisted> {
    let index = Span { offset, size };
    let found = indexed(index, file.len() as u64, &reading(file))?;
    assert_eq!(found.timescale, 90_000);
    let tell = |s: &Subsegment| (s.part.offset, s.part.size, s.time, s.duration);
    Ok(found.subsegments.iter().map(tell).collect())
}

#[test]
fn both_versions() {
    let references = [(MEDIA, 100, 20), (MEDIA, 50, 30)];
    for index in [sidx(7, 10, &references), long_sidx(7, 10, &references)] {
        // Another box before it, and ten bytes behind.
        let mut file = [in_box(*b"styp", b"msix"), index].concat();
        let (end, range) = (file.len() as u64 + 10, file.len() as u64);
        file.resize(file.len() + 10 + 150, 0);
        let expected = vec![(end, 100, 7, 20), (end + 100, 50, 27, 30)];
        assert_eq!(told(&file, 0, range), Ok(expected));
    }
}

#[test]
fn indexes_of_indexes() {
    let leaf = |time| sidx(time, 0, &[(MEDIA, 40, 5), (MEDIA, 60, 5)]);
    let expected = |at: [u64; 4]| {
        let sizes = [(40, 0), (60, 5), (40, 10), (60, 15)];
        let all = at.into_iter().zip(sizes);
        all.map(|(at, (size, time))| (at, size, time, 5)).collect()
    };
    // Each before its media.
    let root = sidx(0, 0, &[(INDEX, 56 + 100, 10), (INDEX, 56 + 100, 10)]);
    let file = [&root[..], &leaf(0), &media(100), &leaf(10), &media(100)].concat();
    assert_eq!(
        told(&file, 0, 56),
        Ok(expected([112, 152, 112 + 156, 152 + 156]))
    );
    // All before the media: the first one skips the second.
    let root = sidx(0, 0, &[(INDEX, 56, 10), (INDEX, 56, 10)]);
    let first = sidx(0, 56, &[(MEDIA, 40, 5), (MEDIA, 60, 5)]);
    let second = sidx(10, 100, &[(MEDIA, 40, 5), (MEDIA, 60, 5)]);
    let file = [&root[..], &first, &second, &media(200)].concat();
    assert_eq!(told(&file, 0, 168), Ok(expected([168, 208, 268, 308])));
    // A chain: the last reference of each is the rest.
    let root = sidx(
        0,
        0,
        &[(MEDIA, 40, 5), (MEDIA, 60, 5), (INDEX, 56 + 100, 10)],
    );
    let file = [&root[..], &media(100), &leaf(10), &media(100)].concat();
    let at = root.len() as u64;
    assert_eq!(
        told(&file, 0, at),
        Ok(expected([at, at + 40, at + 156, at + 196]))
    );
}

#[test]
fn other_boxes_are_no_index() {
    let good = sidx(0, 0, &[(MEDIA, 100, 10)]);
    let end_of_file = [&[0; 4], b"sidx", &[0; 40][..]].concat();
    let mut of_later_version = good.clone();
    of_later_version[8] = 2;
    let table = [
        (
            "the Cues of WebM",
            b"\x1c\x53\xbb\x6b\xbb\x8b\xb3\x81\x00".to_vec(),
        ),
        ("nothing", Vec::new()),
        ("another box", media(100)),
        ("up to the end", end_of_file),
        ("a later version", of_later_version),
    ];
    for (name, mut file) in table {
        let size = file.len() as u64;
        file.resize(file.len() + 100, 0);
        assert_eq!(told(&file, 0, size), Err(Unlisted::Other), "{name}");
    }
    // An inner one that counts in other units.
    let mut inner = good.clone();
    inner[19] ^= 1;
    let file = [sidx(0, 0, &[(INDEX, 144, 10)]), inner, media(100)].concat();
    assert_eq!(told(&file, 0, 44), Err(Unlisted::Other));
    // A file that cannot be read.
    let index = Span {
        offset: 0,
        size: 44,
    };
    assert_eq!(indexed(index, 144, &|_| None), Err(Unlisted::Other));
}

#[test]
fn a_damaged_index_is_reported() {
    let good = sidx(0, 0, &[(MEDIA, 60, 10), (MEDIA, 40, 10)]);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let table = [
        (
            with(3, 57),
            "it is longer than the place that is said to hold it",
        ),
        (with(3, 20), "it ends in the middle of a field"),
        (with(3, 55), "it ends in the middle of a field"),
        (
            [&good[..16], &[0; 4], &good[20..]].concat(),
            "its timescale is zero",
        ),
        (with(27, 1), "it reaches beyond the file"),
        (with(31, 3), "it ends in the middle of a field"),
        (with(35, 61), "it reaches beyond the file"),
        (with(35, 0), "a segment is empty"),
        (with(39, 0), "a segment is empty"),
        (
            sidx(0, 0, &[(INDEX, 100, 10)]),
            "it points to an index that is none",
        ),
        (sidx(0, 0, &[]), "it has no segments"),
        (
            long_sidx(u64::MAX, 0, &[(MEDIA, 50, 10)]),
            "its numbers are beyond all files",
        ),
        (
            long_sidx(0, u64::MAX, &[(MEDIA, 50, 10)]),
            "its numbers are beyond all files",
        ),
        // The second one lies where the first one's segment does.
        (
            [
                sidx(0, 0, &[(INDEX, 44, 10), (INDEX, 44, 10)]),
                sidx(0, 44, &[(MEDIA, 50, 10)]),
                sidx(10, 0, &[(MEDIA, 50, 10)]),
            ]
            .concat(),
            "its segments overlap",
        ),
        (
            [
                sidx(0, 0, &[(INDEX, 44, 10), (INDEX, 44, 10)]),
                sidx(10, 44, &[(MEDIA, 50, 10)]),
                sidx(10, 50, &[(MEDIA, 50, 10)]),
            ]
            .concat(),
            "its segments overlap",
        ),
    ];
    for (bytes, why) in table {
        let file = [&bytes[..], &media(100)].concat();
        let got = told(&file, 0, bytes.len() as u64);
        assert_eq!(got, Err(Unlisted::Damaged(why)), "{bytes:02x?}");
    }
}

/// Indexes that all point to two others, which share what they point to: with 60 levels there are
/// 2^60 ways to the bottom. Found by thinking; a walk without a bound would not end.
#[test]
fn shared_indexes_are_bounded() {
    const SIZE: u32 = 32 + 2 * 12;
    let mut file = sidx(0, 0, &[(INDEX, SIZE, 1), (INDEX, SIZE, 1)]);
    for _ in 0..60 {
        let pair = [(INDEX, SIZE, 1), (INDEX, SIZE, 1)];
        file.extend(sidx(0, SIZE, &pair));
        file.extend(sidx(0, 0, &pair));
    }
    let read = Cell::new(0);
    let index = Span {
        offset: 0,
        size: SIZE.into(),
    };
    // The bottom points to what is not there, which would end it early.
    let content = reading(&file);
    let found = indexed(index, u64::MAX, &|part| {
        read.set(read.get() + part.size);
        let bottom = || sidx(0, 0, &[(INDEX, SIZE, 1), (INDEX, SIZE, 1)]);
        content(part).or_else(|| Some(bottom()[..part.size as usize].to_vec()))
    });
    assert_eq!(found, Err(Unlisted::Other));
    assert!(read.get() <= MOST_BYTES, "{}", read.get());
}

proptest! {
    /// Whatever the bytes: an end, no read beyond the file, and segments that lie in it in order.
    #[test]
    fn any_bytes(
        mut file in proptest::collection::vec(any::<u8>(), 0..300),
        prefix in 0usize..3,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        offset in 0u64..40,
        size in 0u64..300,
    ) {
        let inner = sidx(0, 0, &[(MEDIA, 30, 5), (INDEX, 70, 5)]);
        let begin = match prefix {
            0 => Vec::new(),
            1 => sidx(0, 0, &[(INDEX, 90, 5), (MEDIA, 20, 5)]),
            _ => long_sidx(0, 10, &[(MEDIA, 90, 5), (INDEX, 100, 5)]),
        };
        file = [&begin[..], &inner, &file].concat();
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let len = file.len() as u64;
        let index = Span { offset: offset.min(len), size: size.min(len - offset.min(len)) };
        let content = reading(&file);
        let found = indexed(index, len, &|part| {
            assert!(part.end() <= len, "{part:?} of {len}");
            content(part)
        });
        if let Ok(found) = found {
            let mut end = 0;
            for Subsegment { part, duration, .. } in found.subsegments {
                prop_assert!(part.offset >= end && part.size > 0 && duration > 0);
                end = part.end();
            }
            prop_assert!(end <= len);
        }
    }
}
