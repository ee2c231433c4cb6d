//! Kinds of entries, and wrong or missing records.

use super::super::zips::{DESCRIPTOR, End, Item, Zip, eocd, eocd64, extra, locator, zip64};
use super::{Case, Content, Expected, bytes, case, tree, two};

/// What entries are.
pub(super) fn entries() -> Vec<Case> {
    let of_mode = |mode: u32| Item::new("e", "x").with(|item| item.external = mode << 16);
    let deflated = Item::new("e", "x").with(|item| item.method = 8);
    let unknown = Item::new("e", "x").with(|item| item.method = 999);
    let encrypted = Item::new("e", "x").with(|item| item.flags = 1);
    let link = Item::new("e", "")
        .with(|item| item.extra = extra(0x000d, b"\0\0\0\0\0\0\0\0\0\0\0\0other"));
    let one = |item: Item, content| (Zip::of([item]).finish(), tree(&[("e", content)]));
    let rows = [
        ("directory by mode", one(of_mode(0o040_755), Content::Dir)),
        ("device", one(of_mode(0o060_644), bytes("x"))),
        ("deflated", one(deflated, Content::Bad("deflated"))),
        ("unknown method", one(unknown, Content::Bad("method 999"))),
        ("encrypted", one(encrypted, Content::Bad("encrypted"))),
        (
            "hard link of PKZIP to no file",
            one(link, Content::Bad("a hard link to 'other'")),
        ),
    ];
    let rows = rows.map(|(name, (blob, expected))| case(name, blob, expected));
    rows.into()
}

/// Local headers that know less than the directory. The directory counts, as for Python's zipfile:
/// what is absent contradicts nothing.
pub(super) fn unknowing() -> Vec<Case> {
    const MAX: u32 = u32::MAX;
    let crc = crc32fast::hash(b"hello");
    let numbers = |name, local_numbers| {
        let item = Item::new("e", "hello").with(|item| item.local_numbers = local_numbers);
        case(
            name,
            Zip::of([item]).finish(),
            tree(&[("e", bytes("hello"))]),
        )
    };
    let of = |name, item: Item, data: &[u8]| {
        // Something lies behind it, as where an entry ends matters.
        let zip = Zip::of([item, Item::new("f", "behind")]);
        let shown = tree(&[("e", bytes(data)), ("f", bytes("behind"))]);
        case(name, zip.finish(), shown)
    };
    let item = |data: &[u8], change: fn(&mut Item)| Item::new("e", data).with(change);
    // The CRC-32 of these bytes is zero.
    let zero_crc = b"\x9d\x0a\xd9\x6d";
    assert_eq!(crc32fast::hash(zero_crc), 0);
    vec![
        numbers("local header of zeros", (0, 0, 0)),
        numbers("local header without a CRC", (0, 5, 5)),
        numbers("local header without sizes", (crc, 0, 0)),
        numbers("local header without a size", (crc, 5, 0)),
        numbers("local header without a compressed size", (crc, 0, 5)),
        numbers(
            "local header of all ones without a ZIP64 field",
            (crc, MAX, MAX),
        ),
        numbers("local header with a size of all ones", (crc, 5, MAX)),
        numbers("local header of all ones without a CRC", (0, MAX, MAX)),
        of(
            "local header of zeros with a ZIP64 field",
            item(b"hello", |item| {
                item.local_numbers = (0, 0, 0);
                item.local_extra = zip64(&[5, 5]);
            }),
            b"hello",
        ),
        of(
            "local header of all ones with a ZIP64 field of zeros",
            item(b"hello", |item| {
                item.local_numbers = (0, MAX, MAX);
                item.local_extra = zip64(&[0, 0]);
            }),
            b"hello",
        ),
        of(
            "local header of zeros, descriptor flag in the directory alone",
            item(b"hello", |item| {
                *item = item.clone().described(true, false);
                item.local_flags = Some(0);
            }),
            b"hello",
        ),
        of(
            "local header of zeros, descriptor flag in it alone",
            item(b"hello", |item| {
                *item = item.clone().described(true, false);
                item.flags = 0;
                item.local_flags = Some(DESCRIPTOR);
            }),
            b"hello",
        ),
        of(
            "no bytes, whose CRC and sizes are zero",
            item(b"", |_| ()),
            b"",
        ),
        of("bytes whose CRC is zero", item(zero_crc, |_| ()), zero_crc),
    ]
}

