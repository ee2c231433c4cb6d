//! Archives of all kinds, and what each must show: one table for everything that reads archives.

use super::zips::{DOS, End, Item, UTF8, Zip, eocd, eocd64, extra, locator, zip64};

/// An archive, and what is to come of it.
pub struct Case {
    pub name: &'static str,
    pub blob: Vec<u8>,
    /// For `--encoding`; empty for none.
    pub encoding: &'static str,
    pub expected: Expected,
}

pub enum Expected {
    /// The entries in the order of the line, and names that are hidden.
    Tree(Vec<(String, Content)>, Vec<&'static str>),
    /// The error contains this.
    Refused(&'static str),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Dir,
    Bytes(Vec<u8>),
    /// The entry is there, and the error of reading it contains this.
    Bad(&'static str),
}

fn tree(entries: &[(&str, Content)]) -> Expected {
    let named = entries
        .iter()
        .map(|(name, c)| ((*name).to_owned(), c.clone()));
    Expected::Tree(named.collect(), Vec::new())
}

fn bytes(data: impl AsRef<[u8]>) -> Content {
    Content::Bytes(data.as_ref().to_vec())
}

/// What [`two`] shows.
fn two_shown() -> Expected {
    tree(&[("a/b.ts", bytes("hello")), ("c", bytes("world!"))])
}

/// A plain archive of two files.
fn two() -> Zip {
    Zip::of([Item::new("a/b.ts", "hello"), Item::new("c", "world!")])
}

/// All cases.
pub fn all() -> Vec<Case> {
    let groups = [
        ends(),
        zip64_forms(),
        lines(),
        names(),
        encodings(),
        entries(),
        damage(),
        overlaps(),
    ];
    groups.into_iter().flatten().collect()
}

fn case(name: &'static str, blob: Vec<u8>, expected: Expected) -> Case {
    Case {
        name,
        blob,
        encoding: "",
        expected,
    }
}

/// Comments, prepended bytes, junk: where the directory is.
fn ends() -> Vec<Case> {
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

fn zip64_forms() -> Vec<Case> {
    const MAX: u32 = u32::MAX;
    let end = |zip: Zip, extensible: &[u8]| {
        zip.end(&End {
            zip64: true,
            extensible: extensible.to_vec(),
            ..End::default()
        })
    };
    let first = Item::new("x", "before");
    let at = (first.local().len() + 6) as u64;
    // A second entry whose numbers stand in the ZIP64 field as `form` says.
    let form = |size: bool, compressed: bool, offset: bool, all: bool| {
        let mut item = Item::new("y", "hello");
        let mut numbers = Vec::new();
        for (wide, number) in [(size, 5), (compressed, 5), (offset, at)] {
            if wide || all {
                numbers.push(number);
            }
        }
        item.sizes = (if size { MAX } else { 5 }, if compressed { MAX } else { 5 });
        item.offset = offset.then_some(MAX);
        item.extra = [extra(0x5455, &[0]), zip64(&numbers)].concat();
        item.local_extra = zip64(&[5, 5]);
        item.local_numbers = (item.crc, MAX, MAX);
        Zip::of([first.clone(), item]).finish()
    };
    let shown = || tree(&[("x", bytes("before")), ("y", bytes("hello"))]);
    let mut shifted = Zip::default();
    shifted.gap(b"prepended");
    shifted.base = 9;
    shifted.add(&Item::new("a/b.ts", "hello"));
    shifted.add(&Item::new("c", "world!"));
    let short = Item::new("y", "hello").with(|item| {
        item.sizes.0 = MAX;
        item.extra = extra(1, &[5, 0, 0]);
    });
    let wraps = |items: u64, announced: u64, zip64: bool| {
        let mut zip = Zip::default();
        let item = Item::new("d/", "").central(0);
        zip.gap(&Item::new("d/", "").local());
        zip.directory = item.repeat(items as usize);
        zip.entries = items;
        zip.end(&End {
            entries: Some(announced),
            zip64,
            ..End::default()
        })
    };
    let many = |n| Expected::Tree(vec![("d".into(), Content::Dir); n], vec![]);
    let numbers = |size_off: i64, entries: u64| {
        let mut zip = two();
        let start = zip.line.len() as u64;
        let size = zip.directory.len() as u64;
        let directory = std::mem::take(&mut zip.directory);
        zip.gap(&directory);
        let at = zip.line.len() as u64;
        zip.gap(&eocd64(entries, size, start, b""));
        zip.gap(&locator(at));
        zip.gap(&eocd(
            (2, (size as i64 + size_off) as u32, start as u32),
            0,
            b"",
        ));
        zip.line
    };
    let mut chance = two();
    // The last record's comment looks like a locator.
    let last = Item::new("z", "").with(|item| item.comment = locator(7));
    chance.add(&last);
    vec![
        case("ZIP64 end", end(two(), b""), two_shown()),
        case(
            "ZIP64 end, extensible",
            end(two(), b"\x01\x00\x04\x00\x00\x00data"),
            two_shown(),
        ),
        case(
            "ZIP64 end, prepended",
            end(shifted.clone(), b""),
            two_shown(),
        ),
        case(
            "ZIP64 end, extensible, prepended",
            end(shifted, &[7; 100]),
            two_shown(),
        ),
        case("ZIP64 end, not needed", numbers(0, 2), two_shown()),
        case(
            "ZIP64 end, another size",
            numbers(-1, 2),
            Expected::Refused("contradicts"),
        ),
        case(
            "ZIP64 end, another count",
            numbers(0, 3),
            Expected::Refused("contradicts"),
        ),
        case(
            "ZIP64 end, count of entries lies",
            wraps(3, 4, true),
            Expected::Refused("has 3 entries and announces 4"),
        ),
        case("ZIP64 offset", form(false, false, true, false), shown()),
        case("ZIP64 size", form(true, false, false, false), shown()),
        case(
            "ZIP64 compressed size",
            form(false, true, false, false),
            shown(),
        ),
        case("ZIP64 sizes", form(true, true, false, false), shown()),
        case(
            "ZIP64 size and offset",
            form(true, false, true, false),
            shown(),
        ),
        case("ZIP64 all", form(true, true, true, false), shown()),
        case(
            "ZIP64 all, though only the offset is due",
            form(false, false, true, true),
            shown(),
        ),
        case(
            "ZIP64 all, though none is due",
            form(false, false, false, true),
            shown(),
        ),
        case(
            "ZIP64 field too short",
            Zip::of([short]).finish(),
            Expected::Refused("too short"),
        ),
        case(
            "65,537 entries without ZIP64",
            wraps(65_537, 1, false),
            many(65_537),
        ),
        case(
            "65,536 entries with ZIP64",
            wraps(65_536, 65_536, true),
            many(65_536),
        ),
        case(
            "a count that lies",
            wraps(3, 2, false),
            Expected::Refused("has 3 entries and announces 2"),
        ),
        case(
            "a locator by chance",
            chance.finish(),
            tree(&[
                ("a/b.ts", bytes("hello")),
                ("c", bytes("world!")),
                ("z", bytes("")),
            ]),
        ),
    ]
}

/// Where entries lie.
fn lines() -> Vec<Case> {
    let mut gaps = Zip::default();
    gaps.gap(b"gap");
    gaps.add(&Item::new("a/b.ts", "hello"));
    gaps.gap(&[0xff; 100]);
    gaps.add(&Item::new("c", "world!"));
    gaps.gap(b"gap");
    let padded = |name: &str, data: &str| {
        Item::new(name, data).with(|item| {
            // zipalign pads with zeros, newer ones with a field of their own.
            item.local_extra = vec![0; 3];
            item.behind = vec![0; 5];
        })
    };
    let aligned = Item::new("c", "world!").with(|i| i.local_extra = extra(0xd935, &[4, 0, 0, 0]));
    let mut backwards = Zip::default();
    let (one, other) = (Item::new("a/b.ts", "hello"), Item::new("c", "world!"));
    let second_at = (one.local().len() + 5) as u32;
    backwards.gap(
        &[
            one.local(),
            b"hello".to_vec(),
            other.local(),
            b"world!".to_vec(),
        ]
        .concat(),
    );
    backwards.directory = [other.central(second_at), one.central(0)].concat();
    backwards.entries = 2;
    let mut cases = vec![
        case("gaps", gaps.finish(), two_shown()),
        case(
            "padding",
            Zip::of([padded("a/b.ts", "hello"), padded("c", "world!")]).finish(),
            two_shown(),
        ),
        case(
            "alignment",
            Zip::of([Item::new("a/b.ts", "hello"), aligned]).finish(),
            two_shown(),
        ),
        case("backwards", backwards.finish(), two_shown()),
    ];
    let kinds = [
        ("descriptor", true, false),
        ("wide descriptor", true, true),
        ("descriptor without signature", false, false),
        ("wide descriptor without signature", false, true),
    ];
    for (name, signature, wide) in kinds {
        let described = |item: Item| item.described(signature, wide);
        let zip = Zip::of([Item::new("a/b.ts", "hello"), Item::new("c", "world!")].map(described));
        cases.push(case(name, zip.finish(), two_shown()));
    }
    cases
}

fn names() -> Vec<Case> {
    let named = |stored: &[u8], made_by: u16| {
        let item = Item::new(stored, "x").with(|item| item.made_by = made_by);
        Zip::of([item]).finish()
    };
    let shown = |as_name: &str| tree(&[(as_name, bytes("x"))]);
    let hidden = |why| Expected::Tree(vec![], vec![why]);
    let unix = super::zips::UNIX;
    let flagged = Item::new("ü", "x").with(|item| item.flags = UTF8);
    let unicode = |crc: u32| {
        let item = Item::new(b"\x81", "x").with(|item| {
            let body = [&[1], &crc.to_le_bytes()[..], "ю".as_bytes()].concat();
            item.extra = extra(0x7075, &body);
        });
        Zip::of([item]).finish()
    };
    let long = "n".repeat(255);
    vec![
        case(
            "name with the UTF-8 flag",
            Zip::of([flagged]).finish(),
            shown("ü"),
        ),
        case(
            "name in UTF-8 without the flag",
            named("ü".as_bytes(), unix),
            shown("ü"),
        ),
        case("name in CP437", named(b"\x81", unix), shown("ü")),
        case(
            "Unicode Path",
            unicode(crc32fast::hash(b"\x81")),
            shown("ю"),
        ),
        case("Unicode Path of another name", unicode(7), shown("ü")),
        case("backslashes by DOS", named(b"d\\e\\f", DOS), shown("d/e/f")),
        case(
            "backslashes by Info-ZIP on NTFS",
            named(b"d\\e", 11 << 8),
            shown("d/e"),
        ),
        case("backslash by Unix", named(b"d\\e", unix), shown("d\\e")),
        case("absolute", named(b"/etc/passwd", unix), shown("etc/passwd")),
        case("drive", named(b"C:\\d\\e", DOS), shown("d/e")),
        case(
            "network share",
            named(b"\\\\host\\d\\e", DOS),
            shown("host/d/e"),
        ),
        case(
            "dots and empty components",
            named(b"./d//./e", unix),
            shown("d/e"),
        ),
        case(
            "the root as an entry",
            Zip::of([Item::new("./", ""), Item::new("x", "x")]).finish(),
            shown("x"),
        ),
        case("parent", named(b"../e", unix), hidden("'..'")),
        case("parent inside", named(b"d/../e", unix), hidden("'..'")),
        case(
            "parent by backslash",
            named(b"d\\..\\e", DOS),
            hidden("'..'"),
        ),
        case("NUL", named(b"e\0.txt", unix), hidden("NUL")),
        case("empty name", named(b"", unix), hidden("empty")),
        case("only slashes and data", named(b"//", unix), hidden("empty")),
        case("255 bytes", named(long.as_bytes(), unix), shown(&long)),
        case("256 bytes", named(&[b'n'; 256], unix), hidden("255 bytes")),
        case(
            "255 characters of two bytes",
            named(&[0x81; 255], unix),
            hidden("255 bytes"),
        ),
        case(
            "long path",
            named(&b"d/".repeat(32_767), unix),
            hidden("4,095 bytes"),
        ),
        case(
            "case",
            Zip::of([Item::new("A", "x"), Item::new("a", "y")]).finish(),
            tree(&[("A", bytes("x")), ("a", bytes("y"))]),
        ),
    ]
}

fn encodings() -> Vec<Case> {
    let in_encoding = |name, encoding, stored: &[&[u8]], made_by, shown: &[&str]| {
        let item = |name: &&[u8]| Item::new(*name, "x").with(|item| item.made_by = made_by);
        let shown: Vec<_> = shown.iter().map(|name| (*name, bytes("x"))).collect();
        Case {
            name,
            blob: Zip::of(stored.iter().map(item)).finish(),
            encoding,
            expected: tree(&shown),
        }
    };
    let cyrillic: [&[u8]; 3] = [
        b"\xd4\xe8\xeb\xfc\xec\xfb/\xcf\xf0\xe8\xe2\xe5\xf2 \xec\xe8\xf0.mp4",
        b"plain",
        b"\xd4\xe8\xeb\xfc\xec\xfb/\xc2\xf2\xee\xf0\xe0\xff \xf1\xe5\xf0\xe8\xff.mp4",
    ];
    // "Ѕ" in Shift JIS ends with the byte of a backslash.
    let japanese: [&[u8]; 2] = [
        b"\x93\xfa\x96\x7b\x8c\xea\x83\\\x83t\x83g/\x83r\x83f\x83I.mp4",
        b"\x83\\.txt",
    ];
    let shown = ["日本語ソフト/ビデオ.mp4", "ソ.txt"];
    vec![
        in_encoding("CP850", "cp850", &[b"\x9b"], DOS, &["ø"]),
        in_encoding("CP866", "cp866", &[b"\x8c\xa8\xe0"], DOS, &["Мир"]),
        in_encoding(
            "Windows 1251",
            "windows-1251",
            &cyrillic,
            DOS,
            &["Фильмы/Привет мир.mp4", "plain", "Фильмы/Вторая серия.mp4"],
        ),
        in_encoding(
            "Windows 1251, detected",
            "auto",
            &cyrillic,
            DOS,
            &["Фильмы/Привет мир.mp4", "plain", "Фильмы/Вторая серия.mp4"],
        ),
        in_encoding("Shift JIS", "shift_jis", &japanese, DOS, &shown),
        in_encoding("Shift JIS, detected", "auto", &japanese, DOS, &shown),
        in_encoding(
            "UTF-8 stays when others are detected",
            "auto",
            &["ю".as_bytes()],
            DOS,
            &["ю"],
        ),
    ]
}

/// What entries are.
fn entries() -> Vec<Case> {
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
        ("link of PKZIP", one(link, Content::Bad("PKZIP"))),
    ];
    let rows = rows.map(|(name, (blob, expected))| case(name, blob, expected));
    rows.into()
}

/// What lies or is missing.
fn damage() -> Vec<Case> {
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
            [b"PK\x07\x08".to_vec(), two().line].concat(),
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
            bad("another method"),
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
    zip.line[28] = 200;
    zip.finish()
}

fn overlaps() -> Vec<Case> {
    const OVERLAPS: Content = Content::Bad("overlaps");
    // The quoted bomb: each entry's data holds the next one's header.
    let inner = [Item::new("b", "data").local(), b"data".to_vec()].concat();
    let mut quoted = Zip::of([Item::new("a", &inner)]);
    let at = quoted.line.len() - inner.len();
    quoted
        .directory
        .extend(Item::new("b", "data").central(at as u32));
    quoted.entries += 1;

    // Three deep, and one beside.
    let c = [Item::new("c", "data").local(), b"data".to_vec()].concat();
    let b = [Item::new("b", &c).local(), c.clone()].concat();
    let mut three = Zip::of([Item::new("a", &b)]);
    let (b_at, c_at) = (three.line.len() - b.len(), three.line.len() - c.len());
    three
        .directory
        .extend(Item::new("b", &c).central(b_at as u32));
    three
        .directory
        .extend(Item::new("c", "data").central(c_at as u32));
    three.entries += 2;
    three.add(&Item::new("d", "fine"));

    // The same bytes twice, then something inside: both are wrong. Once only the first was told, and
    // the other one given out, because an overlap was noted for the entry that reached furthest.
    let mut twice = Zip::of([Item::new("a", &inner)]);
    twice.directory.extend(Item::new("a", &inner).central(0));
    twice
        .directory
        .extend(Item::new("b", "data").central(at as u32));
    twice.entries += 2;

    let mut same = Zip::of([Item::new("a", "data")]);
    same.directory.extend(Item::new("link", "data").central(0));
    same.entries += 1;

    let mut other_size = Zip::of([Item::new("a", "data")]);
    let shorter = Item::new("a2", "data").with(|item| item.sizes = (3, 3));
    other_size.directory.extend(shorter.central(0));
    other_size.entries += 1;

    let empty = || [Item::new("d/", ""), Item::new("e", ""), Item::new("f", "")];

    // An entry that is not shown is still one. Once it was forgotten with its name, and an entry
    // could reach over it.
    let mut over_hidden = Zip::of([Item::new("a", &inner)]);
    let hidden = Item::new("..", "data").with(|item| item.local_name = Some(b"b".to_vec()));
    over_hidden.directory.extend(hidden.central(at as u32));
    over_hidden.entries += 1;
    // The extra field of the first reaches into the second, which only the local header tells.
    let mut by_extra = Zip::of([Item::new("a", "data"), Item::new("b", "data")]);
    by_extra.line[28] = 1;
    vec![
        case(
            "quoted",
            quoted.finish(),
            tree(&[("a", OVERLAPS), ("b", OVERLAPS)]),
        ),
        case(
            "three deep",
            three.finish(),
            tree(&[
                ("a", OVERLAPS),
                ("b", OVERLAPS),
                ("c", OVERLAPS),
                ("d", bytes("fine")),
            ]),
        ),
        case(
            "one twice, and another inside",
            twice.finish(),
            tree(&[("a", OVERLAPS), ("a", OVERLAPS), ("b", OVERLAPS)]),
        ),
        case(
            "two names for the same bytes",
            same.finish(),
            tree(&[("a", bytes("data")), ("link", bytes("data"))]),
        ),
        case(
            "one header with two sizes",
            other_size.finish(),
            tree(&[("a", OVERLAPS), ("a2", OVERLAPS)]),
        ),
        case(
            "empty entries",
            Zip::of(empty()).finish(),
            tree(&[("d", Content::Dir), ("e", bytes("")), ("f", bytes(""))]),
        ),
        case(
            "over a hidden entry",
            over_hidden.finish(),
            Expected::Tree(vec![("a".into(), OVERLAPS)], vec!["'..'"]),
        ),
        case(
            "overlap by the local extra field",
            by_extra.finish(),
            tree(&[
                ("a", Content::Bad("run into what lies behind")),
                ("b", bytes("data")),
            ]),
        ),
    ]
}
