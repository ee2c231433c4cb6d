//! Places of entries in the blob, possible and impossible ones.

use super::super::zips::{Item, Zip, extra};
use super::{Case, Content, Expected, bytes, case, tree, two_shown};

/// Where entries lie.
pub(super) fn places() -> Vec<Case> {
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

pub(super) fn overlaps() -> Vec<Case> {
    const OVERLAPS: Content = Content::Bad("overlaps");
    // The quoted bomb: each entry's data holds the next one's header.
    let inner = [Item::new("b", "data").local(), b"data".to_vec()].concat();
    let mut quoted = Zip::of([Item::new("a", &inner)]);
    let at = quoted.bytes.len() - inner.len();
    quoted
        .directory
        .extend(Item::new("b", "data").central(at as u32));
    quoted.entries += 1;

    // Three archives inside each other, and a separate one.
    let c = [Item::new("c", "data").local(), b"data".to_vec()].concat();
    let b = [Item::new("b", &c).local(), c.clone()].concat();
    let mut three = Zip::of([Item::new("a", &b)]);
    let (b_at, c_at) = (three.bytes.len() - b.len(), three.bytes.len() - c.len());
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
    by_extra.bytes[28] = 1;
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
