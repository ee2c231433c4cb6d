//! Numbers that do not fit into 32 bits, in every form that writers give them.

use super::super::zips::{End, Item, Zip, eocd, eocd64, extra, locator, zip64};
use super::{Case, Content, Expected, bytes, case, tree, two, two_shown};

pub(super) fn zip64_forms() -> Vec<Case> {
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
        let start = zip.bytes.len() as u64;
        let size = zip.directory.len() as u64;
        let directory = std::mem::take(&mut zip.directory);
        zip.gap(&directory);
        let at = zip.bytes.len() as u64;
        zip.gap(&eocd64(entries, size, start, b""));
        zip.gap(&locator(at));
        zip.gap(&eocd(
            (2, (size as i64 + size_off) as u32, start as u32),
            0,
            b"",
        ));
        zip.bytes
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
