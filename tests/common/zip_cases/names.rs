//! Names, and their encodings.

use super::super::zips::{DOS, Item, UNIX, UTF8, Zip, extra};
use super::{Case, Expected, bytes, case, tree};

pub(super) fn names() -> Vec<Case> {
    let named = |stored: &[u8], made_by: u16| {
        let item = Item::new(stored, "x").with(|item| item.made_by = made_by);
        Zip::of([item]).finish()
    };
    let shown = |as_name: &str| tree(&[(as_name, bytes("x"))]);
    let hidden = |why| Expected::Tree(vec![], vec![why]);
    let unix = UNIX;
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

pub(super) fn encodings() -> Vec<Case> {
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
