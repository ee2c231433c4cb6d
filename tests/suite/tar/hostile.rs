//! Tars that attack their reader.

use std::sync::Arc;

use aiozfs::archive::{Ending, Index, Kind};
use aiozfs::fs::{Owners, Symlinks, Tree, TreeOptions};

use super::drive;
use super::made::{Header, Made};

fn tree(index: Index) -> Tree {
    let options = TreeOptions {
        uid: 0,
        gid: 0,
        owners: Owners::Given,
        fmask: 0,
        dmask: 0,
        symlinks: Symlinks::Inside,
    };
    Tree::build(Arc::new(index), options)
}

#[test]
fn names_follow_the_rules_of_zip_names() {
    let blob = Made::default()
        .file("/etc/passwd", b"1")
        .file("../up", b"2")
        .file("a/../../b", b"3")
        .file("./c//d", b"4")
        .pax(b'x', &[("path", &"x".repeat(300))])
        .file("short", b"5")
        .pax(b'x', &[("path", "n\0ul")])
        .file("short", b"6")
        .link("link", b'2', "")
        .pax(b'x', &[("linkpath", &"t/".repeat(3000))])
        .link("long", b'2', "")
        .member(Header::new("./", b'5', 0), b"")
        .ended();
    let index = drive::index(&blob, || 512);
    let names: Vec<&[u8]> = index.ids().map(|id| index.path(id)).collect();
    assert_eq!(names, [&b"etc/passwd"[..], b"c/d"]);
    let (hidden, count) = index.hidden();
    assert_eq!(count, 6);
    let why: Vec<&str> = hidden.iter().map(|one| one.why).collect();
    assert!(
        why[0].contains("'..'") && why[4].contains("without a target"),
        "{why:?}"
    );
    assert!(why[5].contains("longer than 4,095"), "{why:?}");
}

#[test]
fn sizes_that_overflow_end_the_list() {
    let sizes: [&[u8]; 4] = [
        b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"x2345670123\0",
    ];
    for size in sizes {
        for typeflag in [b'0', b'x', b'L', b'S', b'V'] {
            let header = Header::new("huge", typeflag, 0).with(124, size);
            let blob = Made::default().file("a", b"a").member(header, b"").ended();
            let index = drive::index(&blob, || 512);
            assert!(
                index.ending().is_damage(),
                "{} {typeflag}",
                size.escape_ascii()
            );
            assert_eq!(index.len(), 1);
        }
    }
    let big = u64::MAX.to_string();
    for (key, value) in [("size", &big[..]), ("size", "9223372036854775807")] {
        let blob = Made::default()
            .pax(b'x', &[(key, value)])
            .file("a", b"")
            .ended();
        let index = drive::index(&blob, || 512);
        assert_eq!(
            (index.len(), index.ending()),
            (0, Ending::BadSize),
            "{value}"
        );
    }
    // Larger than the archive, but no overflow: cut off.
    let blob = Made::default()
        .member(Header::new("a", b'0', 1 << 32), b"")
        .ended();
    let index = drive::index(&blob, || 512);
    assert_eq!((index.len(), index.ending()), (1, Ending::Cut));
}

#[test]
fn loops_of_hard_links_are_files_that_cannot_be_read() {
    let blob = Made::default()
        .link("a", b'1', "b")
        .link("b", b'1', "a")
        .link("self", b'1', "self")
        .link("out", b'1', "../../etc/passwd")
        .link("absolute", b'1', "/etc/passwd")
        .link("directory", b'1', "d")
        .member(Header::new("d", b'5', 0), b"")
        .ended();
    let tree = tree(drive::index(&blob, || 512));
    for name in ["a", "b", "self", "out", "absolute", "directory"] {
        let ino = tree
            .lookup(aiozfs::fs::Ino::ROOT, name.as_bytes())
            .expect("shown");
        let id = tree.entry(ino).expect("a file");
        assert!(tree.index().readable(id).is_err(), "{name}");
        assert_eq!(tree.attr(ino).expect("shown").size, 0, "{name}");
    }
}

/// GNU tar replaces a file that is extracted again, and a link to the earlier file keeps its content.
#[test]
fn hard_link_is_the_file_before_it() {
    let blob = Made::default()
        .file("a", b"first")
        .link("b", b'1', "a")
        .file("a", b"second")
        .link("c", b'1', "./a")
        .ended();
    let tree = tree(drive::index(&blob, || 512));
    let content = |name: &[u8]| {
        let ino = tree.lookup(aiozfs::fs::Ino::ROOT, name).expect("shown");
        drive::content(tree.index(), &blob, tree.entry(ino).expect("a file")).expect("readable")
    };
    assert_eq!(content(b"a"), b"second");
    assert_eq!(content(b"b"), b"first");
    assert_eq!(content(b"c"), b"second");
    assert_eq!(content(b"a (1)"), b"first");
}

/// `tar cf x.tar d d/f` writes d/f, and then a hard link of that name to itself. It could not be read.
#[test]
fn file_that_is_named_twice_is_read() {
    let blob = Made::default()
        .file("a", b"content")
        .link("a", b'1', "a")
        .ended();
    let tree = tree(drive::index(&blob, || 512));
    let ino = tree.lookup(aiozfs::fs::Ino::ROOT, b"a").expect("shown");
    let content = drive::content(tree.index(), &blob, tree.entry(ino).expect("a file"));
    assert_eq!(content.expect("readable"), b"content");
}