/// What lies or is missing.
pub(super) fn damage() -> Vec<Case> {
    let with = |change: fn(&mut Item)| Zip::of([Item::new("e", "hello").with(change)]).finish();
    let bad = |what| tree(&[("e", Content::Bad(what))]);
    let end = |end: End| two().end(&end);
    let offset_64 = |offset: u64| {
        let item = Item::new("e", "hello").with(|item| {
            item.offset = Some(u32::MAX);
            item.extra = zip64(&[offset]);
        });
        Zip::of([item]).finish()
    };
    let size_64 = |size: u64| {
        let item = Item::new("e", "hello").with(|item| {
            item.sizes = (u32::MAX, u32::MAX);
            item.extra = zip64(&[size, size]);
        });
        Zip::of([item]).finish()
    };
    let lying = |size: u64, offset: u64| {
        two().end(&End {
            zip64: true,
            size: Some(size),
            offset: Some(offset),
            ..End::default()
        })
    };
    let mut commented = two().end(&End {
        comment: vec![b'c'; 100],
        ..End::default()
    });
    commented.truncate(commented.len() - 60);
    let mut scribbled = two();
    scribbled.directory[52] ^= 1; // the second record is found, by luck, 52 bytes later
    scribbled.directory[0] ^= 1;
    let mut encrypted = two();
    encrypted.directory[..4].copy_from_slice(b"PK\x06\x08");
    let lost = [
        &eocd64(2, 100, 0, b"")[..20],
        &locator(1 << 40),
        &eocd((2, u32::MAX, u32::MAX), 0, b""),
    ]
    .concat();
    vec![
        case("nothing", vec![], Expected::Refused("not a ZIP archive")),
        case(
            "text",
            b"This is no archive, but a text of some length.".to_vec(),
            Expected::Refused("not a ZIP archive"),
        ),
        case(
            "a comment that is cut off",
            commented,
            Expected::Refused("comment is cut off: 40 of 100"),
        ),
        case(
            "last part of a split archive",
            end(End {
                disk: 3,
                ..End::default()
            }),
            Expected::Refused("split"),
        ),
        case(
            "first part of a split archive",
            [b"PK\x07\x08".to_vec(), two().bytes].concat(),
            Expected::Refused("split"),
        ),
        case(
            "entry on another disk",
            with(|item| item.disk = 2),
            Expected::Refused("split"),
        ),
        case(
            "directory larger than the file",
            end(End {
                size: Some(1 << 30),
                ..End::default()
            }),
            Expected::Refused("larger than what lies before"),
        ),
        case(
            "directory behind its end",
            end(End {
                offset: Some(1 << 30),
                ..End::default()
            }),
            Expected::Refused("should begin at 1073741824"),
        ),
        case(
            "directory of 2^63 bytes",
            lying(1 << 63, 0),
            Expected::Refused("larger than what lies before"),
        ),
        case(
            "directory at 2^63",
            lying(100, 1 << 63),
            Expected::Refused("should begin at 9223372036854775808"),
        ),
        case(
            "directory of all ones",
            lying(u64::MAX, u64::MAX),
            Expected::Refused("larger than what lies before"),
        ),
        case(
            "directory scribbled over",
            scribbled.finish(),
            Expected::Refused("no central directory record"),
        ),
        case(
            "encrypted directory",
            encrypted.finish(),
            Expected::Refused("encrypted, at offset 78"),
        ),
        case(
            "ZIP64 end that is not there",
            lost,
            Expected::Refused("not where its locator says"),
        ),
        case(
            "offset behind the directory",
            with(|item| item.offset = Some(1000)),
            bad("local header at offset 1000"),
        ),
        case(
            "offset of 2^63",
            offset_64(1 << 63),
            bad("local header at offset 9223372036854775808"),
        ),
        case(
            "offset of 2^64 - 1",
            offset_64(u64::MAX),
            bad("before the central directory"),
        ),
        case(
            "size of 2^63",
            size_64(1 << 63),
            bad("before the central directory"),
        ),
        case(
            "size of 2^64 - 1",
            size_64(u64::MAX),
            bad("before the central directory"),
        ),
        case(
            "size one too large",
            with(|item| item.sizes = (6, 6)),
            bad("before the central directory"),
        ),
        case(
            "size one too small",
            with(|item| item.sizes = (4, 4)),
            bad("another size"),
        ),
        case(
            "sizes that differ",
            with(|item| item.sizes = (5, 4)),
            bad("of its 5 bytes the archive has 4"),
        ),
        case(
            "offset in the middle",
            with(|item| {
                item.offset = Some(1);
                item.sizes = (1, 1)
            }),
            bad("no local header"),
        ),
        case(
            "local header with another name",
            with(|item| item.local_name = Some(b"f".to_vec())),
            bad("another name"),
        ),
        case(
            "local header with a longer name",
            with(|item| item.local_name = Some(b"ee".to_vec())),
            bad("another name"),
        ),
        case(
            "local header with another method",
            with(|item| item.local_method = Some(8)),
            bad("another compression method"),
        ),
        case(
            "local header with another CRC",
            with(|item| item.local_numbers.0 ^= 1),
            bad("another size or checksum"),
        ),
        case(
            "local header with another size",
            with(|item| item.local_numbers.2 += 1),
            bad("another size or checksum"),
        ),
        case(
            "local header with another compressed size",
            with(|item| item.local_numbers.1 = 4),
            bad("compressed size 4, where the central directory has 5"),
        ),
        case(
            "local header with another size and no CRC",
            with(|item| item.local_numbers = (0, 5, 6)),
            bad("size 6, where the central directory has 5"),
        ),
        case(
            "local header with another CRC and no sizes",
            with(|item| item.local_numbers = (1, 0, 0)),
            bad("CRC-32 1, where the central directory has"),
        ),
        case(
            "local header with a CRC, directory with none",
            with(|item| item.crc = 0),
            bad("another size or checksum"),
        ),
        case(
            "local header with encryption",
            with(|item| item.local_flags = Some(1)),
            bad("another encryption"),
        ),
        case(
            "local extra field over the directory",
            extra_over_the_directory(),
            bad("run into what lies behind"),
        ),
    ]
}

/// The local header's extra field is said to be longer than it is.
fn extra_over_the_directory() -> Vec<u8> {
    let mut zip = Zip::of([Item::new("e", "hello")]);
    zip.bytes[28] = 200;
    zip.finish()
}