/// Some writers of pax archives give hard links the data of their file.
#[test]
fn hard_links_may_have_data() {
    let link = Header::new("b", b'1', 600).with(157, b"a");
    let data = [b'd'; 600];
    let with = Made::default().file("a", &data).member(link.clone(), &data);
    let without = Made::default().file("a", &data).member(link, b"");
    for made in [with, without] {
        let blob = made.file("c", b"behind").ended();
        let index = drive::index(&blob, || 512);
        assert_eq!((index.len(), index.ending()), (3, Ending::Marked));
    }
}

/// Data that began with zeros was taken for the end of the archive, and the members behind it were not shown.
#[test]
fn hard_links_may_have_data_that_begins_with_zeros() {
    let mut late = [0; 1600];
    late[1500] = b'd';
    for data in [&late[..], &late[..1024], &late[..600], &late[..5]] {
        let link = Header::new("b", b'1', data.len() as u64).with(157, b"a");
        let made = Made::default().file("a", data).member(link, data);
        let blob = made.file("c", b"behind").ended();
        let index = drive::index(&blob, || 512);
        let found = (index.len(), index.ending());
        assert_eq!(found, (3, Ending::Marked), "{} bytes", data.len());
    }
    // Without data, these zeros are the end, whether or not the recorded size leads out of the archive.
    for size in [5, 600, 4000, 1 << 40] {
        let link = Header::new("b", b'1', size).with(157, b"a");
        let mut blob = Made::default().file("a", b"").member(link, b"").ended();
        blob.resize(10240, 0);
        let index = drive::index(&blob, || 512);
        let found = (index.len(), index.ending());
        assert_eq!(found, (2, Ending::Marked), "size {size}");
    }
}

/// A path that holds for all members was copied and searched for each of them: 100 MB of headers without data took
/// minutes.
#[test]
fn path_of_all_members_is_bounded() {
    for key in ["path", "linkpath"] {
        let made = |len: usize| {
            let value = "a/".repeat(len / 2);
            let made = Made::default().pax(b'g', &[(key, &value)]);
            made.file("short", b"x").ended()
        };
        let index = drive::index(&made(4096), || 1 << 20);
        assert_eq!(index.ending(), Ending::Marked, "{key}");
        let index = drive::index(&made(4098), || 1 << 20);
        assert_eq!(
            (index.len(), index.ending()),
            (0, Ending::LongExtended),
            "{key}"
        );
    }
}

#[test]
fn extended_headers_are_bounded() {
    let long = Header::new("pax", b'x', (1 << 20) + 1);
    let blob = Made::default().file("a", b"").member(long, b"").ended();
    assert_eq!(drive::index(&blob, || 512).ending(), Ending::LongExtended);
    // Many of them for one member: the last one counts, and none is kept.
    let mut made = Made::default();
    for n in 0..20_000 {
        made = made
            .pax(b'x', &[("path", &format!("name {n}"))])
            .pax(b'g', &[("a", "b")]);
    }
    let blob = made.file("short", b"x").ended();
    let index = drive::index(&blob, || 1 << 20);
    assert_eq!(index.path(index.id(0).expect("one")), b"name 19999");
}

#[test]
fn bad_maps_of_sparse_members_are_errors_of_their_member() {
    let bad = [
        "1\n0\n9\n",        // more than is stored
        "2\n5\n1\n0\n1\n",  // backwards
        "1\n99\n1\n",       // behind the end
        "99999999999999\n", // too many
        "1\n0\n",           // cut off
        "x\n",
        "1\n18446744073709551615\n2\n",
    ];
    for map in bad {
        let mut data = map.as_bytes().to_vec();
        data.resize(512, 0);
        data.extend(b"data");
        let blob = Made::default()
            .pax(
                b'x',
                &[
                    ("GNU.sparse.major", "1"),
                    ("GNU.sparse.minor", "0"),
                    ("GNU.sparse.name", "sparse"),
                    ("GNU.sparse.realsize", "20"),
                ],
            )
            .file("made up", &data)
            .file("behind", b"good")
            .ended();
        let index = drive::index(&blob, || 512);
        let (sparse, behind) = (index.id(0).expect("two"), index.id(1).expect("two"));
        assert_eq!(index.path(sparse), b"sparse");
        let why = index.readable(sparse).expect_err(map).to_string();
        assert!(why.contains("map of data and holes"), "{why}");
        assert_eq!(
            drive::content(&index, &blob, behind).expect("readable"),
            b"good"
        );
        assert_eq!(index.ending(), Ending::Marked);
    }
}

#[test]
fn unknown_types_are_files_and_labels_are_not_shown() {
    let blob = Made::default()
        .member(Header::new("label", b'V', 0), b"")
        .member(Header::new("part", b'M', 5), b"other")
        .member(Header::new("odd", b'Z', 3), b"odd")
        .member(Header::new("old directory/", b'0', 0), b"")
        .member(Header::new("dump", b'D', 4), b"Yab\0")
        .ended();
    let index = drive::index(&blob, || 512);
    let shown: Vec<_> = index
        .ids()
        .map(|id| (index.path(id), index.kind(id)))
        .collect();
    let expected = [
        (&b"odd"[..], Kind::File),
        (b"old directory", Kind::Dir),
        (b"dump", Kind::Dir),
    ];
    assert_eq!(shown, expected);
}
